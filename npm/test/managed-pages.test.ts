// Stream management in a connection that pages share, against a server: the pages' cores and the
// worker's are real.

import { readFileSync } from 'node:fs';
import { $iq, $msg, Strophe } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';
import { redirect, serve, type Server } from './server.js';
import { bodies, Tabs, type Tab } from './tabs.js';

const { ATTACHED, CONNECTED, CONNECTING, DISCONNECTED, RECONNECTING } = Strophe.Status;
type Connection = InstanceType<typeof Strophe.Connection>;

let server: Server;
let tabs: Tabs;
let logged: string[];
let others: Connection[];
const log = Strophe.log;

beforeAll(async () => {
  server = await serve('s3cr3t');
});
afterAll(() => server.stop());
beforeEach(() => {
  logged = [];
  others = [];
  Strophe.log = (level, line) => void (level >= Strophe.LogLevel.WARN && logged.push(line));
  tabs = new Tabs(() => server, { enableStreamManagement: true });
});
afterEach(() => {
  tabs.close();
  for (const other of others) other.reset();
  Strophe.log = log;
});

/** Somebody else, with a connection of its own. */
async function bob(): Promise<{ connection: Connection; came: string[] }> {
  redirect(server);
  const connection = new Strophe.Connection('wss://example.com/ws');
  others.push(connection);
  const heard = new Heard();
  connection.connect('bob@example.com/desk', 's3cr3t', heard.callback);
  await heard.until(CONNECTED);
  return { connection, came: bodies({ connection }) };
}

const say = ({ connection }: Pick<Tab, 'connection'>, text: string, to = 'bob@example.com/desk') =>
  connection.send($msg({ to, type: 'chat' }).c('body').t(text));
const isManaged = ({ connection }: Tab) => connection.isStreamManagementEnabled();
const codes = ({ heard }: Tab) => heard.codes;
const count = (tab: Tab, code: number) => codes(tab).filter((one) => one === code).length;
const till = (condition: () => void) => vi.waitFor(condition, { timeout: 5000, interval: 5 });

