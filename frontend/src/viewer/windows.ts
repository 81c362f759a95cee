/** Window and level: in the units of the file, and as the range of values that the renderer is told. */

import type { LoadedImage } from "./frames";
import type { Decoded, Viewing, Window } from "./told";
import { gettext } from "../texts";

export interface Preset extends Window {
  name: string;
}

/** The range of values that runs from black to white, or from white to black. `high` is always above `low`. */
export interface Range {
  low: number;
  high: number;
  inverse: boolean;
}

/** A window narrower than this is a step. */
const STEP = 1e-6;
/** One value of so many is looked at for the presets. */
const STRIDE = 97;

export function toRange(window: Window, { slope, intercept, inverse }: Viewing, isInverted: boolean): Range {
  const ends = [(window.low - intercept) / slope, (window.high - intercept) / slope];
  const low = Math.min(...ends);
  return { low, high: Math.max(...ends, low + STEP), inverse: (slope < 0) !== inverse !== isInverted };
}

/** The window to begin with: the file's, or the range of the values that are there. */
export function firstWindow(viewing: Viewing, decoded: Decoded): Window {
  const [first] = viewing.windows;
  if (first) return { low: first.low, high: first.high };
  return unitsOf(viewing, decoded.low, decoded.high);
}

function unitsOf({ slope, intercept }: Viewing, low: number, high: number): Window {
  const ends = [low * slope + intercept, high * slope + intercept];
  return { low: Math.min(...ends), high: Math.max(...ends) };
}

/** The file's windows by their names, and some that follow from how the image's greys are spread. */
export function presetsOf({ viewing, decoded }: LoadedImage): Preset[] {
  const of_file = viewing.windows.slice(1).map((window, index) => ({
    name: window.explanation || gettext("Window %(number)s of the file", { number: index + 2 }),
    low: window.low,
    high: window.high,
  }));
  const spread = sorted(decoded, viewing);
  const between = (name: string, from: number, to: number): Preset => ({
    name,
    ...unitsOf(viewing, spread[at(from, spread)] ?? decoded.low, spread[at(to, spread)] ?? decoded.high),
  });
  // Of an image whose high values are dark the spread is turned round: a share counts from the darkest.
  const risesToWhite = viewing.slope > 0 !== viewing.inverse;
  const share = (name: string, from: number, to: number): Preset =>
    risesToWhite ? between(name, from, to) : between(name, 1 - to, 1 - from);
  return [
    { name: viewing.windows[0]?.explanation ? `${gettext("Default")} (${viewing.windows[0].explanation})` : gettext("Default"), ...firstWindow(viewing, decoded) },
    ...of_file,
    share(gettext("Lungs: the darker half"), 0.01, 0.6),
    share(gettext("Bones, mediastinum: the brighter half"), 0.4, 0.995),
    share(gettext("More contrast"), 0.1, 0.9),
    { name: gettext("Everything"), ...unitsOf(viewing, decoded.low, decoded.high) },
  ];
}

function at(share: number, spread: ArrayLike<number>): number {
  return Math.round(share * (spread.length - 1));
}

function sorted({ values, low, high }: Decoded, viewing: Viewing): Float64Array {
  const found: number[] = [];
  for (let index = 0; index < values.length; index += STRIDE) {
    const value = values[index]!;
    if (!viewing.padding || (value >= low && value <= high)) found.push(value);
  }
  return Float64Array.from(found).sort();
}

/** Window Center and Width as DICOM counts them (PS3.3 C.11.2.1.2.1). */
export function inWords({ low, high }: Window): string {
  return `C ${short((low + high + 1) / 2)} W ${short(high - low + 1)}`;
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Math.round(10 * value) / 10);
}

/** How a window differs from the one that its image began with, so that another image can be given the same change. */
export interface Change {
  /** Of the width. */
  factor: number;
  /** Of the centre, in widths to begin with, towards brighter values. */
  shift: number;
}

export function changeFrom(first: Window, now: Window): Change {
  const width = Math.max(first.high - first.low, STEP);
  return {
    factor: (now.high - now.low) / width,
    shift: (now.low + now.high - first.low - first.high) / 2 / width,
  };
}

export function changed(first: Window, { factor, shift }: Change): Window {
  const width = Math.max(first.high - first.low, STEP);
  const center = (first.low + first.high) / 2 + shift * width;
  return { low: center - (factor * width) / 2, high: center + (factor * width) / 2 };
}

/** A drag to the right widens the window, a drag upwards brightens the picture. */
export function dragged(window: Window, first: Window, right: number, up: number, risesToWhite: boolean): Window {
  const least = Math.max((first.high - first.low) / 4096, STEP);
  const width = Math.max((window.high - window.low) * Math.exp(right / 250), least);
  const step = ((window.high - window.low) * up) / 300;
  const center = (window.low + window.high) / 2 + (risesToWhite ? -step : step);
  return { low: center - width / 2, high: center + width / 2 };
}
