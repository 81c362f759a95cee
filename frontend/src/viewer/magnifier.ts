/** A lens over the image: drawn from its own values, so that it shows what the screen's pixels leave out. */

import { apply, inverted, type Point } from "./geometry";
import type { Pane } from "./pane";

const SIZE = 200;
const TIMES = 2.5;

export class Magnifier {
  constructor(private readonly lens: HTMLCanvasElement) {}

  hide(): void {
    this.lens.hidden = true;
  }

  /** `point` is in pixels of the pane; under a finger the lens stands above it. */
  show(pane: Pane, point: Point, isTouch: boolean): void {
    if (!pane.image || !pane.look) return;
    const ratio = devicePixelRatio || 1;
    const pixels = Math.round(SIZE * ratio);
    if (this.lens.width !== pixels) this.lens.width = this.lens.height = pixels;
    const context = this.lens.getContext("2d")!;
    const picture = context.createImageData(pixels, pixels);
    const { values } = pane.image.decoded;
    const { rows, columns } = pane.image.viewing;
    const { low, high, inverse } = pane.range;
    const { a, b, c, d } = inverted(pane.toScreen);
    const middle = apply(inverted(pane.toScreen), point);
    const step = 1 / TIMES / ratio;
    for (let row = 0, index = 0; row < pixels; row++) {
      for (let column = 0; column < pixels; column++, index += 4) {
        const across = (column - pixels / 2) * step;
        const down = (row - pixels / 2) * step;
        // Of a pixel's middle: its edge is half a pixel before.
        const x = middle.x + a * across + c * down - 0.5;
        const y = middle.y + b * across + d * down - 0.5;
        let grey = 0;
        if (x > -0.5 && y > -0.5 && x < columns - 0.5 && y < rows - 0.5) {
          const value = blended(values, columns, rows, x, y);
          grey = 255 * Math.min(Math.max((value - low) / (high - low), 0), 1);
          if (inverse) grey = 255 - grey;
        }
        picture.data[index] = picture.data[index + 1] = picture.data[index + 2] = grey;
        picture.data[index + 3] = 255;
      }
    }
    context.putImageData(picture, 0, 0);
    const above = isTouch ? SIZE * 0.75 : 0;
    this.lens.style.transform = `translate(${point.x - SIZE / 2}px, ${point.y - SIZE / 2 - above}px)`;
    this.lens.hidden = false;
  }
}

/** Between the four pixels around. */
function blended(values: ArrayLike<number>, columns: number, rows: number, x: number, y: number): number {
  const left = Math.max(Math.floor(x), 0);
  const top = Math.max(Math.floor(y), 0);
  const right = Math.min(left + 1, columns - 1);
  const bottom = Math.min(top + 1, rows - 1);
  const across = Math.min(Math.max(x - left, 0), 1);
  const down = Math.min(Math.max(y - top, 0), 1);
  const upper = values[top * columns + left]! * (1 - across) + values[top * columns + right]! * across;
  const lower = values[bottom * columns + left]! * (1 - across) + values[bottom * columns + right]! * across;
  return upper * (1 - down) + lower * down;
}
