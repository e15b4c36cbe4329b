// A page with a library on it and nothing else, and what is done there: logins and conversations.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import type * as Library from '../dist/types/index.js';

/** A login to make in the page. */
export interface Login {
  service: string;
  jid: string;
  pass: Library.Pass | null;
  /** The names of the classes to know, as `SASLPlain`; all otherwise. */
  mechanisms?: string[];
}

/** What came of it. */
export interface Outcome {
  /** Each status, and its condition where there is one. */
  statuses: string[];
  /** The address, as long as it lasted. */
  jid: string;
  /** What was used at last. */
  mechanism: string | null;
  keys: Library.ScramKeys | null;
  /** From `connect` to CONNECTED, in milliseconds. */
  time: number;
}

/** Files of this package's folder that pages may have. */
export interface Shelf {
  /** A page with this script on it, which makes `Strophe` known. */
  pageWith(script: string): string;
  close(): Promise<void>;
}

/** Serves them to this machine. */
export async function openShelf(): Promise<Shelf> {
  const server: Server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/') {
      response.setHeader('Content-Type', 'text/html');
      response.end(`<!doctype html><link rel="icon" href="data:,"><script src="${searchParams.get('script')}"></script>`);
      return;
    }
    readFile(new URL(`..${pathname}`, import.meta.url)).then(
      (bytes) => response.setHeader('Content-Type', 'text/javascript').end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    pageWith: (script) => `${origin}/?script=/${script}`,
    close: () => new Promise((done) => void server.close(() => done())),
  };
}

/**
 * Has a page ask a server for something else first: where one asks for a certificate, Chromium gives
 * up a WebSocket that is its first request.
 */
export async function approach(page: Page, ...urls: string[]): Promise<void> {
  await page.evaluate((urls) => Promise.all(urls.map((url) => fetch(url, { mode: 'no-cors' }))), urls);
}

/** Logs in and out again. */
export function logIn(page: Page, login: Login): Promise<Outcome> {
  return page.evaluate(async ({ service, jid, pass, mechanisms }) => {
    const { Strophe } = globalThis as unknown as typeof Library;
    const nameOf = (status: number) => Object.entries(Strophe.Status).find(([, it]) => it === status)?.[0];
    const classes = mechanisms?.map((name) => Strophe[name as 'SASLPlain']);
    const connection = new Strophe.Connection(service, classes ? { mechanisms: classes } : {});
    const outcome: Outcome = { statuses: [], jid: '', mechanism: null, keys: null, time: 0 };
    const begun = performance.now();
    await new Promise<void>((done) => {
      connection.connect(jid, pass, (status, condition) => {
        outcome.statuses.push([nameOf(status), condition].filter(Boolean).join(' '));
        if (status === Strophe.Status.AUTHENTICATING) outcome.mechanism = connection._sasl_mechanism?.mechname ?? null;
        if (status === Strophe.Status.DISCONNECTED) done();
        if (status !== Strophe.Status.CONNECTED) return;
        outcome.time = performance.now() - begun;
        outcome.jid = connection.jid;
        outcome.keys = connection.scram_keys;
        connection.disconnect();
      });
    });
    return outcome;
  }, login);
}

