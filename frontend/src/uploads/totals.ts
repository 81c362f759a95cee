/** How far all files together are, for the eyes at once and for screen readers now and then. */

import { ngettext } from "../texts";

/** In the order in which they are told. */
const WORDS: [outcome: string, told: (count: number) => string][] = [
  ["waiting", (count) => ngettext("%(number)s waits for your confirmation", "%(number)s wait for your confirmation", count)],
  ["stored", (count) => ngettext("%(number)s stored", "%(number)s stored", count)],
  ["duplicate", (count) => ngettext("%(number)s duplicate", "%(number)s duplicates", count)],
  ["held", (count) => ngettext("%(number)s held for an administrator", "%(number)s held for an administrator", count)],
  ["refused", (count) => ngettext("%(number)s refused", "%(number)s refused", count)],
  ["failed", (count) => ngettext("%(number)s not sent", "%(number)s not sent", count)],
  ["cancelled", (count) => ngettext("%(number)s cancelled", "%(number)s cancelled", count)],
];

/** Between two announcements: hundreds of files must not talk without end. */
const ANNOUNCE_EVERY_MS = 10_000;

export class Totals {
  private announcedAt = performance.now();

  constructor(
    private readonly text: HTMLElement,
    private readonly bar: HTMLProgressElement,
    private readonly status: HTMLElement,
  ) {}

  /** `done` of `all` files; `counts` by outcome (an archive counts with what is in it). */
  show(done: number, all: number, fraction: number, counts: Map<string, number>): void {
    const parts = WORDS.flatMap(([outcome, told]) => {
      const count = counts.get(outcome) ?? 0;
      return count ? [told(count)] : [];
    });
    const files = ngettext("%(done)s of %(number)s file done", "%(done)s of %(number)s files done", all, { done });
    const sentence = [files, ...parts].join(" · ");
    if (this.text.textContent !== sentence) this.text.textContent = sentence;
    this.bar.value = fraction;
    const now = performance.now();
    if (done === all || now - this.announcedAt > ANNOUNCE_EVERY_MS) {
      this.announcedAt = now;
      const spoken = `${[files, ...parts].join(", ")}.`;
      if (this.status.textContent !== spoken) this.status.textContent = spoken;
    }
  }
}
