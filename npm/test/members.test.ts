// The members that plugins and clients reach for: what they do, and what they cannot do.

import { $iq, $msg, Strophe } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { login, next, until, type Connection } from './login.js';
import { redirect, serve, type Server } from './server.js';

const { AUTHENTICATING, AUTHFAIL, CONNECTED, CONNECTING, DISCONNECTED } = Strophe.Status;
const SASL = Strophe.NS['SASL'] ?? '';

let server: Server;
let alice: Connection;

beforeAll(async () => {
  server = await serve('secret');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  redirect(server);
  alice = new Strophe.Connection('wss://example.com/ws');
});
afterEach(() => {
  alice.reset();
  vi.restoreAllMocks();
});

describe('handlers', () => {
  test('that are there before the connection hear of the session', async () => {
    const user = vi.fn(() => true);
    alice.addHandler(user, null, 'message');
    await until(alice, CONNECTED);
    const came = next(alice, null, 'message');
    alice.send($msg({ to: alice.jid }));
    await came;
    expect(user).toHaveBeenCalledOnce();
  });

  test('of time wait for the login, and are not lost', async () => {
    const called = new Promise<boolean>((done) => {
      alice.addTimedHandler(1, () => done(alice.authenticated));
    });
    await until(alice, CONNECTED);
    expect(await called).toBe(true);
    expect(alice.timedHandlers).toEqual([]);
  });

  test('of the system see the login, and what is no stanza', async () => {
    const names: string[] = [];
    const user = vi.fn(() => true);
    alice.addHandler(user);
    alice._addSysHandler((element) => names.push(element.localName) > 0);
    alice._addSysHandler((element) => names.push(`only ${element.nodeName}`) > 0, SASL, 'success');
    await until(alice, CONNECTED);
    expect(names.slice(0, 6)).toEqual([
      'open',
      'features',
      'challenge',
      'success',
      'only success',
      'open',
    ]);
    expect(user).not.toHaveBeenCalled();
  });

  test('that are promises stay, until they come to false or are rejected', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
    alice = await login('alice');
    const stays = alice.addHandler(async () => {}, null, 'message');
    const ends = alice.addHandler(async () => false, null, 'message');
    const fails = alice.addHandler(async () => Promise.reject(new Error('no')), null, 'message');
    alice._dataRecv($msg());
    expect(alice.handlers).toEqual([stays, ends, fails]);
    await vi.waitFor(() => expect(alice.handlers).toEqual([stays]));
    expect(printed).toHaveBeenCalledOnce();
  });

  test('a request that nobody takes goes to the one for that', async () => {
    alice = await login('alice');
    const bob = await login('bob');
    const taken: string[] = [];
    bob.iqFallbackHandler = new Strophe.Handler(
      (iq) => taken.push(iq.getAttribute('id') ?? ''),
      'urn:one',
    );
    const request = (id: string, xmlns: string) =>
      $iq({ id, to: bob.jid, type: 'get' }).c('query', { xmlns });
    const came = next(bob, null, 'message');
    alice.send([request('1', 'urn:one'), request('2', 'urn:two'), $msg({ to: bob.jid })]);
    await came;
    expect(taken).toEqual(['1']);
    bob.reset();
  });
});

describe('_dataRecv', () => {
  test('gives stanzas to hooks and handlers', async () => {
    alice = await login('alice');
    const [seen, raw, ids] = [[] as string[], [] as string[], [] as (string | null)[]];
    alice.xmlInput = (element) => seen.push(element.nodeName);
    alice.rawInput = (text) => raw.push(text);
    alice.addHandler((stanza) => ids.push(stanza.getAttribute('id')), null, 'message');
    alice._dataRecv($msg({ id: '1' }));
    alice._dataRecv(Strophe.toElement("<body><message id='2'/><r/><message id='3'/></body>"), 'text');
    alice._dataRecv({ getResponse: () => $msg({ id: '4' }).tree() });
    expect(ids).toEqual(['1', '2', '3', '4']);
    expect(seen).toEqual(['message', 'body', 'message']);
    expect(raw).toEqual([
      '<message id="1" xmlns="jabber:client"/>',
      'text',
      '<message id="4" xmlns="jabber:client"/>',
    ]);
    expect(() => alice._dataRecv({ getResponse: () => null })).toThrow(TypeError);
  });

  test('brings the answers to requests', async () => {
    alice = await login('alice');
    const answer = new Promise<Element>((done) => {
      const request = $iq({ id: 'x', type: 'get', to: 'carol@example.com/x' });
      alice.sendIQ(request.c('query', { xmlns: 'urn:x' }), done, () => {});
    });
    alice._dataRecv($iq({ id: 'x', type: 'result', from: 'eve@example.com' }));
    alice._dataRecv($iq({ id: 'x', type: 'result', from: 'carol@example.com/x' }));
    expect((await answer).getAttribute('from')).toBe('carol@example.com/x');
  });

  test('is no login', async () => {
    const user = vi.fn();
    alice.addHandler(user);
    const elements = ['success', 'features', 'open'].map((name) => `<${name} xmlns='${SASL}'/>`);
    const answer = "<iq xmlns='jabber:client' type='result' id='_bind_auth_2'/>";
    const play = () => {
      for (const xml of [...elements, answer]) alice._dataRecv(Strophe.toElement(`<wrapper>${xml}</wrapper>`));
    };
    play();
    const statuses: number[] = [];
    alice.do_authentication = false;
    alice._connect_cb = play;
    await new Promise<void>((done) => {
      alice.xmlInput = (element) => {
        if (element.localName === 'features') setTimeout(done, 0);
      };
      alice.connect('alice@example.com', 'secret', (status) => statuses.push(status));
    });
    expect(statuses).toEqual([CONNECTING]);
    expect(alice.authenticated).toBe(false);
    expect(user).not.toHaveBeenCalled();
    expect(() => alice.send($msg())).toThrow('not sent');
  });
});

