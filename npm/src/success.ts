// The success that a server claims, for mechanisms that check it.

import type { Connection } from './connection.js';
import { NS } from './constants.js';
import { handleError } from './log.js';
import type { SASLMechanism } from './mechanism.js';
import { forEachChild } from './xml.js';

/** What a mechanism says of a success; a promise, if it takes its time. `false` is no. */
export interface Claim {
  mechanism: string;
  verdict: unknown;
}

/** What the mechanism in use says of an element, if that claims success and it has a say. */
export function weigh(
  connection: Connection,
  mechanism: SASLMechanism | null,
  element: () => Element | null,
): Claim | undefined {
  if (!mechanism?.onSuccessData) return undefined;
  const data = successData(element());
  if (data === undefined) return undefined;
  let verdict: unknown;
  try {
    verdict = mechanism.onSuccessData(connection, data);
  } catch (exception) {
    handleError(exception);
    verdict = false;
  }
  return { mechanism: mechanism.mechname, verdict };
}

/** The data of a success, a character for each byte; null where it has none; undefined if it is none. */
function successData(element: Element | null): string | null | undefined {
  const [name, namespace] = [element?.localName, element?.namespaceURI];
  if (!element || (name !== 'success' && name !== 'continue')) return undefined;
  if (namespace === NS.SASL) return decode(element.textContent);
  if (namespace !== SASL2) return undefined;
  let data: string | null | undefined = null;
  forEachChild(element, 'additional-data', (child) => {
    data = decode(child.textContent);
  });
  return data;
}

/** Undefined for what is no Base64: the core refuses it. */
function decode(text: string | null): string | null | undefined {
  if (!text) return null;
  try {
    return text === '=' ? '' : atob(text);
  } catch {
    return undefined;
  }
}

const SASL2 = 'urn:xmpp:sasl:2';
