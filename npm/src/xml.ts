// Elements of the DOM: reading, making, writing.

import { ElementType } from './constants.js';
import { parse, xmlGenerator } from './platform.js';

type Attributes = Record<string, unknown> | [string, unknown][];

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
};
const UNESCAPES = Object.fromEntries(Object.entries(ESCAPES).map(([raw, text]) => [text, raw]));

/** Text as it may stand in XML, in attributes too. */
export function xmlescape(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => ESCAPES[character] ?? character);
}

/** The reverse of {@link xmlescape}; each entity is read once. */
export function xmlunescape(text: string): string {
  return text.replace(/&(?:amp|lt|gt|apos|quot);/g, (entity) => UNESCAPES[entity] ?? entity);
}

/** A node with this text. */
export function xmlTextNode(text: string): Text {
  return xmlGenerator().createTextNode(text);
}

/** An element, or null without a name. Attributes that are null or undefined are left out. */
export function xmlElement(
  name: string,
  attributes?: Attributes | string | number | null,
  text?: string | number,
): Element | null {
  if (!name) return null;
  const element = xmlGenerator().createElement(name);
  if (typeof attributes === 'string' || typeof attributes === 'number') {
    element.appendChild(xmlTextNode(String(attributes)));
  } else if (attributes) {
    const pairs = Array.isArray(attributes) ? attributes : Object.entries(attributes);
    for (const [key, value] of pairs) {
      if (value !== null && value !== undefined) element.setAttribute(key, String(value));
    }
  }
  if (text !== undefined) element.appendChild(xmlTextNode(String(text)));
  return element;
}

/** What a parser says is wrong with a document, or null. */
export function getParserError(document: Document): string | null {
  const error = document.getElementsByTagName('parsererror')[0];
  return error ? (error.textContent ?? 'not well-formed') : null;
}

/**
 * The element that a text is. White space between elements is taken away, but not in `body`.
 *
 * @throws {Error} if it is not well-formed.
 */
export function toElement(text: string): Element {
  return stripWhitespace(read(text));
}

/** The element that a text is, as it stands. */
export function read(text: string): Element {
  const document = parse(text);
  const wrong = getParserError(document);
  const element = document.documentElement as Element | null;
  if (wrong !== null || !element) throw new Error(`the XML cannot be read: ${wrong ?? 'empty'}`);
  return element;
}

/** Takes text that is white space alone away from elements that have child elements. */
export function stripWhitespace(element: Element): Element {
  const nodes = Array.from(element.childNodes);
  const hasElements = nodes.some((node) => node.nodeType === ElementType.NORMAL);
  for (const node of nodes) {
    if (node.nodeType === ElementType.NORMAL) {
      if (node.nodeName.toLowerCase() !== 'body') stripWhitespace(node as Element);
    } else if (hasElements && node.nodeType === ElementType.TEXT && !/\S/.test(node.nodeValue ?? '')) {
      element.removeChild(node);
    }
  }
  return element;
}

/** The first child that is an element. */
export function getFirstElementChild(element: Element): Element | null {
  return childElements(element)[0] ?? null;
}

/** Calls a function for each child element of this name, or for all of them. */
export function forEachChild(
  element: Element | null,
  name: string | null,
  callback: (child: Element) => void,
): void {
  if (!element) return;
  for (const child of childElements(element)) {
    if (!name || isTagEqual(child, name)) callback(child);
  }
}

/** Whether an element has this name, prefix and case included. */
export function isTagEqual(element: Element, name: string): boolean {
  return element.tagName === name;
}

/** The namespace that an element has: what its `xmlns` says, or what it inherits. */
export function getNamespace(element: Element): string | null {
  return element.getAttribute('xmlns') || element.namespaceURI || null;
}

/** The text of an element without that of its children, escaped as it stands in XML. */
export function getText(element: Element | null): string | null {
  if (!element) return null;
  if (element.childNodes.length === 0 && element.nodeType === ElementType.TEXT) {
    return xmlescape(element.nodeValue ?? '');
  }
  const texts = Array.from(element.childNodes).filter((node) => node.nodeType === ElementType.TEXT);
  return xmlescape(texts.map((node) => node.nodeValue ?? '').join(''));
}

/** A copy of an element and of all that is in it, made with our own document. */
export function copyElement(node: Element): Element;
export function copyElement(node: Node): Element | Text;
export function copyElement(node: Node): Element | Text {
  const copy = copyNode(node);
  if (node.nodeType !== ElementType.NORMAL) return copy as Text;
  const [original, root] = [node as Element, copy as Element];
  // Taken out of its surroundings, it has to say its namespace itself.
  if (original.namespaceURI && !original.prefix && !root.getAttribute('xmlns')) {
    root.setAttribute('xmlns', original.namespaceURI);
  }
  return root;
}

/** An element as XML: attributes in the order of their names. Null for nothing. */
export function serialize(element: Element | { tree(): Element } | null | undefined): string | null {
  if (!element) return null;
  const root = 'tree' in element ? element.tree() : element;
  return write(root);
}

function copyNode(node: Node): Node {
  if (node.nodeType !== ElementType.NORMAL) return xmlTextNode(node.nodeValue ?? '');
  const element = node as Element;
  const copy = xmlGenerator().createElement(element.tagName);
  for (const { name, value } of Array.from(element.attributes)) copy.setAttribute(name, value);
  for (const child of Array.from(element.childNodes)) copy.appendChild(copyNode(child));
  return copy;
}

function write(element: Element): string {
  const attributes = Array.from(element.attributes)
    .map(({ name, value }): [string, string] => [name, value])
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => ` ${name}="${xmlescape(value)}"`)
    .join('');
  const nodes = Array.from(element.childNodes);
  if (nodes.length === 0) return `<${element.nodeName}${attributes}/>`;
  return `<${element.nodeName}${attributes}>${nodes.map(writeNode).join('')}</${element.nodeName}>`;
}

function writeNode(node: Node): string {
  switch (node.nodeType) {
    case ElementType.NORMAL:
      return write(node as Element);
    case ElementType.TEXT:
      return xmlescape(node.nodeValue ?? '');
    case ElementType.CDATA:
      return `<![CDATA[${node.nodeValue ?? ''}]]>`;
    default:
      return '';
  }
}

function childElements(element: Element): Element[] {
  const nodes = Array.from(element.childNodes);
  return nodes.filter((node) => node.nodeType === ElementType.NORMAL) as Element[];
}
