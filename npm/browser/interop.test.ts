// The package in a browser, with Prosody and ejabberd.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { useChromium } from './chromium.js';
import { lent } from './lent.js';
import { approach, converse, logIn, openShelf, type Login, type Shelf } from './library.js';
import { openLine } from './line.js';
import { logInByToken, survive } from './sessions.js';

const { accounts, password, servers } = lent();

// Chromium tells of a frame that comes after the one that closes, and of lines that are cut.
const open = useChromium(/refused the login|Close received after close|WebSocket connection to|could not be opened|no usable mechanism/);
let shelf: Shelf;
beforeAll(async () => {
  shelf = await openShelf();
});
afterAll(() => shelf.close());

/** A page that trusts a server: the certificates are of an authority of this run. */
async function openPage(...urls: string[]): Promise<Page> {
  const page = await open(shelf.pageWith('dist/strophe.js'), { ignoreHTTPSErrors: true });
  await approach(page, ...urls);
  return page;
}

/** The strongest mechanism that a domain has. */
const STRONGEST = {
  'localhost': 'SCRAM-SHA-1',
  'sha256.localhost': 'SCRAM-SHA-256',
  'sha384.localhost': 'SCRAM-SHA-384',
  'sha512.localhost': 'SCRAM-SHA-512',
};

/** That of tokens. A page cannot see what TLS could be bound to. */
const HASHED_TOKEN = 'HT-SHA-256-NONE';

test('there are four servers', () => {
  expect(servers.map(({ name }) => name)).toEqual(['prosody-0.12', 'prosody-13', 'ejabberd-23.01', 'ejabberd-24.12']);
});

for (const server of servers) {
  for (const transport of ['ws', 'wss', 'bosh', 'secureBosh'] as const) {
    const service = server[transport];

    test(`${server.name}, ${transport}: logins`, async () => {
      const page = await openPage(server.secureBosh);
      for (const [domain, mechanism] of Object.entries(STRONGEST)) {
        if (!server.domains.includes(domain)) continue;
        const outcome = await logIn(page, { service, jid: `alice@${domain}`, pass: password });
        expect(outcome).toMatchObject({ mechanism });
        expect(outcome.statuses).toContain('CONNECTED');
        expect(outcome.keys!.name).toBe(mechanism.slice('SCRAM-'.length));
        const again = await logIn(page, { service, jid: `alice@${domain}`, pass: outcome.keys });
        expect(again.statuses).toContain('CONNECTED');
      }
      const guest = await logIn(page, { service, jid: 'anonymous.localhost', pass: null });
      expect(guest).toMatchObject({ mechanism: 'ANONYMOUS' });
      expect(guest.statuses).toContain('CONNECTED');
      const stranger = await logIn(page, { service, jid: accounts[0], pass: 'wrong' });
      expect(stranger.statuses).toContain('AUTHFAIL not-authorized');
      expect(stranger.statuses.at(-1)).toBe('DISCONNECTED not-authorized');
    });

    test(`${server.name}, ${transport}: a conversation`, async () => {
      const page = await openPage(server.secureBosh);
      const [alice, bob] = accounts.map((jid) => ({ service, jid, pass: password }));
      const texts: [string, string] = ['Grüße & <b>', '😀 "quoted"'];
      expect(await converse(page, [alice!, bob!], texts)).toEqual([...texts].reverse());
    });
  }

  test(`${server.name}, wss: a connection that is cut is resumed`, async () => {
    const line = await openLine(server.wss);
    const page = await openPage(server.secureBosh, line.by(server.secureBosh));
    const [alice, bob] = accounts;
    const logins: [Login, Login] = [
      { service: line.by(server.wss), jid: alice, pass: password },
      { service: server.wss, jid: bob, pass: password },
    ];
    const options = { enableStreamManagement: true, reconnect: { first: 1, longest: 100 } };
    const survived = await survive(page, line, logins, options);
    expect(survived).toMatchObject({ isRestored: true, isSameAddress: true });
    expect(survived.arrived).toEqual([['to nowhere', 'the last'], ['from nowhere']]);
    await line.close();
  });

  // Over HTTP, ejabberd offers SASL2 to nobody.
  if (server.name === 'prosody-13') {
    for (const [transport, flights] of [
      ['wss', [3, 1, 1]],
      ['secureBosh', [3, 2, 2]],
    ] as const) {
      test(`${server.name}, ${transport}: logins by token`, async () => {
        const page = await openPage(server.secureBosh);
        const login = { service: server[transport], jid: 'alice@sasl2.localhost', pass: password };
        const { logins, ...rest } = await logInByToken(page, login);
        expect(logins.map(({ mechanism }) => mechanism)).toEqual(['SCRAM-SHA-256', HASHED_TOKEN, HASHED_TOKEN]);
        expect(logins.map(({ flights }) => flights)).toEqual(flights);
        expect(rest).toEqual({ isForgotten: true, after: 'no-auth-mech' });
      });
    }
  }

  test(`${server.name}, wss: what exposes the secret`, async () => {
    const page = await openPage(server.secureBosh);
    const service = server.wss;
    const plain = await logIn(page, { service, jid: accounts[0], pass: password, mechanisms: ['SASLPlain'] });
    expect(plain.statuses).toContain('CONNECTED');
    const isProsody = server.name.startsWith('prosody');
    const jid = isProsody ? 'alice@oauth.localhost' : accounts[0];
    const mechanisms = [isProsody ? 'SASLOAuthBearer' : 'SASLXOAuth2'];
    const token = await logIn(page, { service, jid, pass: { token: server.token }, mechanisms });
    expect(token.statuses).toContain('CONNECTED');
    const wrong = await logIn(page, { service, jid, pass: { token: 'wrong' }, mechanisms });
    expect(wrong.statuses.find((status) => status.startsWith('AUTHFAIL'))).toBeDefined();
  });
}
