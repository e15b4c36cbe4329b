// Drives the core with a transport and the clock. What the core says goes to its owner.

import { newMachine, Kind, Protection, SecretKind, type Machine } from './core.js';
import { saltedPassword } from './derivation.js';
import { bytesOf } from './bytes.js';
import type { Verdict } from './choice.js';
import { debug } from './log.js';
import { isPromise } from './promise.js';
import type { Link, Listener, Opening, Transport } from './transport.js';

/** What the core says of a status. */
export interface News {
  code: number;
  condition?: string;
  message?: string;
  advice?: string;
  jid?: string;
  mechanism?: string;
  serverProved?: boolean;
  flights?: number;
  passedOver?: { mechanism: string; offered: boolean; reason: string }[];
}

/** Whoever has the connection. Nothing of the core is in use while one of these runs. */
export interface Owner {
  /** A frame came. */
  received(frame: string): void;
  /** It is the server's offer: the core waits for it until `choose` is called. */
  offered(): void;
  /** All that followed from the frame at once has been done. */
  handled(): void;
  /** A frame goes out. */
  transmitted(frame: string): void;
  /** What the hooks are shown in place of frames came in. */
  showInput(text: string): void;
  /** What the hooks are shown in place of frames goes out. */
  showOutput(text: string): void;
  /** The message of a mechanism that is JavaScript's. */
  respond(mechanism: string, challenge: Uint8Array | undefined): unknown;
  /** The server has accepted the login. */
  authenticated(): void;
  reported(news: News): void;
  kept(keys: string): void;
  /** The frame that is being handled is a stanza. */
  delivered(): void;
}

/** One connection, from before it is open to its end. */
export class Driver {
  private readonly zero = performance.now();
  private machine: Machine;
  private link: Link | undefined;
  private isOpen = false;
  /** A session that is logged in is to be taken over. */
  private takesOver = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private frames: string[] = [];
  /** The offer, until the mechanisms are judged. */
  private offer: string | undefined;
  private isReceiving = false;
  private isAuthenticated = false;
  private isOver = false;
  private depth = 0;
  /** Which question waits for its answer. */
  private question = 0;

  constructor(
    private readonly owner: Owner,
    private readonly options: object,
    kind: SecretKind,
    secret: string,
  ) {
    this.machine = newMachine(options, kind, secret);
  }

  /** Opens a link, for whatever it is wanted. */
  start(transport: Transport, opening: Opening): void {
    this.takesOver = opening.joins === true || opening.session !== undefined;
    this.drain();
    if (this.isOver) return;
    try {
      this.link = transport.open(this.listener(opening.joins === true), opening);
    } catch (exception) {
      this.lost(words(exception), opening.joins === true);
    }
  }

  /** Whether a stanza can be sent. */
  get takesStanzas(): boolean {
    return !this.isOver && this.machine.takes_stanzas();
  }

  /** Whether the server is still to say that it knows the session which is taken over. */
  get isAttaching(): boolean {
    return this.takesOver && !this.isOpen;
  }

  /** The last features, as XML. */
  get features(): string | undefined {
    return this.isOver ? undefined : this.machine.features();
  }

  /** Sends a stanza. Throws a text if that is not possible. */
  send(stanza: string): void {
    this.input((now) => this.machine.send(now, stanza));
  }

  /** Says of the mechanisms which are usable, and lets the login go on with those. */
  choose(verdicts: Verdict[]): void {
    const offer = this.offer;
    if (this.isOver || offer === undefined) return;
    this.offer = undefined;
    for (const { mechanism, usable, priority } of verdicts) {
      this.machine.judge(mechanism, usable, priority);
    }
    this.input((now) => this.machine.received(now, offer));
  }

  /** Binds a resource. Throws a text if that is not due. */
  bind(): void {
    this.input((now) => this.machine.bind(now));
  }

  /** Ends the connection in good order. */
  close(): void {
    if (!this.isOver) this.input((now) => this.machine.close(now));
  }

  /** Ends the connection at once, and says nothing of it. */
  abandon(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    const { link } = this;
    this.link = undefined;
    link?.close();
    if (this.depth === 0) this.machine.free();
  }

  private listener(isJoining: boolean): Listener {
    const opened = (give: (now: number) => void) => {
      if (this.isOver) return;
      this.isOpen = true;
      this.input(give);
    };
    return {
      opened: (protection, carrier) => {
        opened((now) => {
          if (carrier === 'bosh') this.machine.opened_bosh(now, PROTECTIONS[protection]);
          else if (carrier === 'tcp') this.machine.opened_tcp(now, PROTECTIONS[protection]);
          else this.machine.opened(now, PROTECTIONS[protection]);
        });
      },
      attached: (jid) => {
        if (isJoining && !this.isOver) this.becomes(jid);
        opened((now) => this.machine.attached(now, jid));
      },
      received: (frame) => {
        this.frames.push(frame);
        this.receive();
      },
      receivedBytes: (bytes) => {
        if (!this.isOver) this.input((now) => this.machine.received_bytes(now, bytes));
      },
      lost: (why) => this.lost(why, isJoining),
      leaving: () => this.close(),
      ended: (session) => {
        if (!this.isOver) this.input((now) => this.machine.bosh_ended(now, session));
      },
      showInput: (text) => {
        if (!this.isOver) this.owner.showInput(text);
      },
      showOutput: (text) => {
        if (!this.isOver) this.owner.showOutput(text);
      },
    };
  }

