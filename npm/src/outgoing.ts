// What is sent: elements and builders, as XML.

import { Builder, STANZAS } from './builder.js';
import { NS } from './constants.js';
import type { Sendable } from './options.js';
import { serialize } from './xml.js';

/**
 * The element that is to be sent.
 *
 * @throws {Error} named `StropheError` for anything else.
 */
export function elementOf(stanza: Sendable): Element {
  if (stanza instanceof Builder) return stanza.tree();
  if (typeof stanza !== 'object' || typeof stanza?.tagName !== 'string') {
    throw stropheError(`only elements and builders are sent, not ${typeof stanza}`);
  }
  return stanza;
}

/** The XML of a stanza, which says its namespace even where the element left that open. */
export function stanzaText(stanza: Element): string {
  const lacksNamespace = STANZAS.includes(stanza.tagName) && !stanza.getAttribute('xmlns');
  if (lacksNamespace) stanza.setAttribute('xmlns', stanza.namespaceURI ?? NS.CLIENT);
  return serialize(stanza) ?? '';
}

/** The refusal of a request that nobody takes (RFC 6120, section 8.2.3). */
export function refusalOf(request: Element): Builder {
  return new Builder('iq', {
    type: 'error',
    id: request.getAttribute('id'),
    to: request.getAttribute('from'),
  })
    .c('error', { type: 'cancel' })
    .c('service-unavailable', { xmlns: NS.STANZAS });
}

/** An error that says what was not sent, and why. */
export function stropheError(message: string): Error {
  return namedError('StropheError', message);
}

/** An error of this name, and what was behind it. */
export function namedError(name: string, message: string, cause?: unknown): Error {
  const failure = new Error(message, cause === undefined ? undefined : { cause });
  failure.name = name;
  return failure;
}

/** An id that nobody can guess. */
export function uniqueId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
