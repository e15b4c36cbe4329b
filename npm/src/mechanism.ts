// SASL mechanisms as classes: the base to derive from.

import type { Connection } from './connection.js';

/** What a mechanism sends: a character for each byte. `false` gives the login up. */
export type SASLResponse = string | false | Promise<string | false>;

/**
 * A SASL mechanism. Derive from it, and put the class among the `mechanisms` of a connection.
 *
 * Whatever `clientChallenge` or `onChallenge` throw, or a promise of theirs is rejected with, ends
 * the login: it is aborted, AUTHFAIL is reported and `onFailure` called.
 */
export class SASLMechanism {
  /** The name by which servers offer it. */
  mechname: string;
  /** Whether the client speaks first. */
  isClientFirst: boolean;
  /** Its place in the order; the highest comes first. */
  declare priority: number;
  /** Whether what it sends would tell a listener the secret: it is used on safe ways alone then. */
  exposesSecret = true;
  /** The connection, from `onStart` to the end of the login. */
  _connection: Connection | null = null;

  constructor(name: string, isClientFirst: boolean, priority: number) {
    this.mechname = name;
    this.isClientFirst = isClientFirst;
    // Where a prototype has a priority, somebody has put it there.
    if (this.priority === undefined) this.priority = priority;
  }

  /** Whether it can be used; asked before one is chosen. */
  test(_connection: Connection): boolean {
    return true;
  }

  /** It was chosen. */
  onStart(connection: Connection): void {
    this._connection = connection;
  }

  /** What the server's challenge is answered with. The first message has no challenge. */
  onChallenge(_connection: Connection, _challenge?: string | null): SASLResponse {
    throw new Error('you should implement challenge handling');
  }

  /** The first message, where the client speaks first. */
  clientChallenge(connection: Connection): SASLResponse {
    return this.onChallenge(connection, null);
  }

  /**
   * The server claims success: may it be believed? `data` came with the claim, a character for each
   * byte; null is none. `false`, or what it throws or its promise is rejected with, ends the login
   * with AUTHFAIL. A mechanism without this method takes no data.
   */
  onSuccessData?(connection: Connection, data: string | null): unknown;

  /** The server has refused, or the login was given up. */
  onFailure(): void {
    this._connection = null;
  }

  /** The server has accepted. */
  onSuccess(): void {
    this._connection = null;
  }
}
