/** What a page asked for by itself must not put back what its reader has changed meanwhile. */

interface RequestDetail {
  elt: Element;
  xhr: XMLHttpRequest;
  requestConfig: { elt: Element; verb: string };
  shouldSwap: boolean;
}

export function isPoll(element: Element): boolean {
  return element.matches("[data-poll]");
}

/** Counts every act when it is sent and once more when it is answered. */
let acts = 0;
const actsBefore = new WeakMap<XMLHttpRequest, number>();

export function startPolls(): void {
  document.body.addEventListener("htmx:beforeSend", (event) => {
    const { elt, xhr, requestConfig } = (event as CustomEvent<RequestDetail>).detail;
    if (isPoll(elt)) {
      actsBefore.set(xhr, acts);
    } else if (requestConfig.verb !== "get") {
      acts += 1;
      // Earlier than "load": what the answer itself makes the page ask again is newer than the act.
      xhr.addEventListener("readystatechange", () => {
        if (xhr.readyState === XMLHttpRequest.DONE) acts += 1;
      });
    }
  });
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { detail } = event as CustomEvent<RequestDetail>;
    const before = actsBefore.get(detail.xhr);
    // It may have been written before the act; the next one is not.
    if (before !== undefined && before !== acts) detail.shouldSwap = false;
  });
}
