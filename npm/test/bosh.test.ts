// Connections over BOSH, and sessions that one page leaves and another goes on with.

import { $msg, Strophe } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';
import { serve, type Server } from './server.js';

const {
  ATTACHED,
  ATTACHFAIL,
  AUTHENTICATING,
  AUTHFAIL,
  CONNECTED,
  CONNECTING,
  DISCONNECTED,
  DISCONNECTING,
} = Strophe.Status;

type Connection = InstanceType<typeof Strophe.Connection>;
type Options = ConstructorParameters<typeof Strophe.Connection>[1];
type Bosh = InstanceType<typeof Strophe.Bosh>;

let server: Server;
let page: Page;
let heard: Heard;

/**
 * A page that can be left: its requests reach the server, but it hears and says nothing more. Its
 * connections are known by a header.
 */
class Page {
  private static readonly all: Page[] = [];
  readonly number = Page.all.push(this) - 1;
  readonly requests: RequestInit[] = [];
  private isLeft = false;

  constructor() {
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      const number = (init.headers as Record<string, string>)['X-Page'];
      return Page.all[Number(number)]?.ask(url, init);
    });
  }

  leave(): void {
    this.isLeft = true;
  }

  private ask(url: string, init: RequestInit): Promise<Response> {
    if (this.isLeft) return new Promise(() => {});
    this.requests.push(init);
    return new Promise((answered, broken) => {
      const unlessLeft = (tell: () => void) => this.isLeft || tell();
      fetchOf(url, init).then(
        (response) => unlessLeft(() => answered(response)),
        (reason) => unlessLeft(() => broken(reason)),
      );
    });
  }
}

const fetchOf = globalThis.fetch;

beforeAll(async () => {
  server = await serve('s3cr3t');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  heard = new Heard();
  page = new Page();
  const stored = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  });
});
afterEach(() => {
  Strophe.Bosh.prototype.strip = false;
  vi.unstubAllGlobals();
});

function make(options: Options = {}): Connection {
  const customHeaders = { 'X-Page': String(page.number), ...options.customHeaders };
  return new Strophe.Connection(server.bosh, { ...options, customHeaders });
}

async function login(options: Options = {}): Promise<Connection> {
  const connection = make(options);
  connection.connect('alice@example.com/desk', 's3cr3t', heard.callback);
  await heard.until(CONNECTED);
  return connection;
}

/** A message to oneself, and back. */
async function echo(connection: Connection, text: string): Promise<void> {
  const echoed = new Promise<string | null>((done) => {
    connection.addHandler((stanza) => done(stanza.textContent), null, 'message');
  });
  connection.send($msg({ to: connection.jid }).c('body').t(text));
  expect(await echoed).toBe(text);
}

describe('over BOSH', () => {
  test('one logs in, speaks and logs out', async () => {
    const connection = await login();
    expect(connection._proto).toBeInstanceOf(Strophe.Bosh);
    expect(connection.jid).toBe('alice@example.com/desk');
    await echo(connection, 'Hi <&>');
    connection.disconnect('bye');
    await heard.until(DISCONNECTED);
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [AUTHENTICATING, null],
      [CONNECTED, null],
      [DISCONNECTING, 'bye'],
      [DISCONNECTED, null],
    ]);
    const last = String(page.requests.at(-1)?.body);
    expect(last).toMatch(/^<body [^>]*type=.terminate.[^>]*><presence [^>]*unavailable/);
  });

  test('a wrong password is told, and closes the session', async () => {
    const connection = make();
    connection.connect('alice@example.com', 'wrong', heard.callback);
    await heard.until(DISCONNECTED);
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [AUTHENTICATING, null],
      [AUTHFAIL, 'not-authorized'],
      [DISCONNECTED, 'not-authorized'],
    ]);
  });

  test('wait, hold and route are what the session is asked for with', async () => {
    const connection = make({ contentType: 'text/xml', customHeaders: { 'X-Own': '7' } });
    connection.maxRetries = 2;
    connection.connect('alice@example.com', 's3cr3t', heard.callback, 30, 1, 'xmpp:example.com:5222');
    await heard.until(CONNECTED);
    connection.reset();
    const [first] = page.requests;
    for (const attribute of ["wait=.30.", "hold=.1.", 'route=.xmpp:example.com:5222.', 'content=.text/xml.']) {
      expect(first?.body).toMatch(new RegExp(` ${attribute}`));
    }
    expect(first?.headers).toMatchObject({ 'Content-Type': 'text/xml', 'X-Own': '7' });
    expect(first?.credentials).toBe('same-origin');
    expect(first?.redirect).toBe('manual');
  });

  test('cookies go along where that is wanted', async () => {
    (await login({ withCredentials: true })).reset();
    expect(page.requests.every(({ credentials }) => credentials === 'include')).toBe(true);
  });

  test('the hooks are shown bodies, and what is in them where that is wanted', async () => {
    const shown = async () => {
      heard = new Heard();
      const connection = make();
      const tags = new Set<string>();
      connection.xmlInput = connection.xmlOutput = (element) => void tags.add(element.tagName);
      let raw = '';
      connection.rawInput = (text) => void (raw += text);
      connection.connect('alice@example.com', 's3cr3t', heard.callback);
      await heard.until(CONNECTED);
      connection.reset();
      return { tags: [...tags], raw };
    };
    const bodies = await shown();
    expect(bodies.tags).toEqual(['body']);
    expect(bodies.raw).toMatch(/^<body [^>]*sid=/);
    Strophe.Bosh.prototype.strip = true;
    const inside = await shown();
    expect(inside.tags).toContain('iq');
    expect(inside.tags).not.toContain('body');
  });

  test('the next request id is told, and the ids can be read', async () => {
    const connection = make();
    const told: number[] = [];
    connection.nextValidRid = (rid) => void told.push(rid);
    connection.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    const { sid, rid, _requests } = connection._proto as Bosh;
    expect(sid).toBeTruthy();
    expect(rid).toBeGreaterThanOrEqual(told.at(-1) ?? Infinity);
    expect(_requests.length).toBeLessThanOrEqual(2);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.length).toBeGreaterThan(3);
    connection.reset();
    expect(connection.connected).toBe(false);
  });

  test('what is sent in one go leaves in one request', async () => {
    const connection = await login();
    const before = page.requests.length;
    let count = 0;
    const all = new Promise<void>((done) => {
      connection.addHandler(() => ++count < 20 || done(), null, 'message');
    });
    for (let number = 0; number < 20; number += 1) {
      connection.send($msg({ to: connection.jid }).c('body').t(String(number)));
    }
    await all;
    expect(page.requests.length - before).toBeLessThanOrEqual(3);
    connection.reset();
  });
});