describe('the login', () => {
  test('waits for authenticate, where it does not begin by itself', async () => {
    const statuses: number[] = [];
    alice.do_authentication = false;
    const offered = new Promise<Element>((done) => {
      const original = alice._connect_cb.bind(alice);
      alice._connect_cb = (features) => {
        original(features);
        done(features);
      };
    });
    const connected = new Promise<void>((done) => {
      alice.connect('alice@example.com', 'secret', (status) => {
        statuses.push(status);
        if (status === CONNECTED) done();
      });
    });
    expect((await offered).getElementsByTagName('mechanism').length).toBeGreaterThan(0);
    expect(statuses).toEqual([CONNECTING]);
    alice.authenticate();
    await connected;
    expect(statuses).toEqual([CONNECTING, AUTHENTICATING, CONNECTED]);
    alice.authenticate(); // too late to change anything
    expect(alice.authenticated).toBe(true);
  });

  test('uses the mechanisms that authenticate is given, in the order that is sorted', async () => {
    const used: (string | undefined)[] = [];
    const start = async () => {
      const connection = alice;
      await new Promise<void>((done) => {
        connection.connect('alice@example.com', 'secret', (status) => {
          if (status === AUTHENTICATING) used.push(connection._sasl_mechanism?.mechname);
          if (status === CONNECTED) done();
        });
      });
    };
    alice.sortMechanismsByPriority = (mechanisms) =>
      [...mechanisms].sort((one) => (one.mechname === 'SCRAM-SHA-1' ? -1 : 1));
    await start();
    alice = new Strophe.Connection('wss://example.com/ws');
    const plain = [alice.mechanisms['PLAIN'] ?? new Strophe.SASLPlain()];
    alice.authenticate = () => alice._attemptSASLAuth(plain);
    await start();
    expect(used).toEqual(['SCRAM-SHA-1', 'PLAIN']);
  });

  test('fails where none of them can be used', async () => {
    const found: boolean[] = [];
    alice.authenticate = () => found.push(alice._attemptSASLAuth([]));
    expect(await until(alice, AUTHFAIL)).toBe('no-auth-mech');
    expect(found).toEqual([false]);
  });

  test('is not done by what says so', async () => {
    const heard: number[] = [];
    alice.connect_callback = (status) => heard.push(status);
    alice._changeConnectStatus(CONNECTED, null);
    expect(heard).toEqual([CONNECTED]);
    expect(alice.authenticated).toBe(false);
    expect(() => alice.send($msg())).toThrow('not connected');
  });

  test('leaves nothing for the next mechanism to find', async () => {
    alice._sasl_data['old'] = true;
    await until(alice, CONNECTED);
    expect(alice._sasl_data).toEqual({});
    expect(alice.do_bind).toBe(true);
    expect(alice.do_session).toBe(false);
  });
});

test('_doDisconnect ends a connection at once', async () => {
  const heard: [number, string | null][] = [];
  alice = await login('alice');
  alice.addHandler(() => true);
  alice.connect_callback = (status, condition) => heard.push([status, condition]);
  alice._doDisconnect('enough');
  expect(heard).toEqual([[DISCONNECTED, 'enough']]);
  expect([alice.authenticated, alice.connected, alice.handlers.length]).toEqual([false, false, 0]);
});

describe('what cannot be meant is told at once', () => {
  const make = (service: string) => new Strophe.Connection(service);

  test.each(['example.com/ws', '/xmpp-websocket', 'ftp://example.com/', 'wss//example.com', ''])(
    'an address of a server that is none: %j',
    async (service) => {
      const words = `${service} is no address of a server: write it as wss://example.com/xmpp-websocket`;
      expect(() => make(service).connect('alice@example.com', 'secret')).toThrow(words);
      const login = make(service).login({ jid: 'alice@example.com', password: 'secret' });
      await expect(login).rejects.toThrow(words);
    },
  );

  test('a JID that is missing', async () => {
    expect(() => alice.connect('', 'secret')).toThrow('a JID is needed, as alice@example.com');
    await expect(alice.login({ jid: '' })).rejects.toThrow('a JID is needed, as alice@example.com');
    expect(alice.connected).toBe(false);
  });

  test('a mechanism that is no class', () => {
    const SCRAM = 'SCRAM-SHA-256' as unknown as typeof Strophe.SASLSHA256;
    const names = () => new Strophe.Connection('wss://example.com/ws', { mechanisms: [SCRAM] });
    expect(names).toThrow('SCRAM-SHA-256 is no mechanism: it is a class, as Strophe.SASLSHA256');
    expect(() => alice.registerSASLMechanism(null as unknown as typeof SCRAM)).toThrow('null is no mechanism');
    expect(Object.keys(alice.mechanisms)).toHaveLength(9);
  });
});
