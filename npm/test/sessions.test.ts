// Sessions that outlive their connections: stream management, its storage, and reconnection.

import { $iq, $msg, MemoryStorageBackend, SessionStorageBackend, Strophe, StreamManagement } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { breakable, type Cuts } from './cuts.js';
import type { Connection, Options } from './login.js';
import { scriptedSockets, type Scripted } from './scripted-socket.js';
import { redirect, serve, type Server } from './server.js';

const { CONNECTED, CONNECTING, AUTHENTICATING, AUTHFAIL, DISCONNECTED } = Strophe.Status;
const { DISCONNECTING, RECONNECTING, REDIRECT } = Strophe.Status;

let server: Server;
let other: Server | undefined;
const open: Connection[] = [];

beforeAll(async () => {
  server = await serve('secret');
});
afterAll(() => server.stop());
beforeEach(() => Strophe.setLogLevel(Strophe.LogLevel.FATAL));
afterEach(async () => {
  for (const connection of open.splice(0)) connection.reset();
  await other?.stop();
  other = undefined;
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A connection, and what its callback hears. */
class Heard {
  readonly connection: Connection;
  readonly codes: number[] = [];
  readonly conditions: (string | null)[] = [];

  constructor(options: Options) {
    this.connection = new Strophe.Connection('wss://example.com/ws', options);
    open.push(this.connection);
  }

  connect(user: string, told: (code: number) => void = () => {}): void {
    this.connection.connect(`${user}@example.com/${user}`, 'secret', (code, condition) => {
      this.codes.push(code);
      this.conditions.push(condition);
      told(code);
    });
  }

  /** Waits until a status has been heard so many times. */
  async until(code: number, times = 1): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.codes.filter((heard) => heard === code).length < times) throw new Error(`${this.codes}`);
      },
      { timeout: 9000, interval: 5 },
    );
  }
}

/** The bodies of the messages that come to a connection. */
function bodies(connection: Connection): string[] {
  const all: string[] = [];
  connection.addHandler(
    (message) => {
      all.push(message.getElementsByTagName('body')[0]?.textContent ?? '');
      return true;
    },
    null,
    'message',
  );
  return all;
}

const MANAGED = { enableStreamManagement: true };

