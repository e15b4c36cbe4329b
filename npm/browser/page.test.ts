// The page of `epode serve --web`, as a person uses it.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Locator, Page } from 'playwright-core';
import { serveWeb, type WebServer } from '../test/server.js';
import { picture, useChromium } from './chromium.js';
import { openShelf } from './library.js';

// What a refused login, a wrong key and a page of another site say there.
const open = useChromium(/not-authorized|status of 40[13]|WebSocket connection to|blocked by CORS|ERR_FAILED|ERR_BLOCKED/);
let server: WebServer;
beforeAll(async () => {
  server = await serveWeb();
});
afterAll(() => server.stop());

/** Where the page's server is. */
const origin = () => new URL('/', server.page).href;
/** Certificates are of an authority of this run. */
const TRUSTING = { ignoreHTTPSErrors: true };
const PHONE = { viewport: { width: 360, height: 740 } };

/** The panes of a page that is ready. */
async function panes(page: Page): Promise<[Locator, Locator]> {
  const [first, second] = ['First account', 'Second account'].map((name) => page.getByRole('region', { name }));
  await first!.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  return [first!, second!];
}

const button = (pane: Locator, name: string) => pane.getByRole('button', { name, exact: true });

async function logIn(pane: Locator, mechanism = 'Automatic'): Promise<void> {
  await pane.getByLabel('Mechanism').selectOption(mechanism);
  await button(pane, 'Log in').click();
}

async function disconnect(pane: Locator): Promise<void> {
  await button(pane, 'Disconnect').click();
  await status(pane).getByText('Not connected').waitFor();
}

async function say(pane: Locator, text: string): Promise<void> {
  await pane.getByLabel('Message', { exact: true }).fill(text);
  await pane.getByLabel('Message', { exact: true }).press('Enter');
}

const status = (pane: Locator) => pane.getByRole('status');
const connected = (pane: Locator) => status(pane).getByText(/^Connected in [\d.]+ ms$/).waitFor();
const steps = (pane: Locator) => pane.getByRole('list', { name: 'Steps' });
const frames = async (pane: Locator) => (await pane.getByLabel('Frames').textContent()) ?? '';

for (const [mechanism, words] of [
  ['Automatic', 'by SCRAM-SHA-512'],
  ['SCRAM-SHA-512', 'iterations of SHA-512 were derived'],
  ['SCRAM-SHA-384', 'iterations of SHA-384 were derived'],
  ['SCRAM-SHA-256', 'iterations of SHA-256 were derived'],
  ['SCRAM-SHA-1', 'iterations of SHA-1 were derived'],
  ['PLAIN', 'by PLAIN'],
  ['OAUTHBEARER', 'by OAUTHBEARER'],
  ['X-OAUTH2', 'by X-OAUTH2'],
  ['ANONYMOUS', 'as anonymous-'],
] as const) {
  test(`a login: ${mechanism}`, async () => {
    const [pane] = await panes(await open(server.page));
    await logIn(pane, mechanism);
    await connected(pane);
    await steps(pane).getByText(words).waitFor();
    await disconnect(pane);
  });
}

test('a login over BOSH', async () => {
  const [pane] = await panes(await open(server.page));
  await pane.getByLabel('Transport').selectOption('BOSH');
  await logIn(pane);
  await connected(pane);
  await steps(pane).getByText(`BOSH to ${origin()}http-bind`).waitFor();
  expect(await frames(pane)).toContain('<initial-response>masked</initial-response>');
  expect(await button(pane, 'Cut the connection').isVisible()).toBe(false);
});

