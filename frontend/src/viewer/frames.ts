/** Frames and what must be known to show them: asked for once each, and decoded in a worker. */

import type { DecodeAnswer, DecodeTask, PrepareTask } from "./decode.worker";
import type { Decoded, ImageEntry, Viewing } from "./told";
import { gettext } from "../texts";

export interface LoadedImage {
  entry: ImageEntry;
  viewing: Viewing;
  decoded: Decoded;
}

/** The image cannot be shown; the text is for the person at the screen. */
export class NotShown extends Error {}

const SESSION_ENDED = gettext("Your session has ended: log in again to see the image itself. What is shown is its preview.");
const NOT_LOADED = gettext("The image itself could not be loaded. What is shown is its preview, without tools. Reload the page to try again.");

/** So many stay decoded: the current image, its prior, and the others of a study that one looks at in turn. */
const KEPT = 6;

const loads = new Map<string, Promise<LoadedImage>>();
interface Waiting {
  resolve: (decoded: Decoded) => void;
  reject: (error: Error) => void;
  painted: ((picture: ImageBitmap) => void) | undefined;
}

const waiting = new Map<number, Waiting>();
let worker: Worker | undefined;
let tasks = 0;

/** What is wanted of the first image before all else: its picture for so many pixels of the screen. */
export interface First {
  width: number;
  height: number;
  painted: (picture: ImageBitmap) => void;
}

/** By its study: says which opening, on record already, a frame is loaded for. */
const openings = new Map<string, string>();

export function opened(study: string, ticket: string): void {
  openings.set(study, ticket);
}

/** Begins to load an image, or goes on with what was begun. */
export function load(entry: ImageEntry, first?: First): Promise<LoadedImage> {
  const begun = loads.get(entry.id);
  const loading = begun ?? fetchAndDecode(entry, first);
  // The one used last stands last.
  loads.delete(entry.id);
  loads.set(entry.id, loading);
  const oldest = loads.keys().next();
  if (loads.size > KEPT && !oldest.done) loads.delete(oldest.value);
  if (!begun) {
    loading.catch(() => {
      loads.delete(entry.id); // The next wish tries again.
    });
  }
  return loading;
}

async function fetchAndDecode(entry: ImageEntry, first: First | undefined): Promise<LoadedImage> {
  const { transferSyntax } = entry;
  theWorker().postMessage({ prepare: transferSyntax } satisfies PrepareTask);
  const [viewing, bytes] = await Promise.all([
    get(entry.viewing, { Accept: "application/json" }).then((response) => response.json() as Promise<Viewing>),
    frame(entry),
  ]);
  performance.mark("viewer:fetched");
  const size = first && { width: first.width, height: first.height };
  const decoded = await decode({ id: ++tasks, bytes, transferSyntax, viewing, first: size }, first?.painted);
  performance.mark("viewer:decoded");
  return { entry, viewing, decoded };
}

async function frame(entry: ImageEntry): Promise<ArrayBuffer> {
  const response = await get(entry.frame, { Accept: entry.mediaType, "X-Opening": openings.get(entry.study) ?? "" });
  const ticket = response.headers.get("X-Opening");
  if (ticket) opened(entry.study, ticket);
  return response.arrayBuffer();
}

async function get(address: string, headers: Record<string, string>): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { headers, priority: "high" });
  } catch {
    throw new NotShown(NOT_LOADED);
  }
  if (response.status === 401 || response.redirected) throw new NotShown(SESSION_ENDED);
  if (!response.ok) throw new NotShown(NOT_LOADED);
  return response;
}

function decode(task: DecodeTask, painted: Waiting["painted"]): Promise<Decoded> {
  return new Promise((resolve, reject) => {
    waiting.set(task.id, { resolve, reject, painted });
    theWorker().postMessage(task, [task.bytes]);
  });
}

function theWorker(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL("./decode.worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", (event: MessageEvent<DecodeAnswer>) => {
    const answer = event.data;
    const task = waiting.get(answer.id);
    if ("picture" in answer) {
      task?.painted?.(answer.picture);
      return;
    }
    waiting.delete(answer.id);
    if ("decoded" in answer) task?.resolve(answer.decoded);
    else task?.reject(new NotShown(NOT_LOADED));
  });
  worker.addEventListener("error", () => {
    for (const task of waiting.values()) task.reject(new NotShown(NOT_LOADED));
    waiting.clear();
    worker = undefined;
  });
  return worker;
}
