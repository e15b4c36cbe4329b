// How requests of BOSH are made: how long their answers may take, and which stop the page.

import { $msg, Strophe } from 'strophejs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';
import type { Connection, Options } from './login.js';
import { serve } from './server.js';

const { ATTACHED, CONNECTED, CONNECTING, DISCONNECTED } = Strophe.Status;
const SESSION = ['alice@example.com/desk', 'a1', 1774] as const;
const EMPTY = "<body xmlns='http://jabber.org/protocol/httpbind'/>";

interface Posted {
  body: string;
  keepalive: boolean | undefined;
}

let fetched: Posted[];
/** Answers the request that the server keeps waiting. */
let answerFirst: () => Promise<void>;
let connection: Connection;

beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  fetched = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  [Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT] = [1.1, 0.1];
});

/** A session that is logged in, whose first request is answered and no other. */
async function attached(options: Options = {}, wait?: number): Promise<Heard> {
  vi.useFakeTimers();
  let isFirst = true;
  vi.stubGlobal('fetch', (_url: string, { body, keepalive }: RequestInit) => {
    fetched.push({ body: String(body), keepalive });
    if (isFirst) {
      isFirst = false;
      return Promise.resolve(new Response(EMPTY, { status: 200 }));
    }
    return new Promise((answered) => {
      answerFirst = async () => {
        answered(new Response(EMPTY, { status: 200 }));
        await vi.advanceTimersByTimeAsync(0);
      };
    });
  });
  const heard = new Heard();
  connection = new Strophe.Connection('https://example.com/http-bind', options);
  connection.attach(...SESSION, heard.callback, wait);
  expect(heard.codes).toEqual([CONNECTING]); // nothing comes before this has returned
  await vi.advanceTimersByTimeAsync(2000);
  expect(heard.codes).toEqual([CONNECTING, ATTACHED]);
  return heard;
}

describe('the timeouts of requests', () => {
  /** After how many seconds a request is made that was made before. */
  async function repeated(): Promise<number> {
    for (let seconds = 0; seconds < 1000; seconds += 1) {
      const bodies = fetched.map(({ body }) => body);
      if (new Set(bodies).size < bodies.length) return seconds;
      await vi.advanceTimersByTimeAsync(1000);
    }
    return Infinity;
  }

  test.each([
    [1.2, 50, 60],
    [1.5, 30, 45],
    [2, 10, 20],
    [1.1, 30, 35], // never less than 5 seconds beyond what the server may take
    [1, 10, 15],
  ])('TIMEOUT %d, with a wait of %d seconds: %d', async (part, wait, expected) => {
    Strophe.TIMEOUT = part;
    await attached({}, wait);
    // Of the second request, which was made 2 seconds before.
    expect(Math.abs((await repeated()) + 2 - expected)).toBeLessThanOrEqual(1);
    connection.reset();
  });

  test.each([
    [0.1, 6],
    [0.5, 30],
    [0, 5],
  ])('SECONDARY_TIMEOUT %d: %d seconds after a later request', async (part, expected) => {
    Strophe.SECONDARY_TIMEOUT = part;
    await attached({}, 60);
    connection.send($msg({ to: 'bob@example.com' }));
    expect(Math.abs((await repeated()) - expected)).toBeLessThanOrEqual(1);
    connection.reset();
  });

  test('hold for the requests that are under way once anything happens', async () => {
    await attached({}, 60);
    [Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT] = [2, 0.4];
    connection.send($msg({ to: 'bob@example.com' }));
    expect(Math.abs((await repeated()) - 24)).toBeLessThanOrEqual(1);
    connection.reset();
  });

  test('are brought within what makes sense', () => {
    expect([Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT]).toEqual([1.1, 0.1]);
    [Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT] = [0.5, -1];
    expect([Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT]).toEqual([1, 0]);
    [Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT] = [1000, 1000];
    expect([Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT]).toEqual([100, 100]);
    for (const value of [NaN, Infinity, '2', undefined]) {
      expect(() => (Strophe.TIMEOUT = value as number)).toThrow('Strophe.TIMEOUT is a number, not');
      expect(() => (Strophe.SECONDARY_TIMEOUT = value as number)).toThrow(TypeError);
    }
    expect([Strophe.TIMEOUT, Strophe.SECONDARY_TIMEOUT]).toEqual([100, 100]);
  });
});

/** A request that stops the page, and what is answered to it. */
class Stopping {
  static all: Stopping[] = [];
  static answer: (body: string) => { status: number; text?: string; from?: string };
  readonly headers: Record<string, string> = {};
  withCredentials = false;
  status = 0;
  responseText = '';
  responseURL = '';
  body = '';
  isAsync: boolean | undefined;

  open(_method: string, url: string, isAsync: boolean): void {
    [this.responseURL, this.isAsync] = [url, isAsync];
  }

