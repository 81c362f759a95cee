/** A draft on its way to the portal: one save after the other, each for the version that the last one gave. */

import { gettext } from "../texts";

/** The forms that sign or lock what is chosen in them. */
export const DECISION = "form[data-decision-form]";
const DEBOUNCE_MS = 700;
const RETRY_MS = 5_000;
const ADOPT_MS = 500;

export type Texts = Record<string, string>;

interface Told {
  version: number;
  saved: string;
  sentence?: string;
  texts?: Texts;
}

interface Standing extends Told {
  texts: Texts;
  author: number;
  csrf: string;
}

/** What the page shows of the draft's state. */
export interface View {
  saved(at: string): void;
  problem(sentence: string, isLogin?: boolean): void;
  conflict(texts: Texts): void;
  settled(): void;
}

const SESSION_ENDED = gettext("Your session has ended. What you typed is still here, but not saved: log in, and it is saved by itself.");
const NO_ANSWER = gettext("Not saved: the portal does not answer. It is tried again by itself, and what you typed is still here.");
const TECHNICAL = gettext("Not saved, because of a technical error. What you typed is still here: copy it, then reload the page.");
const SOMEBODY_ELSE = gettext("Somebody else has logged in in this browser. What you typed is not saved: copy it before you leave this page.");

export class Draft {
  readonly form: HTMLFormElement;
  #view: View;
  #saved: Texts;
  #queue: Promise<boolean> = Promise.resolve(true);
  #timer: number | undefined;
  #isBlocked = false;
  #isWaitingForLogin = false;
  /** What was sent and may have been stored: the answer was lost. */
  #unanswered: Texts[] = [];

