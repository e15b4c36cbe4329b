// Which transport a connection has, and transports of one's own.

import { Strophe, type Link, type Listener, type Opening } from 'strophejs';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';

const { CONNECTING, CONNFAIL, DISCONNECTED } = Strophe.Status;

beforeEach(() => Strophe.setLogLevel(Strophe.LogLevel.FATAL));

describe('the transport', () => {
  test.each([
    ['wss://example.com/ws', undefined, Strophe.Websocket],
    ['ws://example.com/ws', 'anything', Strophe.Websocket],
    ['/ws', 'wss', Strophe.Websocket],
    ['https://example.com/http-bind', undefined, Strophe.Bosh],
    ['http://example.com/http-bind', '', Strophe.Bosh],
    ['/http-bind', undefined, Strophe.Bosh],
  ])('for %s with the protocol %j', (service, protocol, transport) => {
    const options = protocol === undefined ? {} : { protocol };
    expect(new Strophe.Connection(service, options)._proto).toBeInstanceOf(transport);
  });

  test.each(['smoke', 'xmpp', 'http'])('for the protocol %s is not known', (protocol) => {
    const make = () => new Strophe.Connection('//example.com/', { protocol });
    expect(make).toThrow(`unknown connection protocol: ${protocol}: it is ws or wss`);
  });

  test('is chosen anew where the service is another', () => {
    const connection = new Strophe.Connection('wss://example.com/ws');
    connection.service = 'https://example.com/http-bind';
    connection.setProtocol();
    expect(connection._proto).toBeInstanceOf(Strophe.Bosh);
  });

  test('has an address of the page where it is a relative one', async () => {
    const urls: string[] = [];
    vi.stubGlobal('location', { href: 'https://example.com/chat/' });
    vi.stubGlobal('WebSocket', class {
      constructor(url: string) {
        urls.push(url);
        throw new Error('none today');
      }
    });
    vi.stubGlobal('fetch', (url: string) => {
      urls.push(url);
      return Promise.resolve(new Response(null, { status: 404 }));
    });
    for (const [service, protocol] of [['../ws', 'ws'], ['/ws', 'wss'], ['/http-bind', '']] as const) {
      const heard = new Heard();
      const connection = new Strophe.Connection(service, { protocol });
      connection.connect('alice@example.com', 's3cr3t', heard.callback);
      await heard.until(DISCONNECTED);
      expect(heard.codes).toEqual([CONNECTING, CONNFAIL, DISCONNECTED]);
    }
    vi.unstubAllGlobals();
    expect(urls).toEqual([
      'wss://example.com/ws',
      'wss://example.com/ws',
      'https://example.com/http-bind',
    ]);
  });
});

describe('cookies', () => {
  const cookies = { plain: 'a b;c%20+/=€', other: { value: '1', path: '/x', domain: 'example.com', expires: 'never' } };

  test('are put into the page', () => {
    const put: string[] = [];
    vi.stubGlobal('document', { set cookie(text: string) { put.push(text); } });
    new Strophe.Connection('/http-bind', { cookies });
    vi.unstubAllGlobals();
    expect(put).toEqual(['plain=a%20b%3Bc%20+/%3D%E2%82%AC', 'other=1; expires=never; domain=example.com; path=/x']);
  });

  test('are no reason to fail where there is no page', () => {
    const original = Strophe.log;
    const lines: string[] = [];
    Strophe.log = (_level, message) => void lines.push(message);
    new Strophe.Connection('/http-bind', { cookies });
    Strophe.log = original;
    expect(lines[0]).toBe('the cookie plain is for a page, and there is none');
  });

  test('that would be something else are refused', () => {
    vi.stubGlobal('document', { cookie: '' });
    for (const [name, value] of [['a=b', '1'], ['a;b', '1'], ['', '1'], ['a', { value: '1', path: '/; secure' }]] as const) {
      expect(() => new Strophe.Connection('/http-bind', { cookies: { [name]: value } })).toThrow(/cookie/);
    }
    vi.unstubAllGlobals();
  });
});

/** A transport of the application's. */
class Pigeon {
  static last: Pigeon;
  readonly sent: string[] = [];
  listener: Listener | undefined;
  opening: Opening | undefined;
  isClosed = false;

  constructor(readonly connection: unknown) {
    Pigeon.last = this;
  }

  open(listener: Listener, opening: Opening): Link {
    if (opening.url === 'ill') throw new Error('the pigeon is ill');
    this.listener = listener;
    this.opening = opening;
    return {
      send: (frame) => {
        if (this.sent.push(frame) > 1) throw new Error('the pigeon is tired');
      },
      close: () => {
        this.isClosed = true;
      },
    };
  }
}

describe('a transport of one\'s own', () => {
  Strophe.Connection.addProtocol('pigeon', Pigeon);
  const connect = (service: string) => {
    const heard = new Heard();
    const connection = new Strophe.Connection(service, { protocol: 'pigeon' });
    connection.connect('alice@example.com', 's3cr3t', heard.callback);
    return { connection, heard, pigeon: Pigeon.last };
  };

  test('carries the frames', () => {
    const { connection, heard, pigeon } = connect('coop 7');
    expect(pigeon.connection).toBe(connection);
    expect(pigeon.opening).toMatchObject({ url: 'coop 7', jid: 'alice@example.com' });
    pigeon.listener?.opened('encrypted');
    expect(pigeon.sent).toEqual([expect.stringMatching(/^<open [^>]*to=.example\.com./)]);
    pigeon.listener?.received('<nonsense/>');
    expect(heard.all.at(-1)).toEqual([DISCONNECTED, 'protocol-violation']);
    expect(pigeon.isClosed).toBe(true);
    pigeon.listener?.lost('again');
    pigeon.listener?.received('<nonsense/>');
    expect(heard.codes).toEqual([CONNECTING, CONNFAIL, DISCONNECTED]);
  });

  test('may not open, break off, or take no frame', () => {
    const ill = connect('ill');
    expect(ill.heard.all.slice(1)).toEqual([
      [CONNFAIL, 'connection-failed'],
      [DISCONNECTED, 'connection-failed'],
    ]);
    const lost = connect('coop 7');
    lost.pigeon.listener?.opened('encrypted');
    lost.pigeon.listener?.lost('a cat came');
    expect(lost.heard.all.slice(1)).toEqual([
      [CONNFAIL, 'connection-lost'],
      [DISCONNECTED, 'connection-lost'],
    ]);
    const tired = connect('coop 7');
    tired.pigeon.listener?.opened('encrypted');
    tired.connection.disconnect();
    expect(tired.heard.all.at(-1)).toEqual([DISCONNECTED, null]);
    expect(tired.pigeon.isClosed).toBe(true);
  });
});
