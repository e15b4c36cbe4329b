// What comes, taken apart: features, and what programs hand to a connection as if it had come.

import { Builder, STANZAS } from './builder.js';
import { forEachChild, getNamespace } from './xml.js';

/** An element, or what has one for its response, as a `Strophe.Request` does. */
export type Received = Element | Builder | { getResponse(): Element | null };

/** Whether an element is a message, a presence or an iq. */
export function isStanza(element: Element): boolean {
  return STANZAS.includes(element.tagName);
}

/**
 * The element that was handed over, and what counts in it: itself if it is a stanza, else what it
 * wraps.
 *
 * @throws {TypeError} if there is none.
 */
export function stanzasIn(data: Received): { root: Element; elements: Element[] } {
  const root = data instanceof Builder ? data.tree() : 'getResponse' in data ? data.getResponse() : data;
  if (!root) throw new TypeError('the response has no element');
  if (isStanza(root)) return { root, elements: [root] };
  const elements: Element[] = [];
  forEachChild(root, null, (child) => elements.push(child));
  return { root, elements };
}

/** Whether features name one of a namespace. */
export function offers(features: Element | null, namespace: string): boolean {
  let found = false;
  forEachChild(features, null, (feature) => {
    found ||= getNamespace(feature) === namespace;
  });
  return found;
}
