/** htmx: its settings, and what happens when an answer is not the expected one. */

import htmx from "htmx.org";
import { defineMorph } from "./morph";
import { notice, sentenceOf, withdraw } from "./notices";
import { isPoll, startPolls } from "./polls";
import { gettext } from "./texts";

interface RequestDetail {
  elt: Element;
  xhr: XMLHttpRequest;
  headers: Record<string, string>;
  requestConfig?: { elt: Element };
  shouldSwap: boolean;
  isError: boolean;
}

const SESSION_ENDED =
  gettext("Your session has ended and nothing was sent. What you typed is still here: copy it, log in again, and send it again.");
const NO_ANSWER = gettext("The portal does not answer. What you typed is still here: check the network and try again.");
const NOT_CURRENT = gettext("The portal does not answer: this page is not up to date until it does.");
const TECHNICAL = gettext("The portal could not do this because of a technical error. Try again; if it happens again, tell an administrator.");

/** Answers that are fragments like any other: the form again, with what is wrong. */
const REFUSALS = new Set([400, 409, 422]);

export function startRequests(): void {
  Object.assign(htmx.config, {
    // Pages of patients are kept nowhere in the browser, and no text from a server becomes a script or a style.
    historyEnabled: false,
    historyCacheSize: 0,
    allowEval: false,
    allowScriptTags: false,
    includeIndicatorStyles: false,
    // Copying style attributes from old to new elements is what the content security policy forbids.
    attributesToSettle: [],
    selfRequestsOnly: true,
    timeout: 30_000,
  });
  defineMorph();
  document.body.setAttribute("hx-ext", "morph");

  startPolls();
  let isPersonActive = false;
  for (const name of ["keydown", "pointerdown", "wheel", "touchmove"]) {
    document.addEventListener(name, () => (isPersonActive = true), { passive: true });
  }
  on("htmx:configRequest", (_event, detail) => {
    if (!isPoll(detail.elt)) return;
    // A page that asks by itself does not keep an abandoned session open; somebody who reads or types does.
    if (!isPersonActive) detail.headers["X-Poll"] = "1";
    isPersonActive = false;
  });
  on("htmx:beforeRequest", (event, detail) => {
    if (isPoll(detail.elt) && document.hidden) event.preventDefault();
  });
  on("htmx:beforeSwap", (_event, detail) => {
    if (REFUSALS.has(detail.xhr.status) && !detail.xhr.getResponseHeader("X-Error-Page")) {
      detail.shouldSwap = true;
      detail.isError = false;
    }
  });
  on("htmx:beforeSwap", (_event, detail) => {
    // What was typed has arrived: the form it was typed into need not be kept any more.
    const form = detail.requestConfig?.elt;
    if (form?.matches("form[data-keep-typed]") && detail.xhr.status < 300) form.removeAttribute("data-keep-typed");
  });
  on("htmx:responseError", (_event, detail) => {
    const { status, responseText } = detail.xhr;
    if (status === 401) return notice(SESSION_ENDED);
    if (isPoll(detail.elt) && status >= 500) return notice(NOT_CURRENT);
    notice(sentenceOf(responseText) || TECHNICAL);
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    on(name, (_event, detail) => notice(isPoll(detail.elt) ? NOT_CURRENT : NO_ANSWER));
  }
  on("htmx:afterSettle", (_event, detail) => {
    if (!REFUSALS.has(detail.xhr.status)) return;
    const form = document.querySelector(".field-bad [aria-invalid], .field-bad input, .field-bad textarea");
    if (form instanceof HTMLElement) form.focus();
  });
  on("htmx:afterOnLoad", (_event, detail) => {
    if (detail.xhr.status < 500) {
      withdraw(NOT_CURRENT);
      withdraw(NO_ANSWER);
    }
  });
}

function on(name: string, listener: (event: Event, detail: RequestDetail) => void): void {
  document.body.addEventListener(name, (event) => listener(event, (event as CustomEvent<RequestDetail>).detail));
}