  /** Whose connection it is that was joined becomes known late. */
  private becomes(jid: string): void {
    this.machine.free();
    this.machine = newMachine({ ...this.options, jid }, SecretKind.None, '');
    this.machine.poll(); // it connects, which was told
  }

  private lost(why: string, isJoining: boolean): void {
    if (this.isOver) return;
    this.input((now) => {
      if (this.isOpen) this.machine.lost(now, why);
      else if (isJoining) this.machine.not_attached(now, why);
      else this.machine.not_opened(now, why);
    });
  }

  /** One frame after the other, whatever is called meanwhile. */
  private receive(): void {
    if (this.isReceiving) return;
    this.isReceiving = true;
    try {
      for (let frame = this.frames.shift(); frame !== undefined; frame = this.frames.shift()) {
        if (this.isOver) break;
        this.take(frame);
      }
    } finally {
      this.isReceiving = false;
    }
  }

  private take(frame: string): void {
    this.owner.received(frame);
    if (!this.isOver && this.offer === undefined && this.machine.is_choosing()) {
      this.offer = frame;
      this.owner.offered();
    } else if (!this.isOver) {
      this.input((now) => this.machine.received(now, frame));
    }
    this.owner.handled();
  }

  private input(give: (now: number) => void): void {
    if (this.isOver) throw 'not connected';
    give(performance.now() - this.zero);
    this.drain();
  }

  /** Does what the core wants. Whatever is called here may lead back here. */
  private drain(): void {
    this.depth += 1;
    try {
      if (!this.isAuthenticated && this.machine.is_authenticated()) {
        this.isAuthenticated = true;
        this.owner.authenticated();
      }
      while (!this.isOver) {
        const kind = this.machine.poll();
        if (kind === undefined) break;
        this.act(kind);
      }
    } finally {
      this.depth -= 1;
      if (this.isOver && this.depth === 0) this.machine.free();
    }
  }

  private act(kind: Kind): void {
    const machine = this.machine;
    switch (kind) {
      case Kind.Transmit: {
        const frame = machine.text();
        try {
          this.link?.send(frame);
        } catch (exception) {
          return this.lost(words(exception), false);
        }
        return this.owner.transmitted(frame);
      }
      case Kind.Report: {
        const news = JSON.parse(machine.text()) as News;
        if (news.jid) this.link?.bound?.(news.jid);
        return this.owner.reported(news);
      }
      case Kind.Keep:
        return this.owner.kept(machine.text());
      case Kind.Deliver:
        return this.deliver(machine.text());
      case Kind.WakeAt:
        return this.wakeAt(machine.number());
      case Kind.Derive:
        return void this.derive();
      case Kind.Respond:
        return this.respond();
      case Kind.Disconnect:
        return this.abandon();
    }
  }

  /** Where there are no frames, the stanza comes from the core. */
  private deliver(stanza: string): void {
    if (stanza) this.owner.received(stanza);
    if (!this.isOver) this.owner.delivered();
    if (stanza) this.owner.handled();
  }

  private wakeAt(moment: number): void {
    clearTimeout(this.timer);
    // A timer takes no longer waits; one that comes too soon changes nothing.
    const wait = Math.min(Math.max(Math.ceil(moment - (performance.now() - this.zero)), 0), 2 ** 30);
    this.timer = setTimeout(() => this.input((now) => this.machine.tick(now)), wait);
  }

  /** Gives an answer, unless its question is gone. */
  private answer(question: number, give: (now: number) => void): void {
    if (this.isOver || question !== this.question) return;
    try {
      this.input(give);
    } catch (late) {
      debug(`an answer came too late: ${words(late)}`);
    }
  }

  private async derive(): Promise<void> {
    this.question += 1;
    const question = this.question;
    const derivation = {
      hash: this.machine.subject(),
      password: this.machine.text(),
      salt: new Uint8Array(this.machine.bytes() ?? []),
      iterations: this.machine.number(),
    };
    const salted = await saltedPassword(derivation).catch(() => null);
    if (salted) {
      this.answer(question, (now) => this.machine.derived(now, salted));
      return;
    }
    let isDone = false;
    while (!isDone && !this.isOver && question === this.question) {
      this.answer(question, (now) => {
        isDone = true; // whatever it throws
        isDone = this.machine.derive(now);
      });
      await new Promise((done) => setTimeout(done, 0));
    }
  }

  private respond(): void {
    this.question += 1;
    const question = this.question;
    const [mechanism, challenge] = [this.machine.subject(), this.machine.bytes()];
    const refuse = (why: unknown) => {
      this.answer(question, (now) => this.machine.refuse(now, words(why)));
    };
    const settle = (response: unknown) => {
      if (typeof response !== 'string') return refuse('the mechanism gave the login up');
      let message: Uint8Array;
      try {
        message = bytesOf(response);
      } catch (exception) {
        return refuse(exception);
      }
      this.answer(question, (now) => this.machine.respond(now, message));
    };
    let response: unknown;
    try {
      response = this.owner.respond(mechanism, challenge);
    } catch (exception) {
      return refuse(exception);
    }
    if (isPromise(response)) response.then(settle, refuse);
    else settle(response);
  }
}

const PROTECTIONS = {
  plaintext: Protection.Plaintext,
  loopback: Protection.Loopback,
  encrypted: Protection.Encrypted,
};

function words(exception: unknown): string {
  return exception instanceof Error ? exception.message : String(exception);
}
