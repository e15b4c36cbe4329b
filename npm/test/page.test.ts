// Each example of the page on authentication, as it is printed there. Only the host is another.

import { Strophe } from 'strophejs';
import { afterEach, beforeAll, afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';
import { play, redirect, serve, type Server } from './server.js';

type Plain = InstanceType<typeof Strophe.SASLPlain>;

const { CONNECTING, AUTHENTICATING, AUTHFAIL, CONNECTED, DISCONNECTED, BINDREQUIRED } =
  Strophe.Status;

let server: Server;
let other: Server | undefined;
let heard: Heard;
let open: InstanceType<typeof Strophe.Connection> | undefined;

beforeAll(async () => {
  server = await serve('s3cr3t');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  heard = new Heard();
  redirect(server);
});
afterEach(async () => {
  open?.reset();
  open = undefined;
  await other?.stop();
  other = undefined;
  vi.restoreAllMocks();
});

async function scripted(transcript: string): Promise<void> {
  other = await play(transcript);
  redirect(other);
}

describe('Authentication Status Flow', () => {
  test('a login', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
    open = conn;

    function onConnect(status: number, condition: string | null) {
      if (status === Strophe.Status.AUTHENTICATING) {
        console.log('Negotiating SASL…');
      } else if (status === Strophe.Status.AUTHFAIL) {
        console.error('Authentication failed:', condition);
      } else if (status === Strophe.Status.CONNECTED) {
        console.log('Authenticated and connected as', conn.jid);
      }
      heard.callback(status, condition);
    }

    conn.connect('alice@example.com', 's3cr3t', onConnect);
    expect(heard.codes).toEqual([CONNECTING]);
    await heard.until(CONNECTED);
    expect(heard.codes).toEqual([CONNECTING, AUTHENTICATING, CONNECTED]);
    expect(log.mock.calls[0]).toEqual(['Negotiating SASL…']);
    expect(log.mock.calls[1]?.[1]).toMatch(/^alice@example\.com\/.+/);
    expect(conn._sasl_mechanism?.mechname).toBe('SCRAM-SHA-512');
  });

  test('a wrong password', async () => {
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
    let element: Element | null | undefined;
    conn.connect('alice@example.com', 'wrong', (status, condition, cause) => {
      if (status === AUTHFAIL) element = cause;
      heard.callback(status, condition);
    });
    await heard.until(DISCONNECTED);
    expect(heard.codes).toEqual([CONNECTING, AUTHENTICATING, AUTHFAIL, DISCONNECTED]);
    expect(heard.all[2]).toEqual([AUTHFAIL, 'not-authorized']);
    expect(element?.nodeName).toBe('failure');
    expect(conn.connected).toBe(false);
    expect(conn.scram_keys).toBeNull();
  });
});

describe('Restricting Available Mechanisms', () => {
  test('only those are used', async () => {
    // Allow only SCRAM-SHA-256 and SCRAM-SHA-512
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
      mechanisms: [Strophe.SASLSHA512, Strophe.SASLSHA256],
    });
    open = conn;

    conn.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    expect(Object.keys(conn.mechanisms)).toEqual(['SCRAM-SHA-512', 'SCRAM-SHA-256']);
  });

  test('without one that the server offers, it is no-auth-mech', async () => {
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
      mechanisms: [Strophe.SASLExternal],
    });
    conn.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(DISCONNECTED);
    expect(heard.all.slice(0, 2)).toEqual([
      [CONNECTING, null],
      [AUTHFAIL, 'no-auth-mech'],
    ]);
  });
});

describe('Disabling a Specific Mechanism', () => {
  test('its test says no', async () => {
    const { test: original } = Strophe.SASLPlain.prototype;
    const make = () =>
      new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
        mechanisms: [Strophe.SASLPlain],
      });
    const before = make();
    before.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    before.reset();

    // Disable PLAIN authentication globally
    Strophe.SASLPlain.prototype.test = () => false;

    heard = new Heard();
    make().connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(DISCONNECTED);
    Strophe.SASLPlain.prototype.test = original;
    expect(heard.all[1]).toEqual([AUTHFAIL, 'no-auth-mech']);
  });

  test('priorities of prototypes count', async () => {
    const prototype = Strophe.SASLPlain.prototype as { priority?: number };
    prototype.priority = 100;
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
    open = conn;
    conn.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    delete prototype.priority;
    expect(conn._sasl_mechanism?.mechname).toBe('PLAIN');
  });
});

