/** Writing a report: it is saved while one types, texts are inserted, and what was done can be taken back. */

import { CHOICES, currentNote, DECISION, Draft, isChoice, isChosenIn, noteIsWritten, type Texts } from "./report/draft";
import { insert, isBlankSelected, readyText, selectBlank, typedCode } from "./report/ready-texts";
import { gettext } from "./texts";

const OPEN_BLANK = gettext("There is a blank ___ in the report. Fill it in or take it out, then sign.");

const drafts = new WeakMap<HTMLFormElement, Draft>();
/** What was on screen before the last act that can be taken back. */
const before = new WeakMap<HTMLFormElement, Texts>();
const lastField = new WeakMap<HTMLFormElement, HTMLTextAreaElement>();

export function startReports(): void {
  begin();
  document.body.addEventListener("htmx:afterSettle", begin);
  document.addEventListener("input", onInput);
  document.addEventListener("change", onChoice);
  document.addEventListener("keydown", onKey);
  document.addEventListener("focusin", onFocus);
  document.addEventListener("click", onClick);
  document.addEventListener("submit", onSubmit);
  document.body.addEventListener("htmx:confirm", onSign);
  document.body.addEventListener("htmx:beforeOnLoad", keepUnsavedText);
  document.body.addEventListener("htmx:afterRequest", afterSigning);
  window.addEventListener("pageshow", () => (isLeaving = false));
  document.body.addEventListener("report-signed", () => all().forEach((draft) => draft.signed()));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") all().forEach((draft) => void draft.save());
  });
  window.addEventListener("pagehide", () => all().forEach((draft) => draft.saveAndLeave()));
  window.addEventListener("beforeunload", (event) => {
    if (all().some((draft) => draft.isDirty && !isLeaving)) event.preventDefault();
  });
}

/** A form that signs takes its text along: leaving the page with it loses nothing. */
let isLeaving = false;

function begin(): void {
  for (const form of editors()) {
    restoreNote(form);
    if (drafts.has(form)) continue;
    drafts.set(form, new Draft(form, viewOf(form)));
    part(form, "acts")?.removeAttribute("hidden");
  }
}

function editors(): HTMLFormElement[] {
  return [...document.querySelectorAll<HTMLFormElement>("form[data-report-editor]")];
}

function all(): Draft[] {
  return editors().flatMap((form) => drafts.get(form) ?? []);
}

function part<T extends HTMLElement = HTMLElement>(form: HTMLFormElement, name: string): T | null {
  return form.querySelector<T>(`[data-draft-${name}]`);
}

function restoreNote(form: HTMLFormElement): void {
  const kept = part<HTMLInputElement>(form, "note")?.value;
  const note = form.id === "report-fields" && kept ? currentNote() : null;
  if (note && !note.value) note.value = kept ?? "";
}

function viewOf(form: HTMLFormElement): ConstructorParameters<typeof Draft>[1] {
  const hide = (name: string) => part(form, name)?.setAttribute("hidden", "");
  return {
    saved(at) {
      const draft = drafts.get(form);
      part(form, "saved")!.textContent = at ? gettext("Saved %(moment)s", { moment: at }) : gettext("Nothing is kept of it.");
      part(form, "discard")?.toggleAttribute("hidden", !at || (draft?.isEmpty ?? true));
    },
    problem(sentence, isLogin = false) {
      part(form, "sentence")!.textContent = sentence;
      part(form, "problem")?.removeAttribute("hidden");
      part(form, "login")?.toggleAttribute("hidden", !isLogin);
    },
    conflict(texts) {
      const other = part(form, "other")!;
      const draft = drafts.get(form);
      const names = Object.keys(draft?.texts ?? {});
      other.textContent = names.map((name) => draft?.words(name, texts[name] ?? "")).filter(Boolean).join("\n") || gettext("Nothing.");
      other.dataset["texts"] = JSON.stringify(texts);
      part(form, "conflict")?.removeAttribute("hidden");
      part(form, "conflict")?.scrollIntoView({ block: "nearest" });
      part(form, "take")?.focus();
    },
    settled() {
      hide("problem");
      hide("conflict");
    },
  };
}

function editorOf(element: Element | null): HTMLFormElement | null {
  if (element?.closest(DECISION)) return document.querySelector<HTMLFormElement>("form#report-fields");
  return element?.closest<HTMLFormElement>("form[data-report-editor]") ?? null;
}

function onFocus(event: FocusEvent): void {
  const field = event.target;
  const form = field instanceof HTMLTextAreaElement ? field.closest<HTMLFormElement>("form[data-report-editor]") : null;
  if (form) lastField.set(form, field as HTMLTextAreaElement);
}

function onInput(event: Event): void {
  const field = event.target;
  const form = field instanceof HTMLTextAreaElement ? editorOf(field) : null;
  if (!form || !(field instanceof HTMLTextAreaElement)) return;
  if (field.name === "note" && !form.contains(field)) noteIsWritten(field);
  if (!(event as InputEvent).isComposing && form.contains(field)) {
    const typed = typedCode(form, field, true);
    // The space or the line end that ended the code belongs to it.
    if (typed) replaceCode(form, field, typed);
  }
  drafts.get(form)?.schedule();
}

function onChoice(event: Event): void {
  const choice = event.target;
  if (!isChoice(choice) || !choice.form) return;
  if (choice.form.matches(DECISION)) isChosenIn(choice.form);
  const form = editorOf(choice);
  if (form) drafts.get(form)?.schedule();
}

function replaceCode(
  form: HTMLFormElement,
  field: HTMLTextAreaElement,
  typed: NonNullable<ReturnType<typeof typedCode>>,
): void {
  remember(form, gettext("Undo the insertion"));
  field.setRangeText("", typed.start, field.selectionStart, "end");
  inserted(form, insert(form, field, typed.ready));
}

