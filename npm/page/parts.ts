// Elements of the page: how they are found, and how they are made.

/** The part of this name: the element with the attribute `data-NAME`. */
export function part<T extends HTMLElement = HTMLElement>(root: ParentNode, name: string): T {
  const found = root.querySelector<T>(`[data-${name}]`);
  if (!found) throw new Error(`the page has no part ${name}`);
  return found;
}

/** A field of a form. */
export function field<T extends HTMLElement = HTMLInputElement>(form: HTMLFormElement, name: string): T {
  const found = form.elements.namedItem(name);
  if (!(found instanceof HTMLElement)) throw new Error(`the form has no field ${name}`);
  return found as T;
}

/** An element with this in it. Text stays text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  content: (Node | string)[] = [],
  data: Record<string, string> = {},
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  element.append(...content);
  Object.assign(element.dataset, data);
  return element;
}
