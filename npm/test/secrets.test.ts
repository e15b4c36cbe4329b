// What becomes of passwords, tokens, keys and names in a login, whatever the server asks for.

import { inspect } from 'node:util';
import { $msg, MemoryStorageBackend, MemoryTokenStore, Strophe } from 'strophejs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until, type Connection } from './login.js';
import { connectTo, message } from './scripted.js';
import { redirect, serve, type Server } from './server.js';
import { AUTH, CLOSED, LOGIN, offer } from './transcripts.js';

const { AUTHENTICATING, AUTHFAIL, CONNECTED, CONNECTING, DISCONNECTED } = Strophe.Status;

let server: Server | undefined;

beforeEach(() => Strophe.setLogLevel(Strophe.LogLevel.FATAL));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const auth = (name: string) => `C: <auth xmlns='${AUTH}' mechanism='${name}'>*</auth>\n`;
const REFUSED = `S: <failure xmlns='${AUTH}'><not-authorized/></failure>\n${CLOSED}`;

describe('no secret goes out', () => {
  test('to a server that offers the login of old', async () => {
    const iqAuth = "<auth xmlns='http://jabber.org/features/iq-auth'/>";
    const features = offer(['SCRAM-SHA-1'], CLOSED).replace('</features>', `${iqAuth}</features>`);
    const mechanisms = [Strophe.SASLSHA512];
    const { statuses, sent } = await connectTo(features, { options: { mechanisms } });
    expect(statuses[1]).toEqual([AUTHFAIL, 'no-auth-mech']);
    expect(sent.map((xml) => /^<(\w+)/.exec(xml)?.[1])).toEqual(['open', 'close']);
  });

  test.each([
    ['PLAIN', 's3cr3t', [Strophe.SASLPlain]],
    ['OAUTHBEARER', { token: 's3cr3t' }, [Strophe.SASLOAuthBearer]],
    ['X-OAUTH2', { token: 's3cr3t' }, [Strophe.SASLXOAuth2]],
  ])('by %s over a way that others can read', async (name, pass, mechanisms) => {
    const service = 'ws://example.com/';
    const { statuses, sent } = await connectTo(offer([name], CLOSED), {
      pass,
      service,
      options: { mechanisms },
    });
    expect(statuses[1]).toEqual([AUTHFAIL, 'no-auth-mech']);
    expect(sent.join()).not.toContain('<auth');
  });

  test.each(['OAUTHBEARER', 'X-OAUTH2', 'PLAIN'])('by %s where there is none', async (name) => {
    for (const pass of [null, undefined, '']) {
      const { statuses } = await connectTo(offer([name], CLOSED), { pass: pass ?? null });
      expect(statuses[1]).toEqual([AUTHFAIL, 'no-auth-mech']);
    }
  });

  test('of anybody who is to be anonymous', async () => {
    const names = ['OAUTHBEARER', 'X-OAUTH2', 'ANONYMOUS'];
    const transcript = `C: <auth xmlns='${AUTH}' mechanism='ANONYMOUS'/>\n${REFUSED}`;
    const { statuses } = await connectTo(offer(names, transcript), { jid: 'example.com', pass: '' });
    expect(statuses[2]).toEqual([AUTHFAIL, 'not-authorized']);
  });

  test('again, when the server refuses a token with a challenge', async () => {
    const challenge = `S: <challenge xmlns='${AUTH}'>{b64:{"status":"invalid_token"}}</challenge>\n`;
    const answer = `C: <response xmlns='${AUTH}'>*</response>\n`;
    const transcript = offer(['OAUTHBEARER'], auth('OAUTHBEARER') + challenge + answer + REFUSED);
    const { statuses, sent } = await connectTo(transcript, { pass: { token: 'tok' } });
    expect(statuses[2]).toEqual([AUTHFAIL, 'not-authorized']);
    expect(message(sent, 1)).toBe('\x01');
  });
});