describe('stream management', () => {
  let cuts: Cuts;
  beforeEach(() => {
    cuts = breakable(server);
  });

  test('is off unless it is wanted', async () => {
    const alice = new Heard({});
    alice.connect('alice');
    await alice.until(CONNECTED);
    expect(alice.connection.sm).toBeNull();
    expect(alice.connection.isStreamManagementEnabled()).toBe(false);
    expect(alice.connection.hasResumed()).toBe(false);
  });

  test('a session that was lost goes on with the next connect', async () => {
    const alice = new Heard(MANAGED);
    const bob = new Heard({});
    bob.connect('bob');
    alice.connect('alice');
    await Promise.all([alice.until(CONNECTED), bob.until(CONNECTED)]);
    await vi.waitFor(() => expect(alice.connection.isStreamManagementEnabled()).toBe(true));
    const jid = alice.connection.jid;
    expect(alice.connection.restored).toBe(false);
    expect(alice.connection.sm).toBeInstanceOf(StreamManagement);
    expect(alice.connection.sm?.resumeSupported).toBe(true);

    cuts.at = (way, _, frame) => way === 'out' && frame.includes('cut here');
    const came = bodies(bob.connection);
    for (const text of ['1', '2', 'cut here']) {
      alice.connection.send($msg({ to: bob.connection.jid }).c('body').t(text));
    }
    expect(alice.connection.sm?.unacked.map(({ name }) => name)).toEqual(['message', 'message', 'message']);
    await alice.until(DISCONNECTED);
    expect(alice.connection.isStreamManagementEnabled()).toBe(false);
    bob.connection.send($msg({ to: jid }).c('body').t('while you were away'));

    cuts.at = () => false;
    const missed = bodies(alice.connection);
    alice.connect('alice');
    await alice.until(CONNECTED, 2);
    expect(alice.connection.restored).toBe(true);
    expect(alice.connection.hasResumed()).toBe(true);
    expect(alice.connection.jid).toBe(jid);
    await vi.waitFor(() => expect(came).toEqual(['1', '2', 'cut here']));
    await vi.waitFor(() => expect(missed).toEqual(['while you were away']));
    await vi.waitFor(() => expect(alice.connection.sm?.unacked).toEqual([]));
  });

  test('the state is kept while the session lasts, and goes with it', async () => {
    const storage = new MemoryStorageBackend();
    const save = vi.spyOn(storage, 'save');
    const alice = new Heard({ ...MANAGED, streamManagement: { storage } });
    alice.connect('alice');
    await alice.until(CONNECTED);
    await vi.waitFor(() => expect(alice.connection.sm?.enabled).toBe(true));
    expect(save.mock.calls.at(-1)?.[0]).toBe('alice@example.com');
    expect(storage.load('Alice@EXAMPLE.com')).toContain('"id":');
    alice.connection.disconnect();
    await alice.until(DISCONNECTED);
    expect(storage.load('alice@example.com')).toBeNull();
  });

  test('what is sent is kept before it goes out', async () => {
    const storage = new MemoryStorageBackend();
    const alice = new Heard({ ...MANAGED, streamManagement: { storage } });
    alice.connect('alice');
    await alice.until(CONNECTED);
    await vi.waitFor(() => expect(alice.connection.sm?.enabled).toBe(true));
    const kept: boolean[] = [];
    cuts.at = (way, _, frame) => {
      if (way === 'out' && frame.includes('a letter')) {
        kept.push(storage.load('alice@example.com')?.includes('a letter') === true);
      }
      return false;
    };
    alice.connection.send($msg({ to: alice.connection.jid }).c('body').t('a letter'));
    expect(kept).toEqual([true]);
  });

  test('a stanza was received once its handlers had it', async () => {
    const storage = new MemoryStorageBackend();
    const alice = new Heard({ ...MANAGED, streamManagement: { storage } });
    alice.connect('alice');
    await alice.until(CONNECTED);
    await vi.waitFor(() => expect(alice.connection.sm?.enabled).toBe(true));
    const before = alice.connection.sm?.hIn ?? 0;
    const within = await new Promise((done) => {
      alice.connection.addHandler(() => done(alice.connection.sm?.hIn), null, 'message');
      alice.connection.send($msg({ to: alice.connection.jid }));
    });
    expect(within).toBe(before);
    expect(alice.connection.sm?.hIn).toBe(before + 1);
  });

  const LETTER = '"queue":[{"n":1,"at":1000,"xml":"<message xmlns=\'jabber:client\' to=\'bob@example.com/bob\'><body>salvaged</body></message>"}]';
  const state = (jid: string, more = '') =>
    `{"jid":"${jid}","id":"gone"${more},"in":0,"in_h":0,"out":1,"out_h":0,${LETTER}}`;

  test.each([
    ['of another account', state('mallory@example.com/x'), []],
    ['that is damaged', '{"jid":', []],
    ['of another program', '{"id":"x","hIn":3,"unacked":[]}', []],
    ['that has expired', state('alice@example.com/alice', ',"max":60,"alive":1000'), ['salvaged']],
    ['that the server does not know', state('alice@example.com/alice'), ['salvaged']],
  ])('a state %s is not gone on with', async (_, kept, expected) => {
    const bob = new Heard({});
    bob.connect('bob');
    await bob.until(CONNECTED);
    const came = bodies(bob.connection);
    const storage = new MemoryStorageBackend();
    storage.save('alice@example.com', kept);
    const resumptions: string[] = [];
    cuts.at = (way, __, frame) => {
      if (way === 'out' && frame.startsWith('<resume ')) resumptions.push(frame);
      return false;
    };
    const alice = new Heard({ ...MANAGED, streamManagement: { storage } });
    alice.connect('alice');
    await alice.until(CONNECTED);
    expect(alice.connection.restored).toBe(false);
    expect(resumptions).toHaveLength(_ === 'that the server does not know' ? 1 : 0);
    alice.connection.send($msg({ to: bob.connection.jid }).c('body').t('last'));
    await vi.waitFor(() => expect(came.at(-1)).toBe('last'));
    expect(came).toEqual([...expected, 'last']);
  });

  test('a store that fails costs no session', async () => {
    const lines: string[] = [];
    const log = Strophe.log;
    Strophe.log = (_, line) => lines.push(line);
    const broken = () => {
      throw new Error('quota exceeded');
    };
    const storage = { load: broken, save: broken, clear: broken };
    const alice = new Heard({ ...MANAGED, streamManagement: { storage } });
    alice.connect('alice');
    await alice.until(CONNECTED);
    Strophe.log = log;
    expect(lines).toContain('the session could not be kept: Error: quota exceeded');
  });

  test('sessionStorage has it under a name that others know', () => {
    const kept = new Map<string, string>();
    vi.stubGlobal('sessionStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
    const storage = new SessionStorageBackend();
    storage.save('Alice@example.com', 'x');
    expect([...kept]).toEqual([['strophe-sm:alice@example.com', 'x']]);
    expect(storage.load('alice@EXAMPLE.com')).toBe('x');
    storage.clear('alice@example.com');
    expect(kept.size).toBe(0);
    vi.unstubAllGlobals();
  });
});

describe('reconnection', () => {
  const HASTY = { ...MANAGED, reconnect: { first: 1, longest: 1 } };

  test('200 messages each way through 20 cuts: each once, in their order', async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => String(index));
    const alice = new Heard(HASTY);
    const bob = new Heard({});
    redirect(server);
    bob.connect('bob');
    const cuts = breakable(server);
    alice.connect('alice');
    await Promise.all([alice.until(CONNECTED), bob.until(CONNECTED)]);
    const [toAlice, toBob] = [bodies(alice.connection), bodies(bob.connection)];
    let since = 0;
    cuts.at = (_, __, frame) => {
      since += 1;
      if (!frame.startsWith('<message') || since < 12 || cuts.count === 20) return false;
      since = 0;
      return true;
    };
    for (const number of numbers) {
      alice.connection.send($msg({ to: bob.connection.jid, type: 'chat' }).c('body').t(number));
      bob.connection.send($msg({ to: alice.connection.jid, type: 'chat' }).c('body').t(number));
      await new Promise(setImmediate);
    }
    await vi.waitFor(() => expect([toAlice.length, toBob.length]).toEqual([200, 200]), 9000);
    expect(toAlice).toEqual(numbers);
    expect(toBob).toEqual(numbers);
    expect(cuts.count).toBe(20);
    expect(alice.codes.filter((code) => code === RECONNECTING)).toHaveLength(20);
  }, 20_000);

  test('is off unless it is wanted', async () => {
    const cuts = breakable(server);
    const alice = new Heard(MANAGED);
    alice.connect('alice');
    await alice.until(CONNECTED);
    cuts.at = () => true;
    alice.connection.send($msg({ to: alice.connection.jid }));
    await alice.until(DISCONNECTED);
    expect(alice.codes).not.toContain(RECONNECTING);
    expect(cuts.urls).toHaveLength(1);
  });

  test('handlers outlive that a session is resumed, and not the session', async () => {
    const cuts = breakable(server);
    const alice = new Heard(HASTY); // whose keys do not fit the other server, but the password does
    const errback = vi.fn();
    let asks = false;
    alice.connect('alice', (code) => {
      if (code !== RECONNECTING) return;
      expect(alice.connection.authenticated).toBe(false);
      expect(alice.connection.reconnecting?.wait).toBeLessThanOrEqual(1);
      const request = $iq({ type: 'get', to: 'example.com' }).c('x');
      if (asks) alice.connection.sendIQ(request, null, errback);
    });
    await alice.until(CONNECTED);
    await vi.waitFor(() => expect(alice.connection.sm?.enabled).toBe(true));
    const came = bodies(alice.connection);
    const cut = (text: string) => {
      cuts.at = (way) => way === 'out';
      alice.connection.send($msg({ to: alice.connection.jid }).c('body').t(text));
      cuts.at = () => false;
    };
    cut('resumed');
    await alice.until(CONNECTED, 2);
    expect(alice.connection.restored).toBe(true);
    await vi.waitFor(() => expect(came).toEqual(['resumed']));
    expect(alice.connection.handlers).toHaveLength(1);

    other = await serve('secret');
    cuts.server = other;
    asks = true;
    cut('anew');
    await alice.until(CONNECTED, 3);
    expect(alice.connection.restored).toBe(false);
    expect(alice.connection.handlers).toEqual([]);
    expect(errback).toHaveBeenCalledExactlyOnceWith(null);
  });

  test('a password that is wrong by now is the end', async () => {
    const cuts = breakable(server);
    const alice = new Heard(HASTY);
    alice.connect('alice');
    await alice.until(CONNECTED);
    other = await serve('another');
    cuts.server = other;
    cuts.at = (way, _, frame) => way === 'out' && frame.startsWith('<message');
    alice.connection.send($msg({ to: 'bob@example.com' }));
    await alice.until(DISCONNECTED);
    expect(alice.codes.slice(3)).toEqual([RECONNECTING, CONNECTING, AUTHENTICATING, AUTHFAIL, DISCONNECTED]);
    expect(alice.conditions.slice(-2)).toEqual(['not-authorized', 'not-authorized']);
  });
});