test('secrets are masked, and nothing else is', async () => {
  const page = await open(server.page);
  const [pane] = await panes(page);
  const password = await pane.getByLabel('Password', { exact: true }).inputValue();
  expect(password).toHaveLength(32);
  for (const [profile, mechanism, message] of [
    ['RFC 6120', 'PLAIN', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>masked</auth>"],
    ['RFC 6120', 'SCRAM-SHA-1', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>masked</auth>"],
    ['SASL2', 'PLAIN', '<initial-response>masked</initial-response>'],
    ['SASL2', 'SCRAM-SHA-1', '<initial-response>masked</initial-response>'],
  ] as const) {
    await pane.getByLabel('Profile').selectOption(profile);
    await logIn(pane, mechanism);
    await connected(pane);
    const shown = await frames(pane);
    expect(shown).toContain(message);
    expect(shown).toContain('<mechanism>SCRAM-SHA-256</mechanism>');
    const html = await page.content();
    const plain = Buffer.from(`\0alice\0${password}`).toString('base64');
    for (const secret of [password, plain]) expect(html).not.toContain(secret);
    expect(shown).not.toMatch(/<(challenge|response|success|initial-response|additional-data)\b[^>]*[^/>]>(?!masked|<)/);
    await disconnect(pane);
  }
});

test('each mechanism has its verdict, and each wait its time', async () => {
  const [pane] = await panes(await open(server.page));
  const rowsBelow = async (summary: string) => {
    await pane.getByText(summary, { exact: true }).click();
    const details = pane.locator('details', { hasText: summary });
    const cells = await details.getByRole('row').allInnerTexts();
    await pane.getByText(summary, { exact: true }).click();
    return cells.slice(1).map((text) => text.split('\t'));
  };
  await logIn(pane);
  await connected(pane);
  const verdicts = await rowsBelow('Why this mechanism');
  expect(verdicts[0]).toEqual(['SCRAM-SHA-512', 'yes', 'used: its priority, 72, is the highest']);
  for (const mechanism of ['SCRAM-SHA-384', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'OAUTHBEARER', 'X-OAUTH2', 'ANONYMOUS']) {
    expect(verdicts).toContainEqual([mechanism, 'yes', expect.stringMatching(/./)]);
  }
  expect(verdicts).toContainEqual(['EXTERNAL', 'no', 'not offered by the server']);
  const derivation = 'our part: keys are derived';
  expect(await rowsBelow('Where the time went')).toContainEqual([derivation, expect.stringMatching(/^[\d.]+ ms$/)]);
  await disconnect(pane);
  await button(pane, 'Log in').click();
  await connected(pane);
  const waits = await rowsBelow('Where the time went');
  expect(waits.map(([words]) => words)).not.toContain(derivation);
});

test('a wrong password is told, and the field is there to be corrected', async () => {
  const [pane] = await panes(await open(server.page));
  await pane.getByLabel('Password', { exact: true }).fill('wrong');
  await logIn(pane, 'SCRAM-SHA-256');
  await status(pane).getByText('not-authorized').waitFor();
  await steps(pane).getByText('Ask for the secret once more.').waitFor();
  const field = pane.getByLabel('Password', { exact: true });
  expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
  await pane.getByRole('button', { name: 'alice@localhost' }).click();
  await button(pane, 'Log in').click();
  await connected(pane);
});

test('kept keys spare the derivation, until they are forgotten', async () => {
  const [pane] = await panes(await open(server.page));
  await logIn(pane);
  await connected(pane);
  await disconnect(pane);
  await pane.getByText('SCRAM-SHA-512 for alice@localhost, 4,096 iterations of SHA-512.').waitFor();
  expect(await pane.getByLabel('Password', { exact: true }).isDisabled()).toBe(true);
  await button(pane, 'Log in').click();
  await connected(pane);
  await steps(pane).getByText(/Nothing was derived: 4,096 iterations of SHA-512 saved/).waitFor();
  await disconnect(pane);
  await button(pane, 'Forget them').click();
  expect(await pane.getByLabel('Password', { exact: true }).isDisabled()).toBe(false);
  await button(pane, 'Log in').click();
  await connected(pane);
  await steps(pane).getByText('4,096 iterations of SHA-512 were derived').waitFor();
});

test('a token logs in again, in one round trip, until the server has forgotten it', async () => {
  const page = await open(server.securePage, TRUSTING);
  const [pane] = await panes(page);
  await logIn(pane);
  await connected(pane);
  await steps(pane).getByText(/^3 round trips\.$/).waitFor();
  await disconnect(pane);
  await pane.getByText('A token for alice@localhost').waitFor();
  await picture(page, 'token');
  for (let index = 0; index < 3; index += 1) {
    await button(pane, 'Log in again').click();
    await connected(pane);
    await steps(pane).getByText('by token: no password was sent or used.').waitFor();
    await steps(pane).getByText(/^1 round trip\.$/).waitFor();
    expect(await frames(pane)).toMatch(/mechanism='HT-SHA-512-NONE'/);
    expect(await frames(pane)).toContain('<initial-response>masked</initial-response>');
    if (index < 2) await disconnect(pane);
  }
  await button(pane, 'Log out').click();
  await steps(pane).getByText('The server has forgotten the token').waitFor();
  expect(await button(pane, 'Log in again').isVisible()).toBe(false);
  expect(await button(pane, 'Log out').isVisible()).toBe(false);
});

test('a token is forgotten where that is wanted before the next login', async () => {
  const [pane] = await panes(await open(server.securePage, TRUSTING));
  await logIn(pane);
  await connected(pane);
  await disconnect(pane);
  await button(pane, 'Forget it').click();
  await steps(pane).getByText('The server has forgotten the token').waitFor();
  expect(await button(pane, 'Log in again').isVisible()).toBe(false);
});

test('without TLS there is no token, and the page says so', async () => {
  const page = await open(server.page);
  const [pane] = await panes(page);
  await page.getByText('Quick logins by token need TLS').waitFor();
  await logIn(pane);
  await connected(pane);
  await steps(pane).getByText(/^3 round trips\.$/).waitFor();
  expect(await button(pane, 'Log out').isVisible()).toBe(false);
  await disconnect(pane);
  expect(await button(pane, 'Log in again').isVisible()).toBe(false);
});

test('a connection that is cut is resumed, and the chat is as it was', async () => {
  const page = await open(server.page);
  const [alice, bob] = await panes(page);
  for (const pane of [alice, bob]) {
    await logIn(pane);
    await connected(pane);
  }
  await say(alice, 'before');
  await bob.getByRole('log').getByText('alice@localhost: before').waitFor();
  await button(alice, 'Cut the connection').click();
  await status(alice).getByText('Reconnecting').waitFor();
  expect(await button(alice, 'Cut the connection').isDisabled()).toBe(true);
  await picture(page, 'reconnecting');
  await say(alice, 'from nowhere');
  await say(bob, 'are you there?');
  await status(alice).getByText(/^Resumed in [\d.]+ ms$/).waitFor();
  await steps(alice).getByText('It is the session from before: nothing was lost.').waitFor();
  await alice.getByRole('log').getByText('bob@localhost: are you there?').waitFor();
  await bob.getByRole('log').getByText('alice@localhost: from nowhere').waitFor();
  expect(await alice.getByRole('log').getByRole('listitem').allInnerTexts()).toEqual([
    'before', 'from nowhere', 'bob@localhost: are you there?',
  ]);
  await picture(page, 'resumed');
  await disconnect(alice);
});

test('without its key the page works, and tells nothing', async () => {
  const page = await open(origin());
  await page.getByText('Type the address and the password of an account').waitFor();
  const [pane] = await panes(page);
  expect(await page.content()).not.toContain('alice');
  expect(await pane.getByLabel('Address').inputValue()).toBe('');
  await logIn(pane, 'ANONYMOUS');
  await connected(pane);
});

test('a key of another run is told to be one', async () => {
  const page = await open(`${origin()}#key=${'0'.repeat(32)}`);
  await page.getByText('The key in this page’s address is of another run').waitFor();
  await page.goto(server.page);
  await page.getByRole('button', { name: 'alice@localhost' }).first().waitFor();
});

test('pages of other sites get nothing of it', async () => {
  const shelf = await openShelf();
  const page = await open(shelf.pageWith('dist/strophe.js'));
  const got = await page.evaluate(async ([socket, files]) => {
    const ask = (url: string, options?: RequestInit) => fetch(url, options).then(() => 'answered', () => 'refused');
    const opened = new Promise<string>((done) => {
      const it = new WebSocket(socket!, 'xmpp');
      it.onopen = () => done('open');
      it.onerror = () => done('refused');
    });
    return [
      await opened,
      await ask(`${files}server.json`),
      await ask(`${files}server.json`, { mode: 'no-cors' }),
      await ask(`${files}http-bind`, { method: 'POST', body: '<body/>' }),
    ];
  }, [server.url, origin()]);
  expect(got).toEqual(['refused', 'refused', 'refused', 'refused']);
  await shelf.close();
});

test('two accounts chat both ways', async () => {
  const [alice, bob] = await panes(await open(server.page));
  await logIn(alice);
  await logIn(bob, 'PLAIN');
  await connected(alice);
  await connected(bob);
  await say(alice, 'Hello <b>Bob</b> & all');
  await bob.getByRole('log').getByText('alice@localhost: Hello <b>Bob</b> & all').waitFor();
  await say(bob, 'Hello Alice');
  await alice.getByRole('log').getByText('bob@localhost: Hello Alice').waitFor();
  await alice.getByLabel('To', { exact: true }).fill('nobody@localhost');
  await say(alice, 'Anyone?');
  await alice.getByText(/^Not delivered: /).waitFor();
});

test('the keyboard is enough', async () => {
  const page = await open(server.page);
  const [pane] = await panes(page);
  const focused = () => page.evaluate(() => (document.activeElement as HTMLElement).innerText || (document.activeElement as HTMLInputElement).name);
  const visited: string[] = [];
  for (let index = 0; index < 8; index += 1) {
    await page.keyboard.press('Tab');
    visited.push(await focused());
  }
  expect(visited.map((text) => text.split('\n')[0])).toEqual([
    'alice@localhost', 'bob@localhost', 'jid', 'secret', 'Automatic', 'WebSocket', 'SASL2', 'Log in',
  ]);
  await page.keyboard.press('Enter');
  await connected(pane);
  expect(await focused()).toBe('text');
  await page.keyboard.type('x');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await status(pane).getByText('Not connected').waitFor();
  expect(await pane.getByLabel('Message', { exact: true }).isVisible()).toBe(false);
});

test('an address that is none is told before anything is sent', async () => {
  const [pane] = await panes(await open(server.page));
  await pane.getByLabel('Address').fill('a@b@c');
  await button(pane, 'Log in').click();
  await status(pane).getByText('the JID').waitFor();
  expect(await frames(pane)).toBe('');
});

test('it asks nobody but its own server', async () => {
  const page = await open('about:blank');
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('websocket', (socket) => asked.push(socket.url().replace('ws:', 'http:')));
  await page.goto(server.page);
  const [pane] = await panes(page);
  await logIn(pane);
  await connected(pane);
  expect(asked).toContain(`${origin()}xmpp-websocket`);
  expect(asked.filter((url) => !url.startsWith(origin()))).toEqual([]);
  const key = new URL(server.page).hash.slice('#key='.length);
  expect(key).toHaveLength(32);
  expect(asked.filter((url) => url.includes(key) && url !== server.page)).toEqual([]);
});

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [name, options] of [
    ['desk', { viewport: { width: 1280, height: 900 } }],
    ['phone', PHONE],
  ] as const) {
    test(`it fits: ${name}, ${colorScheme}`, async () => {
      const page = await open(server.page, { ...options, colorScheme });
      const [alice, bob] = await panes(page);
      await picture(page, `${name}-${colorScheme}-before`);
      await logIn(alice);
      await connected(alice);
      await bob.getByLabel('Password', { exact: true }).fill('wrong');
      await logIn(bob);
      await status(bob).getByText('not-authorized').waitFor();
      await alice.getByLabel('Message', { exact: true }).fill('Hello');
      await alice.getByRole('button', { name: 'Send' }).click();
      for (const summary of await page.locator('summary:visible').all()) await summary.click();
      await picture(page, `${name}-${colorScheme}`);
      const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(width).toBeLessThanOrEqual(room);
    });
  }
}
