/** The drop zone: hundreds of files, three at a time, each with its row; what breaks off goes on. */

import htmx from "htmx.org";
import { type Chosen, droppedFiles, withoutSystemFiles } from "./uploads/dropped";
import { fingerprint } from "./uploads/fingerprint";
import { Row } from "./uploads/row";
import { askForResult, type Listener, type Portal, send } from "./uploads/sending";
import { Totals } from "./uploads/totals";
import { gettext, ngettext } from "./texts";

/** More would not be faster, and would take the line from everybody else in the ward. */
const AT_ONCE = 3;
const REFRESH_EVERY_MS = 2000;
const SHOW_EVERY_MS = 200;

const UNREADABLE = gettext("The file cannot be read any more: it was moved, changed or unplugged. Choose it again.");

export function startUploads(): void {
  const zone = document.querySelector<HTMLFormElement>("[data-drop-zone]");
  if (zone) new DropZone(zone);
}

class DropZone {
  private readonly section: HTMLElement;
  private readonly rows: Row[] = [];
  /** The listed uploads that can go on, by the fingerprint of their content. */
  private readonly unfinished = new Map<string, HTMLElement>();
  private readonly totals: Totals;
  private active = 0;
  private leftOut = 0;
  private showing = 0;
  private refreshing = 0;

  constructor(private readonly zone: HTMLFormElement) {
    this.section = zone.parentElement!;
    this.totals = new Totals(this.part("totals"), this.part("overall") as HTMLProgressElement, this.part("status"));
    this.listenToChoices();
    this.listenToDrops();
    this.listenToButtons();
    this.takeUpUnfinished();
    zone.addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("beforeunload", (event) => {
      if (this.isSending) event.preventDefault();
    });
    // Whoever walked out of the network and back need not press anything.
    window.addEventListener("online", () => this.again((row) => row.failure?.offline === true));
  }

  private get isSending(): boolean {
    return this.rows.some((row) => !row.isDone);
  }

  private listenToChoices(): void {
    const files = this.part("input") as HTMLInputElement;
    const folder = this.part("folder-input") as HTMLInputElement;
    // Phones have no folders to choose from.
    const isPhone = matchMedia("(hover: none) and (pointer: coarse)").matches;
    if ("webkitdirectory" in folder && !isPhone) this.part("folder").hidden = false;
    for (const input of [files, folder]) {
      input.addEventListener("change", () => {
        const chosen = [...(input.files ?? [])];
        this.take(input === folder ? withoutSystemFiles(chosen) : { files: chosen, leftOut: 0 });
        // The same files may be chosen once more.
        input.value = "";
      });
    }
  }