describe('a session goes on', () => {
  test('in the next page of the tab', async () => {
    const first = await login({ keepalive: true });
    await echo(first, 'one');
    page.leave();
    expect(page.requests.every(({ keepalive }) => keepalive)).toBe(true);

    page = new Page();
    heard = new Heard();
    const second = make({ keepalive: true });
    second.restore('alice@example.com', heard.callback);
    await heard.until(ATTACHED);
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [ATTACHED, null],
    ]);
    expect([second.jid, second.restored]).toEqual([first.jid, true]);
    expect([second.authenticated, second.connected]).toEqual([true, true]);
    await echo(second, 'two');
    page.leave();

    page = new Page();
    heard = new Heard();
    const third = make({ keepalive: true });
    third.restore(null, heard.callback);
    await heard.until(ATTACHED);
    third.disconnect();
    await heard.until(DISCONNECTED);
    expect(() => third.restore()).toThrow('_restore: no restoreable session.');
  });

  test('elsewhere, by its ids', async () => {
    const first = await login();
    await echo(first, 'one');
    const { sid, rid } = first._proto as Bosh;
    page.leave();
    page = new Page();
    heard = new Heard();
    const second = make();
    second.attach(first.jid, sid ?? '', rid ?? 0, heard.callback, 60, 1, 2);
    await echo(second, 'two'); // though nothing is known of the session yet
    expect(heard.codes).toEqual([CONNECTING, ATTACHED]);
    expect(second.restored).toBe(false);
    second.disconnect();
    await heard.until(DISCONNECTED);
  });

  test('not with ids that the server does not know', async () => {
    const connection = make({ keepalive: true });
    connection.attach('alice@example.com/desk', 'nothing', 17, heard.callback);
    connection.send($msg({ to: 'bob@example.com' }).c('body').t('kept for nobody'));
    await heard.until(DISCONNECTED);
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [ATTACHFAIL, 'item-not-found'],
      [DISCONNECTED, 'item-not-found'],
    ]);
    expect(connection.authenticated).toBe(false);
    expect(connection._data).toEqual([]);
    expect(page.requests.some(({ body }) => String(body).includes('kept for nobody'))).toBe(false);
  });

  test.each([
    ['alice@example.com', 'a1', 17, 'has a resource'],
    ['alice@example.com/desk', '', 17, 'no sid'],
    ['alice@example.com/desk', 'a1', 0, 'between 1 and'],
    ['alice@example.com/desk', 'a1', 'x', 'wrong at line 1'],
  ])('not with %s, %j, %j', (jid, sid, rid, words) => {
    const attach = () => make().attach(jid, sid, rid, heard.callback);
    expect(attach).toThrow(expect.objectContaining({ name: 'StropheSessionError' }));
    expect(attach).toThrow(words);
    expect(heard.all).toEqual([]);
  });

  test('not for another account, and not where none is kept', async () => {
    const none = expect.objectContaining({
      name: 'StropheSessionError',
      message: '_restore: no restoreable session.',
    });
    expect(() => make({ keepalive: true }).restore()).toThrow(none);
    const connection = await login({ keepalive: true });
    expect(() => make().restore('bob@example.com')).toThrow(none);
    connection.reset();
    expect(() => make().restore('alice@example.com')).toThrow(none);
    const unkept = await login();
    expect(() => make().restore('alice@example.com')).toThrow(none);
    unkept.reset();
    sessionStorage.setItem('epode-bosh-session', '{');
    expect(() => make().restore()).toThrow(none);
  });

  test.each(['attach', 'restore'] as const)('not by %s over a WebSocket', (method) => {
    const connection = new Strophe.Connection(server.url);
    const call = () => connection[method]('alice@example.com/desk', 'a1' as never, 17 as never);
    expect(call).toThrow(
      expect.objectContaining({
        name: 'StropheSessionError',
        message: `The "${method}" method can only be used with a BOSH connection.`,
      }),
    );
  });
});
