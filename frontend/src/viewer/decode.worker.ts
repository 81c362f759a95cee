/** Frames to values, beside the page: decompressed, masked to the stored bits, signed, put through the table, padding blackened. */

import type { Decoded, Values, Viewing, Window } from "./told";
import { firstWindow, toRange } from "./windows";

export interface DecodeTask {
  id: number;
  bytes: ArrayBuffer;
  transferSyntax: string;
  viewing: Viewing;
  /** The pixels of the screen that the picture through its first window is wanted for, before all else. */
  first?: { width: number; height: number } | undefined;
}

/** Said while the frame is still on its way: its decoder is loaded and started meanwhile. */
export interface PrepareTask {
  prepare: string;
}

export type DecodeAnswer =
  | { id: number; picture: ImageBitmap }
  | { id: number; decoded: Decoded }
  | { id: number; error: string };

interface Frame {
  rows: number;
  columns: number;
  bitsAllocated: number;
  bitsStored: number;
  pixelRepresentation: number;
  samplesPerPixel: number;
  planarConfiguration: number;
  signed: boolean;
  bytesPerPixel: number;
  pixelData?: ArrayLike<number>;
}

/** The decoders read more fields for colour, which does not come here. */
type Decoder = (frame: Frame, bytes: Uint8Array) => Promise<{ pixelData?: ArrayLike<number> }>;

/** Each decoder is loaded, and what it is compiled from, when the first frame is asked for that needs it. */
const DECODERS: Record<string, () => Promise<Decoder>> = {
  "1.2.840.10008.1.2.1": async () => {
    const { default: decode } = await import("cornerstone-decoders/decodeLittleEndian.js");
    return decode as unknown as Decoder;
  },
  "1.2.840.10008.1.2.5": async () => {
    const { default: decode } = await import("cornerstone-decoders/decodeRLE.js");
    return decode as unknown as Decoder;
  },
  "1.2.840.10008.1.2.4.50": async () => {
    const { default: decode } = await import("cornerstone-decoders/decodeJPEGBaseline8Bit.js");
    return (frame, bytes) => decode(bytes, frame);
  },
  "1.2.840.10008.1.2.4.57": lossless,
  "1.2.840.10008.1.2.4.70": lossless,
  "1.2.840.10008.1.2.4.80": jpegLs,
  "1.2.840.10008.1.2.4.81": jpegLs,
  "1.2.840.10008.1.2.4.90": jpeg2000,
  "1.2.840.10008.1.2.4.91": jpeg2000,
};

async function lossless(): Promise<Decoder> {
  const { default: decode } = await import("cornerstone-decoders/decodeJPEGLossless.js");
  return decode as unknown as Decoder;
}

async function jpegLs(): Promise<Decoder> {
  const { default: decode, initialize } = await import("cornerstone-decoders/decodeJPEGLS.js");
  await initialize();
  return (frame, bytes) => decode(bytes, frame);
}

async function jpeg2000(): Promise<Decoder> {
  const { default: decode, initialize } = await import("cornerstone-decoders/decodeJPEG2000.js");
  await initialize();
  return (frame, bytes) => decode(bytes, frame);
}

const started = new Map<string, Promise<Decoder>>();

function decoderOf(transferSyntax: string): Promise<Decoder> {
  const known = started.get(transferSyntax);
  if (known) return known;
  const load = DECODERS[transferSyntax];
  if (!load) return Promise.reject(new Error(`no decoder for ${transferSyntax}`));
  const loading = load();
  started.set(transferSyntax, loading);
  loading.catch(() => started.delete(transferSyntax)); // The next frame tries again.
  return loading;
}

self.addEventListener("message", (event: MessageEvent<DecodeTask | PrepareTask>) => {
  const task = event.data;
  if ("prepare" in task) {
    decoderOf(task.prepare).catch(() => undefined); // Told with the frame.
    return;
  }
  void work(task).catch((error: unknown) => answer({ id: task.id, error: String(error) }, []));
});

async function work(task: DecodeTask): Promise<void> {
  const { id, viewing, first } = task;
  const raw = await decode(task);
  const [told] = viewing.windows;
  // Where the file tells its window nothing has to be known of the other samples, and the picture comes first.
  if (first && told) show(id, paint(raw, viewing, told, first));
  const decoded = toValues(raw, viewing);
  if (first && !told) show(id, paint(raw, viewing, firstWindow(viewing, decoded), first));
  answer({ id, decoded }, [decoded.values.buffer]);
}

function show(id: number, picture: ImageBitmap): void {
  answer({ id, picture }, [picture]);
}

function answer(message: DecodeAnswer, transfer: Transferable[]): void {
  (self as unknown as Worker).postMessage(message, transfer);
}

/** The samples as they are stored. */
async function decode({ bytes, transferSyntax, viewing }: DecodeTask): Promise<ArrayLike<number>> {
  const decoder = await decoderOf(transferSyntax);
  const { rows, columns, bitsAllocated, bitsStored, signed } = viewing;
  const frame: Frame = {
    rows,
    columns,
    bitsAllocated,
    bitsStored,
    pixelRepresentation: signed ? 1 : 0,
    samplesPerPixel: 1,
    planarConfiguration: 0,
    signed,
    bytesPerPixel: bitsAllocated <= 8 ? 1 : 2,
  };
  const { pixelData } = await decoder(frame, new Uint8Array(bytes));
  // Native pixel data are padded to an even length (PS3.5 8.1.1).
  const tooMany = (pixelData?.length ?? 0) - rows * columns;
  if (!pixelData || tooMany < 0 || tooMany > 1) throw new Error("the frame has another size than its header says");
  return pixelData;
}

