// The page of `epode serve --web`, as a person uses it.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Locator, Page } from 'playwright-core';
import { serveWeb, type WebServer } from '../test/server.js';
import { picture, useChromium } from './chromium.js';

const open = useChromium(/not-authorized/);
let server: WebServer;
beforeAll(async () => {
  server = await serveWeb();
});
afterAll(() => server.stop());

const PHONE = { viewport: { width: 360, height: 740 } };

/** The panes of a page that is ready. */
async function panes(page: Page): Promise<[Locator, Locator]> {
  const [first, second] = ['First account', 'Second account'].map((name) => page.getByRole('region', { name }));
  await first!.getByRole('button', { name: 'Log in' }).waitFor();
  return [first!, second!];
}

async function logIn(pane: Locator, mechanism = 'Automatic'): Promise<void> {
  await pane.getByLabel('Mechanism').selectOption(mechanism);
  await pane.getByRole('button', { name: 'Log in' }).click();
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
    await pane.getByRole('button', { name: 'Log out' }).click();
    await status(pane).getByText('Not connected').waitFor();
  });
}

test('a login over BOSH', async () => {
  const [pane] = await panes(await open(server.page));
  await pane.getByLabel('Transport').selectOption('BOSH');
  await logIn(pane);
  await connected(pane);
  await steps(pane).getByText(`BOSH to ${server.page}http-bind`).waitFor();
  expect(await frames(pane)).toContain("mechanism='SCRAM-SHA-512'>masked</auth></body>");
});

test('secrets are masked, and nothing else is', async () => {
  const page = await open(server.page);
  const [pane] = await panes(page);
  const password = await pane.getByLabel('Password', { exact: true }).inputValue();
  expect(password).toHaveLength(32);
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-1']) {
    await logIn(pane, mechanism);
    await connected(pane);
    const shown = await frames(pane);
    expect(shown).toContain(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='${mechanism}'>masked</auth>`);
    expect(shown).toContain('<mechanism>SCRAM-SHA-256</mechanism>');
    const html = await page.content();
    const message = Buffer.from(`\0alice\0${password}`).toString('base64');
    for (const secret of [password, message]) expect(html).not.toContain(secret);
    expect(html).not.toMatch(/<(challenge|response|success)[^>]*>[A-Za-z0-9+/=]/);
    await pane.getByRole('button', { name: 'Log out' }).click();
    await status(pane).getByText('Not connected').waitFor();
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
  await pane.getByRole('button', { name: 'Log out' }).click();
  await pane.getByRole('button', { name: 'Log in' }).click();
  await connected(pane);
  const waits = await rowsBelow('Where the time went');
  expect(waits).toContainEqual(['the resource', expect.stringMatching(/ ms$/)]);
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
  await pane.getByRole('button', { name: 'Log in' }).click();
  await connected(pane);
});

test('kept keys spare the derivation, until they are forgotten', async () => {
  const [pane] = await panes(await open(server.page));
  await logIn(pane);
  await connected(pane);
  await pane.getByRole('button', { name: 'Log out' }).click();
  await pane.getByText('SCRAM-SHA-512 for alice@localhost, 4,096 iterations of SHA-512.').waitFor();
  expect(await pane.getByLabel('Password', { exact: true }).isDisabled()).toBe(true);
  await pane.getByRole('button', { name: 'Log in' }).click();
  await connected(pane);
  await steps(pane).getByText(/Nothing was derived: 4,096 iterations of SHA-512 saved/).waitFor();
  await pane.getByRole('button', { name: 'Log out' }).click();
  await pane.getByRole('button', { name: 'Forget them' }).click();
  expect(await pane.getByLabel('Password', { exact: true }).isDisabled()).toBe(false);
  await pane.getByRole('button', { name: 'Log in' }).click();
  await connected(pane);
  await steps(pane).getByText('4,096 iterations of SHA-512 were derived').waitFor();
});

test('two accounts chat both ways', async () => {
  const [alice, bob] = await panes(await open(server.page));
  await logIn(alice);
  await logIn(bob, 'PLAIN');
  await connected(alice);
  await connected(bob);
  await alice.getByLabel('Message', { exact: true }).fill('Hello <b>Bob</b> & all');
  await alice.getByRole('button', { name: 'Send' }).click();
  await bob.getByRole('log').getByText('alice@localhost: Hello <b>Bob</b> & all').waitFor();
  await bob.getByLabel('Message', { exact: true }).fill('Hello Alice');
  await bob.getByLabel('Message', { exact: true }).press('Enter');
  await alice.getByRole('log').getByText('bob@localhost: Hello Alice').waitFor();
  await alice.getByLabel('To', { exact: true }).fill('nobody@localhost');
  await alice.getByLabel('Message', { exact: true }).fill('Anyone?');
  await alice.getByLabel('Message', { exact: true }).press('Enter');
  await alice.getByText(/^Not delivered: /).waitFor();
});

test('the keyboard is enough', async () => {
  const page = await open(server.page);
  const [pane] = await panes(page);
  const focused = () => page.evaluate(() => (document.activeElement as HTMLElement).innerText || (document.activeElement as HTMLInputElement).name);
  const visited: string[] = [];
  for (let index = 0; index < 7; index += 1) {
    await page.keyboard.press('Tab');
    visited.push(await focused());
  }
  expect(visited.map((text) => text.split('\n')[0])).toEqual([
    'alice@localhost', 'bob@localhost', 'jid', 'secret', 'Automatic', 'WebSocket', 'Log in',
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
  await pane.getByRole('button', { name: 'Log in' }).click();
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
  expect(asked).toContain(`${server.page}xmpp-websocket`);
  expect(asked.filter((url) => !url.startsWith(server.page))).toEqual([]);
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
