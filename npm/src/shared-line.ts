// One WebSocket of the shared worker, and the pages that have it: who logs in, who answers for all,
// who hears what. What stanzas say is not looked at here, and counting them is the core's.

import { Backlog } from './backlog.js';
import { words } from './log.js';
import { LostSession } from './lost-session.js';
import type { Course, ManagedSession, TakeOver } from './managed-session.js';
import { OpenRequests } from './open-requests.js';
import { rootTag } from './root-tag.js';
import type { SharedPage } from './shared-page.js';
import { Waiting } from './waiting.js';
import type { FromWorker, Management } from './worker-protocol.js';

/** What the server is reached by. */
export interface Socket {
  send(frame: string): void;
  close(): void;
  onopen: (() => unknown) | null;
  onmessage: ((event: { data: unknown }) => unknown) | null;
  onclose: ((event: { code: number }) => unknown) | null;
}

/** What the worker can do besides. */
export interface Surroundings {
  open(url: string): Socket;
  /** Loads the core, or throws what keeps it from that. */
  core(): TakeOver;
  /** Ends the worker, so that the next page starts a new one. */
  shutDown(): void;
}

/** What a line is wanted for. */
export interface Wish {
  url: string;
  /** The bare address of the account, in lower case. */
  account: string;
  /** What its first page wants of stream management. */
  management: Management;
}

/** Whoever has the lines. */
export interface LineKeeper {
  /** The session that an earlier line has lost, if the login is to go on with one. */
  lost(account: string): LostSession | null;
  /** There is a session: no earlier one is to be gone on with. */
  begun(): void;
  /** A line is over, and leaves a session, or has ended it in good order. */
  over(line: SharedLine, lost: LostSession | null, isForGood: boolean): void;
}

