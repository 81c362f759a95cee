/** One file of the list: its name, its state, its progress, and what can be done with it. */

import type { Failure, Result } from "./sending";
import { gettext } from "../texts";

export type State = "queued" | "active" | "settled" | "failed";

export class Row {
  state: State = "queued";
  /** How many files had which outcome, once it is settled or has failed. */
  counts: Record<string, number> = {};
  /** Of the file's bytes. */
  fraction = 0;
  failure: Failure | null = null;
  /** Stops it while it is on its way. */
  stop: (() => Promise<void>) | null = null;
  uploadUrl: string | null = null;
  /** What the portal's answer replaces, for another try. */
  private readonly blank: Node;

  constructor(
    readonly element: HTMLElement,
    readonly file: File | null,
    private readonly name: string,
    private readonly changed: () => void,
  ) {
    this.part("name").textContent = name;
    this.blank = this.part("content").cloneNode(true);
    for (const button of [this.button("retry"), this.button("cancel")]) {
      button.setAttribute("aria-label", `${button.textContent?.trim() ?? ""}: ${name}`);
    }
  }

  button(name: "retry" | "cancel"): HTMLButtonElement {
    return this.part(name) as HTMLButtonElement;
  }

  get isDone(): boolean {
    return this.state === "settled" || this.state === "failed";
  }

  get size(): number {
    return this.file?.size ?? 0;
  }

  queue(): void {
    this.state = "queued";
    this.counts = {};
    this.failure = null;
    this.fraction = 0;
    this.part("content").replaceWith(this.blank.cloneNode(true));
    this.bar.value = 0;
    this.say(gettext("Waiting for its turn"), "queued");
    this.offer("cancel");
  }

  begin(): void {
    this.state = "active";
    this.say(gettext("Being read"), "active");
    this.offer("cancel");
  }

  progress(fraction: number): void {
    this.fraction = fraction;
    this.bar.value = 100 * fraction;
    this.say(fraction < 1 ? gettext("Sending, %(percent)s %", { percent: Math.floor(100 * fraction) }) : gettext("Being examined"), "active");
  }

  examining(text: string): void {
    this.state = "active";
    this.fraction = 1;
    this.bar.value = 100;
    this.say(text, "active");
    this.offer(null);
  }

  settle(result: Result): void {
    const content = this.part("content");
    content.innerHTML = result.html;
    // The portal knows the name alone, and not the folder that tells two of them apart.
    content.querySelector(".upload-name bdi")!.textContent = this.name;
    this.bar.hidden = true;
    this.fraction = 1;
    this.stop = null;
    if (result.again) {
      this.end("failed", { failed: 1 }, "failed");
      this.offer("retry");
    } else {
      this.end("settled", result.counts, result.outcome);
      this.offer(null);
    }
  }

  fail(failure: Failure): void {
    this.failure = failure;
    this.stop = null;
    this.sayWithReason(gettext("Not sent"), failure.reason);
    this.end("failed", { failed: 1 }, "failed");
    this.offer("retry");
  }

  /** The file itself cannot be taken: sending it again would change nothing. */
  refuse(reason: string): void {
    this.sayWithReason(gettext("Refused"), reason);
    this.end("settled", { refused: 1 }, "refused");
    this.offer(null);
  }

  cancel(): void {
    const stop = this.stop;
    this.stop = null;
    // What has arrived is thrown away; where that fails it expires by itself.
    stop?.().catch(() => undefined);
    this.sayWithReason(gettext("Cancelled"), "");
    this.end("settled", { cancelled: 1 }, "cancelled");
    this.offer(null);
  }

  private end(state: State, counts: Record<string, number>, outcome: string): void {
    this.state = state;
    this.counts = counts;
    this.fraction = 1;
    this.element.dataset["outcome"] = outcome;
    this.changed();
  }

  private say(text: string, outcome: string): void {
    this.element.dataset["outcome"] = outcome;
    this.bar.hidden = false;
    this.reason.hidden = true;
    this.part("text").textContent = text;
    this.changed();
  }

  private sayWithReason(text: string, reason: string): void {
    this.bar.hidden = true;
    this.part("text").textContent = text;
    this.reason.textContent = reason;
    this.reason.hidden = !reason;
  }

  private offer(what: "retry" | "cancel" | null): void {
    const buttons = { retry: this.button("retry"), cancel: this.button("cancel") };
    const hadFocus = Object.values(buttons).includes(document.activeElement as HTMLButtonElement);
    for (const [name, button] of Object.entries(buttons)) button.hidden = name !== what;
    // Somebody who works with the keyboard stays at this file.
    if (hadFocus) (what ? buttons[what] : this.element).focus();
  }

  private get bar(): HTMLProgressElement {
    return this.part("progress") as HTMLProgressElement;
  }

  private get reason(): HTMLElement {
    return this.part("reason");
  }

  private part(name: string): HTMLElement {
    return this.element.querySelector<HTMLElement>(`[data-upload-${name}]`)!;
  }
}
