/** Where a point of the image is on the screen, and what lies at its edges. */

import type { Edge, Edges, Spacing } from "./told";
import { gettext } from "../texts";

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** How an image lies in its pane. `center` is the point of the image in the middle of the pane, in its columns and rows. */
export interface Placement {
  /** Of the whole image in the pane; 1 fits it. */
  zoom: number;
  center: Point;
  /** Quarter turns clockwise, 0 to 3, after the flips. */
  turns: number;
  flippedLeftRight: boolean;
  flippedUpDown: boolean;
}

/** x' = a x + c y + e, y' = b x + d y + f, as in CSS. */
export interface Affine {
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
}

/** An image of `columns` x `rows` whose pixels are `aspect` times as high as they are wide. */
export interface Shape {
  columns: number;
  rows: number;
  aspect: number;
}

export function fitted(shape: Shape): Placement {
  return {
    zoom: 1,
    center: { x: shape.columns / 2, y: shape.rows / 2 },
    turns: 0,
    flippedLeftRight: false,
    flippedUpDown: false,
  };
}

/** Screen pixels for a column of the image, when all of it fits the pane. */
export function fitScale(shape: Shape, pane: Size, turns: number): number {
  const [width, height] = [shape.columns, shape.rows * shape.aspect];
  const [across, down] = turns % 2 ? [height, width] : [width, height];
  return Math.min(pane.width / across, pane.height / down);
}

/** From columns and rows of the image to pixels of the pane. */
export function toScreen(shape: Shape, placement: Placement, pane: Size): Affine {
  const scale = fitScale(shape, pane, placement.turns) * placement.zoom;
  const flipX = placement.flippedLeftRight ? -1 : 1;
  const flipY = placement.flippedUpDown ? -1 : 1;
  const [cos, sin] = quarter(placement.turns);
  const a = scale * flipX * cos;
  const b = scale * flipX * sin;
  const c = -scale * flipY * shape.aspect * sin;
  const d = scale * flipY * shape.aspect * cos;
  const { x, y } = placement.center;
  return { a, b, c, d, e: pane.width / 2 - a * x - c * y, f: pane.height / 2 - b * x - d * y };
}

function quarter(turns: number): [number, number] {
  return [
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ][((turns % 4) + 4) % 4] as [number, number];
}

export function apply({ a, b, c, d, e, f }: Affine, { x, y }: Point): Point {
  return { x: a * x + c * y + e, y: b * x + d * y + f };
}

export function inverted({ a, b, c, d, e, f }: Affine): Affine {
  const det = a * d - b * c;
  return {
    a: d / det,
    b: -b / det,
    c: -c / det,
    d: a / det,
    e: (c * f - d * e) / det,
    f: (b * e - a * f) / det,
  };
}

/** The placement after the image was moved by pixels of the screen. */
export function moved(shape: Shape, placement: Placement, pane: Size, by: Point): Placement {
  const { a, b, c, d } = inverted(toScreen(shape, placement, pane));
  const center = {
    x: placement.center.x - (a * by.x + c * by.y),
    y: placement.center.y - (b * by.x + d * by.y),
  };
  return { ...placement, center: inside(center, shape) };
}

/** The middle of the pane always shows some of the image: it cannot get lost. */
function inside({ x, y }: Point, { columns, rows }: Shape): Point {
  return { x: Math.min(Math.max(x, 0), columns), y: Math.min(Math.max(y, 0), rows) };
}

const SMALLEST = 0.25;
const LARGEST = 40;

/** Zoomed by a factor so that the point of the image under `around` stays where it is on the screen. */
export function zoomed(shape: Shape, placement: Placement, pane: Size, factor: number, around?: Point): Placement {
  const zoom = Math.min(Math.max(placement.zoom * factor, SMALLEST), LARGEST);
  const next = { ...placement, zoom };
  if (!around) return next;
  const under = apply(inverted(toScreen(shape, placement, pane)), around);
  const now = apply(toScreen(shape, next, pane), under);
  return moved(shape, next, pane, { x: around.x - now.x, y: around.y - now.y });
}

/** A turn of what is on the screen, by quarter turns clockwise. */
export function turned(placement: Placement, quarters: number): Placement {
  return { ...placement, turns: (placement.turns + quarters + 4) % 4 };
}

/** A flip of what is on the screen: of an image on its side, left and right of the screen are its top and bottom. */
export function flipped(placement: Placement, direction: "left-right" | "up-down"): Placement {
  const isOnItsSide = placement.turns % 2 === 1;
  return (direction === "left-right") !== isOnItsSide
    ? { ...placement, flippedLeftRight: !placement.flippedLeftRight }
    : { ...placement, flippedUpDown: !placement.flippedUpDown };
}

const CLOCKWISE: Edge[] = ["top", "right", "bottom", "left"];

/** Which side of the patient lies at each edge of the screen. */
export function edgesOnScreen(edges: Edges, placement: Placement): Edges {
  const stored = { ...edges };
  if (placement.flippedLeftRight) [stored.left, stored.right] = [stored.right, stored.left];
  if (placement.flippedUpDown) [stored.top, stored.bottom] = [stored.bottom, stored.top];
  const shown = { ...stored };
  CLOCKWISE.forEach((edge, place) => (shown[CLOCKWISE[(place + placement.turns) % 4]!] = stored[edge]));
  return shown;
}

export function knowsSides(edges: Edges): boolean {
  return Object.values(edges).some((side) => side === "L" || side === "R");
}

const MEANS: Record<Spacing["kind"], string> = {
  detector: gettext("mm at the detector"),
  calibrated: gettext("mm, calibrated"),
  unstated: gettext("mm, as the file says"),
};

/** The length between two points of the image, in words: in mm where the file says how far its pixels lie apart. */
export function lengthInWords(from: Point, to: Point, spacing: Spacing | null): string {
  const across = to.x - from.x;
  const down = to.y - from.y;
  if (!spacing) return gettext("%(length)s px, uncalibrated", { length: Math.round(Math.hypot(across, down)) });
  const mm = Math.hypot(across * spacing.betweenColumns, down * spacing.betweenRows);
  return `${mm.toFixed(1)} ${MEANS[spacing.kind]}`;
}