  constructor(form: HTMLFormElement, view: View) {
    this.form = form;
    this.#view = view;
    this.#saved = this.#written;
    // Who was faster than this script has typed already.
    if (this.isDirty) this.schedule();
    if (form.id === "report-fields" && sessionStorage.getItem(this.#mark)) {
      sessionStorage.removeItem(this.#mark);
      void this.#adopt(3);
    }
  }

  /** Says that a save was on its way when the page went: the one that comes back may be older than it. */
  get #mark(): string {
    return `draft ${this.#url}`;
  }

  /** Show what was saved while the page was written, where nothing was typed since. */
  async #adopt(tries: number): Promise<void> {
    await new Promise((done) => window.setTimeout(done, ADOPT_MS));
    const standing = await this.#standing();
    if (typeof standing !== "object") return;
    if (String(standing.version) === this.#value("draft_version")) {
      if (tries > 1) await this.#adopt(tries - 1);
      return;
    }
    if (this.isDirty) return this.check();
    setVersion(this.#url, standing.version);
    // What is not chosen leaves what the form begins with.
    this.show(Object.fromEntries(Object.entries(standing.texts).filter(([name, text]) => text || !CHOICES.includes(name))));
    this.taken(this.texts);
    this.#view.saved(standing.saved);
  }

  /** What the server wrote into the page: that is what it keeps. */
  get #written(): Texts {
    const typed = this.fields.map((field) => [field.name, this.form.contains(field) ? field.defaultValue : this.#keptNote]);
    return { ...(Object.fromEntries(typed) as Texts), ...chosenIn(this.#choosers, valueWritten) };
  }

  get #keptNote(): string {
    return this.form.querySelector<HTMLInputElement>("[data-draft-note]")?.value ?? "";
  }

  /** The fields that are kept, by name. */
  get fields(): HTMLTextAreaElement[] {
    const own = [...this.form.querySelectorAll<HTMLTextAreaElement>("textarea")];
    // The note is written in the form that signs, beside this one.
    const note = this.form.id === "report-fields" ? currentNote() : null;
    return note ? [...own, note] : own;
  }

  get typed(): Texts {
    return Object.fromEntries(this.fields.map((field) => [field.name, field.value]));
  }

  /** What is kept, by name: what is typed, and what is chosen. */
  get texts(): Texts {
    return { ...this.typed, ...chosenIn(this.#choosers) };
  }

  /** Put `texts` on the screen; a choice that they do not name stays. */
  show(texts: Texts): void {
    for (const field of this.fields) field.value = texts[field.name] ?? "";
    for (const form of this.#choosers) {
      for (const choice of choicesOf(form)) {
        const value = texts[choice.name];
        if (value === undefined) continue;
        if (choice instanceof HTMLSelectElement) choice.value = value;
        else choice.checked = choice.value === value;
      }
    }
  }

  /** “Reason: Poor inspiration”, or the text itself. */
  words(name: string, value: string): string {
    for (const form of this.#choosers) {
      for (const choice of choicesOf(form)) {
        if (choice.name !== name) continue;
        if (choice instanceof HTMLSelectElement) {
          const option = [...choice.options].find((one) => one.value === value);
          if (option) return option.text;
        } else if (choice.value === value) {
          return choice.labels?.[0]?.textContent?.trim() ?? value;
        }
      }
    }
    return CHOICES.includes(name) ? "" : value;
  }

  /** Where its choices are made: in its own form, or in those that sign, the one that was used last first. */
  get #choosers(): HTMLFormElement[] {
    if (this.form.id !== "report-fields") return [this.form];
    const forms = [...document.querySelectorAll<HTMLFormElement>(DECISION)];
    return forms.sort((one, other) => Number(other === lastChooser) - Number(one === lastChooser));
  }

  get isDirty(): boolean {
    return Object.entries(this.texts).some(([name, text]) => text !== (this.#saved[name] ?? ""));
  }

  /** Whether there is nothing but what the form begins with. */
  get isEmpty(): boolean {
    const begun = JSON.parse(this.form.dataset["begun"] || "{}") as Texts;
    return Object.entries(this.texts).every(([name, text]) => text.trim() === (begun[name] ?? "").trim());
  }

  /** Save soon: people pause between words. */
  schedule(delay = DEBOUNCE_MS): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.save(), delay);
  }

  /** Save what differs; `false` when it could not be saved. */
  save(): Promise<boolean> {
    window.clearTimeout(this.#timer);
    this.#queue = this.#queue.then(() => this.#saveNow());
    return this.#queue;
  }

  /** Before the page goes away: nobody waits for the answer. */
  saveAndLeave(): void {
    if (!this.isDirty || this.#isBlocked) return;
    sessionStorage.setItem(this.#mark, "left");
    void fetch(this.#url, this.#request(this.texts, { keepalive: true })).catch(() => undefined);
  }

  /** What is on screen counts, and the other window's text goes. */
  overwrite(): void {
    this.#isBlocked = false;
    this.schedule(0);
  }

  /** The texts of `texts` stand on the screen and in the portal alike. */
  taken(texts: Texts): void {
    this.#isBlocked = false;
    this.#saved = { ...texts };
  }

  /** What was signed is no draft any more. */
  signed(): void {
    window.clearTimeout(this.#timer);
    this.#isBlocked = true;
    this.#keep(this.texts);
  }

  /** Whether the portal holds a newer text than the one that was loaded; the reader is then shown both. */
  async check(): Promise<void> {
    const standing = await this.#standing();
    if (!(typeof standing === "object") || String(standing.version) === this.#value("draft_version")) return;
    setVersion(this.#url, standing.version);
    this.#isBlocked = true;
    this.#view.conflict(standing.texts);
  }

  async discard(): Promise<boolean> {
    window.clearTimeout(this.#timer);
    await this.#queue;
    const url = this.form.dataset["discardUrl"] ?? "";
    const done = await this.#send(url, {});
    if (done) this.#saved = {};
    return done;
  }

  async #saveNow(): Promise<boolean> {
    if (this.#isBlocked) return false;
    if (!this.isDirty) return true;
    const texts = this.texts;
    const done = await this.#send(this.#url, texts);
    if (done) this.#keep(texts);
    return done;
  }

  /** A field whose value is its default is not “typed”: a refresh of the page may take it away. */
  #keep(texts: Texts): void {
    this.#saved = texts;
    for (const field of this.fields) {
      if (field.value === texts[field.name]) field.defaultValue = field.value;
    }
    const note = this.form.querySelector<HTMLInputElement>("[data-draft-note]");
    if (note && "note" in texts) note.value = texts["note"] ?? "";
  }

  async #send(url: string, texts: Texts): Promise<boolean> {
    let response: Response;
    try {
      response = await fetch(url, this.#request(texts));
    } catch {
      this.#unanswered.push(texts);
      this.#view.problem(NO_ANSWER);
      this.schedule(RETRY_MS);
      return false;
    }
    if (response.type === "opaqueredirect" || response.status === 401) return this.#sessionEnded();
    const told = await toldBy(response);
    if (response.ok && told) {
      this.#unanswered = [];
      setVersion(this.#url, told.version);
      this.#view.settled();
      this.#view.saved(told.saved);
      return true;
    }
    if (response.status === 409 && told?.texts) {
      setVersion(this.#url, told.version);
      if (this.#isOwn(told.texts, texts)) return this.#send(url, texts);
      this.#isBlocked = true;
      this.#view.conflict(told.texts);
      return false;
    }
    // The token of a page that was opened before the last login is refused once, and then renewed.
    if (response.status === 403 && !told) return this.#sessionEnded();
    this.#view.problem(told?.sentence ?? TECHNICAL);
    if (response.status >= 500) {
      this.#unanswered.push(texts);
      this.schedule(RETRY_MS);
    }
    return false;
  }

  /** Whether what the portal holds is what this window had sent, and only the answer was lost: no other window wrote it. */
  #isOwn(kept: Texts, sending: Texts): boolean {
    const isSave = Object.keys(sending).length > 0;
    const isOurs = isSave && this.#unanswered.some((sent) => Object.entries(sent).every(([name, text]) => kept[name] === text));
    this.#unanswered = [];
    return isOurs;
  }

  #sessionEnded(): boolean {
    this.#view.problem(SESSION_ENDED, true);
    if (!this.#isWaitingForLogin) void this.#goOnAfterLogin();
    return false;
  }

  /** Ask until the same person is logged in again, then save. */
  async #goOnAfterLogin(): Promise<void> {
    this.#isWaitingForLogin = true;
    const standing = await this.#standing();
    if (standing === "nobody") {
      window.setTimeout(() => void this.#goOnAfterLogin(), RETRY_MS);
      return;
    }
    this.#isWaitingForLogin = false;
    if (standing === "denied" || String(standing.author) !== this.#value("author")) {
      this.#isBlocked = true;
      this.#view.problem(SOMEBODY_ELSE);
      return;
    }
    renewToken(standing.csrf);
    this.schedule(0);
  }

  /** How the draft stands for who is logged in now. */
  async #standing(): Promise<Standing | "nobody" | "denied"> {
    try {
      const response = await fetch(this.#url, { headers: { Accept: "application/json" }, redirect: "manual" });
      if (response.status === 403 || response.status === 404) return "denied";
      return response.ok ? ((await response.json()) as Standing) : "nobody";
    } catch {
      return "nobody";
    }
  }

  get #url(): string {
    return this.form.dataset["draftUrl"] ?? "";
  }

  #value(name: string): string {
    return this.form.querySelector<HTMLInputElement>(`input[name="${name}"]`)?.value ?? "";
  }

  #request(texts: Texts, options: RequestInit = {}): RequestInit {
    const body = new FormData();
    for (const name of ["csrfmiddlewaretoken", "author", "kind", "basis", "draft_version"]) {
      body.set(name, this.#value(name));
    }
    for (const [name, text] of Object.entries(texts)) body.set(name, text);
    return { method: "POST", body, headers: { Accept: "application/json" }, redirect: "manual", ...options };
  }
}

export const CHOICES = ["label", "confidence", "reason"];

type Choice = HTMLInputElement | HTMLSelectElement;

let lastChooser: HTMLFormElement | null = null;

export function isChosenIn(form: HTMLFormElement): void {
  lastChooser = form;
}

export function isChoice(element: EventTarget | null): element is Choice {
  if (element instanceof HTMLInputElement && element.type !== "radio") return false;
  return (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) && CHOICES.includes(element.name);
}

function choicesOf(form: HTMLFormElement): Choice[] {
  return [...form.elements].filter(isChoice);
}

/** What is chosen, by name; of two forms that offer a label the first that has one counts. What no form offers is left out. */
function chosenIn(forms: HTMLFormElement[], valueOf = valueChosen): Texts {
  const chosen: Texts = {};
  for (const choice of forms.flatMap(choicesOf)) chosen[choice.name] = chosen[choice.name] || valueOf(choice);
  return chosen;
}

function valueChosen(choice: Choice): string {
  return choice instanceof HTMLSelectElement || choice.checked ? choice.value : "";
}

function valueWritten(choice: Choice): string {
  if (choice instanceof HTMLInputElement) return choice.defaultChecked ? choice.value : "";
  return [...choice.options].find((option) => option.defaultSelected)?.value ?? choice.options[0]?.value ?? "";
}

/** The note that is being written: of the forms that sign, one alone is used. */
export function currentNote(): HTMLTextAreaElement | null {
  const notes = [...document.querySelectorAll<HTMLTextAreaElement>(`${DECISION} textarea[name="note"]`)];
  return notes.find((note) => note === lastNote) ?? notes.find((note) => note.value) ?? notes[0] ?? null;
}

let lastNote: HTMLTextAreaElement | null = null;

export function noteIsWritten(note: HTMLTextAreaElement): void {
  lastNote = note;
}

/** Two forms of one page write the same draft. */
function setVersion(url: string, version: number): void {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-report-editor]")) {
    const field = form.querySelector<HTMLInputElement>("[data-draft-version]");
    if (form.dataset["draftUrl"] === url && field) field.value = String(version);
  }
}

async function toldBy(response: Response): Promise<Told | null> {
  if (!response.headers.get("Content-Type")?.startsWith("application/json")) return null;
  return (await response.json()) as Told;
}

/** After a new login every form of the page would be refused with the old token. */
function renewToken(token: string): void {
  for (const field of document.querySelectorAll<HTMLInputElement>('input[name="csrfmiddlewaretoken"]')) field.value = token;
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
}