  overrideMimeType(): void {}

  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }

  send(body: string): void {
    Stopping.all.push(this);
    this.body = body;
    const { status, text = '', from = this.responseURL } = Stopping.answer(body);
    [this.status, this.responseText, this.responseURL] = [status, text, from];
  }

  getAllResponseHeaders(): string {
    return 'content-type: text/xml\r\n';
  }
}

describe('requests that stop the page', () => {
  beforeEach(() => {
    Stopping.all = [];
    Stopping.answer = () => ({ status: 200, text: EMPTY });
    vi.stubGlobal('XMLHttpRequest', Stopping);
  });

  const hello = () => $msg({ to: 'bob@example.com' }).c('body').t('Grüße');
  const polls = () => fetched.filter(({ body }) => body.endsWith('/>'));

  test('are those that say something, while `sync` is set', async () => {
    await attached({ customHeaders: { 'X-Own': '7' }, withCredentials: true });
    const polled = polls().length; // which the server may keep waiting
    connection.options.sync = true;
    const came: string[] = [];
    connection.addHandler((stanza) => came.push(stanza.textContent ?? ''), null, 'message');
    const echo = "<message xmlns='jabber:client'><body>Schöne Grüße</body></message>";
    Stopping.answer = () => ({ status: 200, text: EMPTY.replace('/>', `>${echo}</body>`) });
    connection.send(hello());
    await vi.advanceTimersByTimeAsync(0);
    expect(Stopping.all).toHaveLength(1);
    const [first] = Stopping.all;
    expect(first).toMatchObject({ isAsync: false, withCredentials: true });
    expect(first?.headers).toEqual({ 'Content-Type': 'text/xml; charset=utf-8', 'X-Own': '7' });
    expect(first?.body).toContain('Grüße');
    const { lastResponseHeaders } = connection._proto as InstanceType<typeof Strophe.Bosh>;
    expect(lastResponseHeaders).toBe('content-type: text/xml');
    await answerFirst();
    expect(came).toEqual(['Schöne Grüße']);
    await vi.advanceTimersByTimeAsync(10);
    expect(polls().length).toBeGreaterThan(polled);
    connection.options.sync = false;
    connection.send(hello());
    await vi.advanceTimersByTimeAsync(0);
    expect(Stopping.all).toHaveLength(1);
    expect(fetched.at(-1)?.body).toContain('Grüße');
    connection.reset();
  });

  test('say goodbye, with all that was said in one go', async () => {
    const heard = await attached({ sync: true });
    Stopping.answer = () => ({ status: 200, text: EMPTY.replace('/>', " type='terminate'/>") });
    connection.send(hello());
    connection.disconnect();
    await vi.advanceTimersByTimeAsync(0);
    expect(Stopping.all).toHaveLength(1);
    expect(Stopping.all[0]?.body).toMatch(/type=.terminate.[^]*Grüße[^]*unavailable/);
    await answerFirst();
    expect(heard.codes.at(-1)).toBe(DISCONNECTED);
  });

  test('that lead elsewhere are not believed', async () => {
    const heard = await attached({ sync: true });
    Stopping.answer = () => ({ status: 200, text: EMPTY, from: 'https://example.net/' });
    connection.send(hello());
    await vi.advanceTimersByTimeAsync(0);
    expect(heard.codes.at(-1)).toBe(DISCONNECTED);
  });

  test.each([
    ['that the page cannot make any more', class extends Stopping { override send(): void { throw new Error('the page goes away'); } }],
    ['that cannot be made at all', undefined],
  ])('%s outlive the page', async (_, other) => {
    vi.stubGlobal('XMLHttpRequest', other);
    const lines: string[] = [];
    const { log } = Strophe;
    Strophe.log = (level, line) => void (level === Strophe.LogLevel.WARN && lines.push(line));
    await attached({ sync: true });
    for (const _ of [1, 2]) {
      connection.send(hello());
      await vi.advanceTimersByTimeAsync(0);
    }
    Strophe.log = log;
    const said = fetched.filter(({ body }) => body.includes('Grüße'));
    expect(said.length).toBeGreaterThan(0);
    expect(said.every(({ keepalive }) => keepalive)).toBe(true);
    expect(polls().every(({ keepalive }) => !keepalive)).toBe(true);
    const warned = lines.filter((line) => line.includes('XMLHttpRequest'));
    expect(warned).toHaveLength(other ? 0 : 1);
    connection.reset();
  });

  test('are none of a login, whose password might be led elsewhere', async () => {
    const server = await serve('s3cr3t');
    vi.stubGlobal('XMLHttpRequest', class extends Stopping { override send(body: string): void { super.send(body); throw new Error('it is not answered here'); } });
    const heard = new Heard();
    connection = new Strophe.Connection(server.bosh, { sync: true });
    connection.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    expect(Stopping.all).toEqual([]);
    connection.send($msg({ to: connection.jid }).c('body').t('Grüße'));
    await new Promise((done) => connection.addHandler(done, null, 'message'));
    expect(Stopping.all).toHaveLength(1);
    connection.disconnect();
    await heard.until(DISCONNECTED);
    await server.stop();
  });
});
