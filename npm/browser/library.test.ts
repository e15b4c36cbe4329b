// The package in a browser, with the small server.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, type Server } from '../test/server.js';
import { useChromium } from './chromium.js';
import { converse, hear, logIn, openShelf, promiseGoodbye, sayGoodbye, type Shelf } from './library.js';

const PASSWORD = 'pencil & paper';
const open = useChromium(/refused the login|no usable mechanism/);
let server: Server;
let shelf: Shelf;
beforeAll(async () => {
  [server, shelf] = await Promise.all([serve(PASSWORD), openShelf()]);
});
afterAll(() => Promise.all([server.stop(), shelf.close()]));

const script = 'dist/strophe.js';
const services = {
  websocket: () => server.url,
  bosh: () => server.url.replace('ws:', 'http:').replace('xmpp-websocket', 'http-bind'),
};

for (const [transport, service] of Object.entries(services)) {
  test(`logins over ${transport}`, async () => {
    const page = await open(shelf.pageWith(script));
    const login = { service: service(), jid: 'alice@example.com', pass: PASSWORD };
    const all = ['CONNECTING', 'AUTHENTICATING', 'CONNECTED', 'DISCONNECTING', 'DISCONNECTED'];
    for (const [mechanism, name] of [
      ['SASLSHA512', 'SCRAM-SHA-512'],
      ['SASLSHA384', 'SCRAM-SHA-384'],
      ['SASLSHA256', 'SCRAM-SHA-256'],
      ['SASLSHA1', 'SCRAM-SHA-1'],
      ['SASLPlain', 'PLAIN'],
    ] as const) {
      const outcome = await logIn(page, { ...login, mechanisms: [mechanism] });
      expect(outcome).toMatchObject({ statuses: all, mechanism: name });
      expect(outcome.jid).toMatch(/^alice@example\.com\/./);
    }
    const guest = await logIn(page, { ...login, jid: 'example.com', pass: null });
    expect(guest).toMatchObject({ statuses: all, mechanism: 'ANONYMOUS' });

    const first = await logIn(page, login);
    expect(first.keys).toMatchObject({ name: 'SHA-512', iter: 4096 });
    expect(await logIn(page, { ...login, pass: first.keys })).toMatchObject({ statuses: all });

    const failed = ['CONNECTING', 'AUTHENTICATING', 'AUTHFAIL not-authorized', 'DISCONNECTED not-authorized'];
    for (const pass of ['wrong', { ...first.keys!, ck: first.keys!.sk }]) {
      const outcome = await logIn(page, { ...login, pass });
      expect(outcome.statuses).toEqual(failed);
    }
    const unoffered = await logIn(page, { ...login, mechanisms: ['SASLExternal'] });
    expect(unoffered.statuses).toContain('AUTHFAIL no-auth-mech');
  });

  test(`a conversation over ${transport}`, async () => {
    const page = await open(shelf.pageWith(script));
    const [alice, bob] = ['alice', 'bob'].map((user) => ({
      service: service(),
      jid: `${user}@example.com`,
      pass: PASSWORD,
    }));
    const texts: [string, string] = ['Grüße & <b>', '😀 "quoted"'];
    expect(await converse(page, [alice!, bob!], texts)).toEqual([...texts].reverse());
  });
}

test('a last word over BOSH stops the page', async () => {
  const page = await open(shelf.pageWith(script));
  const [alice, bob] = ['alice', 'bob'].map((user) => ({
    service: services.bosh(),
    jid: `${user}@example.com`,
    pass: PASSWORD,
  }));
  const { came, stopping } = await sayGoodbye(page, [alice!, bob!], 'Grüße & <b>');
  expect(came).toBe('Grüße & <b>');
  expect(stopping).toHaveLength(1);
  expect(stopping[0]).toMatch(/type='terminate'.*Grüße.*unavailable/);
});

test('a page that is left says its last word over BOSH', async () => {
  const [leaving, staying] = [await open(shelf.pageWith(script)), await open(shelf.pageWith(script))];
  const login = { service: services.bosh(), pass: PASSWORD };
  const came = await hear(staying, { ...login, jid: 'bob@example.com' }, async (bob) => {
    await promiseGoodbye(leaving, { ...login, jid: 'alice@example.com' }, bob, 'Grüße & <b>');
    await leaving.goto('about:blank');
  });
  expect(came).toBe('Grüße & <b>');
});
