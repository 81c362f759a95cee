/** Frames to values, beside the page: decompressed, masked to the stored bits, signed, put through the table, padding blackened. */

import type { Decoded, Values, Viewing } from "./told";
import { firstWindow, toRange } from "./windows";

export interface DecodeTask {
  id: number;
  bytes: ArrayBuffer;
  transferSyntax: string;
  viewing: Viewing;
  /** Whether the picture through its first window is wanted too, before all else. */
  isFirst?: boolean;
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

/** Each decoder is loaded when the first frame needs it. */
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
  const { default: decode } = await import("cornerstone-decoders/decodeJPEGLS.js");
  return (frame, bytes) => decode(bytes, frame);
}

async function jpeg2000(): Promise<Decoder> {
  const { default: decode } = await import("cornerstone-decoders/decodeJPEG2000.js");
  return (frame, bytes) => decode(bytes, frame);
}

self.addEventListener("message", (event: MessageEvent<DecodeTask>) => {
  const task = event.data;
  void decode(task).then(
    (decoded) => {
      if (task.isFirst) {
        const picture = paint(decoded, task.viewing);
        answer({ id: task.id, picture }, [picture]);
      }
      answer({ id: task.id, decoded }, [decoded.values.buffer]);
    },
    (error: unknown) => answer({ id: task.id, error: String(error) }, []),
  );
});

function answer(message: DecodeAnswer, transfer: Transferable[]): void {
  (self as unknown as Worker).postMessage(message, transfer);
}

async function decode({ bytes, transferSyntax, viewing }: DecodeTask): Promise<Decoded> {
  const load = DECODERS[transferSyntax];
  if (!load) throw new Error(`no decoder for ${transferSyntax}`);
  const decoder = await load();
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
  return toValues(pixelData, viewing);
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

/** The whole picture through the window to begin with. */
function paint(decoded: Decoded, viewing: Viewing): ImageBitmap {
  const { values } = decoded;
  const { low, high, inverse } = toRange(firstWindow(viewing, decoded), viewing, false);
  const greys = new Uint8ClampedArray(decoded.max - decoded.min + 1);
  for (let index = 0; index < greys.length; index++) {
    const grey = (255 * (index + decoded.min - low)) / (high - low);
    const within = Math.min(Math.max(grey, 0), 255);
    greys[index] = inverse ? 255 - within : within;
  }
  const canvas = new OffscreenCanvas(viewing.columns, viewing.rows);
  const context = canvas.getContext("2d", { alpha: false })!;
  const picture = context.createImageData(viewing.columns, viewing.rows);
  // One write for a pixel: red, green and blue alike, and opaque.
  const pixels = new Uint32Array(picture.data.buffer);
  for (let index = 0; index < pixels.length; index++) {
    pixels[index] = 0xff000000 | (greys[values[index]! - decoded.min]! * 0x010101);
  }
  context.putImageData(picture, 0, 0);
  return canvas.transferToImageBitmap();
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
