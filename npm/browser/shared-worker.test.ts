// Sessions that outlive a page: shared by the pages of an origin, or restored after a reload.

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as Library from '../dist/types/index.js';
import { serve, type Server } from '../test/server.js';
import { useChromium } from './chromium.js';
import { openShelf, type Shelf } from './library.js';

/** What a page has for itself. */
interface Tab {
  connection: Library.Connection;
  statuses: string[];
  roles: string[];
  texts: string[];
}

const open = useChromium(/^$/);
let server: Server;
let shelf: Shelf;
beforeAll(async () => {
  [server, shelf] = await Promise.all([serve('pencil'), openShelf()]);
});
afterAll(() => Promise.all([server.stop(), shelf.close()]));

const script = 'dist/strophe.js';
const worker = '/dist/shared-connection-worker.js';

/** Makes a connection in a page, and begins it. */
function begin(page: Page, service: string, options: Library.ConnectionOptions, how: string): Promise<void> {
  return page.evaluate(({ service, options, how }) => {
    const { Strophe } = globalThis as unknown as typeof Library;
    const connection = new Strophe.Connection(service, options);
    const tab: Tab = { connection, statuses: [], roles: [], texts: [] };
    Object.assign(globalThis, { tab });
    const nameOf = (status: number) => Object.entries(Strophe.Status).find(([, it]) => it === status)?.[0];
    const callback = (status: number) => {
      tab.statuses.push(nameOf(status) ?? '');
      const listen = (message: Element) => tab.texts.push(message.textContent ?? '');
      if (status === 5 || status === 8) connection.addHandler(listen, null, 'message');
    };
    connection.onRoleChanged = (role) => void tab.roles.push(role);
    if (how === 'attach') connection.attach(callback);
    else if (how === 'restore') connection.restore('alice@example.com', callback);
    else connection.connect('alice@example.com', 'pencil', callback);
  }, { service, options, how });
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

function tabOf(page: Page): Promise<{ jid: string; statuses: string[]; roles: string[] }> {
  return page.evaluate(() => {
    const { connection, statuses, roles } = (globalThis as unknown as { tab: Tab }).tab;
    return { jid: connection.jid, statuses, roles };
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
