/** The viewer of the study page: its panes, its tools, and what connects them. */

import { NotShown, load } from "./frames";
import { listen } from "./gestures";
import {
  edgesOnScreen,
  fitScale,
  fitted,
  flipped,
  knowsSides,
  moved,
  toScreen,
  turned,
  zoomed,
  type Placement,
  type Point,
} from "./geometry";
import { HeatLayer, type HeatMap } from "./heat-layer";
import { fillSheet, keysAreOn, startKeys, switchKeys, type Key } from "./keys";
import { Magnifier } from "./magnifier";
import { Measures } from "./measures";
import { Pane } from "./pane";
import type { ImageEntry } from "./told";
import { changeFrom, changed, dragged, inWords, presetsOf, type Preset } from "./windows";
import { gettext } from "../texts";

type Tool = "window" | "pan" | "zoom" | "measure" | "magnify";

const STEP = 1.25;
/** How far the arrows move with Shift, in pixels of the screen. */
const ARROW = 24;
const FINE_ARROW = 6;
const ARROWS: Record<string, Point> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

/** A pane with all that lies over it. */
interface Place {
  frame: HTMLElement;
  pane: Pane;
  measures: Measures;
  magnifier: Magnifier;
  heat: HeatLayer;
  presets: Preset[];
  cursor: Point | undefined;
}

export class Workplace {
  private readonly entries: Map<string, ImageEntry>;
  private readonly current: Place;
  private earlier: Place | undefined;
  private active: Place;
  private tool: Tool = matchMedia("(pointer: coarse)").matches ? "pan" : "window";
  private isLinked = true;
  private isComparing = false;
  private readonly heatMaps = new Map<string, HeatMap>();

  constructor(
    private readonly viewer: HTMLElement,
    entries: ImageEntry[],
  ) {
    this.entries = new Map(entries.map((entry) => [entry.id, entry]));
    this.current = this.furnish(this.part("pane=current"));
    this.active = this.current;
    viewer.addEventListener("click", (event) => this.click(event));
    viewer.addEventListener("change", (event) => this.choose(event.target as HTMLElement));
    const keys = this.keys();
    startKeys(keys);
    const sheet = this.part("keys-sheet");
    fillSheet(sheet, keys);
    const isOn = sheet.querySelector<HTMLInputElement>("[data-keys-on]")!;
    isOn.checked = keysAreOn();
    isOn.addEventListener("change", () => switchKeys(isOn.checked));
    this.part("tools").hidden = false;
    this.showTool();
  }

  /** Brings an image of this study on screen. */
  async show(id: string): Promise<void> {
    await this.open(this.current, id);
  }

  /** The map of where the network looked, as the panel beside the image wants it. */
  setHeatMap(id: string, map: HeatMap | undefined): void {
    if (map) this.heatMaps.set(id, map);
    else this.heatMaps.delete(id);
    for (const place of this.places) if (place.pane.wanted === id) place.heat.show(map);
  }

  private get places(): Place[] {
    return this.earlier && this.isComparing ? [this.current, this.earlier] : [this.current];
  }

  private part<Kind extends HTMLElement>(name: string): Kind {
    const [attribute, value] = name.split("=");
    return this.viewer.querySelector<Kind>(`[data-${attribute}${value ? `="${value}"` : ""}]`)!;
  }

  // Panes

