// Formatted text as XHTML-IM has it (XEP-0071): which elements, attributes and styles there are, and
// HTML cut down to those. What is not on a list is left out; its text stays.

import { ElementType } from './constants.js';
import { xmlGenerator } from './platform.js';
import { xmlElement, xmlTextNode } from './xml.js';

const ATTRIBUTES: Record<string, string[]> = {
  a: ['href'],
  blockquote: ['style'],
  body: [],
  br: [],
  cite: ['style'],
  em: [],
  img: ['src', 'alt', 'style', 'height', 'width'],
  li: ['style'],
  ol: ['style'],
  p: ['style'],
  span: ['style'],
  strong: [],
  ul: ['style'],
};

/** What may stand in formatted text. */
export const XHTML = {
  tags: Object.keys(ATTRIBUTES),
  attributes: ATTRIBUTES,
  css: [
    'background-color',
    'color',
    'font-family',
    'font-size',
    'font-style',
    'font-weight',
    'margin-left',
    'margin-right',
    'text-align',
    'text-decoration',
  ],

  /** Whether there is such an element. */
  validTag(tag: string): boolean {
    return XHTML.tags.includes(tag);
  },

  /** Whether an element may have such an attribute. */
  validAttribute(tag: string, attribute: string): boolean {
    return XHTML.validTag(tag) && (XHTML.attributes[tag] ?? []).includes(attribute);
  },

  /** Whether there is such a style. */
  validCSS(style: string): boolean {
    return XHTML.css.includes(style);
  },
};

/**
 * A copy of an element of HTML with what may stand in formatted text. Addresses are kept if they are
 * of the web, of mail, of telephones, of XMPP or of a part of the message: no other scheme can come
 * from a stranger and be safe to follow.
 */
export function createHtml(node: Node): Node {
  const nodes = cut(node);
  const [only] = nodes;
  if (only && nodes.length === 1) return only;
  const fragment = xmlGenerator().createDocumentFragment();
  for (const one of nodes) fragment.appendChild(one);
  return fragment;
}

/** A copy of a node, or of what is in it where it may not stand there itself. */
function cut(node: Node): Node[] {
  if (node.nodeType === ElementType.TEXT) return [xmlTextNode(node.nodeValue ?? '')];
  const tag = node.nodeName.toLowerCase();
  if (HIDDEN.includes(tag)) return [];
  const children = Array.from(node.childNodes).flatMap(cut);
  const copy = XHTML.validTag(tag) ? xmlElement(tag) : null;
  if (!copy) return children;
  for (const { name, value } of Array.from((node as Element).attributes)) {
    const kept = valueOf(tag, name.toLowerCase(), value);
    if (kept) copy.setAttribute(name.toLowerCase(), kept);
  }
  for (const child of children) copy.appendChild(child);
  return [copy];
}

/** The value of an attribute, as far as it may stand there. */
function valueOf(tag: string, name: string, value: string): string {
  if (!XHTML.validAttribute(tag, name)) return '';
  if (name === 'href' || name === 'src') return ADDRESS.test(value.trim()) ? value.trim() : '';
  if (name !== 'style') return value;
  const styles = value.split(';').map((style) => style.split(':').map((part) => part.trim()));
  return styles
    .map(([style = '', ...words]): [string, string] => [style.toLowerCase(), words.join(':')])
    .filter(([style, words]) => XHTML.validCSS(style) && STYLE.test(words))
    .map(([style, words]) => `${style}: ${words};`)
    .join(' ');
}

const ADDRESS = /^(https?|mailto|tel|xmpp|cid):/i;
/** No addresses, no functions but colours, no escapes. */
const STYLE = /^(?:[\w\s#.,%'"-]|rgba?\([\d\s.,%]*\))+$/;
/** Their text is for no reader. */
const HIDDEN = ['script', 'style', 'head', 'title'];
