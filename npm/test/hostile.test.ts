// Servers that break the rules, word for word, and programs that call at odd moments.

import { $msg, Strophe } from 'strophejs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { play, redirect, type Server } from './server.js';
import { AUTH, CLOSED, LOGIN, offer, OPEN } from './transcripts.js';

const { CONNFAIL, AUTHENTICATING, AUTHFAIL, CONNECTED, DISCONNECTED, CONNECTING, ERROR } =
  Strophe.Status;
type Connection = InstanceType<typeof Strophe.Connection>;
type Options = ConstructorParameters<typeof Strophe.Connection>[1];

let server: Server | undefined;

beforeEach(() => Strophe.setLogLevel(Strophe.LogLevel.FATAL));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

interface Ended {
  statuses: [number, string | null][];
  connection: Connection;
}

/** Connects to a server that plays this, until the end. */
async function connect(
  transcript: string,
  pass: Parameters<Connection['connect']>[1] = 's3cr3t',
  options: Options = {},
  heard: (status: number, connection: Connection) => void = () => {},
): Promise<Ended> {
  server = await play(transcript);
  redirect(server);
  const connection = new Strophe.Connection('wss://example.com/', options);
  const statuses: [number, string | null][] = [];
  await new Promise<void>((done) => {
    connection.connect('alice@example.com', pass, (status, condition) => {
      statuses.push([status, condition]);
      heard(status, connection);
      if (status === DISCONNECTED) done();
    });
  });
  return { statuses, connection };
}

describe('the login', () => {
  test('is not done by a success without the signature of the server', async () => {
    const { statuses, connection } = await connect(
      offer(['SCRAM-SHA-256'], `C: <auth xmlns='${AUTH}' mechanism='SCRAM-SHA-256'>*</auth>
S: <success xmlns='${AUTH}'/>
${CLOSED}`),
    );
    expect(statuses.map(([status]) => status)).toEqual([
      CONNECTING,
      AUTHENTICATING,
      AUTHFAIL,
      DISCONNECTED,
    ]);
    expect(connection.authenticated).toBe(false);
    expect(connection.scram_keys).toBeNull();
  });

  test.each([
    ['OAUTHBEARER', 's3cr3t'],
    ['X-OAUTH2', 's3cr3t'],
    ['PLAIN', { token: 's3cr3t' }],
    ['PLAIN', { name: 'SHA-1', iter: 4096, salt: 'eA==', ck: KEY(), sk: KEY() }],
    ['SCRAM-SHA-256', { name: 'SHA-1', iter: 4096, salt: 'eA==', ck: KEY(), sk: KEY() }],
    ['constructor', 's3cr3t'],
    ['ANONYMOUS', 's3cr3t'],
  ])('%s does not get a secret of another kind', async (name, pass) => {
    const { statuses } = await connect(offer([name], CLOSED), pass);
    expect(statuses[1]).toEqual([AUTHFAIL, 'no-auth-mech']);
  });

  test('a string is a token where only mechanisms of tokens are known', async () => {
    const { statuses } = await connect(
      offer(['PLAIN', 'OAUTHBEARER'], `C: <auth xmlns='${AUTH}' mechanism='OAUTHBEARER'>*</auth>
S: <failure xmlns='${AUTH}'><not-authorized/></failure>
${CLOSED}`),
      'a-token',
      { mechanisms: [Strophe.SASLOAuthBearer] },
    );
    expect(statuses[2]).toEqual([AUTHFAIL, 'not-authorized']);
  });

  test('a count of iterations that is too high is not derived', async () => {
    const derive = vi.spyOn(crypto.subtle, 'deriveBits');
    const { statuses } = await connect(
      offer(['SCRAM-SHA-256'], `C: <auth xmlns='${AUTH}' mechanism='SCRAM-SHA-256'>*</auth>
S: <challenge xmlns='${AUTH}'>{b64:r={nonce}x,s=eA==,i=10000000}</challenge>
C: <abort xmlns='${AUTH}'/>
${CLOSED}`),
    );
    expect(statuses[2]?.[0]).toBe(AUTHFAIL);
    expect(derive).not.toHaveBeenCalled();
    derive.mockRestore();
  });
});