  private furnish(frame: HTMLElement): Place {
    const pane = new Pane(frame, () => this.drawn(place));
    const shown = () =>
      pane.image && pane.look ? { ...pane.image.viewing, toScreen: pane.toScreen } : undefined;
    const place: Place = {
      frame,
      pane,
      measures: new Measures(frame.querySelector<SVGSVGElement>("[data-marks]")!, shown, () => this.measured(place)),
      magnifier: new Magnifier(frame.querySelector<HTMLCanvasElement>("[data-lens]")!),
      heat: new HeatLayer(frame, shown),
      presets: [],
      cursor: undefined,
    };
    frame.addEventListener("focusin", () => this.activate(place));
    frame.addEventListener("pointerdown", () => this.activate(place), { capture: true });
    frame.addEventListener("keydown", (event) => this.keyInPane(place, event));
    let isTouch = false;
    listen(frame, {
      begin: (point, byTouch) => {
        isTouch = byTouch;
        if (!pane.look) return;
        if (this.tool === "measure") place.measures.begin(point);
        if (this.tool === "magnify") place.magnifier.show(pane, point, isTouch);
      },
      drag: (point, by) => this.use(place, point, by, isTouch),
      end: () => {
        if (place.measures.isHeld) place.measures.end();
        if (isTouch) place.magnifier.hide();
      },
      hover: (point) => {
        if (this.tool === "magnify") place.magnifier.show(pane, point, false);
      },
      leave: () => place.magnifier.hide(),
      pan: (by) => this.move(place, by),
      zoom: (factor, around) => this.zoom(place, factor, around),
      window: (by) => this.window(place, by),
      twice: () => this.fit(place),
    });
    return place;
  }

  private async open(place: Place, id: string): Promise<void> {
    const entry = this.entries.get(id);
    if (!entry || place.pane.wanted === id) return;
    place.pane.wanted = id;
    const { frame } = place;
    // What is there of the first image is no other's.
    if (frame.dataset["image"]) frame.querySelector<HTMLElement>("[data-first]")!.hidden = true;
    frame.dataset["state"] = "loading";
    frame.dataset["image"] = id;
    const film = frame.querySelector<HTMLImageElement>("[data-film]")!;
    if (film.getAttribute("src") !== entry.preview) film.src = entry.preview;
    film.alt = gettext("Chest X-ray, %(name)s", { name: `${entry.name}, ${entry.day}` });
    film.hidden = false;
    frame.querySelector("[data-pane-title]")!.textContent = this.isComparing ? `${this.titleOf(place)} ${entry.day}, ${entry.name}` : entry.name;
    frame.setAttribute("aria-label", gettext("%(name)s. Press ? for the keys.", { name: `${this.titleOf(place)} ${entry.name}, ${entry.day}` }));
    this.showEdges(place);
    place.measures.clear();
    place.magnifier.hide();
    place.heat.show(undefined);
    this.say(frame, "");
    try {
      const image = await load(entry);
      if (place.pane.wanted !== id) return; // Another was asked for meanwhile.
      await place.pane.show(image);
      if (place.pane.wanted !== id) return;
      performance.mark("viewer:painted");
      frame.dataset["state"] = "painted";
      film.hidden = true;
      frame.querySelector<HTMLElement>("[data-first]")!.hidden = true;
      place.presets = presetsOf(image);
      place.heat.show(this.heatMaps.get(id));
      if (place === this.active) this.showPresets();
    } catch (error) {
      if (place.pane.wanted !== id) return;
      place.pane.wanted = "";
      frame.dataset["state"] = "failed";
      this.say(frame, error instanceof NotShown ? error.message : gettext("The image cannot be drawn by this browser. What is shown is its preview, without tools."));
      if (!(error instanceof NotShown)) throw error;
    }
  }

  private titleOf(place: Place): string {
    return place === this.current ? gettext("Current") : gettext("Earlier");
  }

  private say(frame: HTMLElement, text: string): void {
    const problem = frame.querySelector<HTMLElement>("[data-problem]")!;
    problem.textContent = text;
    problem.hidden = !text;
  }

  private activate(place: Place): void {
    if (this.active === place) return;
    this.active = place;
    for (const each of this.places) each.frame.toggleAttribute("data-active", each === place && this.isComparing);
    this.showPresets();
    this.showReadout(place);
  }

  private drawn(place: Place): void {
    this.showEdges(place);
    this.showReadout(place);
    place.measures.draw();
    place.heat.place();
  }

