/** The drop zone: each file has its own row and its own request, one after the other. */

import htmx from "htmx.org";
import { sentenceOf } from "./notices";

interface Row {
  element: HTMLElement;
  file: File;
  /** Empty at first; afterwards what the server made of the file, or "failed" when it may be sent again. */
  outcome: string;
}

export function startUploads(): void {
  const zone = document.querySelector<HTMLFormElement>("[data-drop-zone]");
  if (zone) new DropZone(zone);
}

class DropZone {
  private readonly input: HTMLInputElement;
  private readonly list: HTMLElement;
  private readonly template: HTMLTemplateElement;
  private readonly status: HTMLElement;
  private readonly queue: Row[] = [];
  private sending = false;

  constructor(private readonly zone: HTMLFormElement) {
    const section = zone.parentElement!;
    this.input = zone.querySelector("[data-drop-input]")!;
    this.list = section.querySelector("[data-upload-rows]")!;
    this.template = section.querySelector("[data-upload-template]")!;
    this.status = section.querySelector("[data-upload-status]")!;

    this.input.addEventListener("change", () => {
      this.take([...(this.input.files ?? [])]);
      this.input.value = "";
    });
    zone.addEventListener("submit", (event) => event.preventDefault());
    this.listenToDrops();
    window.addEventListener("beforeunload", (event) => {
      if (this.sending || this.queue.length) event.preventDefault();
    });
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
      if (event.dataTransfer) this.takeDropped(event.dataTransfer);
    });
  }

  private takeDropped(dropped: DataTransfer): void {
    const files: File[] = [];
    for (const item of dropped.items) {
      const file = item.kind === "file" ? item.getAsFile() : null;
      if (!file) continue;
      if (item.webkitGetAsEntry()?.isDirectory) {
        this.refuse(this.addRow(file), "This is a folder. Open it and choose the images in it.");
      } else {
        files.push(file);
      }
    }
    this.take(files);
  }

  private take(files: File[]): void {
    for (const file of files) {
      const row = this.addRow(file);
      if (file.size > Number(this.zone.dataset["maxBytes"])) {
        const limit = this.zone.dataset["maxMegabytes"];
        this.refuse(row, `The file is larger than the limit of ${limit} MB. Export the single image again, with compression if need be.`);
      } else {
        this.queue.push(row);
      }
    }
    void this.sendAll();
  }

  private addRow(file: File): Row {
    const fragment = this.template.content.cloneNode(true) as DocumentFragment;
    const element = fragment.firstElementChild as HTMLElement;
    element.querySelector("[data-upload-name]")!.textContent = file.name;
    const row: Row = { element, file, outcome: "" };
    element.querySelector("[data-upload-retry]")!.addEventListener("click", () => {
      this.queue.push(row);
      this.show(row, "Waiting for its turn");
      void this.sendAll();
    });
    this.list.append(element);
    this.list.hidden = false;
    return row;
  }

  private async sendAll(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let row = this.queue.shift(); row; row = this.queue.shift()) await this.send(row);
    } finally {
      this.sending = false;
    }
    this.offerConfirmation();
  }

  /** Resolves when the row shows what became of the file; it never fails. */
  private send(row: Row): Promise<void> {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const data = new FormData(this.zone);
      data.delete("files");
      data.append("files", row.file);
      request.open("POST", this.zone.action);
      // Asks for the row alone; the server then answers 401 in place of a login page.
      request.setRequestHeader("HX-Request", "true");
      this.show(row, "Sending", 0);
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) this.show(row, "Sending", (100 * event.loaded) / event.total);
      });
      request.upload.addEventListener("load", () => this.show(row, "Being examined", 100));
      request.addEventListener("load", () => {
        this.finish(row, request);
        resolve();
      });
      request.addEventListener("error", () => {
        this.fail(row, "The portal does not answer. Check the network, then try again.");
        resolve();
      });
      request.send(data);
    });
  }

  private finish(row: Row, request: XMLHttpRequest): void {
    const outcome = request.getResponseHeader("X-Outcome");
    if (outcome) {
      row.outcome = outcome;
      row.element.innerHTML = request.responseText;
      row.element.dataset["outcome"] = outcome;
      this.announce(row);
      if (outcome === "waiting") htmx.trigger(document.body, "uploads-changed", {});
    } else if (request.status === 401) {
      this.refuse(row, "Your session has ended. Load this page again, log in and choose the file once more.", "Not sent");
    } else if (request.status === 413) {
      this.refuse(row, "The file is larger than the limit. Export the single image again, with compression if need be.");
    } else {
      this.fail(row, sentenceOf(request.responseText) || "The file could not be stored for a technical reason. Try again.");
    }
  }

  private show(row: Row, text: string, percent?: number): void {
    row.element.classList.remove("upload-row-failed");
    row.element.querySelector("[data-upload-text]")!.textContent = text;
    row.element.querySelector<HTMLElement>("[data-upload-retry]")!.hidden = true;
    if (percent !== undefined) row.element.querySelector<HTMLProgressElement>("[data-upload-progress]")!.value = percent;
  }

  /** Something between here and the server went wrong: the file may be sent again. */
  private fail(row: Row, reason: string): void {
    this.show(row, `Not sent. ${reason}`, 0);
    row.outcome = "failed";
    row.element.classList.add("upload-row-failed");
    row.element.querySelector<HTMLElement>("[data-upload-retry]")!.hidden = false;
    this.announce(row);
  }

  /** The file itself cannot be taken: sending it again would change nothing. */
  private refuse(row: Row, reason: string, outcome = "Refused"): void {
    this.show(row, `${outcome}. ${reason}`);
    row.outcome = "refused";
    row.element.classList.add("upload-row-failed");
    row.element.querySelector("[data-upload-progress]")!.remove();
    this.announce(row);
  }

  private announce(row: Row): void {
    this.status.textContent = (row.element.textContent ?? "").replace(/\s+/g, " ").trim();
  }

  private offerConfirmation(): void {
    if (document.activeElement !== document.body && document.activeElement !== this.input) return;
    const link = () => document.querySelector<HTMLElement>("[data-confirm-link]")?.focus();
    document.body.addEventListener("htmx:afterSettle", link, { once: true });
  }
}
