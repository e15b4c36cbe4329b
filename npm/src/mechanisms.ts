// The nine mechanisms. Their messages are the core's: here are only names, priorities and tests.

import type { Connection } from './connection.js';
import { SASLMechanism, type SASLResponse } from './mechanism.js';

/**
 * A mechanism whose messages are the core's. A class that derives from it and overrides them can
 * call the first one; those of SCRAM depend on each other, and are the core's alone.
 */
abstract class BuiltIn extends SASLMechanism {
  override onChallenge(connection: Connection, challenge?: string | null): SASLResponse {
    if (typeof challenge !== 'string') return connection._firstMessage(this.mechname);
    throw new Error(`${this.mechname} has one message, and the server asks for another`);
  }
}

abstract class Scram extends BuiltIn {
  override test(connection: Connection): boolean {
    const derives = globalThis.crypto?.subtle !== undefined || connection.options.deriveInWasm === true;
    return connection.authcid !== null && derives;
  }
}

export class SASLSHA512 extends Scram {
  constructor(mechname = 'SCRAM-SHA-512', isClientFirst = true, priority = 72) {
    super(mechname, isClientFirst, priority);
  }
}

export class SASLSHA384 extends Scram {
  constructor(mechname = 'SCRAM-SHA-384', isClientFirst = true, priority = 71) {
    super(mechname, isClientFirst, priority);
  }
}

export class SASLSHA256 extends Scram {
  constructor(mechname = 'SCRAM-SHA-256', isClientFirst = true, priority = 70) {
    super(mechname, isClientFirst, priority);
  }
}

export class SASLSHA1 extends Scram {
  constructor(mechname = 'SCRAM-SHA-1', isClientFirst = true, priority = 60) {
    super(mechname, isClientFirst, priority);
  }
}

export class SASLPlain extends BuiltIn {
  constructor(mechname = 'PLAIN', isClientFirst = true, priority = 50) {
    super(mechname, isClientFirst, priority);
  }

  override test(connection: Connection): boolean {
    return connection.authcid !== null;
  }
}

export class SASLOAuthBearer extends BuiltIn {
  constructor(mechname = 'OAUTHBEARER', isClientFirst = true, priority = 40) {
    super(mechname, isClientFirst, priority);
  }

  override test(connection: Connection): boolean {
    return connection.pass !== null;
  }
}

export class SASLXOAuth2 extends BuiltIn {
  constructor(mechname = 'X-OAUTH2', isClientFirst = true, priority = 30) {
    super(mechname, isClientFirst, priority);
  }

  override test(connection: Connection): boolean {
    return connection.pass !== null;
  }
}

export class SASLAnonymous extends BuiltIn {
  constructor(mechname = 'ANONYMOUS', isClientFirst = false, priority = 20) {
    super(mechname, isClientFirst, priority);
  }

  override test(connection: Connection): boolean {
    return connection.authcid === null;
  }
}

export class SASLExternal extends BuiltIn {
  constructor(mechname = 'EXTERNAL', isClientFirst = true, priority = 10) {
    super(mechname, isClientFirst, priority);
  }
}

/** All nine, in the order of their priorities. */
export const DEFAULT_MECHANISMS = [
  SASLSHA512,
  SASLSHA384,
  SASLSHA256,
  SASLSHA1,
  SASLPlain,
  SASLOAuthBearer,
  SASLXOAuth2,
  SASLAnonymous,
  SASLExternal,
];

const PASSWORD = /^(SCRAM-.*|PLAIN)$/;
const TOKEN = /^(OAUTHBEARER|X-OAUTH2)$/;
const { onChallenge } = BuiltIn.prototype;
const { clientChallenge } = SASLMechanism.prototype;

/** Whether a mechanism's messages are JavaScript's: a class of one's own, or an override. */
export function isOwn(mechanism: SASLMechanism): boolean {
  const isOverridden =
    mechanism.onChallenge !== onChallenge || mechanism.clientChallenge !== clientChallenge;
  return isOverridden || !(mechanism instanceof BuiltIn);
}

/** Whether a string is a token to these: they name mechanisms of tokens, and none of passwords. */
export function wantToken(names: string[]): boolean {
  return names.some((name) => TOKEN.test(name)) && !names.some((name) => PASSWORD.test(name));
}
