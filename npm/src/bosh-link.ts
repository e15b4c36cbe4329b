// One session of BOSH over HTTP: what the core wants posted is posted, and what is answered is
// given to it. The rules are the core's.

import type { Bosh } from './bosh.js';
import { Clock } from './clock.js';
import type { BoshSession } from './core.js';
import { patience } from './patience.js';
import { post, postStopping, type Posting } from './post.js';
import { protectionOf } from './service.js';
import type { Link, Listener } from './transport.js';

/** A session, from its first request to its end. */
export class BoshLink implements Link {
  private readonly clock = new Clock();
  private readonly exchanges = new Map<number, Exchange>();
  private listener: Listener | null;
  private deadline: ReturnType<typeof setTimeout> | undefined;
  private isMoving = false;
  private isDone = false;
  /** The listener knows of it. */
  private isTold = false;

  constructor(
    private readonly session: BoshSession,
    private readonly posting: Posting,
    listener: Listener,
    private readonly transport: Bosh,
  ) {
    this.listener = listener;
    const takesOver = session.jid() !== undefined;
    if (takesOver) this.deadline = setTimeout(() => this.giveUp(), TAKE_OVER_LIMIT);
    queueMicrotask(() => {
      if (!takesOver && this.listener) {
        this.isTold = true;
        this.listener.opened(protectionOf(posting.url), 'bosh');
      }
      this.move();
    });
  }

  send(frame: string): void {
    if (this.isDone || this.session.is_over()) return; // how it ended comes after what was said
    this.session.send(frame);
    this.moveSoon();
  }

  /** The server is told, if it can be within a few seconds. */
  close(): void {
    if (this.isDone) return;
    this.listener = null;
    if (!this.session.is_given_up()) this.transport.moved(undefined);
    if (!this.session.is_over()) this.session.send(CLOSE);
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => this.finish(), CLOSE_LIMIT);
    this.moveSoon();
  }

  bound(jid: string): void {
    this.session.bound(jid);
    this.keep();
  }

  get sid(): string | null {
    return this.isDone ? null : (this.session.sid() ?? null);
  }

  get rid(): number | null {
    return this.isDone ? null : this.session.next_rid();
  }

  get requests(): Exchange[] {
    return [...this.exchanges.values()];
  }

  /** What is sent in one go leaves in one request. */
  private moveSoon(): void {
    queueMicrotask(() => this.move());
  }

  /** Takes what came, then asks for what is due. Whatever is called here may lead back here. */
  private move(): void {
    if (this.isMoving || this.isDone) return;
    this.isMoving = true;
    this.session.set_timeouts(patience.timeout, patience.secondary);
    try {
      this.hear();
      this.ask();
    } finally {
      this.isMoving = false;
    }
    if (!this.session.is_over()) return this.sleep();
    this.listener?.ended(this.session);
    this.finish();
  }

  private hear(): void {
    if (!this.isTold && this.session.is_confirmed()) {
      this.isTold = true;
      clearTimeout(this.deadline);
      this.listener?.attached(this.session.jid() ?? '');
    }
    while (this.isTold) {
      const frame = this.session.poll_frame();
      if (frame === undefined) break;
      this.listener?.received(frame);
    }
  }

  private ask(): void {
    for (;;) {
      const number = this.session.poll_request(this.clock.now);
      if (number === undefined) break;
      this.give(this.session.replaced());
      const exchange = new Exchange(this.session.rid());
      this.exchanges.set(number, exchange);
      const body = this.session.body();
      this.keep();
      if (this.transport.showsWrapped) this.listener?.showOutput(body);
      const make = this.mayStopPage() ? postStopping : post;
      make(this.posting, body, exchange.signal).then(
        ({ status, headers, body }) => {
          if (!this.exchanges.delete(number)) return;
          this.session.answered(this.clock.now, number, status, body);
          this.transport.answered(status, headers, this.session.next_rid());
          if (status === 200) this.show(body);
          this.move();
        },
        () => {
          if (!this.exchanges.delete(number)) return;
          this.session.failed(this.clock.now, number);
          this.transport.failed(0);
          this.move();
        },
      );
    }
  }

  /**
   * Whether the request that was polled may stop the page: not one that the server keeps waiting, nor
   * one with a password, which might be led elsewhere.
   */
  private mayStopPage(): boolean {
    return this.transport.stopsPage && this.session.jid() !== undefined && !this.session.is_poll();
  }

  /** A request of the page before may never have reached the server, which waits for it. */
  private giveUp(): void {
    this.listener?.lost('the server did not answer for the session that was to be taken over');
  }

  /** Gives a request up. */
  private give(number: number | undefined): void {
    const exchange = number === undefined ? undefined : this.exchanges.get(number);
    if (number !== undefined) this.exchanges.delete(number);
    exchange?.abort();
  }

  private show(body: Uint8Array): void {
    if (this.transport.showsWrapped) this.listener?.showInput(new TextDecoder().decode(body));
  }

  /** A page may be left at any moment: what is kept is true before each request. */
  private keep(): void {
    const attachment = this.listener ? this.session.attachment(Date.now()) : undefined;
    if (attachment !== undefined) this.transport.moved(attachment);
  }

  private sleep(): void {
    const at = this.session.wake_at();
    if (at === undefined) return this.clock.stop();
    this.clock.wakeAt(at, () => {
      this.session.tick(this.clock.now);
      this.move();
    });
  }

  private finish(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.clock.stop();
    clearTimeout(this.deadline);
    for (const exchange of this.exchanges.values()) exchange.abort();
    this.exchanges.clear();
    this.session.free();
  }
}

/** A request that is under way. */
class Exchange {
  private readonly controller = new AbortController();

  constructor(readonly rid: number) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(): void {
    this.controller.abort();
  }
}

const CLOSE = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const TAKE_OVER_LIMIT = 20_000;
/** The server need not hear it: a session without requests expires. */
const CLOSE_LIMIT = 5000;
