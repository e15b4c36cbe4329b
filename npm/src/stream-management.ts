// What is to be seen of stream management (XEP-0198). Counting and resuming are the core's.

import type { SMStorageBackend } from './storage.js';

/** What is wanted of stream management. */
export interface StreamManagementOptions {
  /** After how many stanzas an acknowledgement is asked for: 5; never with 0. */
  maxUnacked?: number;
  /** Whether the session may be resumed after its connection was lost: yes. */
  requestResume?: boolean;
  /** For how many seconds the server should keep it then. */
  max?: number;
  /** Where it is kept: in `sessionStorage`, or in memory where there is none. */
  storage?: SMStorageBackend;
}

/** A stanza that the server has not acknowledged. */
export interface QueuedStanza {
  name: string;
  stanza: string;
  /** In milliseconds since 1970. */
  queuedAt: number;
}

/** What there is to see of a session. */
export interface SessionView {
  /** Whether both sides count. */
  isManaged: boolean;
  /** The core's JSON, once an address is bound. */
  session: string | undefined;
  /** Whether it is that of an earlier connection, where it was another page's login. */
  isResumed?: boolean;
}

/** The core's JSON of a session, as far as it is looked at here. */
interface State {
  jid: string;
  id?: string;
  in_h: number;
  out_h: number;
  queue: { at: number; xml: string }[];
}

/** Stream management as it stands; it cannot be changed here. */
export class StreamManagement {
  /** @internal */
  _resumed = false;

  constructor(private readonly look: () => SessionView | null) {}

  /** Whether both sides count. */
  get enabled(): boolean {
    return this.look()?.isManaged === true;
  }

  /** Whether the session is that of an earlier connection. */
  get resumed(): boolean {
    return this.enabled && this._resumed;
  }

  /** Whether it could be resumed, were the connection lost now. */
  get resumeSupported(): boolean {
    return this.state?.id !== undefined;
  }

  /** The address that was bound. */
  get boundJid(): string | null {
    return this.state?.jid ?? null;
  }

  /** How many stanzas of the server's were handled, modulo 2^32. */
  get hIn(): number {
    return this.state?.in_h ?? 0;
  }

  /** How many of ours the server has acknowledged, modulo 2^32. */
  get hOutAcked(): number {
    return this.state?.out_h ?? 0;
  }

  /** The stanzas that the server has not acknowledged, oldest first. */
  get unacked(): QueuedStanza[] {
    return (this.state?.queue ?? []).map(({ at, xml }) => ({
      name: /^<([^\s/>]+)/.exec(xml)?.[1] ?? '',
      stanza: xml,
      queuedAt: at * 1000,
    }));
  }

  private get state(): State | null {
    const session = this.look()?.session;
    return session === undefined ? null : (JSON.parse(session) as State);
  }
}

/** The same where pages share the session, with the option `worker`: what the worker told of it last. */
export class StreamManagementMirror extends StreamManagement {}
