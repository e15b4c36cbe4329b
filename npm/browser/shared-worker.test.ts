// Sessions that outlive a page: shared by the pages of an origin, or restored after a reload.

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as Library from '../dist/types/index.js';
import { serve, type Server } from '../test/server.js';
import { useChromium } from './chromium.js';
import { lent } from './lent.js';
import { openShelf, type Shelf } from './library.js';
import { openLine } from './line.js';

/** What a page has for itself. */
interface Tab {
  connection: Library.Connection;
  statuses: string[];
  roles: string[];
  texts: string[];
}

// Lines that are cut are told of.
const open = useChromium(/could not be opened/);
let server: Server;
let shelf: Shelf;
beforeAll(async () => {
  [server, shelf] = await Promise.all([serve('pencil'), openShelf()]);
});
afterAll(() => Promise.all([server.stop(), shelf.close()]));

const script = 'dist/strophe.js';
const worker = '/dist/shared-connection-worker.js';

/** Makes a connection in a page, and begins it. */
function begin(
  page: Page,
  service: string,
  options: Library.ConnectionOptions,
  how: 'connect' | 'attach' | 'restore',
  who = { jid: 'alice@example.com', pass: 'pencil' },
): Promise<void> {
  return page.evaluate(({ service, options, how, who }) => {
    const { Strophe } = globalThis as unknown as typeof Library;
    const connection = new Strophe.Connection(service, options);
    const tab: Tab = { connection, statuses: [], roles: [], texts: [] };
    Object.assign(globalThis, { tab });
    const nameOf = (status: number) => Object.entries(Strophe.Status).find(([, it]) => it === status)?.[0];
    const callback = (status: number) => {
      tab.statuses.push(nameOf(status) ?? '');
      const listen = (message: Element) => tab.texts.push(message.textContent ?? '');
      const isAnother = (status === 5 || status === 8) && (how === 'restore' || !connection.restored);
      if (isAnother) connection.addHandler(listen, null, 'message');
    };
    connection.onRoleChanged = (role) => void tab.roles.push(role);
    if (how === 'attach') connection.attach(callback);
    else if (how === 'restore') connection.restore(who.jid, callback);
    else connection.connect(who.jid, who.pass, callback);
  }, { service, options, how, who });
}

/** Waits until a list of a page has this in it. */
async function until(page: Page, list: 'statuses' | 'roles' | 'texts', item: string): Promise<void> {
  await page.waitForFunction(
    ({ list, item }) => (globalThis as unknown as { tab: Tab }).tab[list].includes(item),
    { list, item },
  );
}

function say(page: Page, text: string): Promise<void> {
  return page.evaluate((text) => {
    const { $msg, tab } = globalThis as unknown as typeof Library & { tab: Tab };
    tab.connection.send($msg({ to: tab.connection.jid }).c('body').t(text));
  }, text);
}

type Seen = Pick<Tab, 'statuses' | 'roles' | 'texts'> & { jid: string; isManaged: boolean; isResumed: boolean };

function tabOf(page: Page): Promise<Seen> {
  return page.evaluate(() => {
    const { connection, statuses, roles, texts } = (globalThis as unknown as { tab: Tab }).tab;
    const isManaged = connection.isStreamManagementEnabled();
    return { jid: connection.jid, statuses, roles, texts, isManaged, isResumed: connection.hasResumed() };
  });
}

test('pages share a connection, one after the other', async () => {
  const first = await open(shelf.pageWith(script));
  const second = await first.context().newPage();
  await second.goto(shelf.pageWith(script));
  await begin(first, server.url, { worker }, 'connect');
  await until(first, 'statuses', 'CONNECTED');
  await begin(second, server.url, { worker }, 'attach');
  await until(second, 'statuses', 'ATTACHED');
  expect((await tabOf(second)).jid).toBe((await tabOf(first)).jid);
  await say(second, 'one');
  await Promise.all([until(first, 'texts', 'one'), until(second, 'texts', 'one')]);

  await first.reload();
  await until(second, 'roles', 'primary');
  await begin(first, server.url, { worker }, 'connect');
  await until(first, 'statuses', 'ATTACHED');
  await second.close();
  await until(first, 'roles', 'primary');
  await say(first, 'two');
  await until(first, 'texts', 'two');
  await first.evaluate(() => (globalThis as unknown as { tab: Tab }).tab.connection.disconnect());
  await until(first, 'statuses', 'DISCONNECTED');
  expect((await tabOf(first)).statuses).toEqual(['CONNECTING', 'ATTACHED', 'DISCONNECTING', 'DISCONNECTED']);
});

/** The server that is built for the tests, and Prosody. */
const PLACES = ['epode', 'prosody-0.12', 'prosody-13'];

function placeOf(name: string): { service: string; who?: { jid: string; pass: string } } {
  if (name === 'epode') return { service: server.url };
  const { accounts, password, servers } = lent();
  const service = servers.find((one) => one.name === name)?.ws;
  if (service === undefined) throw new Error(`${name} is not among the servers`);
  return { service, who: { jid: accounts[0], pass: password } };
}

test.each(PLACES)('pages go on with their session when the connection is lost: %s', async (name) => {
  const { service, who } = placeOf(name);
  const line = await openLine(service);
  const there = line.by(service);
  const options = { worker, enableStreamManagement: true, reconnect: { first: 50, longest: 200 } };
  try {
    const first = await open(shelf.pageWith(script));
    const second = await first.context().newPage();
    await second.goto(shelf.pageWith(script));
    await begin(first, there, options, 'connect', who);
    await until(first, 'statuses', 'CONNECTED');
    await begin(second, there, options, 'connect', who);
    await until(second, 'statuses', 'ATTACHED');
    expect(await tabOf(second)).toMatchObject({ isManaged: true, isResumed: false });
    const { jid } = await tabOf(first);
    await say(first, 'before');
    await Promise.all([until(first, 'texts', 'before'), until(second, 'texts', 'before')]);

    line.cut();
    await Promise.all([say(first, 'one'), say(second, 'two')]);
    line.mend();
    const texts = [first, second].flatMap((page) => ['one', 'two'].map((text) => until(page, 'texts', text)));
    await Promise.all(texts);
    for (const page of [first, second]) {
      const seen = await tabOf(page);
      expect(seen.texts.sort()).toEqual(['before', 'one', 'two']);
      expect(seen).toMatchObject({ jid, isManaged: true, isResumed: true });
      expect(seen.statuses).toContain('RECONNECTING');
    }
    await first.evaluate(() => (globalThis as unknown as { tab: Tab }).tab.connection.disconnect());
    await Promise.all([first, second].map((page) => until(page, 'statuses', 'DISCONNECTED')));
  } finally {
    await line.close();
  }
});

test('a page that is loaded again goes on over BOSH', async () => {
  const page = await open(shelf.pageWith(script));
  await begin(page, server.bosh, { keepalive: true }, 'connect');
  await until(page, 'statuses', 'CONNECTED');
  const { jid } = await tabOf(page);
  await page.reload();
  await begin(page, server.bosh, { keepalive: true }, 'restore');
  await until(page, 'statuses', 'ATTACHED');
  expect((await tabOf(page)).jid).toBe(jid);
  await say(page, 'still here');
  await until(page, 'texts', 'still here');
});
