// Stanzas, written step by step. What is appended becomes the place where the next goes.

import { ElementType, NS } from './constants.js';
import { parseHtml } from './platform.js';
import { createHtml } from './xhtml.js';
import { copyElement, read, serialize, xmlElement, xmlTextNode } from './xml.js';

/** Attributes; those that are null or undefined are left out. */
export type BuilderAttributes = Record<string, string | number | boolean | null | undefined>;

/**
 * An element that is being written.
 *
 * ```ts
 * $msg({ to: 'bob@example.com', type: 'chat' }).c('body').t('Hi').up().c('active', { xmlns });
 * ```
 */
export class Builder {
  private whole: Element | undefined;
  private place: Element | undefined;
  private readonly name: string;
  private readonly attributes: BuilderAttributes;

  constructor(name: string, attributes?: BuilderAttributes | null) {
    if (!name) throw new TypeError('an element needs a name');
    this.name = name;
    const isStanza = STANZAS.includes(name) && !attributes?.['xmlns'];
    this.attributes = isStanza ? { ...attributes, xmlns: NS.CLIENT } : { ...attributes };
  }

  /**
   * Reads XML.
   *
   * @throws {Error} if it is not well-formed, or a stanza outside of the namespaces of stanzas.
   */
  static fromString(xml: string): Builder {
    const element = read(xml);
    checkNamespace(element);
    const builder = new Builder(element.nodeName);
    builder.nodeTree = element;
    return builder;
  }

  /** An element or a builder as XML. */
  static serialize(element: Element | Builder): string | null {
    return serialize(element);
  }

  /** The whole. */
  get nodeTree(): Element {
    this.whole ??= this.make();
    return this.whole;
  }
  set nodeTree(element: Element) {
    this.whole = element;
    this.place = element;
  }

  /** The element at which the next one is appended. */
  get node(): Element {
    this.place ??= this.nodeTree;
    return this.place;
  }
  set node(element: Element) {
    this.place = element;
  }

  /** The whole element. */
  tree(): Element {
    return this.nodeTree;
  }

  /** The whole as XML. */
  toString(): string {
    return serialize(this.nodeTree) ?? '';
  }

  /** Goes to the parent. */
  up(): this {
    const parent = this.node.parentNode;
    if (parent?.nodeType === ElementType.NORMAL) this.node = parent as Element;
    return this;
  }

  /** Goes to the top. */
  root(): this {
    this.node = this.nodeTree;
    return this;
  }

  /** Sets attributes of the element that is being written; null and undefined take one away. */
  attrs(attributes: BuilderAttributes): this {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined) this.node.removeAttribute(name);
      else this.node.setAttribute(name, String(value));
    }
    return this;
  }

  /** Appends an element and goes to it; given a text, it appends that too and stays. */
  c(name: string, attributes?: BuilderAttributes | string | null, text?: string | number): this {
    const child = xmlElement(name, attributes, text);
    if (!child) throw new TypeError('an element needs a name');
    this.node.appendChild(child);
    if (typeof text !== 'string' && typeof text !== 'number') this.node = child;
    return this;
  }

  /** Appends a copy of an element and goes to it. */
  cnode(element: Element | Builder): this {
    const copy = copyElement(element instanceof Builder ? element.tree() : element);
    this.node.appendChild(copy);
    if (copy.nodeType === ElementType.NORMAL) this.node = copy as Element;
    return this;
  }

  /** Appends text. */
  t(text: string | number): this {
    this.node.appendChild(xmlTextNode(String(text)));
    return this;
  }

  /**
   * Appends HTML, as far as it may stand in formatted text (XEP-0071).
   *
   * @throws {Error} in Node.js, if it cannot be read.
   */
  h(html: string): this {
    const body = parseHtml(html).getElementsByTagName('body')[0];
    for (const child of Array.from(body?.childNodes ?? [])) this.node.appendChild(createHtml(child));
    return this;
  }

  /** Whether there is an element yet: it is made when somebody wants to see it. */
  protected get isMade(): boolean {
    return this.whole !== undefined;
  }

  /** The element that it begins with. */
  protected make(): Element {
    const element = xmlElement(this.name, this.attributes);
    if (!element) throw new TypeError('an element needs a name');
    return element;
  }
}

/** An element of any name. */
export function $build(name: string, attributes?: BuilderAttributes | null): Builder {
  return new Builder(name, attributes);
}

/** A message. */
export function $msg(attributes?: BuilderAttributes | null): Builder {
  return new Builder('message', attributes);
}

/** A request or an answer. */
export function $iq(attributes?: BuilderAttributes | null): Builder {
  return new Builder('iq', attributes);
}

/** A presence. */
export function $pres(attributes?: BuilderAttributes | null): Builder {
  return new Builder('presence', attributes);
}

/**
 * Refuses a stanza that is in no namespace of stanzas.
 *
 * @throws {Error} that names it.
 */
export function checkNamespace(element: Element): void {
  const isStanza = STANZAS.includes(element.nodeName);
  if (isStanza && ![NS.CLIENT, NS.SERVER].includes(element.namespaceURI ?? '')) {
    throw new Error(`<${element.nodeName}/> is not in the namespace ${NS.CLIENT}`);
  }
}

/** The elements that have an address (RFC 6120, section 8). */
export const STANZAS: readonly string[] = ['message', 'iq', 'presence'];