/** Two log in; each sends the other a message; both log out. What came is returned. */
export function converse(page: Page, logins: [Login, Login], texts: [string, string]): Promise<string[]> {
  return page.evaluate(async ({ logins, texts }) => {
    const { Strophe, $msg } = globalThis as unknown as typeof Library;
    const connections = logins.map(({ service }) => new Strophe.Connection(service));
    const online = connections.map((connection, index) => {
      const { jid, pass } = logins[index]!;
      return new Promise<void>((done, failed) => {
        connection.connect(jid, pass, (status, condition) => {
          if (status === Strophe.Status.CONNECTED) done();
          if (status === Strophe.Status.DISCONNECTED) failed(new Error(`${jid}: ${condition}`));
        });
      });
    });
    await Promise.all(online);
    const arrived = connections.map((connection) => {
      return new Promise<string>((done) => {
        connection.addHandler((message: Element) => done(message.querySelector('body')!.textContent!), null, 'message', 'chat');
      });
    });
    const [first, second] = connections as [Library.Connection, Library.Connection];
    first.send($msg({ to: second.jid, type: 'chat' }).c('body').t(texts[0]));
    second.send($msg({ to: first.jid, type: 'chat' }).c('body').t(texts[1]));
    const bodies = await Promise.all(arrived);
    const ended = connections.map((connection) => {
      return new Promise<void>((done) => {
        connection.connect_callback = (status) => status === Strophe.Status.DISCONNECTED && done();
        connection.disconnect();
      });
    });
    await Promise.all(ended);
    return bodies;
  }, { logins, texts });
}

/**
 * The first says a last word to the second in a request that stops the page, and logs out with it.
 * What came of it is returned, and the bodies of such requests.
 */
export function sayGoodbye(
  page: Page,
  logins: [Login, Login],
  text: string,
): Promise<{ came: string; stopping: string[] }> {
  return page.evaluate(async ({ logins, text }) => {
    const { Strophe, $msg } = globalThis as unknown as typeof Library;
    const stopping: string[] = [];
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (body) {
      stopping.push(String(body));
      send.call(this, body);
    };
    const [first, second] = logins.map(({ service }) => new Strophe.Connection(service)) as [Library.Connection, Library.Connection];
    const until = (connection: Library.Connection, awaited: number) => {
      return new Promise<void>((done) => {
        connection.connect_callback = (status) => status === awaited && done();
      });
    };
    for (const [connection, { jid, pass }] of [[first, logins[0]], [second, logins[1]]] as const) {
      connection.connect(jid, pass);
      await until(connection, Strophe.Status.CONNECTED);
    }
    const came = new Promise<string>((done) => {
      second.addHandler((message: Element) => done(message.querySelector('body')!.textContent!), null, 'message');
    });
    first.options.sync = true;
    first.send($msg({ to: second.jid, type: 'chat' }).c('body').t(text));
    first.disconnect();
    await until(first, Strophe.Status.DISCONNECTED);
    const outcome = { came: await came, stopping };
    XMLHttpRequest.prototype.send = send;
    second.disconnect();
    await until(second, Strophe.Status.DISCONNECTED);
    return outcome;
  }, { logins, text });
}

/** Logs in, and has a last word to somebody for when the page is left. */
export function promiseGoodbye(page: Page, login: Login, to: string, text: string): Promise<void> {
  return page.evaluate(async ({ login, to, text }) => {
    const { Strophe, $msg } = globalThis as unknown as typeof Library;
    const connection = new Strophe.Connection(login.service);
    addEventListener('pagehide', () => {
      connection.options.sync = true;
      connection.send($msg({ to, type: 'chat' }).c('body').t(text));
      connection.disconnect();
    });
    await new Promise<void>((done) => {
      connection.connect(login.jid, login.pass, (status) => status === Strophe.Status.CONNECTED && done());
    });
  }, { login, to, text });
}

/** Logs in, and waits for a message, while something is done with the address. */
export async function hear(page: Page, login: Login, act: (jid: string) => Promise<void>): Promise<string> {
  const jid = await page.evaluate(async (login) => {
    const { Strophe } = globalThis as unknown as typeof Library;
    const connection = new Strophe.Connection(login.service);
    await new Promise<void>((done) => {
      connection.connect(login.jid, login.pass, (status) => status === Strophe.Status.CONNECTED && done());
    });
    const came = new Promise<string>((done) => {
      connection.addHandler((message: Element) => done(message.querySelector('body')!.textContent!), null, 'message');
    });
    Object.assign(globalThis, { came });
    return connection.jid;
  }, login);
  await act(jid);
  return page.evaluate(() => (globalThis as unknown as { came: Promise<string> }).came);
}