test('ANONYMOUS Authentication', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
  open = conn;

  conn.connect(
    'example.com', // domain only — no node part
    '',            // password is not used
    (status) => {
      if (status === Strophe.Status.CONNECTED) {
        // conn.jid is now a server-assigned temporary JID
        console.log('Anonymous session JID:', conn.jid);
      }
      heard.callback(status, null);
    }
  );

  await heard.until(CONNECTED);
  expect(conn._sasl_mechanism?.mechname).toBe('ANONYMOUS');
  expect(log.mock.calls[0]?.[1]).toMatch(/^[^@]+@example\.com\/.+/);
});

test('EXTERNAL (Certificate) Authentication', async () => {
  await scripted(`${OFFER('EXTERNAL')}
C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>
${SUCCESS}`);
  const onConnect = heard.callback;
  const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
    mechanisms: [Strophe.SASLExternal],
  });
  open = conn;

  // If authcid matches the JID's node, authzid is NOT sent (identity is in the cert)
  conn.connect(
    'alice@example.com',
    '',                    // no password
    onConnect,
    undefined,
    undefined,
    undefined,
    'alice'                // authcid — set equal to jid node to suppress authzid
  );

  await heard.until(CONNECTED);
});

test('Explicit Resource Binding', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
    explicitResourceBinding: true,
  });
  open = conn;

  function onConnect(status: number) {
    heard.callback(status, null);
    if (status === Strophe.Status.BINDREQUIRED) {
      // Set up stream management or other features here, then bind:
      conn.bind();
    } else if (status === Strophe.Status.CONNECTED) {
      console.log('Bound JID:', conn.jid);
    }
  }

  conn.connect('alice@example.com/mobile', 's3cr3t', onConnect);
  await heard.until(CONNECTED);
  expect(heard.codes).toEqual([CONNECTING, AUTHENTICATING, BINDREQUIRED, CONNECTED]);
  expect(log).toHaveBeenCalledWith('Bound JID:', 'alice@example.com/mobile');
  expect(conn.features?.getElementsByTagName('bind').length).toBe(1);
});

class SASLMyCustomMechanism extends Strophe.SASLMechanism {
  constructor() {
    super(
      'X-MY-MECHANISM', // mechanism name as advertised by the server
      true,             // isClientFirst: client sends data first
      25                // priority: between ANONYMOUS (20) and X-OAUTH2 (30)
    );
  }

  test(connection: InstanceType<typeof Strophe.Connection>): boolean {
    // Only use this mechanism when a special token is present
    return connection.pass !== null;
  }

  onChallenge(
    connection: InstanceType<typeof Strophe.Connection>,
    challenge?: string
  ): string {
    // On the first call (isClientFirst), challenge is null.
    // Return the client's initial response string.
    return `token=${connection.pass}`;
  }
}

describe('Writing a Custom SASL Mechanism', () => {
  const FIRST = `${OFFER('X-MY-MECHANISM')}
C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-MY-MECHANISM'>{b64:token=my-access-token}</auth>`;

  test('its message is sent', async () => {
    await scripted(`${FIRST}
${SUCCESS}`);
    const onConnect = heard.callback;
    const succeeded = vi.spyOn(SASLMyCustomMechanism.prototype, 'onSuccess');

    // Register the mechanism on a new connection
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
      mechanisms: [
        SASLMyCustomMechanism,
        Strophe.SASLSHA512,
        Strophe.SASLSHA256,
      ],
    });
    open = conn;

    conn.connect('alice@example.com', 'my-access-token', onConnect);
    await heard.until(CONNECTED);
    expect(succeeded).toHaveBeenCalledOnce();
    expect(heard.codes).toEqual([CONNECTING, AUTHENTICATING, CONNECTED]);
  });

  const answers: [string, (challenge: string) => string | false | Promise<string | false>][] = [
    ['a string', (challenge) => `re:${challenge}`],
    ['a promise of one', async (challenge) => `re:${challenge}`],
  ];
  test.each(answers)('a challenge is answered with %s', async (_, answer) => {
    await scripted(`${FIRST}
S: <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:more}</challenge>
C: <response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:re:more}</response>
${SUCCESS}`);
    open = connection((challenge) => (challenge === null ? 'token=my-access-token' : answer(challenge)));
    await heard.until(CONNECTED);
  });

  const refusals: [string, () => string | false | Promise<string | false>][] = [
    ['false', () => false],
    ['a promise of false', () => Promise.resolve<false>(false)],
    ['an exception', () => { throw new Error('no'); }],
    ['a rejected promise', async () => { throw new Error('no'); }],
    ['a character that is no byte', () => '€'],
  ];
  test.each(refusals)('%s ends the login', async (_, refusal) => {
    await scripted(`${FIRST}
S: <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:more}</challenge>
C: <abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
C: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
S: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
S: !close`);
    const failed = vi.spyOn(Strophe.SASLMechanism.prototype, 'onFailure');
    open = connection((challenge) => (challenge === null ? 'token=my-access-token' : refusal()));
    await heard.until(DISCONNECTED);
    expect(heard.codes).toEqual([CONNECTING, AUTHENTICATING, AUTHFAIL, DISCONNECTED]);
    expect(heard.all[2]).toEqual([AUTHFAIL, 'given-up']);
    expect(failed).toHaveBeenCalledOnce();
  });

  function connection(
    onChallenge: (challenge: string | null) => string | false | Promise<string | false>,
  ) {
    class Own extends Strophe.SASLMechanism {
      constructor() {
        super('X-MY-MECHANISM', true, 25);
      }

      override onChallenge(_: unknown, challenge: string | null = null) {
        return onChallenge(challenge);
      }
    }
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
      mechanisms: [Own],
    });
    conn.connect('alice@example.com', 'my-access-token', heard.callback);
    return conn;
  }
});

