/** The hospital's own words: picked from the list, or typed as a full stop and their code. */

export const BLANK = "___";
const SECTIONS = ["comparison", "findings", "impression"];
/** A code that has just been ended by a space or a new line. */
const CODE_ENDED = /(^|[\s(])\.([a-z0-9][a-z0-9-]*)([ \n])$/;
/** A code before the cursor, for the tabulator. */
const CODE = /(^|[\s(])\.([a-z0-9][a-z0-9-]*)$/;

export interface ReadyText {
  block: string;
  sections: Record<string, string>;
}

export function readyText(button: HTMLElement): ReadyText {
  const words = SECTIONS.map((name) => [name, button.dataset[name] ?? ""] as const).filter(([, text]) => text);
  return { block: button.dataset["block"] ?? "", sections: Object.fromEntries(words) };
}

/** The text whose code was typed before the cursor, and where the code begins; `null` for any other word. */
export function typedCode(
  form: HTMLFormElement,
  field: HTMLTextAreaElement,
  isEnded: boolean,
): { ready: ReadyText; start: number } | null {
  const before = field.value.slice(0, field.selectionStart);
  const found = (isEnded ? CODE_ENDED : CODE).exec(before);
  if (!found || field.selectionStart !== field.selectionEnd) return null;
  const button = form.querySelector<HTMLElement>(`[data-ready="${found[2]}"]`);
  return button && { ready: readyText(button), start: found.index + (found[1] ?? "").length };
}

/** Puts the text where it belongs: a block at the cursor of `field`, a template into its sections. */
export function insert(form: HTMLFormElement, field: HTMLTextAreaElement, ready: ReadyText): HTMLTextAreaElement {
  if (ready.block) {
    insertAtCursor(field, ready.block);
    return field;
  }
  const filled = Object.entries(ready.sections).flatMap(([name, text]) => {
    const section = form.querySelector<HTMLTextAreaElement>(`textarea[name="${name}"]`);
    if (!section) return [];
    const written = section.value.trimEnd();
    section.value = written ? `${written}\n${text}` : text;
    return [section];
  });
  const first = filled.find((section) => section.value.includes(BLANK)) ?? filled[0] ?? field;
  first.setSelectionRange(first.value.length, first.value.length);
  return first;
}

function insertAtCursor(field: HTMLTextAreaElement, text: string): void {
  const before = field.value.slice(0, field.selectionStart);
  const gap = before && !/\s$/.test(before) ? " " : "";
  field.setRangeText(gap + text, field.selectionStart, field.selectionEnd, "end");
}

/** Selects the first blank after `from`, or else the first of all; `false` where there is none. */
export function selectBlank(field: HTMLTextAreaElement, from = 0): boolean {
  const place = field.value.indexOf(BLANK, from);
  if (place < 0) return false;
  field.focus();
  field.setSelectionRange(place, place + BLANK.length);
  return true;
}

export function isBlankSelected(field: HTMLTextAreaElement): boolean {
  return field.value.slice(field.selectionStart, field.selectionEnd) === BLANK;
}