  private showEdges({ frame, pane }: Place): void {
    const entry = this.entries.get(pane.wanted);
    if (!entry) return;
    const isThere = pane.image?.entry.id === entry.id && pane.look;
    const edges = isThere ? edgesOnScreen(entry.edges, pane.look!.placement) : entry.edges;
    for (const [edge, side] of Object.entries(edges)) {
      const marker = frame.querySelector<HTMLElement>(`[data-edge="${edge}"]`)!;
      if (marker.textContent !== side) marker.textContent = side;
    }
    frame.querySelector<HTMLElement>("[data-side-unknown]")!.hidden = knowsSides(entry.edges);
  }

  private showReadout({ frame, pane }: Place): void {
    if (!pane.look) return;
    const percent = Math.round(100 * pane.scale);
    const readout = `${inWords(pane.look.window)}${pane.look.isInverted ? gettext(", inverted") : ""} · ${percent} %`;
    frame.querySelector("[data-readout]")!.textContent = readout;
    if (pane !== this.active.pane) return;
    this.part("zoom-level").textContent = Math.abs(pane.look.placement.zoom - 1) < 0.005 ? gettext("Fit") : `${percent} %`;
    for (const [name, isOn] of [
      ["invert", pane.look.isInverted],
      ["flip-left-right", pane.look.placement.flippedLeftRight],
      ["flip-up-down", pane.look.placement.flippedUpDown],
    ] as const) {
      this.part(`do=${name}`).setAttribute("aria-pressed", String(isOn));
    }
    // A finger moves the image where some of it is hidden, and the page where all of it is there.
    const scrolls = this.tool === "pan" && pane.look.placement.zoom <= 1.005;
    frame.classList.toggle("pane-scrolls", scrolls);
  }

  // Changes, in the active pane and in the one that is linked with it

  private others(place: Place): Place[] {
    return this.isLinked ? this.places.filter((other) => other !== place && other.pane.look) : [];
  }

  private setPlacement(place: Place, placement: Placement): void {
    const { pane } = place;
    const { columns, rows } = pane.shape;
    pane.change({ placement });
    for (const other of this.others(place)) {
      const { shape } = other.pane;
      other.pane.change({
        placement: {
          ...placement,
          center: { x: (placement.center.x / columns) * shape.columns, y: (placement.center.y / rows) * shape.rows },
        },
      });
    }
  }

  private move(place: Place, by: Point): void {
    const { pane } = place;
    if (pane.look) this.setPlacement(place, moved(pane.shape, pane.look.placement, pane.size, by));
  }

  private zoom(place: Place, factor: number, around?: Point): void {
    const { pane } = place;
    if (pane.look) this.setPlacement(place, zoomed(pane.shape, pane.look.placement, pane.size, factor, around));
  }

  private place(change: (placement: Placement) => Placement): void {
    const { pane } = this.active;
    if (pane.look) this.setPlacement(this.active, change(pane.look.placement));
  }

  private fit(place: Place): void {
    const { pane } = place;
    if (!pane.look) return;
    const { zoom, center } = fitted(pane.shape);
    this.setPlacement(place, { ...pane.look.placement, zoom, center });
  }

  /** One pixel of the image on one of the screen. */
  private actualSize(): void {
    const { pane } = this.active;
    if (!pane.look) return;
    const { shape, size } = pane;
    const zoom = 1 / fitScale(shape, size, pane.look.placement.turns);
    const placement = { ...pane.look.placement, zoom };
    // Between two pixels of the screen every pixel would be blurred over both.
    const { e, f } = toScreen(shape, placement, size);
    this.setPlacement(this.active, moved(shape, placement, size, { x: Math.round(e) - e, y: Math.round(f) - f }));
  }

  private window(place: Place, by: Point): void {
    const { pane } = place;
    if (!pane.look) return;
    this.setWindow(place, dragged(pane.look.window, pane.firstWindow, by.x, -by.y, pane.risesToWhite));
  }