function inserted(form: HTMLFormElement, field: HTMLTextAreaElement): void {
  if (!selectBlank(field)) field.focus();
  drafts.get(form)?.schedule();
}

function onKey(event: KeyboardEvent): void {
  const field = event.target;
  if (event.key !== "Tab" || event.shiftKey || event.isComposing || !(field instanceof HTMLTextAreaElement)) return;
  const form = field.closest<HTMLFormElement>("form[data-report-editor]");
  if (!form) return;
  const typed = typedCode(form, field, false);
  if (typed) {
    event.preventDefault();
    replaceCode(form, field, typed);
  } else if (isBlankSelected(field) && nextBlank(form, field)) {
    event.preventDefault();
  }
}

/** On from one blank to the next, also in the sections below; after the last one the tabulator leaves as ever. */
function nextBlank(form: HTMLFormElement, field: HTMLTextAreaElement): boolean {
  if (selectBlank(field, field.selectionEnd)) return true;
  const fields = [...form.querySelectorAll<HTMLTextAreaElement>("textarea")];
  return fields.slice(fields.indexOf(field) + 1).some((other) => selectBlank(other));
}

function remember(form: HTMLFormElement, words: string, texts: Texts = drafts.get(form)?.typed ?? {}): void {
  before.set(form, texts);
  const undo = part(form, "undo");
  undo?.removeAttribute("hidden");
  undo?.querySelector("span")?.replaceChildren(words);
}

function onClick(event: MouseEvent): void {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("button[type=button]") : null;
  const form = button?.closest<HTMLFormElement>("form[data-report-editor]");
  const draft = form && drafts.get(form);
  if (!button || !form || !draft) return;
  if (button.matches("[data-ready]")) {
    const field = lastField.get(form) ?? form.querySelector<HTMLTextAreaElement>('textarea[name="findings"], textarea');
    if (!field) return;
    remember(form, gettext("Undo the insertion"));
    inserted(form, insert(form, field, readyText(button)));
  } else if (button.matches("[data-draft-undo]")) {
    draft.show(before.get(form) ?? {});
    button.hidden = true;
    draft.schedule(0);
    draft.fields[0]?.focus();
  } else if (button.matches("[data-draft-discard]")) {
    void discard(form, draft);
  } else if (button.matches("[data-draft-take]")) {
    remember(form, gettext("Undo: back to the text that was here"), draft.texts);
    const texts = JSON.parse(part(form, "other")?.dataset["texts"] ?? "{}") as Texts;
    draft.show(texts);
    draft.taken(draft.texts);
    part(form, "conflict")?.setAttribute("hidden", "");
    draft.fields[0]?.focus();
  } else if (button.matches("[data-draft-mine]")) {
    part(form, "conflict")?.setAttribute("hidden", "");
    draft.overwrite();
    draft.fields[0]?.focus();
  }
}

async function discard(form: HTMLFormElement, draft: Draft): Promise<void> {
  remember(form, gettext("Undo: bring the text back"), draft.texts);
  if (!(await draft.discard())) return;
  // A correction begins with what is signed, every other text with nothing.
  const nothing = Object.fromEntries(CHOICES.map((name) => [name, ""]));
  draft.show({ ...nothing, ...(JSON.parse(form.dataset["begun"] || "{}") as Texts) });
  draft.taken(draft.texts);
  part(form, "discard")?.setAttribute("hidden", "");
  draft.fields[0]?.focus();
}

/** Forms of this page that sign: the text is saved first, so that the signature takes exactly what is on screen. */
function onSign(event: Event): void {
  const { detail } = event as CustomEvent<{ elt: Element; issueRequest: (isConfirmed: boolean) => void }>;
  if (detail.elt.getAttribute("hx-include") !== "#report-fields") return;
  const form = document.querySelector<HTMLFormElement>("form#report-fields");
  const draft = form && drafts.get(form);
  if (!form || !draft) return;
  event.preventDefault();
  if (stopsAtBlank(form)) return;
  void draft.save().then((isSaved) => {
    // Without an answer the signature fails as well, and says so; a conflict is for the reader to settle first.
    if (isSaved || part(form, "conflict")?.hidden) detail.issueRequest(true);
  });
}

/** A signature that was refused as too late may have been so for the draft's sake. */
function afterSigning(event: Event): void {
  const { elt, xhr } = (event as CustomEvent<{ elt: Element; xhr: XMLHttpRequest }>).detail;
  if (xhr.status !== 409 || elt.getAttribute("hx-include") !== "#report-fields") return;
  all().forEach((draft) => void draft.check());
}

function onSubmit(event: SubmitEvent): void {
  const form = event.target;
  const draft = form instanceof HTMLFormElement ? drafts.get(form) : undefined;
  if (!(form instanceof HTMLFormElement) || !draft || isLeaving) return;
  event.preventDefault();
  if (stopsAtBlank(form)) return;
  void draft.save().then((isSaved) => {
    if (!isSaved) return;
    isLeaving = true;
    form.submit();
  });
}

function stopsAtBlank(form: HTMLFormElement): boolean {
  const fields = [...form.querySelectorAll<HTMLTextAreaElement>("textarea")];
  if (!fields.some((field) => selectBlank(field))) return false;
  viewOf(form).problem(OPEN_BLANK);
  return true;
}

/** When the session has ended the page is left for the login, unless that would take away what is not saved. */
function keepUnsavedText(event: Event): void {
  const { xhr } = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail;
  const dirty = all().filter((draft) => draft.isDirty);
  if (!xhr.getResponseHeader("HX-Redirect") || !dirty.length) return;
  event.preventDefault();
  dirty.forEach((draft) => draft.schedule(0));
}
