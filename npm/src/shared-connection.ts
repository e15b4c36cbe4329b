// One connection for all pages of an origin. A page logs in and becomes the primary; the others join
// it. Passwords and keys do not come here: the pages' own cores log in. Where both sides count stanzas,
// the worker's core does it for all of them.

import type { LostSession } from './lost-session.js';
import { PRIMARY_SILENCE, SharedLine, type LineKeeper, type Surroundings } from './shared-line.js';
import { SharedPage, type PagePort } from './shared-page.js';
import { VERSION, type FromPage, type Management } from './worker-protocol.js';

/** The connection, from the first page to the last. */
export class SharedConnection {
  private readonly pages = new Set<SharedPage>();
  private line: SharedLine | null = null;
  /** A session that was lost with its line. */
  private lost: LostSession | null = null;
  private sweeping: ReturnType<typeof setInterval> | undefined;

  private readonly keeper: LineKeeper = {
    lost: (account) => (this.lost?.account === account && !this.lost.isForgotten ? this.lost : null),
    begun: () => {
      this.lost = null;
    },
    over: (line, lost, isForGood) => this.over(line, lost, isForGood),
  };

  constructor(private readonly around: Surroundings) {}

  /** A page has come. */
  admit(port: PagePort): void {
    const page = new SharedPage(port);
    port.onmessage = ({ data }) => this.heard(page, data);
    port.start?.();
  }

  private heard(page: SharedPage, message: FromPage): void {
    page.heardAt = Date.now();
    switch (message[0]) {
      case 'connect':
        page.place = message[5];
        return this.connect(page, message[1], message[2], message[3], message[4]);
      case 'attach':
        return this.attach(page, message[1]);
      case 'send':
        return (page.line ?? page.past)?.send(page, message[1]);
      case 'bound':
        return page.line?.bound(page, message[1]);
      case 'managed':
        return (page.line ?? page.past)?.manage(page, message[1], message[2], message[3]);
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

  private connect(page: SharedPage, version: number, url: string, jid: string, management: Management): void {
    if (!this.enter(page, version)) return;
    const account = bare(jid);
    if (this.line?.takes(account, url)) return this.line.join(page);
    this.line?.end('another page connects anew', true);
    if (this.lost?.account !== account) this.drop();
    const line = new SharedLine({ url, account, management }, page, this.keeper);
    this.line = line;
    line.open(this.around);
  }

  private attach(page: SharedPage, version: number): void {
    if (!this.enter(page, version)) return;
    if (this.line?.isClosing === false) this.line.join(page);
    else page.tell(['lost', 'no page of this origin is connected', true]);
  }

  /** Whether page and worker understand each other. */
  private enter(page: SharedPage, version: number): boolean {
    if (version !== VERSION) {
      page.tell(['lost', 'the page and the shared worker are of different versions: load it again', true]);
      if (version > VERSION) this.shutDown();
      return false;
    }
    if (this.pages.size >= MOST_PAGES && !this.pages.has(page)) {
      page.tell(['lost', `more than ${MOST_PAGES} pages share the connection`, true]);
      return false;
    }
    page.line?.leave(page);
    this.watch(page);
    return true;
  }

  private leave(page: SharedPage): void {
    page.line?.leave(page);
    this.forget(page);
  }

  private watch(page: SharedPage): void {
    this.pages.add(page);
    this.sweeping ??= setInterval(() => this.sweep(), SWEEP);
  }

  private forget(page: SharedPage): void {
    this.pages.delete(page);
    if (this.pages.size > 0) return;
    clearInterval(this.sweeping);
    this.sweeping = undefined;
  }

  private shutDown(): void {
    this.line?.end('a page of a newer version wants a worker of its own: load this one again', true);
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

  private over(line: SharedLine, lost: LostSession | null, isForGood: boolean): void {
    if (isForGood) this.drop();
    // Another line may go on with an earlier session by now, or be another account's.
    else if (this.line !== line && this.line?.isLoggingIn) lost?.forget();
    else if (lost) this.lost = lost;
    if (this.line === line) this.line = null;
  }

  private drop(): void {
    this.lost?.forget();
    this.lost = null;
  }
}

function bare(jid: string): string {
  return (jid.split('/', 1)[0] ?? '').toLowerCase();
}

const MOST_PAGES = 100;
const SWEEP = 30_000;
const LONGEST_SILENCE = 30 * 60_000;
