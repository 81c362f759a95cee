/** The worklist by keyboard, and its filters. None of the keys acts while somebody types. */

import htmx from "htmx.org";

export function startWorklist(): void {
  document.addEventListener("change", (event) => {
    (event.target as Element).closest<HTMLFormElement>("form[data-submit-on-change]")?.requestSubmit();
  });
  if (!document.querySelector("#worklist")) return;
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
}

/** On a phone the filters are a sheet that comes up from below. */
function onClick(event: Event): void {
  const target = event.target as Element;
  const opener = target.closest<HTMLElement>("[data-sheet-open]");
  const sheet = document.querySelector<HTMLElement>("#narrow-sheet");
  if (opener) return showSheet(sheet!, true);
  if (sheet?.classList.contains("sheet-open") && (!sheet.contains(target) || target.closest("[data-sheet-close]"))) {
    showSheet(sheet, false);
  }
}

function showSheet(sheet: HTMLElement, isOpen: boolean): void {
  sheet.classList.toggle("sheet-open", isOpen);
  const opener = document.querySelector<HTMLElement>(`[data-sheet-open="${sheet.id}"]`)!;
  opener.setAttribute("aria-expanded", String(isOpen));
  (isOpen ? sheet.querySelector<HTMLElement>("select") : opener)?.focus();
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target as Element)) return;
  const sheet = document.querySelector<HTMLElement>(".sheet-open");
  if (event.key === "Escape" && sheet) return showSheet(sheet, false);
  if (act(event.key, currentRow())) event.preventDefault();
}

/** Whether the key means something where it was pressed. */
function isTaken(element: Element): boolean {
  return element.matches("input, select, textarea, [contenteditable]") || document.querySelector("dialog[open]") !== null;
}

function currentRow(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>("[data-row]") ?? null;
}

function act(key: string, row: HTMLElement | null): boolean {
  switch (key) {
    case "j":
      return move(row, 1);
    case "k":
      return move(row, -1);
    // Without a row that has the focus the arrows scroll, as everywhere.
    case "ArrowDown":
      return row !== null && move(row, 1);
    case "ArrowUp":
      return row !== null && move(row, -1);
    case "c":
      return row !== null && claim(row);
    case "m":
      return row !== null && openMenu(row);
    case "n":
      return follow("[data-show-new]");
    case "/":
      return focus("[data-search]");
    case "?":
      document.querySelector<HTMLDialogElement>("[data-keys]")?.showModal();
      return true;
    default:
      return false;
  }
}

function move(row: HTMLElement | null, step: number): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const next = row ? rows[rows.indexOf(row) + step] : rows[0];
  const link = next?.querySelector<HTMLElement>(".row-link");
  link?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return true;
}

function claim(row: HTMLElement): boolean {
  const link = row.querySelector<HTMLAnchorElement>(".row-link")!;
  const values = row.querySelector(".claim-own") ? { act: "release" } : { act: "take", reason: "expired" };
  void htmx.ajax("post", `${link.pathname}claim/`, { source: row, target: row, swap: "none", values });
  return true;
}

function openMenu(row: HTMLElement): boolean {
  const menu = row.querySelector<HTMLDetailsElement>("details[data-menu]")!;
  menu.open = true;
  menu.querySelector<HTMLElement>("summary")!.focus();
  return true;
}

function follow(selector: string): boolean {
  const link = document.querySelector<HTMLElement>(selector);
  link?.click();
  return link !== null;
}

function focus(selector: string): boolean {
  const field = document.querySelector<HTMLInputElement>(selector);
  field?.focus();
  field?.select();
  return field !== null;
}
