/** The overlay “where the network looked”: off until it is asked for. */

import { notice } from "./notices";
import { showImage } from "./viewer";

export function startHeatMaps(): void {
  // On the document: the panel with the controls is written anew when the analysis ends.
  for (const name of ["change", "input"]) {
    document.addEventListener(name, (event) => {
      const controls = (event.target as Element).closest<HTMLElement>("[data-heat-map-of]");
      if (controls) update(controls, name === "change" && (event.target as Element).matches("[data-heat-map-toggle]"));
    });
  }
}

function update(controls: HTMLElement, toggled: boolean): void {
  const id = controls.dataset["heatMapOf"]!;
  const overlay = document.querySelector<HTMLImageElement>(`[data-image="${id}"] [data-heat-map]`);
  if (!overlay) return;
  const isOn = controls.querySelector<HTMLInputElement>("[data-heat-map-toggle]")!.checked;
  overlay.style.opacity = String(Number(controls.querySelector<HTMLInputElement>("[data-heat-map-opacity]")!.value) / 100);
  if (!isOn) {
    overlay.hidden = true;
    return;
  }
  if (toggled) showImage(id);
  const address = new URL(controls.querySelector<HTMLSelectElement>("[data-heat-map-label]")!.value, location.href).href;
  if (overlay.src === address) {
    overlay.hidden = false;
    return;
  }
  overlay.hidden = true;
  overlay.onload = () => {
    overlay.hidden = !controls.querySelector<HTMLInputElement>("[data-heat-map-toggle]")!.checked;
  };
  overlay.onerror = () => notice("The map of where the network looked could not be loaded. Switch it off and on again.");
  overlay.src = address;
}