  private setWindow(place: Place, window: { low: number; high: number }): void {
    const { pane } = place;
    pane.change({ window });
    const change = changeFrom(pane.firstWindow, window);
    for (const other of this.others(place)) {
      const sameWay = other.pane.risesToWhite === pane.risesToWhite;
      other.pane.change({ window: changed(other.pane.firstWindow, { ...change, shift: sameWay ? change.shift : -change.shift }) });
    }
    if (place === this.active) this.part<HTMLSelectElement>("preset").value = "";
  }

  private setPreset(index: number): void {
    const preset = this.active.presets[index];
    if (!preset || !this.active.pane.look) return;
    this.active.pane.change({ window: { low: preset.low, high: preset.high } });
    for (const other of this.others(this.active)) {
      const same = other.presets.find(({ name }) => name === preset.name) ?? (index === 0 ? other.presets[0] : undefined);
      if (same) other.pane.change({ window: { low: same.low, high: same.high } });
    }
    this.part<HTMLSelectElement>("preset").value = String(index);
  }

  private invert(): void {
    const { pane } = this.active;
    if (!pane.look) return;
    const isInverted = !pane.look.isInverted;
    for (const place of [this.active, ...this.others(this.active)]) place.pane.change({ isInverted });
  }

  private reset(): void {
    for (const place of [this.active, ...this.others(this.active)]) {
      const { pane } = place;
      if (!pane.look) continue;
      pane.change({ placement: fitted(pane.shape), window: pane.firstWindow, isInverted: false });
    }
    this.part<HTMLSelectElement>("preset").value = "0";
  }

  private showPresets(): void {
    const select = this.part<HTMLSelectElement>("preset");
    const options = this.active.presets.map(({ name }, index) => new Option(name, String(index)));
    const own = new Option(gettext("Own window"), "");
    own.hidden = true;
    select.replaceChildren(own, ...options);
    const now = this.active.pane.look?.window;
    const chosen = this.active.presets.findIndex(({ low, high }) => low === now?.low && high === now.high);
    select.value = chosen < 0 ? "" : String(chosen);
  }

  // Tools

  private setTool(tool: Tool): void {
    this.tool = tool;
    for (const place of this.places) {
      place.magnifier.hide();
      if (place.measures.isHeld) place.measures.cancel();
      this.setCursor(place, undefined);
      this.showReadout(place);
    }
    this.showTool();
  }

  private showTool(): void {
    this.viewer.dataset["tool"] = this.tool;
    for (const button of this.viewer.querySelectorAll<HTMLElement>("[data-tool-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset["toolButton"] === this.tool));
    }
  }

  /** What a drag with the main button, a finger or the arrows does. */
  private use(place: Place, point: Point, by: Point, isTouch: boolean): void {
    switch (this.tool) {
      case "window":
        return this.window(place, by);
      case "pan":
        // Until the browser takes the finger for scrolling, the whole image stays where it is.
        return isTouch && place.frame.classList.contains("pane-scrolls") ? undefined : this.move(place, by);
      case "zoom":
        return this.zoom(place, Math.exp(-by.y / 150));
      case "measure":
        return place.measures.drag(point);
      case "magnify":
        return place.magnifier.show(place.pane, point, isTouch);
    }
  }

  private keyInPane(place: Place, event: KeyboardEvent): void {
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey && place.pane.look) {
      event.preventDefault();
      const size = this.tool === "measure" || this.tool === "magnify" ? FINE_ARROW : ARROW;
      const by = { x: arrow.x * size, y: arrow.y * size };
      if (this.tool !== "measure" && this.tool !== "magnify") {
        // The arrow tells where the picture goes to.
        this.use(place, by, by, false);
        return;
      }
      const from = place.cursor ?? { x: place.pane.size.width / 2, y: place.pane.size.height / 2 };
      const at = { x: from.x + by.x, y: from.y + by.y };
      this.setCursor(place, at);
      this.use(place, at, by, false);
    } else if (event.key === "Enter" && this.tool === "measure" && event.target === place.frame) {
      event.preventDefault();
      const at = place.cursor ?? { x: place.pane.size.width / 2, y: place.pane.size.height / 2 };
      this.setCursor(place, at);
      if (place.measures.isHeld) place.measures.end();
      else place.measures.begin(at);
    }
  }

