// Where a session with stream management is kept between two connections: the state of the core, as
// a text. Whose it may be and when it has expired is the core's to say.

import { warn } from './log.js';

/** A session as it is kept: the core's JSON. It holds what was written to people. */
export type SMState = string;

/** Keeps the session of an account, by its bare JID. All of it is synchronous. */
export interface SMStorageBackend {
  load(jid: string): SMState | null | undefined;
  save(jid: string, state: SMState): void;
  clear(jid: string): void;
}

/** Sessions for as long as the page lives. */
export class MemoryStorageBackend implements SMStorageBackend {
  readonly #states = new Map<string, SMState>();

  load(jid: string): SMState | null {
    return this.#states.get(jid.toLowerCase()) ?? null;
  }

  save(jid: string, state: SMState): void {
    this.#states.set(jid.toLowerCase(), state);
  }

  clear(jid: string): void {
    this.#states.delete(jid.toLowerCase());
  }
}

/** Sessions for as long as the tab lives: they outlast that the page is loaded anew. */
export class SessionStorageBackend implements SMStorageBackend {
  load(jid: string): SMState | null {
    return sessionStorage.getItem(keyOf(jid));
  }

  save(jid: string, state: SMState): void {
    sessionStorage.setItem(keyOf(jid), state);
  }

  clear(jid: string): void {
    sessionStorage.removeItem(keyOf(jid));
  }
}

/** The one that is used where none is named. */
export function defaultStorage(): SMStorageBackend {
  // Where a page is not allowed to use it, already to look is an error.
  try {
    if (globalThis.sessionStorage) return new SessionStorageBackend();
  } catch {
    // there is the memory still
  }
  return new MemoryStorageBackend();
}

/** The session of one account in a store. What fails there goes to the log: the session goes on. */
export class SessionKeeper {
  constructor(
    private readonly storage: SMStorageBackend,
    private readonly jid: string,
  ) {}

  /** The session, if one is kept. */
  load(): SMState | undefined {
    return attempt('loaded', () => this.storage.load(this.jid) ?? undefined);
  }

  /** Keeps it, in place of the last one. */
  save(state: SMState): void {
    const isKept = attempt('kept', () => {
      this.storage.save(this.jid, state);
      return true;
    });
    if (!isKept) this.clear(); // what is there is of no use any more
  }

  /** It is over. */
  clear(): void {
    attempt('removed', () => this.storage.clear(this.jid));
  }
}

function attempt<T>(what: string, call: () => T): T | undefined {
  try {
    return call();
  } catch (exception) {
    warn(`the session could not be ${what}: ${String(exception)}`);
    return undefined;
  }
}

function keyOf(jid: string): string {
  return `strophe-sm:${jid.toLowerCase()}`;
}
