/** The htmx swap "morph": changes what differs and leaves the rest alone, above all what a person is doing. */

import htmx from "htmx.org";
import { Idiomorph } from "idiomorph";

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

function isControl(node: Node): node is Control {
  return node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement || node instanceof HTMLSelectElement;
}

/** Whether a person changed the control since the server wrote it. */
function isTyped(control: Control): boolean {
  if (control instanceof HTMLSelectElement) {
    const chosenByServer = [...control.options].findIndex((option) => option.defaultSelected);
    return control.selectedIndex !== Math.max(chosenByServer, 0);
  }
  if (control instanceof HTMLInputElement && (control.type === "checkbox" || control.type === "radio")) {
    return control.checked !== control.defaultChecked;
  }
  return control.value !== control.defaultValue;
}

function holdsTypedText(element: Element): boolean {
  const forms = [...element.querySelectorAll<HTMLFormElement>("form[data-keep-typed]")];
  if (element instanceof HTMLFormElement && element.matches("[data-keep-typed]")) forms.push(element);
  return forms.some((form) => [...form.elements].some((control) => isControl(control) && isTyped(control)));
}

/** A part that somebody works in says what it is for: as long as that is the same, it is left to them. */
function isHeld(node: Node, fresh: Node): boolean {
  if (!(node instanceof HTMLElement) || !(fresh instanceof HTMLElement)) return false;
  return node.dataset["hold"] !== undefined && node.dataset["hold"] === fresh.dataset["hold"];
}

const callbacks = {
  beforeNodeMorphed: (node: Node, fresh: Node): boolean => !(isControl(node) && isTyped(node)) && !isHeld(node, fresh),
  // A read that somebody else signed meanwhile must not take away what is being written.
  beforeNodeRemoved: (node: Node): boolean =>
    !(node instanceof Element && (node.matches("[data-keep], :has([data-keep])") || holdsTypedText(node))),
  // What a person has opened stays open.
  beforeAttributeUpdated: (name: string, element: Element): boolean =>
    !(name === "open" && element instanceof HTMLDetailsElement),
};

export function defineMorph(): void {
  htmx.defineExtension("morph", {
    isInlineSwap: (style: string) => style === "morph",
    handleSwap: (style: string, target: Node, fragment: Node) => {
      if (style !== "morph") return false;
      const content = (fragment as DocumentFragment).children;
      return Idiomorph.morph(target, content, { morphStyle: "outerHTML", callbacks }) as Node[];
    },
  } as Parameters<typeof htmx.defineExtension>[1]);
}
