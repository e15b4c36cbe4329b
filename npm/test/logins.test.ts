// Logins as promises, by SASL2 and by tokens; what they come to, and what they are rejected with.

import {
  $iq,
  ConnectionEndedError,
  LocalTokenStore,
  LoginError,
  MemoryTokenStore,
  StanzaError,
  Strophe,
  TimeoutError,
  type LoginReport,
  type TokenStore,
} from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Connection, Options } from './login.js';
import { scriptedSockets } from './scripted-socket.js';
import { play, redirect, redirectOverTls, serve, type Server } from './server.js';
import { AUTH, CLOSED, LOGIN, offer, OPEN } from './transcripts.js';

const { AUTHFAIL, CONNFAIL, CONNTIMEOUT, CONNECTED, CONNECTING, AUTHENTICATING, DISCONNECTED, RECONNECTING } =
  Strophe.Status;

let server: Server;
let scripted: Server | undefined;
const open: Connection[] = [];

beforeAll(async () => {
  server = await serve('secret');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  redirect(server);
});
afterEach(async () => {
  for (const connection of open.splice(0)) connection.reset();
  await scripted?.stop();
  scripted = undefined;
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function connection(options: Options = {}): Connection {
  const made = new Strophe.Connection('wss://example.com/ws', options);
  open.push(made);
  return made;
}

const ALICE = { jid: 'alice@example.com', password: 'secret' };

/** What a promise is rejected with. */
async function rejection(promise: Promise<unknown>): Promise<LoginError> {
  return promise.then(
    () => expect.unreachable('it is not rejected'),
    (reason: LoginError) => reason,
  );
}

describe('a login as a promise', () => {
  test('comes to who is logged in, and how', async () => {
    const alice = connection();
    const { jid, ...how } = await alice.login(ALICE);
    expect(jid).toMatch(/^alice@example\.com\/.+/);
    expect(jid).toBe(alice.jid);
    const mechanism = 'SCRAM-SHA-512';
    expect(how).toEqual({ mechanism, serverProved: true, flights: 5, resumed: false });
    expect(alice.authenticated).toBe(true);
    await alice.close();
    expect(alice.connected).toBe(false);
    await alice.close();
  });

  test('is rejected with what is wrong, and what to do', async () => {
    const error = await rejection(connection().login({ ...ALICE, password: 'wrong' }));
    expect(error).toBeInstanceOf(LoginError);
    expect([error.name, error.status, error.condition]).toEqual(['LoginError', AUTHFAIL, 'not-authorized']);
    expect(error.message).toContain('not-authorized');
    expect(error.advice).toBeTruthy();
    expect(error.report).toBeNull();
    expect(JSON.stringify(error)).not.toContain('wrong');
  });

  test.each([
    [CONNFAIL, 'connection-lost', `${OPEN}S: !close`],
    [CONNFAIL, 'not-well-formed', `${OPEN}S: <features\nC: *\nS: !close`],
    [AUTHFAIL, 'no-auth-mech', offer(['X-OTHER'], CLOSED)],
  ])('is rejected with status %i and %s', async (status, condition, transcript) => {
    scripted = await play(transcript);
    redirect(scripted);
    const error = await rejection(connection().login(ALICE));
    expect([error.status, error.condition]).toEqual([status, condition]);
  });

  test('is rejected at once for what is no address', async () => {
    await expect(connection().login({ ...ALICE, jid: '@' })).rejects.toThrow(/^the JID: /);
  });

  test('is rejected when it takes too long, and when somebody resets the connection', async () => {
    scripted = await play('C: *\nC: *');
    redirect(scripted);
    const late = await rejection(connection().login({ ...ALICE, timeout: 20 }));
    expect([late.status, late.condition]).toEqual([CONNTIMEOUT, 'timeout']);
    const alice = connection();
    const pending = rejection(alice.login(ALICE));
    alice.reset();
    expect((await pending).condition).toBe('reset');
  });

  test('tells the callback, too', async () => {
    const codes: number[] = [];
    await connection().login(ALICE, (code) => codes.push(code));
    expect(codes).toEqual([CONNECTING, AUTHENTICATING, CONNECTED]);
  });
});

describe('a request as a promise', () => {
  const ping = () => $iq({ type: 'get', to: 'example.com' }).c('ping', { xmlns: 'urn:xmpp:ping' });

  test('comes to the answer', async () => {
    const alice = connection();
    await alice.login(ALICE);
    const answer = await alice.request(ping());
    expect([answer.tagName, answer.getAttribute('type')]).toEqual(['iq', 'result']);
  });

  test('is rejected with the error that is the answer', async () => {
    const alice = connection();
    await alice.login(ALICE);
    const request = $iq({ type: 'get', to: 'example.com' }).c('query', { xmlns: 'urn:none' });
    const error = (await rejection(alice.request(request))) as unknown as StanzaError;
    expect(error).toBeInstanceOf(StanzaError);
    expect([error.type, error.condition]).toEqual(['cancel', 'service-unavailable']);
    expect(error.element.getAttribute('type')).toBe('error');
  });

  test('is rejected when nobody answers, and when the connection ends', async () => {
    scripted = await play(`${LOGIN}C: *\nC: *\nC: *`);
    redirect(scripted);
    const alice = connection();
    await alice.login(ALICE);
    const late = await rejection(alice.request(ping(), 150));
    expect(late).toBeInstanceOf(TimeoutError);
    const pending = rejection(alice.request(ping()));
    alice.reset();
    expect(await pending).toBeInstanceOf(ConnectionEndedError);
    expect(await rejection(alice.request(ping()))).toHaveProperty('name', 'StropheError');
  });
});

describe('the report', () => {
  test('of a login that succeeded', async () => {
    const alice = connection({ report: true });
    const { report } = await alice.login(ALICE);
    expect(report).toEqual(alice.report);
    expect(report?.outcome).toBe('connected');
    expect(report?.attempts).toEqual([
      { profile: 'SASL', mechanism: 'SCRAM-SHA-512', priority: expect.any(Number) as number, binding: null },
    ]);
    expect(report?.jid).toBe(alice.jid);
    expect(JSON.stringify(report)).not.toContain('secret');
  });

  test('is there in the callback, and so are the keys', async () => {
    for (const sasl2 of [false, true]) {
      if (sasl2) redirectOverTls(server);
      const alice = connection({ report: true, sasl2 });
      const seen: unknown[] = [];
      await alice.login(ALICE, (status) => {
        if (status === CONNECTED) seen.push(alice.report?.outcome, alice.scram_keys?.name);
      });
      expect(seen).toEqual(['connected', 'SHA-512']);
      expect(alice.report?.attempts[0]?.profile).toBe(sasl2 ? 'SASL2' : 'SASL');
      alice.reset();
    }
    redirect(server);
    const refused = connection({ report: true });
    let outcome: string | undefined;
    const told = (status: number) => void (status === DISCONNECTED && (outcome = refused.report?.outcome));
    await rejection(refused.login({ ...ALICE, password: 'wrong' }, told));
    expect(outcome).toBe('failed');
  });

  test('of one that was refused', async () => {
    const alice = connection({ report: true });
    const { report } = await rejection(alice.login({ ...ALICE, password: 'wrong' }));
    expect([report?.outcome, report?.condition]).toEqual(['failed', 'not-authorized']);
    expect(report).toEqual(alice.report as LoginReport);
  });
});

describe('SASL2', () => {
  beforeEach(() => redirectOverTls(server));

  test('is used where it is wanted, with what goes along', async () => {
    const frames: string[] = [];
    const userAgent = { id: 'd4565fa7-4d72-4749-b3d3-740edbf87770', software: 'Tests', device: 'here' };
    const alice = connection({ sasl2: { userAgent, tag: 'tests', carbons: true } });
    alice.rawOutput = (text) => frames.push(text);
    const { flights } = await alice.login(ALICE);
    expect(flights).toBe(3);
    expect(frames[1]).toContain("id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Tests");
    expect(frames[1]).toContain('<software>Tests</software><device>here</device>');
    expect(frames[1]).toContain('<tag>tests</tag>');
    expect(frames[1]).toContain("<enable xmlns='urn:xmpp:carbons:2'/>");
    expect(alice.jid).toMatch(/^alice@example\.com\/tests/);
  });

  test('an id that is none is refused before anything is sent', async () => {
    const alice = connection({ sasl2: { userAgent: { id: '1' } } });
    await expect(alice.login(ALICE)).rejects.toThrow(/^the user agent's id: not a UUID/);
  });

  test('a session is resumed within the login', async () => {
    const alice = connection({ sasl2: true, enableStreamManagement: true });
    const { jid } = await alice.login(ALICE);
    await vi.waitFor(() => expect(alice.sm?.enabled).toBe(true));
    alice.reset();
    const again = await alice.login(ALICE);
    expect(again).toMatchObject({ jid, resumed: true, flights: 3 });
  });
});

describe('quick logins', () => {
  beforeEach(() => redirectOverTls(server));

  const token = { jid: 'alice@example.com' };

  test('need no password, and one flight; the server forgets the token in the end', async () => {
    const tokens = new MemoryTokenStore();
    const first = await connection({ tokens }).login(ALICE);
    expect(first.mechanism).toBe('SCRAM-SHA-512');
    const alice = connection({ tokens });
    const second = await alice.login(token);
    expect(second).toMatchObject({ mechanism: expect.stringMatching(/^HT-/) as string, flights: 1 });
    expect(await alice.logout()).toBe(true);
    expect(await alice.hasToken('alice@example.com')).toBe(false);
    expect(tokens.load('alice@example.com')).toBeNull();
    expect(await alice.logout()).toBe(false);
    const error = await rejection(connection({ tokens }).login(token));
    expect(error.condition).toBe('no-auth-mech');
  });

  /** Whatever is kept of alice, to be looked at and changed. */
  interface Kept {
    newest: { token: string; count: number } | null;
    older: { token: string; count: number } | null;
    server: { offer: { sasl2: { mechanisms: string[] } } };
  }
  const read = (text: string | null | undefined) => JSON.parse(text ?? 'null') as Kept;

  test('whether there is one can be asked, and uses none', async () => {
    const tokens = new MemoryTokenStore();
    const alice = connection({ tokens });
    expect(await alice.hasToken('alice@example.com')).toBe(false);
    expect(tokens.load('alice@example.com')).toBeNull();
    await alice.login(ALICE);
    await vi.waitFor(async () => expect(await alice.hasToken('alice@example.com')).toBe(true));
    const kept = tokens.load('alice@example.com');
    expect(await connection({ tokens }).hasToken('alice@example.com/elsewhere')).toBe(true);
    expect(tokens.load('alice@example.com')).toBe(kept);

    expect(await connection({ tokens }).hasToken('bob@example.com')).toBe(false);
    expect(await connection().hasToken('alice@example.com')).toBe(false);
    const expired = kept?.replace(/"expiry":\d+/, '"expiry":1') ?? '';
    tokens.save('alice@example.com', expired);
    expect(await alice.hasToken('alice@example.com')).toBe(false);
    tokens.save('alice@example.com', '{');
    expect(await alice.hasToken('alice@example.com')).toBe(false);
    await expect(alice.hasToken('a@b@c')).rejects.toThrow(/^the JID: /);
  });

  test('a count is kept before it is sent, and a new token before the one before it goes', async () => {
    const memory = new MemoryTokenStore();
    const saved: Kept[] = [];
    const slow = () => new Promise<void>((done) => setImmediate(done));
    const tokens: TokenStore = {
      load: (jid) => slow().then(() => memory.load(jid)),
      save: async (jid, text) => {
        await slow();
        memory.save(jid, text);
        saved.push(read(text));
      },
      remove: (jid) => memory.remove(jid),
    };
    await connection({ tokens }).login(ALICE);
    await vi.waitFor(() => expect(saved.at(-1)?.newest).toBeTruthy());
    for (const count of [1, 2, 3]) {
      saved.length = 0;
      const alice = connection({ tokens });
      const sent: unknown[] = [];
      alice.rawOutput = (text) => {
        const number = /<fast [^>]*count='(\d+)'/.exec(text)?.[1];
        if (number) sent.push([Number(number), saved.at(-1)?.newest?.count]);
      };
      expect((await alice.login(token)).mechanism).toMatch(/^HT-/);
      await alice.close();
      const issued = saved.some(({ newest }) => newest?.count === 0);
      expect(sent).toEqual([[saved[0]?.newest?.count, saved[0]?.newest?.count]]);
      if (issued) {
        const changes = saved.map(({ newest, older }) => [newest?.token, older?.token]);
        const before = changes[0]?.[0];
        const [kept] = changes.filter(([newest]) => newest !== before);
        expect(kept?.[1], `login ${count}`).toBe(before);
      }
    }
  });

  test('a token that the server refuses is followed by the password, and replaced', async () => {
    const tokens = new MemoryTokenStore();
    await connection({ tokens }).login(ALICE);
    scripted = await serve('secret'); // another one, which knows no token
    redirectOverTls(scripted);
    const before = read(tokens.load('alice@example.com')).newest?.token;
    const { mechanism } = await connection({ tokens }).login(ALICE);
    expect(mechanism).toBe('SCRAM-SHA-512');
    await vi.waitFor(() => {
      const { newest, older } = read(tokens.load('alice@example.com'));
      expect(newest?.token).not.toBe(before);
      expect(older).toBeNull();
    });
    expect((await connection({ tokens }).login(token)).flights).toBe(1);
  });

  test('a server that has changed is asked anew', async () => {
    const tokens = new MemoryTokenStore();
    await connection({ tokens }).login(ALICE);
    await vi.waitFor(() => expect(read(tokens.load('alice@example.com')).newest).toBeTruthy());
    const kept = read(tokens.load('alice@example.com'));
    kept.server.offer.sasl2.mechanisms = ['SCRAM-SHA-1'];
    tokens.save('alice@example.com', JSON.stringify(kept));
    const codes: number[] = [];
    const alice = connection({ tokens });
    await alice.login(ALICE, (code) => codes.push(code));
    expect(codes).toEqual([CONNECTING, AUTHENTICATING, RECONNECTING, CONNECTING, AUTHENTICATING, CONNECTED]);
    expect(alice.reconnecting).toBeNull();
  });

  test.each([
    ['is damaged', () => '{', 'what is kept is no tokens: '],
    ['is of another account', (text: string) => text.replaceAll('alice', 'mallory'), 'what is kept are the tokens of mallory@example.com'],
    ['cannot be read', () => Promise.reject(new Error('no disk')), 'no disk'],
  ])('where what is kept %s, the password logs in', async (_, kept, words) => {
    const memory = new MemoryTokenStore();
    await connection({ tokens: memory }).login(ALICE);
    const whole = memory.load('alice@example.com') ?? '';
    const save = vi.fn();
    const lines: string[] = [];
    const { log } = Strophe;
    Strophe.log = (__, line) => lines.push(line);
    const tokens: TokenStore = { load: () => kept(whole), save, remove: vi.fn() };
    const { mechanism } = await connection({ tokens }).login(ALICE);
    Strophe.log = log;
    expect(mechanism).toBe('SCRAM-SHA-512');
    expect(save).not.toHaveBeenCalled();
    expect(lines[0]).toContain('the token is not used: ');
    expect(lines[0]).toContain(words);
    expect(lines.join()).not.toContain(read(whole).newest?.token);
  });

  test('a store that does not answer holds up a login for 20 seconds, and no longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    const sockets = scriptedSockets();
    const tokens = { load: () => new Promise<string>(() => {}), save: vi.fn(), remove: vi.fn() };
    connection({ tokens }).connect('carol@example.com', 'secret');
    await vi.advanceTimersByTimeAsync(19_990);
    expect(sockets).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(20);
    expect(sockets).toHaveLength(1);
  });

  test('what localStorage has is under the account', async () => {
    const kept = new Map<string, string>();
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
    const tokens = new LocalTokenStore();
    const alice = connection({ tokens });
    await alice.login({ ...ALICE, jid: 'alice@example.com/desk' });
    expect([...kept.keys()]).toEqual(['epode-tokens:alice@example.com']);
    expect(await alice.logout()).toBe(true);
    expect(kept.size).toBe(0);
  });
});

describe('a mechanism that checks the success', () => {
  class Own extends Strophe.SASLMechanism {
    static verdict: (data: string | null) => unknown = () => true;
    constructor() {
      super('X-OWN', true, 1);
    }
    override clientChallenge() {
      return 'hello';
    }
    onSuccessData(_: Connection, data: string | null): unknown {
      return Own.verdict(data);
    }
  }

  /** The statuses of a login whose success comes with this. */
  async function claimed(data: string, verdict: (data: string | null) => unknown, isLogin = true) {
    Own.verdict = verdict;
    const rest = isLogin ? LOGIN.slice(LOGIN.indexOf(OPEN, 10)) : CLOSED;
    const success = `C: <auth xmlns='${AUTH}' mechanism='X-OWN'>aGVsbG8=</auth>
S: <success xmlns='${AUTH}'>${data}</success>
`;
    scripted = await play(offer(['X-OWN'], success + rest));
    redirect(scripted);
    const alice = connection({ mechanisms: [Own] });
    return alice.login({ jid: 'alice@example.com' }).catch((error: LoginError) => error);
  }

  test.each([
    ['its data', 'd2VsY29tZQ==', 'welcome'],
    ['no data', '', null],
    ['empty data', '=', ''],
  ])('is shown %s', async (_, data, expected) => {
    const seen = vi.fn(() => true);
    expect(await claimed(data, seen)).toHaveProperty('mechanism', 'X-OWN');
    expect(seen).toHaveBeenCalledExactlyOnceWith(expected);
  });

  test('may take its time', async () => {
    const later = () => new Promise((done) => setImmediate(() => done(true)));
    expect(await claimed('d2VsY29tZQ==', later)).toHaveProperty('mechanism', 'X-OWN');
  });

  test.each([
    ['false', () => false],
    ['what is thrown', () => { throw new Error('no'); }],
    ['a promise of false', () => Promise.resolve(false)],
    ['a promise that is rejected', () => Promise.reject(new Error('no'))],
  ])('says no with %s', async (_, verdict) => {
    const error = await claimed('d2VsY29tZQ==', verdict, false);
    expect(error).toMatchObject({ status: AUTHFAIL, condition: 'given-up' });
  });

  test('is not asked of what is no Base64', async () => {
    const seen = vi.fn(() => true);
    const error = await claimed('d2V!', seen);
    expect(error).toMatchObject({ status: AUTHFAIL });
    expect(seen).not.toHaveBeenCalled();
  });
});