  private setCursor(place: Place, at: Point | undefined): void {
    place.cursor = at;
    const cross = place.frame.querySelector<HTMLElement>("[data-cross]")!;
    cross.hidden = !at || this.tool !== "measure";
    if (at) cross.style.transform = `translate(${at.x}px, ${at.y}px)`;
  }

  private measured(place: Place): void {
    const words = place.measures.inWords;
    this.part("do=remove-lengths").hidden = !this.places.some(({ measures }) => measures.count);
    this.part("lengths").textContent = words.map((length, index) => gettext("Length %(number)s: %(length)s.", { number: index + 1, length })).join(" ");
  }

  // The earlier images beside

  private async compare(id: string): Promise<void> {
    const frame = this.part("pane=earlier");
    this.isComparing = Boolean(id);
    frame.hidden = !id;
    this.viewer.classList.toggle("viewer-compares", this.isComparing);
    this.part("do=link").hidden = !id;
    this.part<HTMLSelectElement>("compare").value = id;
    const current = this.entries.get(this.current.pane.wanted);
    if (current) {
      this.current.frame.querySelector("[data-pane-title]")!.textContent = id
        ? `${gettext("Current")} ${current.day}, ${current.name}`
        : current.name;
    }
    if (!id) {
      this.activate(this.current);
      this.current.frame.removeAttribute("data-active");
      return;
    }
    this.earlier ??= this.furnish(frame);
    this.current.frame.toggleAttribute("data-active", this.active === this.current);
    await this.open(this.earlier, id);
    const { look } = this.current.pane;
    if (this.isLinked && look && this.earlier.pane.look) this.setPlacement(this.current, look.placement);
  }

  private toggleCompare(): void {
    const select = this.viewer.querySelector<HTMLSelectElement>("[data-compare]");
    if (!select) return;
    void this.compare(this.isComparing ? "" : (select.options[1]?.value ?? ""));
  }

  private toggleLink(): void {
    this.isLinked = !this.isLinked;
    this.part("do=link").setAttribute("aria-pressed", String(this.isLinked));
    if (this.isLinked && this.active.pane.look) this.setPlacement(this.active, this.active.pane.look.placement);
  }

  // What presses what

  private readonly acts: Record<string, () => void> = {
    "zoom-in": () => this.zoom(this.active, STEP),
    "zoom-out": () => this.zoom(this.active, 1 / STEP),
    fit: () => this.fit(this.active),
    "actual-size": () => this.actualSize(),
    invert: () => this.invert(),
    "rotate-right": () => this.place((placement) => turned(placement, 1)),
    "rotate-left": () => this.place((placement) => turned(placement, -1)),
    "flip-left-right": () => this.place((placement) => flipped(placement, "left-right")),
    "flip-up-down": () => this.place((placement) => flipped(placement, "up-down")),
    reset: () => this.reset(),
    "remove-lengths": () => {
      for (const { measures } of this.places) measures.clear();
    },
    link: () => this.toggleLink(),
    keys: () => this.part<HTMLDialogElement>("keys-sheet").showModal(),
  };

  private click(event: MouseEvent): void {
    const target = event.target as Element;
    const tool = target.closest<HTMLElement>("[data-tool-button]")?.dataset["toolButton"];
    if (tool) return this.setTool(tool as Tool);
    const act = target.closest<HTMLElement>("[data-do]")?.dataset["do"];
    if (act) this.acts[act]?.();
  }

  private choose(control: HTMLElement): void {
    if (!(control instanceof HTMLSelectElement)) return;
    if (control.matches("[data-preset]") && control.value) this.setPreset(Number(control.value));
    if (control.matches("[data-compare]")) void this.compare(control.value);
  }