describe('names and passwords', () => {
  test.each([
    ['pass\u00adword', 'password'],
    ['pa\u00df\u00a0w\u00f6rd', 'pa\u00df wo\u0308rd'],
  ])('%s is typed as %s', async (stored, typed) => {
    server = await serve(stored);
    redirect(server);
    const connection = new Strophe.Connection('wss://example.com/');
    const status = await new Promise((done) => {
      connection.connect('alice@example.com/x', typed, (code) => {
        if (code === CONNECTED || code === AUTHFAIL) done(code);
      });
    });
    connection.reset();
    expect(status).toBe(CONNECTED);
  });

  test('beyond the first plane of Unicode are UTF-8', async () => {
    const plain = offer(['PLAIN'], auth('PLAIN') + REFUSED);
    const { sent } = await connectTo(plain, { authcid: '\u{10348}', pass: 'p\u{10348}' });
    expect(message(sent)).toBe('alice@example.com\0\u{10348}\0p\u{10348}');
    const scram = offer(['SCRAM-SHA-1'], auth('SCRAM-SHA-1') + REFUSED);
    const other = await connectTo(scram, { authcid: '\u{10348}' });
    expect(message(other.sent)).toContain(',n=\u{10348},r=');
  });

  test('who is meant goes along with SCRAM', async () => {
    const transcript = offer(['SCRAM-SHA-256'], auth('SCRAM-SHA-256') + REFUSED);
    const { sent } = await connectTo(transcript, { authcid: 'a=d,min' });
    expect(message(sent)).toMatch(/^n,a=alice@example.com,n=a=3Dd=2Cmin,r=.{16,}$/);
  });

  test('an empty message is told from none', async () => {
    const transcript = offer(['EXTERNAL'], auth('EXTERNAL') + REFUSED);
    const { sent } = await connectTo(transcript, { pass: '', authcid: 'alice' });
    expect(message(sent)).toBe('=');
  });

  test.each(['=', ''])('a challenge of "%s" is an empty one', async (text) => {
    const challenges: unknown[] = [];
    class Own extends Strophe.SASLMechanism {
      constructor() {
        super('X-OWN', false, 1);
      }

      override onChallenge(_: Connection, challenge?: string | null) {
        challenges.push(challenge);
        return 'mine';
      }
    }
    const transcript = `C: <auth xmlns='${AUTH}' mechanism='X-OWN'/>
S: <challenge xmlns='${AUTH}'>${text}</challenge>
C: <response xmlns='${AUTH}'>*</response>\n`;
    const options = { mechanisms: [Own] };
    const { sent } = await connectTo(offer(['X-OWN'], transcript + REFUSED), { options });
    expect(challenges).toEqual(['']);
    expect(message(sent, 0)).toBe('mine');
  });
});

describe('one login after another', () => {
  test('knows nothing of one that failed', async () => {
    const first = await connectTo(
      offer(['SCRAM-SHA-256'], `${auth('SCRAM-SHA-256')}S: <challenge xmlns='${AUTH}'>{b64:r={nonce}x,s=eA==,i=4096}</challenge>
C: <response xmlns='${AUTH}'>*</response>\n${REFUSED}`),
    );
    expect(first.statuses[2]?.[0]).toBe(AUTHFAIL);
    const { connection } = first;
    expect([connection._sasl_data, connection.scram_keys]).toEqual([{}, null]);
    const heard = (status: number) => {
      if (status === CONNECTED) connection.disconnect();
    };
    const unavailable = "C: <presence xmlns='jabber:client' type='unavailable'/>\n";
    const second = await connectTo(LOGIN + unavailable + CLOSED, { connection, heard });
    expect(second.statuses.map(([status]) => status)).toContain(CONNECTED);
    expect(connection.scram_keys).toBeNull();
  });

  test('does not send what was refused before it', async () => {
    const connection = new Strophe.Connection('wss://example.com/');
    expect(() => connection.send($msg({ id: 'early' }))).toThrow('not connected');
    const { sent } = await connectTo(offer(['X-NONE'], CLOSED), { connection });
    expect(sent.join()).not.toContain('early');
  });

  test('keys choose the mechanism that they are for', async () => {
    server = await serve('secret');
    redirect(server);
    const first = new Strophe.Connection('wss://example.com/', { mechanisms: [Strophe.SASLSHA1] });
    await until(first, CONNECTED);
    const keys = first.scram_keys;
    first.reset();
    const second = new Strophe.Connection('wss://example.com/');
    const names: (string | undefined)[] = [];
    await new Promise<void>((done) => {
      second.connect('alice@example.com', keys, (status) => {
        if (status === AUTHENTICATING) names.push(second._sasl_mechanism?.mechname);
        if (status === CONNECTED) done();
      });
    });
    second.reset();
    expect(names).toEqual(['SCRAM-SHA-1']);
  });

  test('a refusal is not followed by a try of another mechanism', async () => {
    const names = ['SCRAM-SHA-256', 'PLAIN'];
    const { statuses, sent } = await connectTo(offer(names, auth('SCRAM-SHA-256') + REFUSED));
    expect(statuses).toEqual([
      [CONNECTING, null],
      [AUTHENTICATING, null],
      [AUTHFAIL, 'not-authorized'],
      [DISCONNECTED, 'not-authorized'],
    ]);
    expect(sent.filter((xml) => xml.startsWith('<auth')).length).toBe(1);
  });
});

