/** Sentences on top of the page about what did not work. */

const shown = new Map<string, HTMLElement>();

export function notice(text: string): void {
  const place = document.querySelector("[data-notices]");
  const template = document.querySelector<HTMLTemplateElement>("template[data-notice-template]");
  if (!place || !template || shown.has(text)) return;
  const element = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
  element.querySelector("[data-notice-text]")!.textContent = text;
  element.querySelector("[data-notice-close]")!.addEventListener("click", () => withdraw(text));
  shown.set(text, element);
  place.append(element);
}

export function withdraw(text: string): void {
  shown.get(text)?.remove();
  shown.delete(text);
}

/** The sentence of one of the portal's error pages; "" for any other text. */
export function sentenceOf(html: string): string {
  const page = new DOMParser().parseFromString(html, "text/html");
  return page.querySelector("[data-error-text]")?.textContent?.trim() ?? "";
}