describe('pages with stream management', () => {
  test('count as one, in the worker', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    expect([isManaged(first), isManaged(second)]).toEqual([true, true]);
    expect(first.connection.sm).toBeInstanceOf(Strophe.StreamManagementMirror);
    expect(second.connection.sm?.boundJid).toBe(first.connection.jid);
    const { came } = await bob();
    say(first, '1');
    say(second, '2');
    say(first, '3');
    await till(() => expect([...came].sort()).toEqual(['1', '2', '3']));
    await till(() => {
      for (const { connection } of [first, second]) {
        expect([connection.sm?.hOutAcked, connection.sm?.unacked]).toEqual([3, []]);
      }
    });
    expect(tabs.frames.filter((frame) => frame.startsWith('<enable ')).length).toBe(1);
    expect(logged).toEqual([]);
  });

  test('hear each stanza once, and the server that it has come', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    const heard = [bodies(first), bodies(second)];
    const { connection } = await bob();
    for (const text of ['a', 'b', 'c']) say({ connection }, text, first.connection.jid);
    await till(() => expect(heard).toEqual([['a', 'b', 'c'], ['a', 'b', 'c']]));
    await till(() => expect([first.connection.sm?.hIn, second.connection.sm?.hIn]).toEqual([3, 3]));
    const ping = $iq({ type: 'get', to: first.connection.jid }).c('ping', { xmlns: 'urn:xmpp:ping' });
    expect((await connection.request(ping)).getAttribute('type')).toBe('result');
    const query = $iq({ type: 'get', to: first.connection.jid }).c('query', { xmlns: 'urn:q' });
    await expect(connection.request(query)).rejects.toMatchObject({ condition: 'service-unavailable' });
  });

  test('lose and double nothing when the connection is lost', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    const { connection, came } = await bob();
    let lost = 0;
    tabs.cuts = (frame) => frame.includes('>lost') && (lost += 1) > 1;
    say(first, 'came');
    await till(() => expect(came).toEqual(['came']));
    say(second, 'lost 1');
    say(first, 'lost 2');
    say(second, 'lost 3');
    await Promise.all([first.heard.until(DISCONNECTED), second.heard.until(DISCONNECTED)]);
    expect([isManaged(first), first.connection.hasResumed()]).toEqual([false, false]);
    say({ connection }, 'while you were away', first.connection.jid);
    tabs.cuts = () => false;
    const third = tabs.connecting();
    const missed: string[] = [];
    third.connection.addHandler((stanza) => missed.push(stanza.textContent ?? ''), null, 'message');
    await third.heard.until(CONNECTED);
    expect(third.connection.hasResumed()).toBe(true);
    expect(third.connection.jid).toBe(first.connection.jid);
    await till(() => expect([...came].sort()).toEqual(['came', 'lost 1', 'lost 2', 'lost 3']));
    await till(() => expect(missed).toEqual(['while you were away']));
    const fourth = await tabs.joined();
    expect(fourth.connection.hasResumed()).toBe(true);
    expect(fourth.connection.restored).toBe(false); // it has no handlers of that session
    await till(() => expect(fourth.connection.sm?.unacked).toEqual([]));
    expect(logged.join()).not.toContain('not sent');
  });

  test('tell the worker no password', async () => {
    const first = await tabs.loggedIn();
    await till(() => expect(tabs.told.map(([name]) => name)).toContain('managed'));
    const { connection } = first;
    expect(connection.scram_keys?.ck).toBeTruthy();
    const told = JSON.stringify(tabs.told);
    for (const secret of ['s3cr3t', connection.scram_keys?.ck ?? '', connection.scram_keys?.sk ?? '']) {
      expect(told).not.toContain(secret);
    }
  });

  test('go on counting when the first goes', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    const { came } = await bob();
    first.connection.reset();
    await till(() => expect(second.roles).toEqual(['secondary', 'primary']));
    say(second, 'still here');
    await till(() => expect(came).toEqual(['still here']));
    await till(() => expect(second.connection.sm?.hOutAcked).toBe(1));
  });

  test('log out together, and the session is over', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    second.connection.disconnect();
    await Promise.all([first.heard.until(DISCONNECTED), second.heard.until(DISCONNECTED)]);
    expect(first.heard.all.at(-1)).toEqual([DISCONNECTED, null]);
    expect(second.heard.all.at(-1)).toEqual([DISCONNECTED, null]);
    const again = await tabs.loggedIn();
    expect(again.connection.hasResumed()).toBe(false);
    expect(tabs.frames.join()).not.toContain('<resume ');
  });

  test('go on without it where the core cannot be had', async () => {
    tabs.close();
    tabs = new Tabs(() => server, { enableStreamManagement: true }, () => {
      throw new Error('shared-connection-core.js is needed');
    });
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    expect(logged).toEqual(['there is no stream management: shared-connection-core.js is needed']);
    expect([isManaged(first), isManaged(second)]).toEqual([false, false]);
    const { came } = await bob();
    say(second, 'all the same');
    await till(() => expect(came).toEqual(['all the same']));
    expect(tabs.frames.join()).not.toContain('urn:xmpp:sm:3\' resume');
  });

  test('say which stanza is refused', async () => {
    const first = await tabs.loggedIn();
    await till(() => expect(tabs.told.map(([name]) => name)).toContain('managed'));
    tabs.frames.length = 0;
    tabs.cuts = () => false;
    const socket = tabs.sockets[0];
    socket?.pause(); // nothing is acknowledged
    for (let number = 0; number < 1001; number += 1) say(first, String(number));
    await till(() => expect(logged).toEqual(['a stanza was not sent: wrong use of the library: too many stanzas wait for the server']));
  });
});

