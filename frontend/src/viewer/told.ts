/** What the server tells the viewer. */

export type Edge = "top" | "right" | "bottom" | "left";
export type Edges = Record<Edge, string>;

/** One image, as the page names it. */
export interface ImageEntry {
  id: string;
  study: string;
  day: string;
  name: string;
  rows: number;
  columns: number;
  preview: string;
  viewing: string;
  frame: string;
  mediaType: string;
  transferSyntax: string;
  edges: Edges;
}

/** Values from `low` to `high`, in units, run from the darkest to the brightest grey; of an inverse image the other way round. */
export interface Window {
  low: number;
  high: number;
}

export interface NamedWindow extends Window {
  explanation: string;
}

export interface Spacing {
  betweenRows: number;
  betweenColumns: number;
  kind: "detector" | "calibrated" | "unstated";
}

/** How stored samples become grey: ml/imaging/viewing.py says what each field means. */
export interface Viewing {
  rows: number;
  columns: number;
  bitsAllocated: number;
  bitsStored: number;
  signed: boolean;
  table: string | null;
  slope: number;
  intercept: number;
  windows: NamedWindow[];
  inverse: boolean;
  padding: [number, number] | null;
  spacing: Spacing | null;
}

export type Values = Uint8Array | Uint16Array | Int16Array;

/** The decoded values of an image; `low` and `high` are the extremes of those that are no padding, `min` and `max` of all. */
export interface Decoded {
  values: Values;
  min: number;
  max: number;
  low: number;
  high: number;
}
