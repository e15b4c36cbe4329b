// Connections over BOSH that are lost and made anew.

import { $iq, $msg, Strophe } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';
import type { Connection, Options } from './login.js';
import { serve, type Server } from './server.js';

const { ATTACHED, AUTHFAIL, AUTHENTICATING, CONNECTED, CONNECTING } = Strophe.Status;
const { DISCONNECTED, DISCONNECTING, RECONNECTING } = Strophe.Status;

let server: Server;
let other: Server | undefined;
let heard: Heard;
let connection: Connection;
/** Where requests lead to; nowhere, while the network is away. */
let line: Server | null;
let answer: ((body: string) => Response | undefined) | undefined;

const fetchOf = globalThis.fetch;

beforeAll(async () => {
  server = await serve('s3cr3t');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  heard = new Heard();
  [line, answer] = [server, undefined];
  vi.stubGlobal('fetch', async (_url: string, init: RequestInit) => {
    const answered = answer?.(String(init.body));
    if (answered) return answered;
    const there = line;
    if (!there) throw new TypeError('fetch failed');
    return fetchOf(there.bosh, init);
  });
});
afterEach(async () => {
  connection.reset();
  await other?.stop();
  other = undefined;
  vi.unstubAllGlobals();
});

const HASTY = { reconnect: { first: 1, longest: 1 } };

async function login(options: Options = HASTY): Promise<void> {
  connection = new Strophe.Connection('https://example.com/http-bind', options);
  connection.maxRetries = 1;
  connection.connect('alice@example.com/desk', 's3cr3t', (status, condition) => {
    if (status === RECONNECTING) line ??= other ?? server; // it is back by then
    heard.callback(status, condition);
  });
  await heard.until(CONNECTED);
}

/** Loses the connection, and forgets what was heard. */
function lose(): void {
  heard.all.length = 0;
  line = null;
  connection.send($msg({ to: connection.jid }).c('body').t('lost'));
}

const AGAIN = [RECONNECTING, CONNECTING, AUTHENTICATING, CONNECTED];

describe('a session over BOSH', () => {
  test('that is lost is followed by another, time after time', async () => {
    await login();
    for (let round = 0; round < 3; round += 1) {
      lose();
      await heard.until(CONNECTED);
      expect(heard.codes).toEqual(AGAIN);
      expect(heard.all[0]).toEqual([RECONNECTING, 'giving-up']);
      expect(connection.restored).toBe(false);
      const echoed = new Promise<Element>((done) => {
        connection.addHandler((stanza) => stanza.textContent !== String(round) || void done(stanza), null, 'message');
      });
      connection.send($msg({ to: connection.jid }).c('body').t(String(round)));
      await echoed;
    }
  });

  test('may have salted its passwords anew meanwhile', async () => {
    await login();
    other = await serve('s3cr3t');
    lose();
    await heard.until(CONNECTED);
    expect(heard.codes).toEqual(AGAIN);
  });

  test('sends later what was sent meanwhile, and requests fail', async () => {
    await login();
    const errback = vi.fn();
    connection.sendIQ($iq({ type: 'get', to: 'nobody@example.com/x' }).c('q', { xmlns: 'urn:q' }), null, errback);
    lose();
    const told = connection.connect_callback;
    connection.connect_callback = (status, condition) => {
      if (status === RECONNECTING) connection.send($msg({ to: 'bob@example.com' }).c('body').t('later'));
      return told?.(status, condition);
    };
    const sent = new Promise<void>((done) => {
      answer = (body) => void (body.includes('later') && done());
    });
    await sent;
    expect(heard.codes).toEqual(AGAIN);
    expect(errback).toHaveBeenCalledExactlyOnceWith(null);
  });

  test.each<[string, () => Response, string]>([
    ['is shut down', () => ended('system-shutdown'), 'system-shutdown'],
    ['is not known any more', () => new Response('', { status: 404 }), 'item-not-found'],
    ['is in trouble', () => new Response('', { status: 503 }), 'giving-up'],
  ])('at a server that %s is made anew', async (_, said, condition) => {
    await login();
    heard.all.length = 0;
    answer = (body) => {
      if (!body.includes('cut here')) return undefined;
      answer = undefined;
      return said();
    };
    connection.send($msg({ to: connection.jid }).c('body').t('cut here'));
    await heard.until(CONNECTED);
    expect(heard.all[0]).toEqual([RECONNECTING, condition]);
  });

  test('that somebody else has now is over', async () => {
    await login();
    heard.all.length = 0;
    const conflict = "<error xmlns='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>";
    answer = (body) => (body.includes('cut here') ? ended('remote-stream-error', conflict) : undefined);
    connection.send($msg({ to: connection.jid }).c('body').t('cut here'));
    await heard.until(DISCONNECTED);
    expect(heard.codes).not.toContain(RECONNECTING);
    expect(heard.all.at(-1)).toEqual([DISCONNECTED, 'conflict']);
  });

  test('does not come back by a password that is wrong by now', async () => {
    await login();
    other = await serve('another');
    lose();
    await heard.until(DISCONNECTED);
    expect(heard.codes).toEqual([RECONNECTING, CONNECTING, AUTHENTICATING, AUTHFAIL, DISCONNECTED]);
    expect(heard.all.at(-1)).toEqual([DISCONNECTED, 'not-authorized']);
  });

  test('can be ended while the next is waited for', async () => {
    await login({ reconnect: { first: 3_600_000, longest: 3_600_000 } });
    lose();
    await heard.until(RECONNECTING);
    connection.disconnect();
    await heard.until(DISCONNECTED);
    expect(heard.codes).toEqual([RECONNECTING, DISCONNECTING, DISCONNECTED]);
  });

  test('that was taken over has nothing to log in with', async () => {
    await login({});
    const { sid, rid } = connection._proto as InstanceType<typeof Strophe.Bosh>;
    const [first, taken] = [connection, new Strophe.Connection('https://example.com/http-bind', HASTY)];
    taken.maxRetries = 1;
    taken.attach(first.jid, sid ?? '', rid ?? 0, heard.callback);
    await heard.until(ATTACHED);
    connection = taken;
    heard.all.length = 0;
    line = null;
    taken.send($msg({ to: taken.jid }));
    await heard.until(DISCONNECTED);
    expect(heard.codes).toEqual([DISCONNECTED]);
    first.reset();
  });
});

function ended(condition: string, inside = ''): Response {
  const attributes = `xmlns='http://jabber.org/protocol/httpbind' type='terminate' condition='${condition}'`;
  return new Response(`<body ${attributes}>${inside}</body>`, { status: 200 });
}
