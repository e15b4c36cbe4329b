// Drives the core with a transport and the clock. What the core says goes to its owner.

import type { Verdict } from './choice.js';
import { Clock } from './clock.js';
import { Status } from './constants.js';
import { newMachine, openMachine, Kind, SecretKind, type Machine, type Proof } from './core.js';
import { Inbox } from './inbox.js';
import { warn, words } from './log.js';
import type { News } from './news.js';
import type { Keeping, Owner } from './owner.js';
import { isPromise } from './promise.js';
import { derive, Questions, respond } from './questions.js';
import { fateOf } from './receipts.js';
import type { SessionView } from './stream-management.js';
import type { Claim } from './success.js';
import type { Link, Listener, Opening, Transport } from './transport.js';
import { Way } from './way.js';

/** A connection from before it is open to its end, and those that are made in its place. */
export class Driver {
  private readonly clock = new Clock();
  private machine: Machine;
  private way: Way | undefined;
  private link: Link | undefined;
  private isOpen = false;
  /** A session that is logged in is to be taken over. */
  private takesOver = false;
  private readonly inbox = new Inbox((frame) => this.take(frame));
  /** The offer, until the mechanisms are judged. */
  private offer: string | undefined;
  private isAuthenticated = false;
  /** The login is done, and it is still to be known if both sides count. */
  private isBound = false;
  /** The session, where it is counted for all pages that share it. */
  private counted: { session: string; isResumed: boolean } | undefined;
  /** Whether this page goes on where it was in a session that pages share. */
  goesOn = false;
  /** The link was the last. */
  private isFinal = false;
  private isOver = false;
  private depth = 0;
  private readonly questions = new Questions(
    (give) => this.input((now) => give(this.machine, now)),
    () => this.isOver,
  );

  constructor(
    private readonly owner: Owner,
    private readonly options: object,
    proof: Proof,
    private readonly keeping: Keeping = {},
  ) {
    const unixZero = Math.floor(Date.now() / 1000);
    this.machine = newMachine({ ...options, unixZero }, proof, keeping.session?.load());
    const problem = this.machine.session_problem();
    if (problem !== undefined) warn(`the session that is kept is not used: ${problem}`);
  }

  /** Opens a link, for whatever it is wanted. */
  start(transport: Transport, opening: Opening): void {
    this.way = new Way(transport, opening);
    this.takesOver = opening.joins === true || opening.session !== undefined;
    this.drain();
    this.prepare(transport, opening);
  }

  /** Gets the token for the login, if there may be one, and opens a link. */
  private prepare(transport: Transport, opening: Opening): void {
    if (this.isOver) return;
    const { tokens } = this.keeping;
    if (!tokens || opening.joins || opening.session) return this.open(transport, opening);
    void tokens.take().then((taken) => {
      if (this.isOver) return;
      if (taken) this.machine.equip(taken);
      this.judge(this.owner.judged()); // it may choose as soon as it is open
      this.open(transport, opening);
    });
  }

