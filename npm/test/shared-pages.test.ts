// Pages that share one connection, against a server: their cores are real, the worker is here.

import { $iq, $msg, Strophe } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { serve, type Server } from './server.js';
import { coming, Tabs, type Tab } from './tabs.js';

const { ATTACHED, ATTACHFAIL, AUTHFAIL, CONNECTED, CONNECTING, CONNFAIL, DISCONNECTED, DISCONNECTING } =
  Strophe.Status;

let server: Server;
let tabs: Tabs;

beforeAll(async () => {
  server = await serve('s3cr3t');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  tabs = new Tabs(() => server);
});
afterEach(() => tabs.close());

const page = () => tabs.page();
const connecting = (pass?: string) => tabs.connecting(pass);
const loggedIn = () => tabs.loggedIn();
const joined = () => tabs.joined();

describe('pages that share a connection', () => {
  test('log in once', async () => {
    const [first, second] = [connecting(), connecting('not even the password')];
    await Promise.all([first.heard.until(CONNECTED), second.heard.until(ATTACHED)]);
    expect(first.connection._proto).toBeInstanceOf(Strophe.WorkerWebsocket);
    const third = page();
    third.connection.attach(third.heard.callback);
    await third.heard.until(ATTACHED);
    expect(tabs.sockets.length).toBe(1);
    const jids = tabs.all.map(({ connection }) => connection.jid);
    expect(new Set(jids).size).toBe(1);
    expect(third.connection.domain).toBe('example.com');
    expect(tabs.all.map(({ roles }) => roles)).toEqual([['primary'], ['secondary'], ['secondary']]);
    expect(third.heard.codes).toEqual([CONNECTING, ATTACHED]);
    expect(third.connection.authenticated).toBe(true);
  });

  test('log in once, for await', async () => {
    const who = { jid: 'alice@example.com', password: 's3cr3t' };
    const [first, second] = [page().connection, page().connection];
    const made = await first.login(who);
    const joined = await second.login(who);
    expect([made.mechanism, joined.mechanism]).toEqual(['SCRAM-SHA-512', '']);
    expect(joined).toMatchObject({ jid: made.jid, serverProved: false, resumed: false });
  });

  test('send and hear as one', async () => {
    const [first, second] = [await loggedIn(), await joined()];
    const [one, two] = [coming(first, 'message'), coming(second, 'message')];
    second.connection.send($msg({ to: first.connection.jid }).c('body').t('Hi'));
    expect([(await one).textContent, (await two).textContent]).toEqual(['Hi', 'Hi']);
    expect([first.foreign, second.foreign]).toEqual([['message'], []]);
  });

  test('have answers to their own requests only', async () => {
    const [first, second] = [await loggedIn(), await joined()];
    const query = () => $iq({ type: 'get', to: 'example.com' }).c('query', { xmlns: Strophe.NS.DISCO_INFO });
    const ask = ({ connection }: Tab) =>
      new Promise<string | null>((done) => {
        const id: string = connection.sendIQ(query(), (answer) =>
          done(answer.getAttribute('id') === id ? answer.getAttribute('type') : 'not mine'),
        );
      });
    expect(await Promise.all([ask(first), ask(second)])).toEqual(['result', 'result']);
  });

  test('answer a request once, by the primary where no page takes it', async () => {
    const [first, second] = [await loggedIn(), await joined()];
    let answers = 0;
    second.connection.addHandler(() => (answers += 1), null, 'iq', ['result', 'error']);
    const asked = $iq({ type: 'get', to: first.connection.jid, id: 'q' }).c('query', { xmlns: 'urn:q' });
    const answer = new Promise<Element>((done) => second.connection.sendIQ(asked, done, (e) => done(e as Element)));
    expect((await answer).getAttribute('type')).toBe('error');
    const ping = $iq({ type: 'get', to: first.connection.jid, id: 'p' }).c('ping', { xmlns: 'urn:xmpp:ping' });
    const pong = new Promise<Element>((done) => second.connection.sendIQ(ping, done));
    expect((await pong).getAttribute('type')).toBe('result');
    const echoed = coming(second, 'message');
    second.connection.send($msg({ to: first.connection.jid }).c('body').t('what came before has come'));
    await echoed;
    expect(answers).toBe(2);
  });

  test('log out together', async () => {
    const [first, second] = [await loggedIn(), await joined()];
    second.connection.disconnect('enough');
    await Promise.all([first.heard.until(DISCONNECTED), second.heard.until(DISCONNECTED)]);
    expect(second.heard.all.slice(-2)).toEqual([
      [DISCONNECTING, 'enough'],
      [DISCONNECTED, null],
    ]);
    expect(first.heard.all.slice(-2)).toEqual([
      [DISCONNECTING, null],
      [DISCONNECTED, null],
    ]);
    expect([first.connection.role, second.connection.role]).toEqual([null, null]);
    const again = await loggedIn();
    expect(again.roles).toEqual(['primary']);
    expect(tabs.sockets.length).toBe(2);
  });

  test('go on when the first goes', async () => {
    const [first, second] = [await loggedIn(), await joined()];
    first.connection.reset();
    await vi.waitFor(() => expect(second.roles).toEqual(['secondary', 'primary']));
    const echoed = coming(second, 'message');
    second.connection.send($msg({ to: second.connection.jid }).c('body').t('still here'));
    expect((await echoed).textContent).toBe('still here');
    const later = await joined();
    expect(later.roles).toEqual(['secondary']);
  });

  test('lose it together', async () => {
    const [first, second] = [await loggedIn(), await joined()];
    tabs.cut();
    await Promise.all([first.heard.until(DISCONNECTED), second.heard.until(DISCONNECTED)]);
    expect(first.heard.all.at(-1)).toEqual([DISCONNECTED, 'connection-lost']);
    expect(second.heard.all.at(-1)).toEqual([DISCONNECTED, 'connection-lost']);
  });

  test('do not get in by a login that fails', async () => {
    const [first, second, third] = [connecting('wrong'), connecting(), page()];
    third.connection.attach(third.heard.callback);
    await Promise.all(tabs.all.map(({ heard }) => heard.until(DISCONNECTED)));
    expect(first.heard.codes).toContain(AUTHFAIL);
    expect(second.heard.codes).toEqual([CONNECTING, CONNFAIL, DISCONNECTED]);
    expect(third.heard.codes).toEqual([CONNECTING, ATTACHFAIL, DISCONNECTED]);
  });

  test('of which none is connected cannot be joined', async () => {
    const alone = page();
    alone.connection.attach(alone.heard.callback);
    await alone.heard.until(DISCONNECTED);
    expect(alone.heard.all).toEqual([
      [CONNECTING, null],
      [ATTACHFAIL, 'connection-failed'],
      [DISCONNECTED, 'connection-failed'],
    ]);
  });

  test('hear that the worker has ended', async () => {
    const first = await loggedIn();
    for (const port of tabs.ports) port.close();
    await first.heard.until(DISCONNECTED);
    expect(first.heard.all.at(-1)).toEqual([DISCONNECTED, 'connection-lost']);
  });

  test('need shared workers', async () => {
    vi.stubGlobal('SharedWorker', undefined);
    const alone = connecting();
    expect(alone.heard.codes).toEqual([CONNECTING, CONNFAIL, DISCONNECTED]);
  });
});
