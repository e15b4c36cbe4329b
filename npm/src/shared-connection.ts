// One WebSocket for all pages of an origin. A page logs in and becomes the primary; the others join
// it. Passwords and keys do not come here: the pages' own cores do all that takes more than passing
// frames on.

import { OpenRequests } from './open-requests.js';
import { rootTag } from './root-tag.js';
import { VERSION, type FromPage, type FromWorker, type Role } from './worker-protocol.js';

/** What a page is reached by. */
export interface PagePort {
  postMessage(message: FromWorker): void;
  onmessage: ((event: { data: FromPage }) => unknown) | null;
  start?(): void;
}

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
  /** Ends the worker, so that the next page starts a new one. */
  shutDown(): void;
}

/** The connection, from the first page to the last. */
export class SharedConnection {
  private readonly pages = new Set<Page>();
  private line: Line | null = null;
  private sweeping: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly around: Surroundings) {}

  /** A page has come. */
  admit(port: PagePort): void {
    const page = new Page(port);
    port.onmessage = ({ data }) => this.heard(page, data);
    port.start?.();
  }

  private heard(page: Page, message: FromPage): void {
    page.heardAt = Date.now();
    switch (message[0]) {
      case 'connect':
        return this.connect(page, message[1], message[2], message[3]);
      case 'attach':
        return this.attach(page, message[1]);
      case 'send':
        return page.line?.send(page, message[1]);
      case 'bound':
        return page.line?.bound(page, message[1]);
      case 'pong':
        if (page.line) this.watch(page);
        return page.line?.welcome(page);
      case 'relinquish':
        return page.line?.handOn(page);
      case 'away':
        return page.line?.away(page);
      case 'bye':
        return this.leave(page);
    }
  }

  private connect(page: Page, version: number, url: string, jid: string): void {
    if (!this.enter(page, version)) return;
    const account = bare(jid);
    if (this.line?.takes(account, url)) return this.line.join(page);
    this.line?.end('another page connects anew');
    const line = new Line(url, account, page, () => this.over(line));
    this.line = line;
    line.open(this.around);
  }

  private attach(page: Page, version: number): void {
    if (!this.enter(page, version)) return;
    if (this.line?.isClosing === false) this.line.join(page);
    else page.tell(['lost', 'no page of this origin is connected']);
  }

  /** Whether page and worker understand each other. */
  private enter(page: Page, version: number): boolean {
    if (version !== VERSION) {
      page.tell(['lost', 'the page and the shared worker are of different versions: load it again']);
      if (version > VERSION) this.shutDown();
      return false;
    }
    if (this.pages.size >= MOST_PAGES && !this.pages.has(page)) {
      page.tell(['lost', `more than ${MOST_PAGES} pages share the connection`]);
      return false;
    }
    page.line?.leave(page);
    this.watch(page);
    return true;
  }

  private leave(page: Page): void {
    page.line?.leave(page);
    this.forget(page);
  }

  private watch(page: Page): void {
    this.pages.add(page);
    this.sweeping ??= setInterval(() => this.sweep(), SWEEP);
  }

  private forget(page: Page): void {
    this.pages.delete(page);
    if (this.pages.size > 0) return;
    clearInterval(this.sweeping);
    this.sweeping = undefined;
  }

  private shutDown(): void {
    this.line?.end('a page of a newer version wants a worker of its own: load this one again');
    clearInterval(this.sweeping);
    this.around.shutDown();
  }

  /** Asks who is there. Who has not been heard for long is not. */
  private sweep(): void {
    const now = Date.now();
    for (const page of this.pages) {
      page.tell(['ping']);
      const silence = now - page.heardAt;
      if (silence > LONGEST_SILENCE) {
        page.line?.away(page);
        this.forget(page);
      } else if (silence > PRIMARY_SILENCE) {
        page.line?.handOn(page);
      }
    }
  }

  private over(line: Line): void {
    if (this.line === line) this.line = null;
  }
}

/** A page, and where it stands. */
class Page {
  heardAt = Date.now();
  /** What it is connected by. */
  line: Line | null = null;
  role: Role | null = null;

  constructor(private readonly port: PagePort) {}

  tell(message: FromWorker): void {
    this.port.postMessage(message);
  }

  play(role: Role): void {
    if (this.role !== role) this.tell(['role', role]);
    this.role = role;
  }
}