describe('the waits of reconnection', () => {
  let sockets: Scripted[];
  let alice: Heard;

  /** Logs in over a socket that is played, whose next ones are not opened. */
  function start(reconnect: Options & object): void {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    sockets = scriptedSockets();
    alice = new Heard({ ...reconnect, mechanisms: [Strophe.SASLPlain] });
    alice.connect('alice');
    sockets[0]?.logIn();
    expect(alice.codes.at(-1)).toBe(CONNECTED);
  }

  const wait = () => alice.connection.reconnecting?.wait ?? Number.NaN;

  test('double, and have their limit', () => {
    start({ reconnect: { first: 1000, longest: 3000 } });
    const limits = [1000, 2000, 3000, 3000];
    limits.forEach((limit, index) => {
      sockets[index]?.lose();
      expect(alice.connection.reconnecting?.attempt).toBe(index + 1);
      expect(wait()).toBeLessThanOrEqual(limit);
      vi.advanceTimersByTime(Math.max(Math.floor(wait()) - 1, 0));
      expect(sockets).toHaveLength(index + 1);
      vi.advanceTimersByTime(3);
      expect(sockets).toHaveLength(index + 2);
    });
  });

  test('have an end, if that is wanted', () => {
    start({ reconnect: { attempts: 2 } });
    for (const index of [0, 1]) {
      sockets[index]?.lose();
      vi.advanceTimersByTime(5000);
    }
    sockets[2]?.lose();
    expect(alice.codes.filter((code) => code === RECONNECTING)).toHaveLength(2);
    expect(alice.codes.at(-1)).toBe(DISCONNECTED);
  });

  test('are cut short when the network is back', () => {
    const listeners = new Set<() => void>();
    vi.stubGlobal('addEventListener', (_: string, listener: () => void) => listeners.add(listener));
    vi.stubGlobal('removeEventListener', (_: string, listener: () => void) => listeners.delete(listener));
    start({ reconnect: { first: 3_600_000, longest: 3_600_000 } });
    sockets[0]?.lose();
    expect(listeners.size).toBe(1);
    for (const listener of listeners) listener();
    expect(sockets).toHaveLength(2);
    expect(listeners.size).toBe(0);
    vi.unstubAllGlobals();
  });

  test('end with disconnect, and with reset', () => {
    for (const end of ['disconnect', 'reset'] as const) {
      start({ reconnect: true });
      sockets[0]?.lose();
      const before = alice.codes.length;
      alice.connection[end]();
      vi.advanceTimersByTime(10_000);
      expect(sockets).toHaveLength(1);
      const told = end === 'reset' ? [] : [DISCONNECTING, DISCONNECTED];
      expect(alice.codes.slice(before)).toEqual(told);
    }
  });

  test('a server that sends us elsewhere is followed, but not to where others listen', () => {
    start({ reconnect: { first: 1 } });
    const close = (uri: string) =>
      `<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='${uri}'/>`;
    sockets[0]?.say(close('wss://other.example.com/ws'));
    expect(alice.codes.at(-1)).toBe(REDIRECT);
    expect(alice.conditions.at(-1)).toBe('wss://other.example.com/ws');
    vi.advanceTimersByTime(1);
    expect(sockets[1]?.url).toBe('wss://other.example.com/ws');
    sockets[1]?.logIn();
    expect(alice.codes.at(-1)).toBe(CONNECTED);
    sockets[1]?.say(close('ws://other.example.com/ws'));
    expect(alice.codes.at(-1)).toBe(DISCONNECTED);
    expect(sockets).toHaveLength(2);
  });

  test('a connection that was led elsewhere comes back to where it began', () => {
    start({ reconnect: { first: 1 } });
    sockets[0]?.say("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://a.example/'/>");
    vi.advanceTimersByTime(1);
    sockets[1]?.logIn();
    sockets[1]?.lose();
    vi.advanceTimersByTime(10);
    expect(sockets[2]?.url).toBe('wss://example.com/ws');
  });

  test.each(['conflict', 'host-unknown', 'not-authorized'])('%s is the end', (condition) => {
    start({ reconnect: true });
    sockets[0]?.say(`<error xmlns='http://etherx.jabber.org/streams'><${condition}
      xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>`);
    expect(alice.codes).not.toContain(RECONNECTING);
    expect([alice.codes.at(-1), alice.conditions.at(-1)]).toEqual([DISCONNECTED, condition]);
  });

  test('a server that sends us around is left', () => {
    start({ reconnect: { first: 1, attempts: 0 } });
    const close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://a.example/'/>";
    for (const index of [0, 1, 2]) {
      if (index > 0) sockets[index]?.open();
      sockets[index]?.say(close);
      vi.advanceTimersByTime(1);
    }
    sockets[3]?.open();
    sockets[3]?.say(close);
    expect(alice.codes.filter((code) => code === REDIRECT)).toHaveLength(3);
    expect(alice.codes.at(-1)).toBe(DISCONNECTED);
  });
});