describe('the stream', () => {
  test.each([
    ["<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 'not-well-formed'],
    ['<features', 'not-well-formed'],
    ["<a xmlns='b'/><a xmlns='b'/>", 'not-well-formed'],
  ])('%s ends it', async (frame, condition) => {
    const parsed = vi.spyOn(Strophe.Connection.prototype, 'xmlInput');
    const { statuses } = await connect(`${OPEN}S: ${frame}\nC: *\nS: !close`);
    expect(statuses[1]).toEqual([CONNFAIL, condition]);
    expect(parsed.mock.calls.map(([element]) => element.nodeName)).not.toContain('a');
    parsed.mockRestore();
    expect(statuses.at(-1)?.[0]).toBe(DISCONNECTED);
  });

  test('an error in a message is not one of the stream', async () => {
    let delivered = 0;
    const { statuses } = await connect(
      `${LOGIN}S: <message xmlns='jabber:client' id='1'><error xmlns='http://etherx.jabber.org/streams'><conflict/></error></message>
S: <error xmlns='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>
C: *
S: !close`,
      's3cr3t',
      {},
      (status, connection) => {
        if (status !== CONNECTED) return;
        expect(connection.jid).toBe("alice@example.com/it's&");
        connection.addHandler(() => (delivered += 1), null, 'message');
      },
    );
    expect(delivered).toBe(1);
    expect(statuses.slice(3)).toEqual([
      [ERROR, 'conflict'],
      [DISCONNECTED, 'conflict'],
    ]);
  });

  test('what comes while it ends changes nothing', async () => {
    const { statuses } = await connect(
      `${LOGIN}C: <presence xmlns='jabber:client' type='unavailable'/>
C: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
S: <presence xmlns='jabber:client' type='unavailable'/>
S:  
S: !close`,
      's3cr3t',
      {},
      (status, connection) => {
        if (status === CONNECTED) connection.disconnect();
      },
    );
    expect(statuses.at(-1)).toEqual([DISCONNECTED, null]);
  });

  test.each(['wss://elsewhere.example/', 'ws://example.com/'])('%s is not followed', async (uri) => {
    const { statuses, connection } = await connect(
      `${OPEN}S: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='${uri}'/>
C: *
S: !close`,
    );
    expect(statuses.slice(1)).toEqual([
      [CONNFAIL, 'see-other-uri'],
      [DISCONNECTED, 'see-other-uri'],
    ]);
    expect(connection.service).toBe('wss://example.com/');
  });

  test('that the server only closes is an end', async () => {
    const { statuses } = await connect(`${OPEN}S: !close`);
    expect(statuses.map(([status]) => status)).toEqual([CONNECTING, CONNFAIL, DISCONNECTED]);
  });
});

describe('calls at odd moments', () => {
  test('disconnect while it connects', async () => {
    const { statuses } = await connect(OPEN, 's3cr3t', {}, (status, connection) => {
      if (status === CONNECTING) connection.disconnect('never mind');
    });
    expect(statuses).toEqual([
      [CONNECTING, null],
      [Strophe.Status.DISCONNECTING, 'never mind'],
      [DISCONNECTED, null],
    ]);
  });

  test('connect, told of the end', async () => {
    let again = 0;
    const { statuses } = await connect(LOGIN, 's3cr3t', {}, (status, connection) => {
      if (status === CONNECTED) connection.disconnect();
      if (status === DISCONNECTED && again === 0) {
        again += 1;
        connection.connect('alice@example.com', 's3cr3t', (code) => {
          if (code === CONNECTED) again += 1;
        });
      }
    });
    expect(statuses.at(-1)?.[0]).toBe(DISCONNECTED);
    await vi.waitFor(() => expect(again).toBe(2));
  });

  test('reset within a handler: no other is called, and nobody is told', async () => {
    server = await play(`${LOGIN}S: <message xmlns='jabber:client'/>`);
    redirect(server);
    const connection = new Strophe.Connection('wss://example.com/');
    const heard: number[] = [];
    const late = vi.fn();
    await new Promise<void>((done) => {
      connection.connect('alice@example.com', 's3cr3t', (status) => {
        heard.push(status);
        if (status !== CONNECTED) return;
        connection.addHandler(() => {
          connection.reset();
          done();
          return true;
        });
        connection.addHandler(late);
      });
    });
    expect(heard).toEqual([CONNECTING, AUTHENTICATING, CONNECTED]);
    expect(late).not.toHaveBeenCalled();
    expect(connection.handlers).toEqual([]);
    expect(() => connection.send($msg())).toThrow('not connected');
  });

  test('a mechanism that answers when all is over', async () => {
    let answer = (_: string) => {};
    class Slow extends Strophe.SASLMechanism {
      constructor() {
        super('X-SLOW', true, 1);
      }

      override clientChallenge() {
        return new Promise<string>((done) => {
          answer = done;
        });
      }
    }
    const mechanisms = [Slow];
    const { statuses } = await connect(offer(['X-SLOW'], CLOSED), 'x', { mechanisms }, (status, it) => {
      if (status === AUTHENTICATING) setTimeout(() => it.disconnect(), 0);
    });
    answer('too late');
    await Promise.resolve();
    expect(statuses.at(-1)).toEqual([DISCONNECTED, null]);
  });
});

function KEY(): string {
  return btoa('k'.repeat(20));
}