/** One WebSocket, and the pages that have it. */
class Line {
  /** Nobody can join any more. */
  isClosing = false;
  private saidClose = false;
  private isOver = false;
  private jid: string | null = null;
  private socket: Socket | undefined;
  /** The pages that hear what comes. */
  private readonly present = new Set<Page>();
  /** The pages that wait for the login of another. */
  private readonly parked = new Set<Page>();
  private readonly requests = new OpenRequests();
  private farewell: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly account: string,
    private primary: Page | null,
    private readonly over: () => void,
  ) {}

  open(around: Surroundings): void {
    const { primary } = this;
    if (!primary) return;
    this.present.add(primary);
    primary.line = this;
    primary.play('primary');
    try {
      this.listen(around.open(this.url));
    } catch (exception) {
      this.end(`the WebSocket ${this.url} could not be opened: ${String(exception)}`);
    }
  }

  /** Whether a page that wants this can join. */
  takes(account: string, url: string): boolean {
    return !this.isClosing && account === this.account && url === this.url;
  }

  join(page: Page): void {
    page.line = this;
    if (this.jid === null) {
      page.play('secondary');
      this.parked.add(page);
    } else {
      this.admit(page, this.jid);
    }
  }

  /** The primary has logged in. */
  bound(page: Page, jid: string): void {
    if (page !== this.primary || this.jid !== null) return;
    this.jid = jid;
    const { parked } = this;
    for (const waiting of parked) this.admit(waiting, jid);
    parked.clear();
  }

  /** A page that was away is there again. */
  welcome(page: Page): void {
    if (this.isOver) return page.tell(['lost', 'the connection ended meanwhile']);
    if (this.jid === null || this.present.has(page)) return;
    this.present.add(page);
    this.stay(page);
  }

  /** A page sends a frame. */
  send(page: Page, frame: string): void {
    if (!this.present.has(page)) return;
    const root = rootTag(frame);
    if (root.name === 'close') return this.close(page, frame);
    if (root.name === 'iq' && this.jid !== null && !this.requests.mayAnswer(root)) return;
    this.socket?.send(frame);
    if (root.name !== 'message' && root.name !== 'presence') return;
    for (const other of this.present) if (other !== page) other.tell(['foreign', frame]);
  }

  /** Another page is to be the primary, where there is one that answers. */
  handOn(page: Page): void {
    if (page !== this.primary) return;
    if (this.jid === null) return this.end('the page that was logging in does not answer');
    const since = Date.now() - PRIMARY_SILENCE;
    this.promote([...this.present].filter((other) => other !== page && other.heardAt > since));
  }

  /** A page is not heard any more. It may come again. */
  away(page: Page): void {
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
  leave(page: Page): void {
    page.line = null;
    page.role = null;
    this.away(page);
  }

  /** It is over for all pages. */
  end(why: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.isClosing = true;
    clearTimeout(this.farewell);
    const { socket } = this;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.over();
    for (const page of [...this.present, ...this.parked]) {
      page.line = null;
      page.role = null;
      page.tell(['lost', why]);
    }
  }

  private listen(socket: Socket): void {
    this.socket = socket;
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      this.primary?.tell(['opened']);
    };
    socket.onmessage = ({ data }) => this.received(typeof data === 'string' ? data : '');
    socket.onclose = ({ code }) => {
      this.end(isOpen ? `code ${code}` : `the WebSocket ${this.url} could not be opened: code ${code}`);
    };
  }

  /** Until the login is done there is one page only that hears. */
  private received(frame: string): void {
    const root = rootTag(frame);
    if (root.name === 'close') this.isClosing = true;
    if (root.name === 'iq') this.requests.came(root);
    for (const page of this.present) page.tell(['frame', frame]);
  }

  /** One page logs out: the others do too, and the server hears of it once. */
  private close(page: Page, frame: string): void {
    if (this.saidClose) return;
    this.saidClose = true;
    this.isClosing = true;
    this.socket?.send(frame);
    for (const other of this.present) if (other !== page) other.tell(['leaving']);
  }

  private admit(page: Page, jid: string): void {
    this.present.add(page);
    this.stay(page);
    page.tell(['attached', jid]);
  }

  private stay(page: Page): void {
    clearTimeout(this.farewell);
    this.farewell = undefined;
    if (this.primary === null) this.promote([page]);
    else page.play('secondary');
  }

  /** The one that was heard last answers for all. */
  private promote(pages: Page[]): void {
    const [first, ...rest] = pages;
    if (!first) return;
    const last = rest.reduce((best, page) => (page.heardAt > best.heardAt ? page : best), first);
    this.primary?.play('secondary');
    this.primary = last;
    last.play('primary');
  }

  /** No page has come for some time: the session ends in good order. */
  private expire(): void {
    this.socket?.send(CLOSE);
    this.end('no page is there');
  }
}

function bare(jid: string): string {
  return (jid.split('/', 1)[0] ?? '').toLowerCase();
}

const CLOSE = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const MOST_PAGES = 100;
const SWEEP = 30_000;
const PRIMARY_SILENCE = 70_000;
const LONGEST_SILENCE = 30 * 60_000;
/** A page that is loaded again finds its session. */
const FAREWELL = 10_000;
