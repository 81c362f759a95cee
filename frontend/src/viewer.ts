/** The viewer's beginning, small enough for every page: it asks for the image at once, and for the viewer beside it. */

import { notice } from "./notices";
import { load, opened } from "./viewer/frames";
import type { ImageEntry } from "./viewer/told";
import type { Workplace } from "./viewer/workplace";
import { gettext } from "./texts";

let workplace: Promise<Workplace> | undefined;

export function startViewer(): void {
  const viewer = document.querySelector<HTMLElement>("[data-viewer]");
  const told = document.querySelector("#viewer-images")?.textContent;
  const first = viewer?.dataset["shown"];
  if (!viewer || !told || !first) return;
  performance.mark("viewer:begin");
  const entries = JSON.parse(told) as ImageEntry[];
  const entry = entries.find(({ id }) => id === first);
  const ticket = viewer.dataset["opening"];
  if (entry && ticket) opened(entry.study, ticket);
  // Its failure is told by the viewer, which asks for the same image.
  const isThere = new Promise<void>((resolve) => {
    if (!entry) return resolve();
    const painted = (picture: ImageBitmap) => {
      paintFirst(viewer, first, picture);
      // After it is on the screen: a browser that reads two megabytes of script shows nothing meanwhile.
      requestAnimationFrame(() => setTimeout(resolve));
    };
    const { clientWidth, clientHeight } = viewer.querySelector<HTMLElement>('[data-pane="current"]')!;
    const width = (clientWidth || entry.columns) * devicePixelRatio;
    const height = (clientHeight || entry.rows) * devicePixelRatio;
    load(entry, { width, height, painted }).catch(() => resolve());
  });
  workplace = isThere
    .then(() => import("./viewer/workplace"))
    .then(({ Workplace }) => new Workplace(viewer, entries));
  workplace.then(
    (built) => {
      performance.mark("viewer:ready");
      return built.show(first);
    },
    (error: unknown) => {
      notice(gettext("The viewer could not be loaded. What is shown is a preview without tools. Reload the page to try again."));
      throw error;
    },
  );
  viewer.addEventListener("click", (event) => follow(event));
  // "toggle" does not bubble, so it is caught on its way down; the panel is written anew by itself.
  document.addEventListener("toggle", (event) => unfold(event.target as HTMLElement), { capture: true });
}

/** The image through its own window, before the viewer is there: the same picture, without tools, where the viewer will put it. */
function paintFirst(viewer: HTMLElement, id: string, picture: ImageBitmap): void {
  const pane = viewer.querySelector<HTMLElement>('[data-pane="current"]')!;
  const canvas = pane.querySelector<HTMLCanvasElement>("[data-first]")!;
  if (pane.dataset["state"] !== "painted" && viewer.dataset["shown"] === id) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d")!.drawImage(picture, 0, 0);
    canvas.hidden = false;
    performance.mark("viewer:first");
  }
  picture.close();
}

/** What is drawn on the images, once there is something to draw on. */
export function withViewer(act: (viewer: Workplace) => void): void {
  void workplace?.then(act, () => undefined);
}

/** Brings one image of the study on screen, wherever the wish came from. */
export function showImage(id: string): void {
  const viewer = document.querySelector<HTMLElement>("[data-viewer]");
  if (!viewer || viewer.dataset["shown"] === id) return;
  viewer.dataset["shown"] = id;
  for (const link of viewer.querySelectorAll<HTMLElement>("[data-original]")) link.hidden = link.dataset["original"] !== id;
  for (const link of viewer.querySelectorAll<HTMLElement>("[data-show-image]")) {
    if (link.dataset["showImage"] === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  for (const opinion of document.querySelectorAll<HTMLDetailsElement>("details[data-opinion-of]")) {
    opinion.open = opinion.dataset["opinionOf"] === id;
  }
  withViewer((built) => void built.show(id));
}

function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest<HTMLAnchorElement>("[data-show-image]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showImage(link.dataset["showImage"]!);
  history.replaceState(history.state, "", link.href);
}

/** Who unfolds what the network says about an image wants to see that image. */
function unfold(element: HTMLElement): void {
  const id = element instanceof HTMLDetailsElement && element.open ? element.dataset["opinionOf"] : undefined;
  if (id) showImage(id);
}
