/** What tells one file from another: its content. Two CDs have files that agree in name, size and time. */

import { sha256 as sha256InScript } from "@noble/hashes/sha2.js";

/** The portal's own computes the same over what arrived (`intake.resumable.content_fingerprint`). */
export const PIECE_BYTES = 4 * 1024 * 1024;

/** SHA-256 in hex over the SHA-256 digests of each 4 MiB of `file`. Throws where the file cannot be read. */
export async function fingerprint(file: Blob): Promise<string> {
  const digests: Uint8Array[] = [];
  for (let start = 0; start < file.size; start += PIECE_BYTES) {
    digests.push(await sha256(await file.slice(start, start + PIECE_BYTES).arrayBuffer()));
  }
  const all = await sha256(await new Blob(digests as BlobPart[]).arrayBuffer());
  return [...all].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** On a page without TLS browsers have no Web Crypto; a script takes some times longer, and says the same. */
async function sha256(bytes: ArrayBuffer): Promise<Uint8Array> {
  if (!crypto.subtle) return sha256InScript(new Uint8Array(bytes));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
