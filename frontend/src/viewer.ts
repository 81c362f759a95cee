/** The image on screen: fit, zoom by button, wheel, pinch and key, and moved when it is larger than its frame. */

const LARGEST = 8;
const STEP = 1.25;

interface Point {
  x: number;
  y: number;
}

export function startViewer(): void {
  const viewer = document.querySelector<HTMLElement>("[data-viewer]");
  if (viewer) new Viewer(viewer);
}

/** Brings one image of the study on screen, wherever the wish came from. */
export function showImage(id: string): void {
  document.dispatchEvent(new CustomEvent("show-image", { detail: id }));
}

class Viewer {
  private readonly stage: HTMLElement;
  private readonly level: HTMLOutputElement;
  private readonly pointers = new Map<number, Point>();
  private scale = 1;
  private offset: Point = { x: 0, y: 0 };

  constructor(private readonly viewer: HTMLElement) {
    this.stage = viewer.querySelector("[data-stage]")!;
    this.level = viewer.querySelector("[data-zoom-level]")!;
    viewer.querySelector<HTMLElement>("[data-tools]")!.hidden = false;
    viewer.addEventListener("click", (event) => this.click(event));
    document.addEventListener("show-image", (event) => this.show((event as CustomEvent<string>).detail));
    // "toggle" does not bubble, so it is caught on its way down; the panel is written anew by itself.
    document.addEventListener("toggle", (event) => this.unfold(event.target as HTMLElement), { capture: true });
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("dblclick", (event) => this.zoomTo(this.scale > 1 ? 1 : 2, this.place(event)));
    this.stage.addEventListener("pointerdown", (event) => this.press(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"] as const) {
      this.stage.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
  }

  private click(event: MouseEvent): void {
    const target = event.target as Element;
    const zoom = target.closest<HTMLElement>("[data-zoom]")?.dataset["zoom"];
    if (zoom === "in") this.zoomTo(this.scale * STEP);
    if (zoom === "out") this.zoomTo(this.scale / STEP);
    if (zoom === "fit") this.zoomTo(1);
    const link = target.closest<HTMLAnchorElement>("[data-show-image]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      this.show(link.dataset["showImage"]!);
      history.replaceState(history.state, "", link.href);
    }
  }

  /** Who unfolds what the network says about an image wants to see that image. */
  private unfold(element: HTMLElement): void {
    const id = element instanceof HTMLDetailsElement && element.open ? element.dataset["opinionOf"] : undefined;
    if (id) this.show(id);
  }

  private show(id: string): void {
    if (this.viewer.querySelector(`[data-image="${id}"]:not([hidden])`)) return;
    for (const frame of this.viewer.querySelectorAll<HTMLElement>("[data-image]")) frame.hidden = frame.dataset["image"] !== id;
    for (const link of this.viewer.querySelectorAll<HTMLElement>("[data-original]")) link.hidden = link.dataset["original"] !== id;
    for (const link of this.viewer.querySelectorAll<HTMLElement>("[data-show-image]")) {
      link.toggleAttribute("aria-current", link.dataset["showImage"] === id);
      if (link.hasAttribute("aria-current")) link.setAttribute("aria-current", "true");
    }
    for (const opinion of document.querySelectorAll<HTMLDetailsElement>("details[data-opinion-of]")) {
      opinion.open = opinion.dataset["opinionOf"] === id;
    }
    this.zoomTo(1);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [40, 0],
      ArrowRight: [-40, 0],
      ArrowUp: [0, 40],
      ArrowDown: [0, -40],
    };
    const move = moves[event.key];
    if (event.key === "+" || event.key === "=") this.zoomTo(this.scale * STEP);
    else if (event.key === "-") this.zoomTo(this.scale / STEP);
    else if (event.key === "0") this.zoomTo(1);
    else if (move && this.scale > 1) this.moveBy(...move);
    else return;
    event.preventDefault();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    this.zoomTo(this.scale * STEP ** (-event.deltaY / 100), this.place(event));
  }

  private press(event: PointerEvent): void {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.scale > 1 || this.pointers.size > 1) this.stage.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const ratio = distance(now, other) / Math.max(distance(before, other), 1);
      this.zoomTo(this.scale * ratio, this.place({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
    } else {
      this.moveBy(now.x - before.x, now.y - before.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  /** A place on the stage, seen from its middle. */
  private place(event: { clientX: number; clientY: number }): Point {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  }

  /** Zooms so that the point of the image under `around` stays where it is. */
  private zoomTo(scale: number, around: Point = { x: 0, y: 0 }): void {
    const next = Math.min(Math.max(scale, 1), LARGEST);
    const ratio = next / this.scale;
    this.offset = {
      x: around.x - (around.x - this.offset.x) * ratio,
      y: around.y - (around.y - this.offset.y) * ratio,
    };
    this.scale = next;
    this.moveBy(0, 0);
  }

  private moveBy(x: number, y: number): void {
    const furthest = {
      x: (this.stage.clientWidth * (this.scale - 1)) / 2,
      y: (this.stage.clientHeight * (this.scale - 1)) / 2,
    };
    this.offset = { x: within(this.offset.x + x, furthest.x), y: within(this.offset.y + y, furthest.y) };
    for (const layers of this.stage.querySelectorAll<HTMLElement>("[data-layers]")) {
      layers.style.transform = `translate(${this.offset.x}px, ${this.offset.y}px) scale(${this.scale})`;
    }
    this.stage.classList.toggle("stage-zoomed", this.scale > 1);
    this.level.textContent = this.scale === 1 ? "Fit" : `${Math.round(100 * this.scale)} %`;
  }
}

function within(value: number, furthest: number): number {
  return Math.min(Math.max(value, -furthest), furthest);
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