  private keys(): Key[] {
    const tool = (key: string, name: Tool, does: string): Key => ({
      keys: [key],
      shown: key.toUpperCase(),
      does,
      act: () => this.setTool(name),
    });
    const act = (keys: string[], shown: string, name: string, does: string): Key => ({
      keys,
      shown,
      does,
      act: this.acts[name]!,
    });
    return [
      tool("w", "window", gettext("Window and level: drag")),
      tool("p", "pan", gettext("Move: drag")),
      tool("z", "zoom", gettext("Zoom: drag up or down")),
      tool("d", "measure", gettext("Measure a distance: drag, or Enter, Shift with the arrows, Enter")),
      tool("m", "magnify", gettext("Magnifying glass")),
      act(["+", "="], "+", "zoom-in", gettext("Zoom in")),
      act(["-"], "−", "zoom-out", gettext("Zoom out")),
      act(["f", "0"], "F", "fit", gettext("Fit to the window")),
      act(["o"], "O", "actual-size", gettext("One pixel of the image on one of the screen")),
      act(["i"], "I", "invert", gettext("Invert")),
      act(["r"], "R", "rotate-right", gettext("Rotate to the right")),
      act(["l"], "L", "rotate-left", gettext("Rotate to the left")),
      act(["h"], "H", "flip-left-right", gettext("Flip left and right")),
      act(["v"], "V", "flip-up-down", gettext("Flip top and bottom")),
      act([" "], gettext("Space"), "reset", gettext("Reset: window, zoom, rotation, flips")),
      ...[1, 2, 3, 4, 5, 6].map((number) => ({
        keys: [String(number)],
        shown: String(number),
        does: number === 1 ? gettext("Default window") : gettext("Window %(number)s of the list", { number }),
        act: () => this.setPreset(number - 1),
      })),
      {
        keys: ["shift+arrowleft", "shift+arrowright", "shift+arrowup", "shift+arrowdown"],
        shown: "Shift ↔ ↕",
        does: gettext("Use the tool that is on, without a mouse"),
        act: () => {
          this.active.frame.focus();
        },
      },
      { keys: ["arrowdown"], shown: "↓", does: gettext("Next image of the study"), act: () => this.step(1) },
      { keys: ["arrowup"], shown: "↑", does: gettext("Previous image of the study"), act: () => this.step(-1) },
      { keys: ["arrowright"], shown: "→", does: gettext("Next case"), act: () => followCase("next") },
      { keys: ["arrowleft"], shown: "←", does: gettext("Previous case"), act: () => followCase("previous") },
      { keys: ["c"], shown: "C", does: gettext("Earlier image beside, or not"), act: () => this.toggleCompare() },
      {
        keys: ["a"],
        shown: "A",
        does: gettext("While held: where the network looked, once you may see it"),
        act: () => this.flash(true),
        release: () => this.flash(false),
      },
      {
        keys: ["delete", "backspace"],
        shown: gettext("Delete"),
        does: gettext("Remove the last length"),
        act: () => this.active.measures.removeLast(),
      },
      { keys: ["escape"], shown: "Esc", does: gettext("Leave the tool"), act: () => this.setTool("window") },
      { keys: ["?"], shown: "?", does: gettext("This list"), act: this.acts["keys"]! },
    ];
  }

  /** The panel beside the image holds the switch, where this reader may see it: the viewer only presses it. */
  private flash(isOn: boolean): void {
    document.dispatchEvent(new CustomEvent("heat-map-flash", { detail: { id: this.current.pane.wanted, isOn } }));
  }

  private step(by: number): void {
    const links = [...this.viewer.querySelectorAll<HTMLElement>("[data-show-image]")];
    const now = links.findIndex((link) => link.hasAttribute("aria-current"));
    links[now + by]?.click();
  }
}

/** Follows the page's own link to another case, where it has one. */
function followCase(which: "next" | "previous"): void {
  document.querySelector<HTMLElement>(`[data-case="${which}"]`)?.click();
}
