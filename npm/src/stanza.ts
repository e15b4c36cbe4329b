// Stanzas as templates of XML. What is put into them is escaped.

import { Builder, checkNamespace } from './builder.js';
import { warn } from './log.js';
import { toElement as parseElement, xmlescape } from './xml.js';

/** XML that goes into a template as it is. */
class UnsafeXML {
  constructor(readonly xml: string) {}
}

/** What can stand in a template: text, elements, lists of them; null and undefined are nothing. */
export type StanzaValue = unknown;

/** An element that was written as a template. It is read when somebody wants to see it. */
export class Stanza extends Builder {
  private readonly xml: string;

  constructor(strings: readonly string[], values: readonly StanzaValue[]) {
    super('stanza');
    const texts = strings.map((text, index) => (index === 0 ? text : inXml(values[index - 1]) + text));
    this.xml = texts.join('').trim();
  }

  /** XML that goes into a template as it is: whoever writes it may write anything. */
  static unsafeXML(xml: string): UnsafeXML {
    return new UnsafeXML(xml);
  }

  /**
   * The element that a text is, without white space between elements. A stanza that is in no
   * namespace of stanzas is refused if that is wanted, else it is said in the log.
   */
  static toElement(xml: string, throwErrorIfInvalidNS = false): Element {
    const element = parseElement(xml);
    try {
      checkNamespace(element);
    } catch (wrong) {
      if (throwErrorIfInvalidNS) throw wrong;
      warn((wrong as Error).message);
    }
    return element;
  }

  /** As it goes into another template. */
  toXml(): string {
    return this.isMade ? this.toString() : this.xml;
  }

  protected override make(): Element {
    return Stanza.toElement(this.xml, true);
  }
}

/**
 * A stanza as XML.
 *
 * ```ts
 * stx`<message xmlns="jabber:client" to="${jid}"><body>${text}</body></message>`;
 * ```
 *
 * It is read when it is sent or looked at, and throws then if it is not well-formed.
 */
export function stx(strings: TemplateStringsArray, ...values: StanzaValue[]): Stanza {
  return new Stanza(strings, values);
}

/** @see Stanza.toElement */
export function toStanza(xml: string, throwErrorIfInvalidNS = false): Element {
  return Stanza.toElement(xml, throwErrorIfInvalidNS);
}

function inXml(value: StanzaValue): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(inXml).join('');
  if (value instanceof UnsafeXML) return value.xml;
  if (value instanceof Stanza) return value.toXml();
  if (value instanceof Builder) return value.toString();
  return xmlescape(String(value));
}