  private open(transport: Transport, opening: Opening): void {
    try {
      this.link = transport.open(this.listener(opening.joins === true), opening);
    } catch (exception) {
      this.lost(words(exception));
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

  /** The session, to be looked at. */
  get view(): SessionView | null {
    if (this.isOver) return null;
    if (this.counted) return { isManaged: true, ...this.counted };
    return { isManaged: this.machine.is_managed(), session: this.machine.session() };
  }

  /** Sends a stanza, and says first which number it has. Throws a text if that is not possible. */
  send(stanza: string, numbered?: (number: number | undefined) => void): void {
    this.input((now) => {
      const number = this.machine.send(now, stanza);
      numbered?.(number);
    });
  }

  /** Says of the mechanisms which are usable, and lets the login go on with those. */
  choose(verdicts: Verdict[]): void {
    const offer = this.offer;
    if (this.isOver || offer === undefined) return;
    this.offer = undefined;
    this.judge(verdicts);
    this.input((now) => this.machine.received(now, offer));
  }

  /** Binds a resource. Throws a text if that is not due. */
  bind(): void {
    this.input((now) => this.machine.bind(now));
  }

  /** Ends the connection in good order. */
  close(): void {
    if (this.isOver) return;
    if (this.way?.isWaiting) {
      this.renew();
      this.machine.poll(); // it does not connect
    }
    this.input((now) => this.machine.close(now));
  }

  /** Ends the connection at once, and says nothing of it. */
  abandon(): void {
    this.isOver = true;
    this.inbox.restart();
    this.way?.stop();
    this.hangUp();
    this.keeping.tokens?.end();
    if (this.depth === 0) this.machine.free();
  }

  private hangUp(): void {
    this.clock.stop();
    this.questions.drop();
    const { link } = this;
    [this.link, this.isOpen, this.isBound, this.counted] = [undefined, false, false, undefined];
    link?.close();
  }

  private judge(verdicts: Verdict[]): void {
    for (const { mechanism, usable, priority } of verdicts) {
      if (!this.isOver) this.machine.judge(mechanism, usable, priority);
    }
  }

  private listener(isJoining: boolean): Listener {
    const opened = (give: (now: number) => void) => {
      if (this.isOver) return;
      this.isOpen = true;
      this.input(give);
    };
    return {
      opened: (protection, carrier) => {
        opened((now) => openMachine(this.machine, now, protection, carrier));
      },
      attached: (jid) => opened((now) => this.machine.attached(now, jid)),
      agreed: (session, counts) => this.agree(session, counts),
      joined: (jid, isWatched, goesOn) => {
        this.goesOn = goesOn;
        if (isJoining && !this.isOver) this.becomes(jid);
        opened((now) => this.machine.joined(now, jid, isWatched));
      },
      counted: (session, isResumed) => {
        this.counted = { session, isResumed };
      },
      received: (frame) => {
        if (!this.isOver) this.inbox.push(frame);
      },
      receivedBytes: (bytes) => {
        if (!this.isOver) this.input((now) => this.machine.received_bytes(now, bytes));
      },
      lost: (why, isFinal = false) => {
        this.isFinal = isFinal;
        this.lost(why);
      },
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

  /** The pages that share the link have a session to go on with, or cannot count. */
  private agree(session: string | null, counts: boolean): void {
    if (this.isOver) return;
    if (!counts) this.machine.forgo_management();
    if (session === null) return;
    this.forgetNumbers();
    try {
      this.machine.set_session(session);
    } catch (problem) {
      warn(`the session that was lost is not gone on with: ${words(problem)}`);
    }
  }

  /** Whose connection it is that was joined becomes known late. It cannot be made anew from here. */
  private becomes(jid: string): void {
    this.machine.free();
    const options = { ...this.options, jid, reconnect: undefined, tokens: undefined };
    this.machine = newMachine(options, { kind: SecretKind.None, secret: '' });
    this.machine.poll(); // it connects, which was told
  }

  private lost(why: string): void {
    if (this.isOver) return;
    this.input((now) => {
      if (this.isOpen) this.machine.lost(now, why);
      else if (this.takesOver) this.machine.not_attached(now, why);
      else this.machine.not_opened(now, why);
    });
  }

  private take(frame: string): void {
    this.owner.received(frame);
    const claim = this.isOver ? undefined : this.owner.claimed();
    if (claim) return this.weigh(frame, claim);
    if (!this.isOver && this.offer === undefined && this.machine.is_choosing()) {
      this.offer = frame;
      this.owner.offered();
    } else if (!this.isOver) {
      this.input((now) => this.machine.received(now, frame));
    }
    this.owner.handled();
  }

  /** A mechanism says whether it believes a success. What comes meanwhile has to wait. */
  private weigh(frame: string, { mechanism, verdict }: Claim): void {
    const settle = (believed: unknown) => {
      if (this.isOver) return;
      const refusal = believed === false ? 'the mechanism does not believe the success' : undefined;
      this.machine.judge_success(mechanism, refusal);
      this.input((now) => this.machine.received(now, frame));
      this.owner.handled();
    };
    if (!isPromise(verdict)) return settle(verdict);
    this.inbox.waitFor(verdict.then((believed) => believed, () => false), settle);
  }

  private input(give: (now: number) => void): void {
    if (this.isOver) throw 'not connected';
    give(this.clock.now);
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
      this.keep();
      if (this.depth === 1) this.settle();
    } finally {
      this.depth -= 1;
      if (this.isOver && this.depth === 0) this.machine.free();
    }
  }

  /** Once it is known if both sides count, whoever counts for all pages takes the session. */
  private settle(): void {
    const { link, machine } = this;
    if (this.isOver || !this.isBound || !link?.settled || machine.expects_management()) return;
    const session = machine.release_session();
    if (session === undefined && machine.is_managed()) return; // not all is handled
    this.isBound = false;
    if (session !== undefined) {
      this.counted = { session, isResumed: false };
      this.inbox.clear(); // they are not counted here
      this.forgetNumbers();
    }
    link.settled(session, this.inbox.taken);
  }

  /** Stanzas get other numbers: what becomes of those that were sent is not known here any more. */
  private forgetNumbers(): void {
    this.owner.settled(Number.MAX_SAFE_INTEGER, 'unmanaged');
  }

  private act(kind: Kind): void {
    const machine = this.machine;
    switch (kind) {
      case Kind.Transmit: {
        const frame = machine.text();
        this.keep(); // whatever is sent can be sent again
        try {
          this.link?.send(frame);
        } catch (exception) {
          return this.lost(words(exception));
        }
        return this.owner.transmitted(frame);
      }
      case Kind.Report:
        return this.report(JSON.parse(machine.text()) as News);
      case Kind.Explain:
        return this.owner.explained(machine.text());
      case Kind.Keep:
        return this.owner.kept(machine.text());
      case Kind.KeepToken:
        return this.keeping.tokens?.keep(machine.text());
      case Kind.ForgetToken:
        return this.keeping.tokens?.forget();
      case Kind.Remember:
        return this.keeping.tokens?.remember(machine.text());
      case Kind.Deliver:
        this.deliver(machine.text());
        return this.isOver ? undefined : machine.handled(this.clock.now);
      case Kind.Acknowledged:
      case Kind.Unmanaged:
      case Kind.Dropped:
        return this.owner.settled(machine.number(), fateOf(kind));
      case Kind.WakeAt:
        return this.clock.wakeAt(machine.number(), () => this.input((now) => this.machine.tick(now)));
      case Kind.Derive:
        return void derive(machine, this.questions.next());
      case Kind.Respond: {
        const [mechanism, challenge] = [machine.subject(), machine.bytes()];
        return respond(() => this.owner.respond(mechanism, challenge), this.questions.next());
      }
      case Kind.Disconnect:
        return this.way?.isWaiting ? this.hangUp() : this.abandon();
    }
  }

  /** Where there are no frames, the stanza comes from the core. */
  private deliver(stanza: string): void {
    if (stanza) this.owner.received(stanza);
    if (!this.isOver) this.owner.delivered();
    if (stanza) this.owner.handled();
  }

  /** Tells the owner, and sees to the next connection where one is to be made. */
  private report(news: News): void {
    const { session, tokens } = this.keeping;
    if (news.jid) this.link?.bound?.(news.jid);
    if (news.code === Status.CONNECTED) {
      this.isBound = true;
      tokens?.connected(news.mechanism ?? '');
    }
    if (news.code !== Status.DISCONNECTED) {
      // Where the server's word is followed, it is no failure.
      return this.elsewhere(news) === null ? this.owner.reported(news) : undefined;
    }
    if (news.condition === undefined) session?.clear();
    this.owner.reported(this.next(news) ?? news);
  }

  /** What is told in place of this end, if another connection is made. */
  private next(end: News): News | undefined {
    const place = this.elsewhere(end);
    if (place !== null) {
      this.machine.follow();
      this.waitFor(0, place);
      return { code: Status.REDIRECT, condition: place };
    }
    const again = this.isFinal ? undefined : this.machine.again();
    if (again === undefined) return undefined;
    const news = JSON.parse(again) as News;
    this.waitFor(news.wait ?? 0);
    return news;
  }

  /** Where the server sends us, if that is followed. */
  private elsewhere({ place }: News): string | null {
    return this.way && this.machine.may_follow() ? this.way.to(place) : null;
  }

  /** Makes the next connection after so many milliseconds: there, or where the first was made. */
  private waitFor(wait: number, there: string | null = null): void {
    this.way?.again(wait, there, (transport, opening) => {
      this.renew();
      this.drain();
      this.prepare(transport, opening);
    });
  }

  private renew(): void {
    this.way?.stop();
    this.inbox.restart();
    [this.offer, this.isAuthenticated, this.takesOver] = [undefined, false, false];
    this.clock.restart();
    this.machine.renew(Math.floor(Date.now() / 1000));
  }

  /** Keeps the session if it has moved on. */
  private keep(): void {
    const { session } = this.keeping;
    if (!session || this.isOver) return;
    const state = this.machine.session_to_keep();
    if (state !== undefined) session.save(state);
  }
}
