/** Mouse, pen and fingers on a pane, told as what they mean. */

import type { Point } from "./geometry";

export interface Meanings {
  /** A drag by the main button or one finger; `point` is where it is now. Not told to whom is `false`: then nothing follows. */
  begin(point: Point, isTouch: boolean): void;
  drag(point: Point, by: Point): void;
  end(point: Point): void;
  /** The pointer moves without a button. */
  hover(point: Point): void;
  leave(): void;
  /** The middle button, or two fingers apart or together. */
  pan(by: Point): void;
  zoom(factor: number, around: Point): void;
  /** The right button, or two fingers side by side. */
  window(by: Point): void;
  /** Two quick clicks or taps. */
  twice(): void;
}

type Two = "undecided" | "pinch" | "window";

const DECIDED_AFTER = 10;
const TWICE_WITHIN_MS = 320;
const TWICE_WITHIN_PX = 28;

export function listen(pane: HTMLElement, meanings: Meanings): void {
  const touches = new Map<number, Point>();
  let mouse: "main" | "middle" | "right" | undefined;
  let last: Point = { x: 0, y: 0 };
  let two: Two | undefined;
  let start = { distance: 0, middle: { x: 0, y: 0 } };
  let previous = { distance: 0, middle: { x: 0, y: 0 } };
  let queued = 0;
  let isDragging = false;
  let hasMoved = false;
  let lastTap = { at: -Infinity, point: { x: 0, y: 0 } };

  const place = (event: PointerEvent | WheelEvent): Point => {
    const box = pane.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const pair = (): { distance: number; middle: Point } => {
    const [one, other] = [...touches.values()] as [Point, Point];
    return {
      distance: Math.hypot(one.x - other.x, one.y - other.y),
      middle: { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 },
    };
  };
  const endDrag = (point: Point): void => {
    if (isDragging) meanings.end(point);
    isDragging = false;
  };

  pane.addEventListener("pointerdown", (event) => {
    if ((event.target as Element).closest("[data-own-gestures]")) return;
    const point = place(event);
    hasMoved = false;
    last = point;
    if (event.pointerType !== "mouse") {
      touches.set(event.pointerId, point);
      if (touches.size === 1) {
        isDragging = true;
        meanings.begin(point, true);
      } else if (touches.size === 2) {
        endDrag(point);
        two = "undecided";
        start = previous = pair();
      }
    } else {
      mouse = ({ 0: "main", 1: "middle", 2: "right" } as const)[event.button as 0 | 1 | 2];
      if (mouse === "middle") event.preventDefault(); // No scrolling by itself.
      if (mouse === "main") {
        isDragging = true;
        meanings.begin(point, false);
      }
    }
    pane.setPointerCapture(event.pointerId);
  });

  pane.addEventListener("pointermove", (event) => {
    const point = place(event);
    if (event.pointerType !== "mouse") {
      if (!touches.has(event.pointerId)) return;
      touches.set(event.pointerId, point);
      // Each finger is told by itself: only after both is it known whether they moved apart or side by side.
      if (touches.size === 2) queued ||= requestAnimationFrame(moveTwo);
      else if (touches.size === 1 && isDragging) move(point);
      return;
    }
    if (!mouse) {
      meanings.hover(point);
      return;
    }
    move(point);
  });

  const move = (point: Point): void => {
    const by = { x: point.x - last.x, y: point.y - last.y };
    last = point;
    hasMoved ||= Math.hypot(by.x, by.y) > 2;
    if (mouse === "middle") meanings.pan(by);
    else if (mouse === "right") meanings.window(by);
    else meanings.drag(point, by);
  };

  const moveTwo = (): void => {
    queued = 0;
    if (touches.size !== 2) return;
    const now = pair();
    hasMoved = true;
    if (two === "undecided") {
      const apart = Math.abs(now.distance - start.distance);
      const along = Math.hypot(now.middle.x - start.middle.x, now.middle.y - start.middle.y);
      if (Math.max(apart, along) < DECIDED_AFTER) return;
      two = apart > along ? "pinch" : "window";
    }
    const by = { x: now.middle.x - previous.middle.x, y: now.middle.y - previous.middle.y };
    if (two === "window") meanings.window(by);
    else {
      meanings.pan(by);
      meanings.zoom(now.distance / Math.max(previous.distance, 1), now.middle);
    }
    previous = now;
  };

  const up = (event: PointerEvent, isCancelled: boolean): void => {
    const point = place(event);
    const wasTwo = two !== undefined;
    if (queued) {
      cancelAnimationFrame(queued);
      moveTwo();
    }
    touches.delete(event.pointerId);
    if (touches.size === 0) two = undefined;
    mouse = undefined;
    endDrag(point);
    if (isCancelled || hasMoved || wasTwo || event.button > 0) return;
    const isTwice =
      event.timeStamp - lastTap.at < TWICE_WITHIN_MS &&
      Math.hypot(point.x - lastTap.point.x, point.y - lastTap.point.y) < TWICE_WITHIN_PX;
    lastTap = { at: isTwice ? -Infinity : event.timeStamp, point };
    if (isTwice) meanings.twice();
  };
  pane.addEventListener("pointerup", (event) => up(event, false));
  pane.addEventListener("pointercancel", (event) => up(event, true));
  pane.addEventListener("pointerleave", () => meanings.leave());
  pane.addEventListener("contextmenu", (event) => event.preventDefault());
  // One finger may scroll the page where there is nothing to drag; two never do.
  for (const name of ["touchstart", "touchmove"] as const) {
    pane.addEventListener(
      name,
      (event) => {
        if (event.touches.length > 1 && event.cancelable) event.preventDefault();
      },
      { passive: false },
    );
  }
  pane.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      meanings.zoom(1.2 ** (-event.deltaY / 100), place(event));
    },
    { passive: false },
  );
}
