// What promises of a connection are rejected with. Each says why, and where it can, what to do.

import { NS } from './constants.js';
import type { LoginReport } from './report.js';
import { forEachChild, getNamespace } from './xml.js';

/** Why there is no session. */
export class LoginError extends Error {
  override readonly name = 'LoginError';

  constructor(
    /** The status that told it, as `Strophe.Status.AUTHFAIL`. */
    readonly status: number,
    /** The condition, as the callback of `connect` gets it. */
    readonly condition: string,
    message: string,
    /** What to do. */
    readonly advice: string | null = null,
    /** What the login was like, with the option `report`. */
    readonly report: LoginReport | null = null,
  ) {
    super(message);
  }
}

/** The error that a request was answered with (RFC 6120, section 8.3). */
export class StanzaError extends Error {
  override readonly name = 'StanzaError';
  /** `cancel`, `continue`, `modify`, `auth` or `wait`. */
  readonly type: string | null;
  /** As `item-not-found`. */
  readonly condition: string;
  /** What the other side says for people. */
  readonly text: string | null;

  /** Reads it of the answer that has it. */
  constructor(readonly element: Element) {
    const { type, condition, text } = readError(element);
    super(text ? `${condition}: ${text}` : condition);
    [this.type, this.condition, this.text] = [type, condition, text];
  }
}

/** Nobody answered in time. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** The connection has ended before the answer came, or the session was lost with it. */
export class ConnectionEndedError extends Error {
  override readonly name = 'ConnectionEndedError';
}

/** The session has no acknowledgements, so nobody knows whether a stanza arrived. */
export class UnacknowledgedError extends Error {
  override readonly name = 'UnacknowledgedError';
}

function readError(answer: Element) {
  const found = { type: null as string | null, condition: '', text: null as string | null };
  forEachChild(answer, 'error', (error) => {
    found.type = error.getAttribute('type');
    forEachChild(error, null, (child) => {
      if (getNamespace(child) !== NS.STANZAS) return;
      if (child.localName === 'text') found.text = child.textContent;
      else found.condition ||= child.localName;
    });
  });
  return { ...found, condition: found.condition || 'undefined-condition' };
}