  private listenToDrops(): void {
    // A file that misses the zone must not replace the page.
    for (const name of ["dragover", "drop"]) {
      document.addEventListener(name, (event) => event.preventDefault());
    }
    document.addEventListener("dragenter", () => this.zone.classList.add("drop-near"));
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.zone.classList.remove("drop-near", "drop-over");
    });
    document.addEventListener("drop", () => this.zone.classList.remove("drop-near", "drop-over"));
    this.zone.addEventListener("dragover", () => this.zone.classList.add("drop-over"));
    this.zone.addEventListener("dragleave", () => this.zone.classList.remove("drop-over"));
    this.zone.addEventListener("drop", (event) => {
      if (event.dataTransfer) void this.takeDropped(event.dataTransfer);
    });
  }

  private async takeDropped(dropped: DataTransfer): Promise<void> {
    try {
      this.take(withoutSystemFiles(await droppedFiles(dropped)));
    } catch {
      this.part("left-out").textContent =
        gettext("A folder could not be read, so nothing of what you dropped was taken. Drop it again, or choose its files.");
      this.part("summary").hidden = false;
    }
  }

  private listenToButtons(): void {
    this.part("retry-all").addEventListener("click", () => this.again(() => true));
    this.part("cancel-all").addEventListener("click", () => {
      for (const row of this.rows) if (!row.isDone && row.file) this.cancel(row);
    });
    const problems = this.part("only-problems");
    problems.addEventListener("click", () => {
      const only = problems.getAttribute("aria-pressed") !== "true";
      problems.setAttribute("aria-pressed", String(only));
      this.part("rows").classList.toggle("only-problems", only);
    });
  }

  /** What an earlier visit left: files to go on with, and results that nobody has seen. */
  private takeUpUnfinished(): void {
    for (const item of this.section.querySelectorAll<HTMLElement>("[data-unfinished]")) {
      const url = item.dataset["unfinished"]!;
      if (item.dataset["state"] !== "receiving") {
        const row = this.addRow(null, item.dataset["name"]!);
        row.uploadUrl = url;
        item.remove();
        this.askFor(row);
        continue;
      }
      if (item.dataset["fingerprint"]) this.unfinished.set(item.dataset["fingerprint"], item);
      item.querySelector("[data-unfinished-discard]")?.addEventListener("click", () => void this.discard(item));
    }
    this.hideUnfinishedIfNone();
  }

  private async discard(item: HTMLElement): Promise<void> {
    const button = item.querySelector<HTMLButtonElement>("[data-unfinished-discard]")!;
    button.disabled = true;
    try {
      const response = await fetch(item.dataset["unfinished"]!, {
        method: "DELETE",
        headers: { "X-CSRFToken": this.portal.csrfToken, "Tus-Resumable": "1.0.0" },
      });
      if (response.ok || response.status === 404) return this.dropUnfinished(item);
    } catch {
      // Told below: the button can be pressed again.
    }
    button.disabled = false;
    this.part("status").textContent = gettext("It could not be thrown away now. Try again; what has arrived expires by itself.");
  }

  private dropUnfinished(item: HTMLElement): void {
    const next = item.nextElementSibling ?? item.previousElementSibling;
    const hadFocus = item.contains(document.activeElement);
    this.unfinished.delete(item.dataset["fingerprint"] ?? "");
    item.remove();
    if (hadFocus) (next?.querySelector<HTMLElement>("button") ?? (this.part("input") as HTMLElement)).focus();
    this.hideUnfinishedIfNone();
  }

  private hideUnfinishedIfNone(): void {
    const list = this.section.querySelector<HTMLElement>("[data-unfinished-list]");
    if (list && !list.querySelector("[data-unfinished]")) list.hidden = true;
  }

  private get portal(): Portal {
    const data = new FormData(this.zone);
    const endpoint = new URL(this.zone.dataset["parts"]!, location.href);
    endpoint.searchParams.set("site", String(data.get("site")));
    return {
      endpoint: endpoint.href,
      csrfToken: String(data.get("csrfmiddlewaretoken")),
    };
  }

  private take(chosen: Chosen): void {
    this.leftOut += chosen.leftOut;
    for (const file of chosen.files) {
      const row = this.addRow(file, file.webkitRelativePath || file.name);
      const reason = this.tooLarge(file);
      if (reason) row.refuse(reason);
      else row.queue();
    }
    this.fill();
    this.showSoon();
  }

  private tooLarge(file: File): string {
    const data = this.zone.dataset;
    const isArchive = file.name.toLowerCase().endsWith(".zip");
    if (file.size <= Number(isArchive ? data["maxArchiveBytes"] : data["maxBytes"])) return "";
    return isArchive
      ? gettext("The archive is larger than the limit of %(megabytes)s MB. Send it in several smaller ones.", { megabytes: data["maxArchiveMegabytes"]! })
      : gettext("The file is larger than the limit of %(megabytes)s MB. Export the single image again, with compression if need be.", { megabytes: data["maxMegabytes"]! });
  }

  private addRow(file: File | null, name: string): Row {
    const fragment = (this.part("template") as HTMLTemplateElement).content.cloneNode(true) as DocumentFragment;
    const row = new Row(fragment.firstElementChild as HTMLElement, file, name, () => this.showSoon());
    row.button("retry").addEventListener("click", () => this.again((other) => other === row));
    row.button("cancel").addEventListener("click", () => this.cancel(row));
    this.rows.push(row);
    this.part("rows").append(row.element);
    this.part("summary").hidden = false;
    return row;
  }

  private again(isMeant: (row: Row) => boolean): void {
    for (const row of this.rows) {
      if (row.state !== "failed" || !isMeant(row)) continue;
      if (row.file) row.queue();
      else this.askFor(row);
    }
    this.fill();
  }

  private cancel(row: Row): void {
    const wasActive = row.state === "active";
    row.cancel();
    if (wasActive) this.leave();
  }

  /** Let the next files begin, as far as there is room. */
  private fill(): void {
    for (const row of this.rows) {
      if (this.active >= AT_ONCE) return;
      if (row.state === "queued") void this.begin(row);
    }
  }

  private leave(): void {
    this.active -= 1;
    this.fill();
    if (!this.isSending) this.offerConfirmation();
  }

  private async begin(row: Row): Promise<void> {
    const file = row.file!;
    this.active += 1;
    row.begin();
    let content: string;
    try {
      content = await fingerprint(file);
    } catch {
      row.fail({ reason: UNREADABLE, offline: false, ended: false });
      return this.leave();
    }
    if (row.isDone) return; // Cancelled meanwhile.
    const known = this.unfinished.get(content);
    if (known) {
      row.uploadUrl = known.dataset["unfinished"]!;
      this.dropUnfinished(known);
    }
    row.stop = send(this.portal, file, content, row.uploadUrl, {
      ...this.listener(row),
      began: (url) => (row.uploadUrl = url),
    });
  }

  /** A file that has arrived, and whose result is still to come. */
  private askFor(row: Row): void {
    this.active += 1;
    row.examining(gettext("Being examined"));
    void askForResult(this.portal, row.uploadUrl!, this.listener(row));
  }

  private listener(row: Row): Listener {
    // What comes after a cancellation concerns nobody.
    const ifWanted = (act: () => void): void => {
      if (!row.isDone) act();
    };
    return {
      began: () => undefined,
      progress: (fraction) => ifWanted(() => row.progress(fraction)),
      examining: (text) => ifWanted(() => row.examining(text)),
      done: (result) =>
        ifWanted(() => {
          row.settle(result);
          if (result.again) row.uploadUrl = null;
          if (result.counts["waiting"]) this.refreshSoon();
          this.leave();
        }),
      failed: (failure) =>
        ifWanted(() => {
          row.fail(failure);
          if (failure.ended) this.stopAll((other) => other.fail(failure));
          this.leave();
        }),
    };
  }

  private stopAll(end: (row: Row) => void): void {
    for (const row of this.rows) if (row.state === "queued") end(row);
  }

  /** The images that wait are shown below; asking for them after each of hundreds of files would be a flood. */
  private refreshSoon(): void {
    this.refreshing ||= window.setTimeout(() => {
      this.refreshing = 0;
      htmx.trigger(document.body, "uploads-changed", {});
    }, REFRESH_EVERY_MS);
  }

  private showSoon(): void {
    this.showing ||= window.setTimeout(() => {
      this.showing = 0;
      this.show();
    }, SHOW_EVERY_MS);
  }

  private show(): void {
    const counts = new Map<string, number>();
    for (const row of this.rows) {
      for (const [outcome, count] of Object.entries(row.counts)) counts.set(outcome, (counts.get(outcome) ?? 0) + count);
    }
    const bytes = this.rows.reduce((sum, row) => sum + row.size, 0);
    const sent = this.rows.reduce((sum, row) => sum + row.size * row.fraction, 0);
    const done = this.rows.filter((row) => row.isDone).length;
    this.totals.show(done, this.rows.length, bytes ? sent / bytes : 1, counts);
    const failed = this.rows.filter((row) => row.state === "failed").length;
    const retry = this.part("retry-all");
    retry.hidden = !failed;
    this.part("retry-count").textContent = String(failed);
    this.part("cancel-all").hidden = !this.rows.some((row) => !row.isDone && row.file);
    this.part("only-problems").hidden = this.rows.length < 10;
    if (this.leftOut) {
      this.part("left-out").textContent =
        ngettext("%(number)s file of the operating system (such as .DS_Store) left out.", "%(number)s files of the operating system (such as .DS_Store) left out.", this.leftOut);
    }
  }

  private offerConfirmation(): void {
    const isElsewhere = ![document.body, this.part("input"), this.part("folder-input")].includes(
      document.activeElement as HTMLElement,
    );
    if (isElsewhere) return;
    const link = () => document.querySelector<HTMLElement>("[data-confirm-link]")?.focus();
    document.body.addEventListener("htmx:afterSettle", link, { once: true });
  }

  private part(name: string): HTMLElement {
    return this.section.querySelector<HTMLElement>(`[data-upload-${name}], [data-drop-${name}]`)!;
  }
}
