// A session with stream management whose connection was lost, for the page that goes on with it; and
// what pages sent before they heard of the loss. What it holds in order is the core's to know.

import type { Backlog } from './backlog.js';
import type { ManagedSession } from './managed-session.js';
import { Waiting } from './waiting.js';

/** Sends a stanza. Says why it does not go out, if so. */
export type Way = (stanza: string) => string | undefined;

/** The session, until it goes on or is forgotten. */
export class LostSession {
  isForgotten = false;
  /** What was sent since a page has the session. */
  private readonly late = new Waiting();
  private way: Way = (stanza) => this.session?.send(stanza);

  constructor(
    /** The bare address of whose it is, in lower case. */
    readonly account: string,
    private session: ManagedSession | null,
    /** What it has brought to pages. */
    readonly backlog: Backlog,
  ) {}

  /** A page sends a stanza in it. Says why it does not go out, if so. */
  send(stanza: string): string | undefined {
    return this.way(stanza);
  }

  /** The core's JSON, for a page that logs in with it; again, if nothing came of that. */
  take(): string | null {
    const { session } = this;
    for (const stanza of this.late.drain()) session?.send(stanza);
    this.way = (stanza) => this.hold(stanza);
    return session?.state ?? null;
  }

  /** It goes on elsewhere: what waits goes that way, and so does what comes later. */
  lead(way: Way): void {
    this.way = way;
    this.session?.free();
    this.session = null;
    for (const stanza of this.late.drain()) way(stanza);
  }

  /** It is over. */
  forget(): void {
    if (this.isForgotten) return;
    this.isForgotten = true;
    this.lead(() => 'its session has ended');
  }

  private hold(stanza: string): string | undefined {
    return this.late.add(stanza) ? undefined : 'too many wait for the next connection';
  }
}