describe('messages of SCRAM that are none', () => {
  test.each([
    's=eA==,i=4096',
    'r={nonce},s=eA==,i=4096',
    'r=other,s=eA==,i=4096',
    'r={nonce}x,s=,i=4096',
    'r={nonce}x,s=!,i=4096',
    'r={nonce}x,s=eA==,i=4095',
    'r={nonce}x,s=eA==,i=4096x',
    'r={nonce}x,i=4096,s=eA==',
    'm=x,r={nonce}x,s=eA==,i=4096',
  ])('%s', async (challenge) => {
    const { statuses } = await connectTo(
      offer(['SCRAM-SHA-256'], `${auth('SCRAM-SHA-256')}S: <challenge xmlns='${AUTH}'>{b64:${challenge}}</challenge>
C: <abort xmlns='${AUTH}'/>\n${CLOSED}`),
    );
    expect(statuses.map(([status]) => status)).toEqual([
      CONNECTING,
      AUTHENTICATING,
      AUTHFAIL,
      DISCONNECTED,
    ]);
  });
});

describe('the binding of a resource', () => {
  const bind = (answer: string) => LOGIN.slice(0, LOGIN.lastIndexOf('S: <iq')) + answer + CLOSED;
  const jid = (content: string) =>
    `S: <iq xmlns='jabber:client' type='result' id='{id}'>${content}</iq>\n`;
  test.each([
    ['conflict', `S: <iq xmlns='jabber:client' type='error' id='{id}'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\n`],
    ['without bind', jid('')],
    ['without an address', jid("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")],
  ])('that ends with %s ends the connection', async (_, answer) => {
    const { statuses } = await connectTo(bind(answer));
    expect(statuses.map(([status]) => status)).toEqual([
      CONNECTING,
      AUTHENTICATING,
      AUTHFAIL,
      DISCONNECTED,
    ]);
  });

  test('that is not offered ends it too', async () => {
    const end = LOGIN.indexOf('S: <features', LOGIN.indexOf('<success'));
    const features = `S: <features xmlns='${Strophe.NS['STREAM']}'/>`;
    const { statuses } = await connectTo(`${LOGIN.slice(0, end)}${features}\n${CLOSED}`);
    expect(statuses.at(-2)?.[0]).toBe(AUTHFAIL);
  });
});

describe('no secret is printed', () => {
  test('of a connection, or of the stores that come with the package', async () => {
    server = await serve('s3cr3t');
    redirect(server);
    const [tokens, storage] = [new MemoryTokenStore(), new MemoryStorageBackend()];
    tokens.save('alice@example.com', 's3cr3t');
    storage.save('bob@example.com', 's3cr3t');
    const options = { enableStreamManagement: true, streamManagement: { storage }, tokens };
    const connection = new Strophe.Connection('wss://example.com/ws', options);
    tokens.remove('alice@example.com');
    await connection.login({ jid: 'alice@example.com', password: 's3cr3t' });
    const { ck } = connection.scram_keys!;
    expect(inspect(connection)).toMatch(/^Connection \{ wss:\/\/example\.com\/ws, alice@example\.com\/.+ \}$/);
    tokens.save('alice@example.com', 's3cr3t');
    for (const printed of [connection, { connection }, tokens, storage].map((it) => inspect(it, { depth: 9 }))) {
      for (const secret of ['s3cr3t', ck]) expect(printed).not.toContain(secret);
    }
    connection.reset();
  });
});
