// Sessions that outlive connections, and logins by token, with the small server.

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, type Server } from '../test/server.js';
import { useChromium } from './chromium.js';
import { approach, openShelf, type Shelf } from './library.js';
import { openLine } from './line.js';
import { logInByToken, survive } from './sessions.js';

// A line that is cut, and the logins that fail meanwhile.
const open = useChromium(/WebSocket connection to|could not be opened|no usable mechanism/);
let server: Server;
let shelf: Shelf;
beforeAll(async () => {
  [server, shelf] = await Promise.all([serve('pencil'), openShelf()]);
});
afterAll(() => Promise.all([server.stop(), shelf.close()]));

async function openPage(...services: string[]): Promise<Page> {
  const page = await open(shelf.pageWith('dist/strophe.js'), { ignoreHTTPSErrors: true });
  const bosh = services.map((service) => service.replace('wss:', 'https:').replace('xmpp-websocket', 'http-bind'));
  await approach(page, ...bosh);
  return page;
}
const account = (user: string, service: string) => ({ service, jid: `${user}@example.com`, pass: 'pencil' });

test('logins by token, until the server has forgotten it', async () => {
  const page = await openPage(server.tls.url);
  expect(await logInByToken(page, account('alice', server.tls.url))).toEqual({
    logins: [
      { mechanism: 'SCRAM-SHA-512', flights: 3 },
      { mechanism: 'HT-SHA-512-NONE', flights: 1 },
      { mechanism: 'HT-SHA-512-NONE', flights: 1 },
    ],
    isForgotten: true,
    after: 'no-auth-mech',
  });
});

for (const [name, options, isRestored] of [
  ['resumed', { enableStreamManagement: true }, true],
  ['resumed within SASL2', { enableStreamManagement: true, sasl2: true }, true],
  ['made anew', {}, false],
] as const) {
  test(`a connection that is cut is ${name}`, async () => {
    const line = await openLine(server.tls.url);
    const page = await openPage(server.tls.url, line.by(server.tls.url));
    const logins = [account('alice', line.by(server.tls.url)), account('bob', server.tls.url)] as const;
    const survived = await survive(page, line, [...logins], { ...options, reconnect: { first: 1, longest: 100 } });
    expect(survived).toMatchObject({ isRestored, isSameAddress: true });
    expect(survived.statuses[0]).toBe('RECONNECTING');
    expect(survived.statuses.filter((status) => status === 'CONNECTED')).toHaveLength(1);
    expect(survived.arrived).toEqual([isRestored ? ['to nowhere', 'the last'] : ['the last'], ['from nowhere']]);
    await line.close();
  });
}
