// A page that shares the connection, as the worker sees it.

import type { SharedLine } from './shared-line.js';
import type { FromPage, FromWorker, Place, Role } from './worker-protocol.js';

/** What a page is reached by. */
export interface PagePort {
  postMessage(message: FromWorker): void;
  onmessage: ((event: { data: FromPage }) => unknown) | null;
  start?(): void;
}

/** A page, and where it stands. */
export class SharedPage {
  heardAt = Date.now();
  /** What it is connected by. */
  line: SharedLine | null = null;
  /** What it was connected by last: it may not have heard yet that this is over. */
  past: SharedLine | null = null;
  role: Role | null = null;
  /** Where it was in the session that it comes back to. */
  place: Place | null = null;

  constructor(private readonly port: PagePort) {}

  tell(message: FromWorker): void {
    this.port.postMessage(message);
  }

  play(role: Role): void {
    if (this.role !== role) this.tell(['role', role]);
    this.role = role;
  }

  /** A stanza of its own does not go out, if there is a reason. */
  refuse(why: string | undefined): void {
    if (why !== undefined) this.tell(['problem', `a stanza was not sent: ${why}`]);
  }
}