export function toValues(raw: ArrayLike<number>, viewing: Viewing): Decoded {
  const { rows, columns, bitsStored, signed, padding, slope, inverse } = viewing;
  const count = rows * columns;
  const table = viewing.table === null ? null : tableOf(viewing.table);
  const mask = 2 ** bitsStored - 1;
  const half = signed ? 2 ** (bitsStored - 1) : Infinity;
  const values: Values = table
    ? new Uint16Array(count)
    : signed
      ? new Int16Array(count)
      : bitsStored > 8
        ? new Uint16Array(count)
        : new Uint8Array(count);
  const [first, last] = padding ?? [Infinity, -Infinity];
  const black = blackest(values, slope > 0 !== inverse);
  let low = Infinity;
  let high = -Infinity;
  let lowest = Infinity;
  let highest = -Infinity;
  let isPadded = false;
  for (let index = 0; index < count; index++) {
    let stored = raw[index]! & mask;
    if (stored >= half) stored -= mask + 1;
    if (stored >= first && stored <= last) {
      values[index] = black;
      isPadded = true;
      continue;
    }
    const value = table ? table[stored & mask]! : stored;
    values[index] = value;
    if (value < low) low = value;
    if (value > high) high = value;
    if (stored < lowest) lowest = stored;
    if (stored > highest) highest = stored;
  }
  if (low > high) low = high = black;
  else if (table && !padding) {
    // A table need not be monotonic: its extremes may lie between those of the stored values.
    for (let stored = lowest; stored <= highest; stored++) {
      low = Math.min(low, table[stored & mask]!);
      high = Math.max(high, table[stored & mask]!);
    }
  }
  return {
    values,
    low,
    high,
    min: isPadded ? Math.min(low, black) : low,
    max: isPadded ? Math.max(high, black) : high,
  };
}

/**
 * The whole picture through the window to begin with, from the samples as they are stored. It has no more pixels than a screen
 * of this size can show: each is the mean of the greys of a square of samples.
 */
function paint(
  raw: ArrayLike<number>,
  viewing: Viewing,
  window: Window,
  screen: { width: number; height: number },
): ImageBitmap {
  const { rows, columns, bitsStored } = viewing;
  const greys = greysOf(viewing, window);
  const mask = 2 ** bitsStored - 1;
  // It is fitted: whichever of its sides is the tighter one decides.
  const side = Math.max(1, Math.floor(Math.max(columns / screen.width, rows / screen.height)));
  const width = Math.ceil(columns / side);
  const height = Math.ceil(rows / side);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false })!;
  const picture = context.createImageData(width, height);
  // One write for a pixel: red, green and blue alike, and opaque.
  const pixels = new Uint32Array(picture.data.buffer);
  const sums = new Uint32Array(width);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min((y + 1) * side, rows);
    sums.fill(0);
    for (let row = y * side; row < bottom; row++) {
      let index = row * columns;
      for (let x = 0; x < width; x++) {
        const end = Math.min(index + side, (row + 1) * columns);
        let sum = 0;
        for (; index < end; index++) sum += greys[raw[index]! & mask]!;
        sums[x]! += sum;
      }
    }
    const tall = bottom - y * side;
    for (let x = 0; x < width; x++) {
      const wide = Math.min(side, columns - x * side);
      pixels[y * width + x] = 0xff000000 | (Math.round(sums[x]! / (tall * wide)) * 0x010101);
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas.transferToImageBitmap();
}

/** The grey of each sample that can be stored, by its lowest `bitsStored` bits. */
function greysOf(viewing: Viewing, window: Window): Uint8ClampedArray {
  const { bitsStored, signed, padding } = viewing;
  const { low, high, inverse } = toRange(window, viewing, false);
  const table = viewing.table === null ? null : tableOf(viewing.table);
  const greys = new Uint8ClampedArray(2 ** bitsStored);
  const half = signed ? greys.length / 2 : Infinity;
  const [first, last] = padding ?? [Infinity, -Infinity];
  for (let sample = 0; sample < greys.length; sample++) {
    const stored = sample >= half ? sample - greys.length : sample;
    if (stored >= first && stored <= last) continue; // Padding is black.
    const value = table ? table[sample]! : stored;
    const grey = Math.min(Math.max((255 * (value - low)) / (high - low), 0), 255);
    greys[sample] = inverse ? 255 - grey : grey;
  }
  return greys;
}

/** The value that is black in every window. */
function blackest(values: Values, risesToWhite: boolean): number {
  if (values instanceof Int16Array) return risesToWhite ? -32768 : 32767;
  if (risesToWhite) return 0;
  return values instanceof Uint8Array ? 255 : 65535;
}

/** 16 bits each, little endian, in base64. */
function tableOf(text: string): Uint16Array {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index, true));
}
