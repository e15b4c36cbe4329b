// A session with stream management (XEP-0198) that pages share, as the worker has it: the core counts
// for all of them, answers pings, and watches the server. Which pages there are is not known here.

import { Clock } from './clock.js';
import { Status } from './constants.js';
import { Kind, newMachine, SecretKind, type Machine } from './core.js';
import { words } from './log.js';
import type { News } from './news.js';
import { Waiting } from './waiting.js';

/** What a session is taken over with. */
export interface Terms {
  /** Whose it is. */
  jid: string;
  /** What is wanted of stream management, as the core takes it. */
  management: object;
  /** The core's JSON. */
  session: string;
}

/** Where what the session wants goes. */
export interface Course {
  /** Sends a frame to the server. */
  transmit(frame: string): void;
  /** Gives a frame to the pages. False if there is none. */
  deliver(frame: string): boolean;
  /** What there is to see of the session has changed. */
  moved(): void;
  /** It is over, or lost and may be gone on with. */
  ended(why: string, isForGood: boolean): void;
}

/** What the script beside the worker's is there for. */
export type TakeOver = (terms: Terms, course: Course) => ManagedSession;

/**
 * Goes on with the session of a page that has logged in.
 *
 * @throws {Error} or a text, if that is none.
 */
export const takeOver: TakeOver = ({ jid, management, session }, course) => {
  const unixZero = Math.floor(Date.now() / 1000);
  // One that takes stanzas between two connections.
  const options = { jid, mechanisms: [], unixZero, streamManagement: management, reconnect: {} };
  const machine = newMachine(options, { kind: SecretKind.None, secret: '' }, session);
  const problem = machine.session_problem();
  if (problem !== undefined) throw new Error(problem);
  return new ManagedSession(machine, course);
};

/** The session, as long as its connection lasts. */
export class ManagedSession {
  private readonly clock = new Clock();
  /** The frame that is being handled, as long as no page has it. */
  private frame: string | undefined;
  /** What came while no page was there. The server hears that it arrived once one has it. */
  private readonly held = new Waiting();
  private end: News | undefined;
  private isOver = false;

  constructor(
    private readonly machine: Machine,
    private readonly course: Course,
  ) {
    this.input((now) => machine.take_over(now));
  }

  /** The core's JSON, as it stands. */
  get state(): string {
    return this.machine.session() ?? '';
  }

  /** Takes a stanza, which goes out in its turn. Says why not, if it does not. */
  send(stanza: string): string | undefined {
    try {
      this.input((now) => this.machine.send(now, stanza));
      return undefined;
    } catch (refusal) {
      return words(refusal);
    }
  }

  /** The server sent a frame. */
  received(frame: string): void {
    if (this.isOver) return;
    this.frame = frame;
    this.input((now) => this.machine.received(now, frame));
    this.frame = undefined;
  }

  /** Pages are there again. */
  welcome(): void {
    while (!this.isOver && this.held.first !== undefined && this.course.deliver(this.held.first)) {
      this.held.shift();
      this.input((now) => this.machine.handled(now));
    }
  }

  /** Ends it in good order. */
  close(): void {
    this.input((now) => this.machine.close(now));
  }

  /** Its connection is lost, and no more is done. It takes stanzas still. */
  lose(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.clock.stop();
    this.machine.lost(this.clock.now, '');
  }

  /** It is not needed any more. */
  free(): void {
    this.lose();
    this.machine.free();
  }

  private input(give: (now: number) => void): void {
    give(this.clock.now);
    if (this.isOver) return;
    for (let kind = this.machine.poll(); kind !== undefined; kind = this.machine.poll()) this.act(kind);
    this.course.moved();
    if (!this.end) return;
    // The pages' cores say of it what is to be said.
    if (this.frame !== undefined) this.course.deliver(this.frame);
    this.course.ended(this.end.message ?? 'the session has ended', this.end.condition === undefined);
  }

  private act(kind: Kind): void {
    switch (kind) {
      case Kind.Transmit:
        return this.course.transmit(this.machine.text());
      case Kind.Deliver:
        return this.deliver();
      case Kind.WakeAt:
        return this.clock.wakeAt(this.machine.number(), () => this.input((now) => this.machine.tick(now)));
      case Kind.Report: {
        const news = JSON.parse(this.machine.text()) as News;
        if (news.code === Status.DISCONNECTED) this.end = news;
      }
    }
  }

  private deliver(): void {
    const { frame } = this;
    if (frame === undefined) return;
    this.frame = undefined;
    if (this.held.first === undefined && this.course.deliver(frame)) {
      this.machine.handled(this.clock.now);
    } else if (!this.held.add(frame)) {
      // The server sends them again to whoever resumes it.
      this.end = { code: Status.DISCONNECTED, condition: 'overflow', message: OVERFLOW };
    }
  }
}

const OVERFLOW = 'more stanzas have come than can wait for a page';
