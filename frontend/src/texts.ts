/**
 * What the scripts say, in the language of the page: English, or what the page brings along (`{% script_texts %}`).
 *
 * The texts stand in the source in English, as Django's own are, and `make messages` collects them into djangojs.po.
 */

type Catalogue = Record<string, string | string[]>;

// A worker has no page and says nothing, but shares modules that do.
const element = globalThis.document?.getElementById("script-texts");
const catalogue: Catalogue = element ? JSON.parse(element.textContent!) : {};

type Values = Record<string, string | number>;

/** `text` with its %(name)s replaced by `values`. */
export function gettext(text: string, values: Values = {}): string {
  const said = catalogue[text];
  return fill(typeof said === "string" ? said : text, values);
}

/** `one` of it or `many`: `number`, which stands for %(number)s. Of a language with more forms, scripts use the first and the last. */
export function ngettext(one: string, many: string, number: number, values: Values = {}): string {
  const said = catalogue[one];
  const form = number === 1 ? 0 : Array.isArray(said) ? said.length - 1 : 1;
  return fill(Array.isArray(said) ? said[form]! : form ? many : one, { number, ...values });
}

function fill(text: string, values: Values): string {
  return text.replace(/%\((\w+)\)s/g, (whole, name: string) => String(values[name] ?? whole));
}
