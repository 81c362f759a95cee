/** One file to the portal, by the tus protocol. */

import { type DetailedError, type HttpResponse, Upload } from "tus-js-client";
import { sentenceOf } from "../notices";
import { PIECE_BYTES } from "./fingerprint";
import { gettext } from "../texts";

export interface Result {
  outcome: string;
  /** What the row shows. */
  html: string;
  /** How many files had which outcome; of an archive there are many. */
  counts: Record<string, number>;
  /** The file may be sent again: it was not the file's fault. */
  again: boolean;
}

export interface Failure {
  reason: string;
  /** The connection broke: worth another try by itself once there is one. */
  offline: boolean;
  /** No other file could be sent either. */
  ended: boolean;
}

export interface Listener {
  /** The upload has an address, at which it can go on. */
  began(url: string): void;
  progress(fraction: number): void;
  examining(text: string): void;
  done(result: Result): void;
  failed(failure: Failure): void;
}

export interface Portal {
  /** Where uploads begin, with the hospital. */
  endpoint: string;
  csrfToken: string;
}

const RETRY_DELAYS_MS = [0, 1000, 2000, 4000, 8000, 15_000];
const ASK_AGAIN_MS = 1000;
/** Codes of refusals for which the file is not to blame. */
const AGAIN = ["technical_error", "no_room"];

const NO_ANSWER =
  gettext("The portal does not answer. What has arrived is kept: check the network and try again, and the file goes on where it stopped.");
const SESSION_ENDED =
  gettext("Your session has ended. What has arrived is kept: load this page again, log in and choose the same files.");
const TECHNICAL = gettext("The file could not be sent for a technical reason. Try again; if it happens again, tell an administrator.");

/** Sends `file`, from `uploadUrl` on where a part of it is there already. Gives what stops it, and then throws away what arrived. */
export function send(
  portal: Portal,
  file: File,
  fingerprint: string,
  uploadUrl: string | null,
  listener: Listener,
): () => Promise<void> {
  const upload = new Upload(file, {
    endpoint: portal.endpoint,
    uploadUrl,
    metadata: { filename: file.name, fingerprint },
    headers: { "X-CSRFToken": portal.csrfToken },
    chunkSize: PIECE_BYTES,
    uploadDataDuringCreation: true,
    // The browser keeps nothing of it: file names are patients' names often enough.
    storeFingerprintForResuming: false,
    fingerprint: () => Promise.resolve(fingerprint),
    retryDelays: RETRY_DELAYS_MS,
    onShouldRetry: (error) => isWorthAnotherTry(statusOf(error)),
    onUploadUrlAvailable: () => listener.began(upload.url ?? ""),
    onProgress: (sent, total) => listener.progress(total ? sent / total : 1),
    onSuccess: ({ lastResponse }) => {
      const result = resultOf(headersOf(lastResponse), lastResponse.getBody());
      if (result) listener.done(result);
      else void askForResult(portal, upload.url ?? "", listener);
    },
    onError: (error) => listener.failed(failureOf(error)),
  });
  upload.start();
  return () => upload.abort(true);
}

/** Ask what became of a file that has arrived, until it is known. */
export async function askForResult(portal: Portal, url: string, listener: Listener): Promise<void> {
  for (;;) {
    try {
      const response = await fetch(`${url}result/`, {
        method: "POST",
        headers: { "X-CSRFToken": portal.csrfToken },
        signal: AbortSignal.timeout(60_000),
      });
      const text = await response.text();
      if (!response.ok) return listener.failed(failure(response.status, text));
      const result = resultOf((name) => response.headers.get(name) ?? undefined, text);
      if (result) return listener.done(result);
      listener.examining(text);
    } catch {
      return listener.failed(failure(0, ""));
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function headersOf(response: HttpResponse): (name: string) => string | undefined {
  return (name) => response.getHeader(name);
}

function resultOf(header: (name: string) => string | undefined, html: string): Result | null {
  const outcome = header("X-Outcome");
  if (!outcome || outcome === "examining") return null;
  const counts = header("X-Counts");
  return {
    outcome,
    html,
    counts: counts ? (JSON.parse(counts) as Record<string, number>) : { [outcome]: 1 },
    again: AGAIN.includes(header("X-Code") ?? ""),
  };
}

function statusOf(error: DetailedError): number {
  return error.originalResponse?.getStatus() ?? 0;
}

function isWorthAnotherTry(status: number): boolean {
  return status === 0 || status === 409 || status === 423 || status === 460 || status >= 500;
}

function failureOf(error: Error | DetailedError): Failure {
  if (!("originalResponse" in error)) return { reason: TECHNICAL, offline: false, ended: false };
  return failure(statusOf(error), error.originalResponse?.getBody() ?? "");
}

function failure(status: number, body: string): Failure {
  if (status === 0) return { reason: NO_ANSWER, offline: true, ended: false };
  if (status === 401) return { reason: SESSION_ENDED, offline: false, ended: true };
  const sentence = body.trimStart().startsWith("<") ? sentenceOf(body) : body.trim();
  return { reason: sentence || TECHNICAL, offline: status >= 500, ended: status === 403 };
}
