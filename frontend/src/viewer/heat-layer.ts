/** The map of where the network looked, laid over an image. It exists only after the page was given its controls. */

import type { Affine } from "./geometry";
import { gettext } from "../texts";

export interface HeatMap {
  address: string;
  /** 0 to 1. */
  opacity: number;
  /** “COVID-19, covid3 0.0.1”. */
  caption: string;
}

export class HeatLayer {
  private picture: HTMLImageElement | undefined;
  private caption: HTMLElement | undefined;

  constructor(
    private readonly frame: HTMLElement,
    private readonly shown: () => { toScreen: Affine; columns: number; rows: number } | undefined,
  ) {}

  show(map: HeatMap | undefined): void {
    if (!map) {
      this.picture?.remove();
      this.caption?.remove();
      this.picture = this.caption = undefined;
      return;
    }
    if (this.picture?.getAttribute("src") !== map.address) {
      this.picture?.remove();
      this.picture = new Image();
      this.picture.className = "heat";
      this.picture.alt = gettext("Coloured overlay: where the network looked");
      this.picture.draggable = false;
      this.picture.dataset["heatMap"] = "";
      this.picture.addEventListener("load", () => this.place());
      this.picture.addEventListener("error", () =>
        document.dispatchEvent(new CustomEvent("heat-map-failed")),
      );
      this.picture.src = map.address;
      this.frame.querySelector("[data-canvas]")!.after(this.picture);
    }
    this.picture.style.opacity = String(map.opacity);
    if (!this.caption) {
      this.caption = document.createElement("p");
      this.caption.className = "heat-caption";
      this.frame.querySelector("[data-words]")!.append(this.caption);
    }
    this.caption.textContent = gettext("Where the network looked: %(model)s", { model: map.caption });
    this.place();
  }

  /** The map has the shape of the image, and fewer pixels. */
  place(): void {
    const { picture } = this;
    const shown = this.shown();
    if (!picture?.naturalWidth || !shown) return;
    const { columns, rows } = shown;
    const { a, b, c, d, e, f } = shown.toScreen;
    const [across, down] = [columns / picture.naturalWidth, rows / picture.naturalHeight];
    picture.style.transform = `matrix(${a * across}, ${b * across}, ${c * down}, ${d * down}, ${e}, ${f})`;
  }
}
