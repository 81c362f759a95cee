/** Keys of the viewer, as the field has them. They do nothing while somebody types, and can be switched off. */

export interface Key {
  /** What `KeyboardEvent.key` says, in lower case. */
  keys: string[];
  shown: string;
  does: string;
  act: () => void;
  /** While it is held, where it matters when it is let go. */
  release?: () => void;
}

const STORED = "viewer-keys";
const TYPED_INTO = "input, textarea, select, [contenteditable]:not([contenteditable=false])";
/** What the space bar and Enter press. */
const PRESSED = "button, a, summary, [role=button], label";

export function keysAreOn(): boolean {
  return localStorage.getItem(STORED) !== "off";
}

export function switchKeys(on: boolean): void {
  if (on) localStorage.removeItem(STORED);
  else localStorage.setItem(STORED, "off");
}

export function startKeys(keys: Key[]): void {
  let held: Key | undefined;
  const release = (): void => {
    held?.release?.();
    held = undefined;
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target as Element;
    if (target.closest(TYPED_INTO) || document.querySelector("dialog[open]")) return;
    if ((event.key === " " || event.key === "Enter") && target.closest(PRESSED)) return;
    // Shift and an arrow is another key than the arrow; of signs such as + the shift is a part.
    const name = event.shiftKey && event.key.startsWith("Arrow") ? `shift+${event.key}` : event.key;
    const key = keys.find((known) => known.keys.includes(name.toLowerCase()));
    if (!key || !keysAreOn()) return;
    event.preventDefault();
    if (key.release) {
      if (held) return;
      held = key;
    }
    key.act();
  });
  document.addEventListener("keyup", (event) => {
    if (held?.keys.includes(event.key.toLowerCase())) release();
  });
  window.addEventListener("blur", release);
}

/** The list of keys, written from the same table that the keys follow. */
export function fillSheet(sheet: HTMLElement, keys: Key[]): void {
  const list = sheet.querySelector("[data-key-list]")!;
  list.replaceChildren(
    ...keys.flatMap((key) => {
      const term = document.createElement("dt");
      for (const part of key.shown.split(" ")) {
        const cap = document.createElement("kbd");
        cap.textContent = part;
        term.append(cap, " ");
      }
      const meaning = document.createElement("dd");
      meaning.textContent = key.does;
      return [term, meaning];
    }),
  );
}
