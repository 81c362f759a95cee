/** Lengths drawn over an image: kept in its rows and columns, so that they stay in place whatever is done to the view. */

import { apply, inverted, lengthInWords, type Affine, type Point } from "./geometry";
import type { Spacing } from "./told";

interface Length {
  from: Point;
  to: Point;
}

interface Shown {
  toScreen: Affine;
  spacing: Spacing | null;
}

const SVG = "http://www.w3.org/2000/svg";
/** As near as a fingertip gets. */
const GRIP = 22;
const LEAST = 4;

export class Measures {
  private readonly lengths: Length[] = [];
  private held: { length: Length; end: "from" | "to"; isNew: boolean } | undefined;

  constructor(
    private readonly layer: SVGSVGElement,
    private readonly shown: () => Shown | undefined,
    private readonly changed: () => void,
  ) {}

  get count(): number {
    return this.lengths.length;
  }

  get isHeld(): boolean {
    return this.held !== undefined;
  }

  /** The lengths in words, for those who do not see them. */
  get inWords(): string[] {
    const spacing = this.shown()?.spacing ?? null;
    return this.lengths.map(({ from, to }) => lengthInWords(from, to, spacing));
  }

  /** Takes hold of an end that is near, or begins a new length. Points are pixels of the pane. */
  begin(point: Point): void {
    const found = this.near(point);
    if (found) {
      this.held = { ...found, isNew: false };
      return;
    }
    const at = this.inImage(point);
    if (!at) return;
    const length = { from: at, to: at };
    this.lengths.push(length);
    this.held = { length, end: "to", isNew: true };
    this.draw();
  }

  drag(point: Point): void {
    const at = this.inImage(point);
    if (!this.held || !at) return;
    this.held.length[this.held.end] = at;
    this.draw();
  }

  /** Lets go; a length of nothing was a mere click. */
  end(): void {
    const { held } = this;
    this.held = undefined;
    const toScreen = this.shown()?.toScreen;
    if (held?.isNew && toScreen && between(apply(toScreen, held.length.from), apply(toScreen, held.length.to)) < LEAST) {
      this.remove(held.length);
    }
    this.draw();
    this.changed();
  }

  cancel(): void {
    if (this.held?.isNew) this.remove(this.held.length);
    this.held = undefined;
    this.draw();
    this.changed();
  }

  removeLast(): void {
    this.lengths.pop();
    this.draw();
    this.changed();
  }

  clear(): void {
    this.lengths.length = 0;
    this.held = undefined;
    this.draw();
    this.changed();
  }

  draw(): void {
    this.layer.replaceChildren();
    const shown = this.shown();
    if (!shown) return;
    for (const { from, to } of this.lengths) {
      const [start, end] = [apply(shown.toScreen, from), apply(shown.toScreen, to)];
      for (const kind of ["measure-under", "measure-line"]) {
        this.add("line", { class: kind, x1: start.x, y1: start.y, x2: end.x, y2: end.y });
      }
      for (const point of [start, end]) this.add("circle", { class: "measure-end", cx: point.x, cy: point.y, r: 5 });
      const words = lengthInWords(from, to, shown.spacing);
      const lower = start.y > end.y ? start : end;
      const isRight = lower.x > this.layer.clientWidth / 2;
      for (const kind of ["measure-text-under", "measure-text"]) {
        const text = this.add("text", {
          class: kind,
          x: lower.x + (isRight ? -10 : 10),
          y: Math.min(lower.y + 22, this.layer.clientHeight - 8),
          "text-anchor": isRight ? "end" : "start",
        });
        text.textContent = words;
        if (kind === "measure-text") text.dataset["length"] = words;
      }
    }
  }

  private add(name: string, attributes: Record<string, string | number>): SVGElement {
    const element = document.createElementNS(SVG, name) as SVGElement;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    this.layer.append(element);
    return element;
  }

  private near(point: Point): { length: Length; end: "from" | "to" } | undefined {
    const toScreen = this.shown()?.toScreen;
    if (!toScreen) return undefined;
    for (const length of [...this.lengths].reverse()) {
      for (const end of ["to", "from"] as const) {
        if (between(apply(toScreen, length[end]), point) < GRIP) return { length, end };
      }
    }
    return undefined;
  }

  private inImage(point: Point): Point | undefined {
    const toScreen = this.shown()?.toScreen;
    return toScreen && apply(inverted(toScreen), point);
  }

  private remove(length: Length): void {
    this.lengths.splice(this.lengths.indexOf(length), 1);
  }
}

function between(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