describe('pages that reconnect', () => {
  const HASTY = { enableStreamManagement: true, reconnect: { first: 1, longest: 20 } };

  beforeEach(() => {
    tabs.close();
    tabs = new Tabs(() => server, HASTY);
  });

  test('go on with the session, and keep their handlers', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    const third = tabs.page();
    third.connection.attach(third.heard.callback);
    await third.heard.until(ATTACHED);
    const heard = [bodies(first), bodies(second)];
    const { connection, came } = await bob();
    const { jid } = first.connection;
    tabs.cut();
    await Promise.all([first, second].map(({ heard }) => heard.until(RECONNECTING)));
    say(second, 'meanwhile');
    await till(() => expect(count(first, CONNECTED) + count(second, CONNECTED)).toBe(2));
    await till(() => expect(count(first, ATTACHED) + count(second, ATTACHED)).toBe(2));
    expect(third.heard.codes.at(-1)).toBe(DISCONNECTED);
    expect([first, second].map(({ connection }) => connection.hasResumed())).toEqual([true, true]);
    expect([first, second].map(({ connection }) => connection.restored)).toEqual([true, true]);
    say({ connection }, 'still here', jid);
    await till(() => expect(heard).toEqual([['still here'], ['still here']]));
    await till(() => expect(came).toEqual(['meanwhile']));
  });

  test('through many losses: each message once, in the order of its page', async () => {
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    const heard = [bodies(first), bodies(second)];
    const { connection, came } = await bob();
    const { jid } = first.connection;
    let [since, cuts] = [0, 0];
    tabs.cuts = (frame) => {
      since += 1;
      if (!frame.startsWith('<message') || since < 12 || cuts === 10) return false;
      [since, cuts] = [0, cuts + 1];
      return true;
    };
    const numbers = Array.from({ length: 100 }, (_, index) => String(index));
    for (const number of numbers) {
      say(first, `first ${number}`);
      say(second, `second ${number}`);
      say({ connection }, number, jid);
      await new Promise((done) => setTimeout(done, 1));
    }
    await till(() => expect(came.length).toBe(200));
    for (const name of ['first', 'second']) {
      expect(came.filter((text) => text.startsWith(name))).toEqual(numbers.map((number) => `${name} ${number}`));
    }
    await till(() => expect(heard).toEqual([numbers, numbers]));
    expect(cuts).toBe(10);
    expect(logged.filter((line) => line.includes('not sent'))).toEqual([]);
  }, 20_000);

  test('have a new session where the server has forgotten theirs', async () => {
    let there = server;
    tabs.close();
    tabs = new Tabs(() => there, { ...HASTY, mechanisms: [Strophe.SASLPlain] });
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    bodies(first);
    bodies(second);
    await till(() => expect(isManaged(first)).toBe(true));
    const socket = tabs.sockets[0];
    socket?.pause();
    say(first, 'unheard', first.connection.jid.replace(/\/.*/, ''));
    there = await serve('s3cr3t');
    try {
      tabs.cuts = (frame) => frame.includes('cut here');
      say(second, 'cut here', second.connection.jid);
      await Promise.all([first, second].map(({ heard }) => heard.until(RECONNECTING)));
      tabs.cuts = () => false;
      await till(() => expect(count(first, CONNECTED) + count(second, CONNECTED)).toBe(2));
      await till(() => expect(count(first, ATTACHED) + count(second, ATTACHED)).toBe(2));
      expect([first, second].map(({ connection }) => connection.restored)).toEqual([false, false]);
      expect([first, second].map(({ connection }) => connection.handlers)).toEqual([[], []]);
      const resent = tabs.frames.filter((frame) => frame.includes('unheard') && frame.includes('urn:xmpp:delay'));
      await till(() => expect(resent.length).toBeGreaterThan(0));
    } finally {
      tabs.close();
      await there.stop();
    }
  });

  test('go on within a login by SASL2, too', async () => {
    tabs.close();
    const { url, ca } = server.tls;
    const dial = { ca: readFileSync(ca), servername: 'example.com' };
    tabs = new Tabs(() => ({ ...server, url }), { ...HASTY, sasl2: true }, undefined, dial);
    const [first, second] = [await tabs.loggedIn(), await tabs.joined()];
    expect(tabs.frames.join()).toContain('<enabled ');
    const heard = [bodies(first), bodies(second)];
    const { jid } = first.connection;
    tabs.cut();
    await Promise.all([first, second].map(({ heard }) => heard.until(RECONNECTING)));
    say(second, 'meanwhile', jid);
    await till(() => expect(heard).toEqual([['meanwhile'], ['meanwhile']]));
    expect([first, second].map(({ connection }) => connection.hasResumed())).toEqual([true, true]);
    expect(tabs.frames.join()).toMatch(/<success [^]*<resumed /);
    await till(() => expect(first.connection.sm?.unacked).toEqual([]));
  });

  test('do not fight over accounts', async () => {
    const first = await tabs.loggedIn();
    const other = tabs.connecting('s3cr3t', 'bob@example.com');
    await Promise.all([first.heard.until(DISCONNECTED), other.heard.until(CONNECTED)]);
    expect(codes(first)).not.toContain(RECONNECTING);
    expect(other.connection.hasResumed()).toBe(false);
    expect(tabs.sockets.length).toBe(2);
    expect(codes(other)[0]).toBe(CONNECTING);
  });
});
