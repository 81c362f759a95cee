/** The overlay “where the network looked”: off until it is asked for, and unknown to a page that was not given its controls. */

import { notice } from "./notices";
import { showImage, withViewer } from "./viewer";
import { gettext } from "./texts";

/** Held to see the map for a moment: the key of the viewer, or the button for fingers. */
let flashed = "";

export function startHeatMaps(): void {
  // On the document: the panel with the controls is written anew when the analysis ends.
  for (const name of ["change", "input"]) {
    document.addEventListener(name, (event) => {
      const controls = (event.target as Element).closest<HTMLElement>("[data-heat-map-of]");
      if (!controls) return;
      const isToggle = (event.target as Element).matches("[data-heat-map-toggle]");
      if (name === "change" && isToggle && isOn(controls)) showImage(controls.dataset["heatMapOf"]!);
      update(controls);
    });
  }
  document.addEventListener("heat-map-flash", (event) => {
    const { id, isOn: isHeld } = (event as CustomEvent<{ id: string; isOn: boolean }>).detail;
    flash(isHeld ? id : "");
  });
  document.addEventListener("heat-map-failed", () =>
    notice(gettext("The map of where the network looked could not be loaded. Switch it off and on again.")),
  );
  const held = (event: Event): HTMLElement | null => (event.target as Element).closest("[data-heat-map-flash]");
  document.addEventListener("pointerdown", (event) => {
    const button = held(event);
    if (!button) return;
    event.preventDefault();
    flash(button.closest<HTMLElement>("[data-heat-map-of]")!.dataset["heatMapOf"]!);
  });
  document.addEventListener("keydown", (event) => {
    const button = held(event);
    if (button && (event.key === " " || event.key === "Enter")) {
      event.preventDefault();
      flash(button.closest<HTMLElement>("[data-heat-map-of]")!.dataset["heatMapOf"]!);
    }
  });
  for (const name of ["pointerup", "pointercancel", "keyup", "blur"]) {
    window.addEventListener(name, () => flash(""));
  }
}

function isOn(controls: HTMLElement): boolean {
  return controls.querySelector<HTMLInputElement>("[data-heat-map-toggle]")!.checked;
}

function flash(id: string): void {
  if (id === flashed) return;
  const changed = [flashed, id].filter(Boolean);
  flashed = id;
  for (const one of changed) {
    const controls = document.querySelector<HTMLElement>(`[data-heat-map-of="${one}"]`);
    if (!controls) continue;
    if (one === id) showImage(id);
    update(controls);
  }
}

function update(controls: HTMLElement): void {
  const id = controls.dataset["heatMapOf"]!;
  const isShown = isOn(controls) || flashed === id;
  const label = controls.querySelector<HTMLSelectElement>("[data-heat-map-label]")!;
  const opacity = controls.querySelector<HTMLInputElement>("[data-heat-map-opacity]")!;
  const map = {
    address: label.value,
    opacity: Number(opacity.value) / 100,
    caption: `${label.selectedOptions[0]?.text ?? ""}, ${controls.dataset["model"] ?? ""}`,
  };
  withViewer((viewer) => viewer.setHeatMap(id, isShown ? map : undefined));
}