/** One WebSocket, and the pages that have it. */
export class SharedLine implements Course {
  /** Nobody can join any more. */
  isClosing = false;
  private saidClose = false;
  private isOver = false;
  private jid: string | null = null;
  private socket: Socket | undefined;
  /** The pages that hear what comes. */
  private readonly present = new Set<SharedPage>();
  /** The pages that wait for the login of another. */
  private readonly parked = new Set<SharedPage>();
  private readonly requests = new OpenRequests();
  private farewell: ReturnType<typeof setTimeout> | undefined;
  /** What the page that logs in was passed: it may give the session away before it has heard all. */
  private readonly passed = new Waiting();
  private takeOver: TakeOver | undefined;
  private managed: ManagedSession | undefined;
  private backlog = new Backlog('');
  private isResumed = false;
  /** The session that the login goes on with. */
  private lost: LostSession | null | undefined;
  /** What is left once it is over. */
  private left: LostSession | null = null;
  private shown = '';
  private showing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly wish: Wish,
    private primary: SharedPage | null,
    private readonly keeper: LineKeeper,
  ) {}

  /** Opens the WebSocket, and loads the core meanwhile if it is needed. */
  open(around: Surroundings): void {
    const { primary, wish } = this;
    if (!primary) return;
    this.present.add(primary);
    primary.line = this;
    primary.play('primary');
    try {
      this.listen(around.open(wish.url));
    } catch (exception) {
      return this.end(`the WebSocket ${wish.url} could not be opened: ${String(exception)}`);
    }
    try {
      if (wish.management) this.takeOver = around.core();
    } catch (exception) {
      primary.tell(['problem', `there is no stream management: ${words(exception)}`]);
    }
  }

  /** Whether the login has begun, with a session that was lost or without. */
  get isLoggingIn(): boolean {
    return this.lost !== undefined;
  }

  /** Whether a page that wants this can join. */
  takes(account: string, url: string): boolean {
    return !this.isClosing && account === this.wish.account && url === this.wish.url;
  }

  join(page: SharedPage): void {
    page.line = this;
    if (this.jid === null) {
      page.play('secondary');
      this.parked.add(page);
    } else {
      this.admit(page, this.jid);
    }
  }

  /** The primary has logged in, and nobody counts. */
  bound(page: SharedPage, jid: string): void {
    if (page === this.primary && this.jid === null) this.begin(jid);
  }

  /** The primary has logged in, and gives its session away after so many frames. */
  manage(page: SharedPage, session: string, heard: number, isResumed: boolean): void {
    if (page !== this.primary || this.jid !== null || !this.takeOver) return;
    if (this.left || this.saidClose) return;
    const { account, management } = this.wish;
    const rest = this.passed.drain().slice(heard);
    let jid = '';
    try {
      this.managed = this.takeOver({ jid: account, management: management ?? {}, session }, this);
      jid = this.findBacklog(session, isResumed);
    } catch (exception) {
      page.tell(['problem', `the session could not be taken over: ${words(exception)}`]);
      return this.end('the session could not be taken over', true);
    }
    if (this.isOver) {
      this.leaveBehind(this.managed);
      return this.keeper.over(this, this.left, false);
    }
    this.isResumed = isResumed;
    page.tell(['taken']);
    this.bringUpToDate(page);
    this.begin(jid);
    for (const frame of rest) this.received(frame);
  }

  /** A page that was away is there again. */
  welcome(page: SharedPage): void {
    if (this.isOver) return page.tell(['lost', 'the connection ended meanwhile', false]);
    if (this.jid === null || this.present.has(page)) return;
    this.present.add(page);
    this.stay(page);
    this.show(page);
    this.managed?.welcome();
  }

  /** A page sends a frame. */
  send(page: SharedPage, frame: string): void {
    const root = rootTag(frame);
    if (this.isOver) {
      if (root.name === 'close') this.left?.forget();
      return page.refuse(this.left?.send(frame));
    }
    if (!this.present.has(page)) return;
    if (root.name === 'close') return this.close(page, frame);
    if (root.name === 'iq' && this.jid !== null && !this.requests.mayAnswer(root)) return;
    page.refuse(this.pass(frame, page));
  }

  /** Another page is to be the primary, where there is one that answers. */
  handOn(page: SharedPage): void {
    if (page !== this.primary) return;
    if (this.jid === null) return this.end('the page that was logging in does not answer');
    const since = Date.now() - PRIMARY_SILENCE;
    this.promote([...this.present].filter((other) => other !== page && other.heardAt > since));
  }

  /** A page is not heard any more. It may come again. */
  away(page: SharedPage): void {
    this.parked.delete(page);
    this.present.delete(page);
    if (page === this.primary) {
      if (this.jid === null) return this.end('the page that was logging in is gone');
      this.primary = null;
      page.role = null;
      this.promote([...this.present]);
    }
    if (this.present.size > 0 || this.isOver) return;
    if (this.isClosing) this.end('no page is there');
    else this.farewell ??= setTimeout(() => this.expire(), FAREWELL);
  }

  /** A page is gone. */
  leave(page: SharedPage): void {
    page.line = null;
    page.role = null;
    this.away(page);
  }

  /** It is over for all pages; those that can come back do, unless it is final. */
  end(why: string, isFinal = false): void {
    if (this.isOver) return;
    this.isOver = true;
    this.isClosing = true;
    this.passed.drain();
    clearTimeout(this.farewell);
    clearTimeout(this.showing);
    const { socket, managed } = this;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    if (managed && !this.saidClose) this.leaveBehind(managed);
    else managed?.free();
    // A login that fails is no log-out.
    this.keeper.over(this, this.left, this.saidClose && this.jid !== null);
    for (const page of [...this.present, ...this.parked]) {
      [page.line, page.past, page.role] = [null, this, null];
      page.tell(['lost', why, isFinal]);
    }
    this.present.clear();
    this.parked.clear();
  }

  transmit(frame: string): void {
    this.socket?.send(frame);
  }

  deliver(frame: string): boolean {
    const root = rootTag(frame);
    if (root.name === 'close') this.isClosing = true;
    if (root.name === 'iq') this.requests.came(root);
    this.tellAll(['frame', frame]);
    if (this.present.size > 0) this.backlog.add(STANZAS.includes(root.name) ? frame : '');
    return this.present.size > 0;
  }

  moved(): void {
    if (this.isOver) return;
    this.showing ??= setTimeout(() => {
      this.showing = undefined;
      const state = this.managed?.state ?? '';
      if (state !== this.shown) this.tellAll(['session', state, this.isResumed, this.backlog.place(0)]);
      this.shown = state;
    });
  }

  ended(why: string, isForGood: boolean): void {
    this.saidClose ||= isForGood;
    this.end(why);
  }

  private listen(socket: Socket): void {
    this.socket = socket;
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      this.lost = this.keeper.lost(this.wish.account);
      this.primary?.tell(['opened', this.lost?.take() ?? null, this.takeOver !== undefined]);
    };
    socket.onmessage = ({ data }) => this.received(typeof data === 'string' ? data : '');
    socket.onclose = ({ code }) => {
      this.end(isOpen ? `code ${code}` : `the WebSocket ${this.wish.url} could not be opened: code ${code}`);
    };
  }

  /** Until the login is done there is one page only that hears. */
  private received(frame: string): void {
    if (this.isOver) return;
    if (this.managed) return this.managed.received(frame);
    if (this.jid === null && this.takeOver) {
      if (!this.passed.add(frame)) return this.end('the page that logs in does not answer');
    }
    this.deliver(frame);
  }

  /** There is a session, which may be that of an earlier line. */
  private begin(jid: string): void {
    this.jid = jid;
    this.passed.drain();
    const { parked, isResumed, lost } = this;
    for (const waiting of parked) this.admit(waiting, jid);
    parked.clear();
    this.keeper.begun();
    lost?.lead((stanza) => {
      // Nobody waits any more for what requests of a session that is over come to.
      if (!isResumed && rootTag(stanza).name !== 'message') return 'its session has ended';
      if (!this.isOver) return this.pass(stanza, null);
      return this.left ? this.left.send(stanza) : 'its session has ended';
    });
  }

  /** What the line leaves behind, which goes on from what it went on with. */
  private leaveBehind(managed: ManagedSession): void {
    managed.lose();
    const left = new LostSession(this.wish.account, managed, this.backlog);
    this.left = left;
    if (this.jid === null) this.lost?.lead((stanza) => left.send(stanza));
  }

  /** Sends a stanza. Says why not, if it does not go out. */
  private pass(frame: string, from: SharedPage | null): string | undefined {
    const refusal = this.managed ? this.managed.send(frame) : this.transmit(frame);
    if (refusal !== undefined) return refusal;
    const { name } = rootTag(frame);
    if (name === 'message' || name === 'presence') {
      for (const other of this.present) if (other !== from) other.tell(['foreign', frame]);
    }
    return undefined;
  }

  /** One page logs out: the others do too, and the server hears of it once. */
  private close(page: SharedPage, frame: string): void {
    if (this.saidClose) return;
    this.bidFarewell(frame);
    for (const other of this.present) if (other !== page) other.tell(['leaving']);
  }

  private bidFarewell(frame: string): void {
    this.saidClose = true;
    this.isClosing = true;
    if (this.managed) this.managed.close();
    else this.transmit(frame);
  }

  private admit(page: SharedPage, jid: string): void {
    this.present.add(page);
    this.stay(page);
    const missed = this.managed ? this.backlog.since(page.place) : null;
    this.show(page, missed?.length);
    page.tell(['attached', jid, this.managed !== undefined, missed !== null]);
    for (const frame of missed ?? []) page.tell(['frame', frame]);
    this.managed?.welcome();
  }

  /** The page that logged in may have missed what others were given. */
  private bringUpToDate(page: SharedPage): void {
    const missed = this.backlog.since(page.place) ?? [];
    this.show(page, missed.length);
    for (const frame of missed) page.tell(['frame', frame]);
  }

  private show(page: SharedPage, missing = 0): void {
    if (!this.managed) return;
    page.tell(['session', this.managed.state, this.isResumed, this.backlog.place(missing)]);
  }

  /** The session's, if it goes on; says which address it has. */
  private findBacklog(session: string, isResumed: boolean): string {
    const { jid, id = '' } = JSON.parse(session) as { jid: string; id?: string };
    const before = isResumed ? this.lost?.backlog : undefined;
    this.backlog = before?.key === id ? before : new Backlog(id);
    return jid;
  }

  private stay(page: SharedPage): void {
    clearTimeout(this.farewell);
    this.farewell = undefined;
    if (this.primary === null) this.promote([page]);
    else page.play('secondary');
  }

  /** The one that was heard last answers for all. */
  private promote(pages: SharedPage[]): void {
    const [first, ...rest] = pages;
    if (!first) return;
    const last = rest.reduce((best, page) => (page.heardAt > best.heardAt ? page : best), first);
    this.primary?.play('secondary');
    this.primary = last;
    last.play('primary');
  }

  /** No page has come for some time: the session ends in good order. */
  private expire(): void {
    this.bidFarewell(CLOSE);
    this.end('no page is there');
  }

  private tellAll(message: FromWorker): void {
    for (const page of this.present) page.tell(message);
  }
}

/** A page that has said nothing for so long cannot answer for the others. */
export const PRIMARY_SILENCE = 70_000;
const CLOSE = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
/** A page that is loaded again finds its session. */
const FAREWELL = 10_000;
const STANZAS = ['message', 'presence', 'iq'];
