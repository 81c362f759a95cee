/** Once a read is locked, and once the second opinion is shown, the focus is at its heading and the page where it was. */

interface SwapDetail {
  xhr: XMLHttpRequest;
  requestConfig: { elt: Element };
}

const LEADS_TO_THE_OPINION = "#first-read, #reveal";

export function startReveal(): void {
  let top: number | null = null;
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (isReveal(event)) top = window.scrollY;
  });
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (top === null || !isReveal(event)) return;
    const heading = document.querySelector<HTMLElement>("#opinion-title");
    // Somebody who is at another place by now stays there.
    const isFree = document.activeElement === document.body || document.activeElement?.closest("#opinion") !== null;
    if (isFree) heading?.focus({ preventScroll: true });
    window.scrollTo({ top, behavior: "instant" });
    top = null;
  });
}

function isReveal(event: Event): boolean {
  const { xhr, requestConfig } = (event as CustomEvent<SwapDetail>).detail;
  return xhr.status < 300 && requestConfig.elt.matches(LEADS_TO_THE_OPINION);
}
