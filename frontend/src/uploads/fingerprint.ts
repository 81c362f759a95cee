/** What tells one file from another: its content. Two CDs have files that agree in name, size and time. */

/** The portal's own computes the same over what arrived (`intake.resumable.content_fingerprint`). */
export const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * SHA-256 in hex over the SHA-256 digests of each 4 MiB of `file`; "" on a page without TLS, where browsers do not compute it.
 * Throws where the file cannot be read.
 */
export async function fingerprint(file: Blob): Promise<string> {
  if (!crypto.subtle) {
    await file.slice(0, 1).arrayBuffer();
    return "";
  }
  const digests: Uint8Array[] = [];
  for (let start = 0; start < file.size; start += PIECE_BYTES) {
    digests.push(await sha256(await file.slice(start, start + PIECE_BYTES).arrayBuffer()));
  }
  const all = await sha256(await new Blob(digests as BlobPart[]).arrayBuffer());
  return [...all].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sha256(bytes: ArrayBuffer): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