describe('Classes that derive from the nine', () => {
  const connectWith = (mechanism: typeof Strophe.SASLPlain | typeof Strophe.SASLSHA256) => {
    open = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket', {
      mechanisms: [mechanism],
    });
    open.connect('alice@example.com', 's3cr3t', heard.callback);
  };

  test('can send what theirs would, when they are ready', async () => {
    class Patient extends Strophe.SASLPlain {
      override async onChallenge(...args: Parameters<Plain['onChallenge']>) {
        await new Promise((done) => setTimeout(done, 1));
        return super.onChallenge(...args);
      }
    }
    connectWith(Patient);
    await heard.until(CONNECTED);
  });

  test('are run by the core where they override only the test', async () => {
    class Tested extends Strophe.SASLSHA256 {
      override test() {
        return true;
      }
    }
    connectWith(Tested);
    await heard.until(CONNECTED);
    expect(open?.scram_keys?.name).toBe('SHA-256');
  });

  test('cannot have the messages of SCRAM', async () => {
    class Wrong extends Strophe.SASLSHA256 {
      override clientChallenge(connection: InstanceType<typeof Strophe.Connection>) {
        return super.clientChallenge(connection);
      }
    }
    connectWith(Wrong);
    await heard.until(DISCONNECTED);
    expect(heard.all[2]).toEqual([AUTHFAIL, 'given-up']);
  });
});

describe('SCRAM Key Caching', () => {
  test('keys log in without derivation', async () => {
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
    open = conn;
    const derive = vi.spyOn(crypto.subtle, 'deriveBits');
    conn.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    expect(derive).toHaveBeenCalledOnce();

    // After first successful login, persist scram_keys
    const keys = conn.scram_keys;

    expect(Object.keys(keys ?? {}).sort()).toEqual(['ck', 'iter', 'name', 'salt', 'sk']);
    expect(keys?.name).toBe('SHA-512');
    conn.disconnect();
    await heard.until(DISCONNECTED);
    heard = new Heard();
    const onConnect = heard.callback;

    // On reconnect, pass the cached keys instead of the raw password
    conn.connect('alice@example.com', keys, onConnect);

    await heard.until(CONNECTED);
    expect(derive).toHaveBeenCalledOnce();
    expect(conn.scram_keys).toEqual(keys);
  });

  test('keys that no longer fit are said to be stale', async () => {
    const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
    conn.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    const keys = { ...conn.scram_keys!, salt: btoa('another salt') };
    conn.reset();
    heard = new Heard();
    conn.connect('alice@example.com', keys, heard.callback);
    await heard.until(DISCONNECTED);
    expect(heard.all[2]).toEqual([AUTHFAIL, 'stale-keys']);
  });

  test('without the Web Crypto API keys are derived in wasm, if that is wanted', async () => {
    vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) });
    const options = { mechanisms: [Strophe.SASLSHA256] };
    new Strophe.Connection('wss://a/', options).connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(DISCONNECTED);
    expect(heard.all[1]).toEqual([AUTHFAIL, 'no-auth-mech']);
    heard = new Heard();
    open = new Strophe.Connection('wss://a/', { ...options, deriveInWasm: true });
    open.connect('alice@example.com', 's3cr3t', heard.callback);
    await heard.until(CONNECTED);
    vi.unstubAllGlobals();
  });
});

function OFFER(mechanism: string): string {
  return `C: *
S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.com' id='1' version='1.0'/>
S: <features xmlns='http://etherx.jabber.org/streams'><mechanisms
    xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>${mechanism}</mechanism></mechanisms></features>`;
}

const SUCCESS = `S: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
C: *
S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.com' id='2' version='1.0'/>
S: <features xmlns='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></features>
C: <iq xmlns='jabber:client' type='set' id='*'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
S: <iq xmlns='jabber:client' type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@example.com/1</jid></bind></iq>`;
