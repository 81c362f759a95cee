/** How far all files together are, for the eyes at once and for screen readers now and then. */

/** In the order in which they are told; each as it reads after a number. */
const WORDS: [outcome: string, one: string, many: string][] = [
  ["waiting", "waits for your confirmation", "wait for your confirmation"],
  ["stored", "stored", "stored"],
  ["duplicate", "duplicate", "duplicates"],
  ["held", "held for an administrator", "held for an administrator"],
  ["refused", "refused", "refused"],
  ["failed", "not sent", "not sent"],
  ["cancelled", "cancelled", "cancelled"],
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
    const parts = WORDS.flatMap(([outcome, one, many]) => {
      const count = counts.get(outcome) ?? 0;
      return count ? [`${count} ${count === 1 ? one : many}`] : [];
    });
    const files = `${done} of ${all} file${all === 1 ? "" : "s"} done`;
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
