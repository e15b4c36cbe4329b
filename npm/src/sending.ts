// The part of a connection that sends: what is held back meanwhile, and what has become of it.
// By what stanzas leave is not known here.

import { Handlers } from './handlers.js';
import type { Sendable } from './options.js';
import { elementOf, stanzaText, stropheError } from './outgoing.js';
import { Receipts } from './receipts.js';

/** Whoever takes stanzas. */
export interface Sender {
  /** It will take them, once the server has said that it knows the session. */
  readonly isAttaching: boolean;
  /** Takes one, and says which number it has before anything else happens. Throws a text. */
  send(stanza: string, numbered?: (number: number | undefined) => void): void;
}

/** A connection, as far as it sends stanzas. */
export abstract class Sending extends Handlers {
  paused = false;
  /** What is to be sent. */
  _data: Element[] = [];
  /** A plugin may be called `receipts`. */
  protected readonly _receipts = new Receipts();

  /** Whoever takes stanzas now, if anybody does. */
  protected abstract get sender(): Sender | null;

  /**
   * Sends stanzas.
   *
   * @throws {Error} named `StropheError` for what cannot be sent.
   */
  override send(stanza: Sendable | Sendable[] | null): void {
    if (stanza === null) return;
    for (const one of Array.isArray(stanza) ? stanza : [stanza]) this._data.push(elementOf(one));
    if (!this.paused || !this.takesStanzas) this.sendQueued();
  }

  /**
   * Sends a stanza, for `await`: the promise is kept once the server has acknowledged it (XEP-0198),
   * over however many connections the session goes on. The server is asked after some stanzas or
   * half a second, if `maxUnacked` is not 0.
   *
   * @throws {ConnectionEndedError} by the promise, if the session ends before, or goes on without it.
   * @throws {UnacknowledgedError} by the promise, if nothing is acknowledged in this session.
   * @throws {Error} by the promise, named `StropheError`, for what cannot be sent.
   */
  async sendAcknowledged(stanza: Sendable): Promise<void> {
    // A copy, as the same may be sent twice.
    const own = elementOf(stanza).cloneNode(true) as Element;
    const receipt = this._receipts.expect(own);
    try {
      this.send(own);
    } catch {
      // The promise says it.
    }
    return receipt;
  }

  /** Sends what was held back. */
  flush(): void {
    if (!this.paused) this.sendQueued();
  }

  /** Holds stanzas back. */
  pause(): void {
    this.paused = true;
  }

  /** Sends them, and those to come. */
  resume(): void {
    this.paused = false;
    if (this.takesStanzas) this.flush();
  }

  /** Nothing that waits is sent any more. */
  protected endSending(): void {
    this._data = [];
    this._receipts.end();
  }

  private sendQueued(): void {
    if (this.sender?.isAttaching) return; // the login was made: it may wait
    for (let next = this._data.shift(); next; next = this._data.shift()) {
      const stanza = next;
      try {
        if (!this.sender) throw 'not connected';
        this.sender.send(stanzaText(stanza), (number) => this._receipts.taken(stanza, number));
      } catch (words) {
        const error = stropheError(`<${stanza.tagName}/> was not sent: ${String(words)}`);
        for (const lost of [stanza, ...this._data]) this._receipts.refused(lost, error);
        this._data = [];
        throw error;
      }
    }
  }
}
