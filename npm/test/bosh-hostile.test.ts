// Servers of BOSH that fail or break the rules, answer by answer, in invented time.

import { Strophe } from 'strophejs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heard } from './heard.js';

const { ATTACHED, ATTACHFAIL, CONNECTING, CONNFAIL, DISCONNECTED, DISCONNECTING, ERROR } = Strophe.Status;

type Answer = Response | Error | 'silence';
type Connection = InstanceType<typeof Strophe.Connection>;

const HTTP_BIND = 'http://jabber.org/protocol/httpbind';
const CREATED = body("sid='a1' wait='60' requests='2' ver='1.6'");
const SESSION = ['alice@example.com/desk', 'a1', 1774] as const;

/** The bodies that were posted. */
let posted: string[];
let signals: AbortSignal[];
/** Answers the last request that the server was silent to. */
let give: (answer: Response | Error) => Promise<void>;

function body(attributes: string, inside = ''): string {
  return `<body xmlns='${HTTP_BIND}' ${attributes}>${inside}</body>`;
}

function ok(text: string): Response {
  return new Response(text, { status: 200 });
}

function terminate(condition: string, inside = ''): string {
  return body(`type='terminate' condition='${condition}'`, inside);
}

/** A server that gives these answers, one after the other, and none after that. */
function answering(...answers: Answer[]): void {
  vi.stubGlobal('fetch', (_url: string, init: RequestInit) => {
    posted.push(String(init.body));
    signals.push(init.signal as AbortSignal);
    const answer = answers.shift() ?? 'silence';
    if (answer instanceof Error) return Promise.reject(answer);
    if (answer !== 'silence') return Promise.resolve(answer);
    return new Promise((answered, broken) => {
      init.signal?.addEventListener('abort', broken);
      give = async (late) => {
        if (late instanceof Response) answered(late);
        else broken(late);
        await vi.advanceTimersByTimeAsync(0);
      };
    });
  });
}

beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  vi.useFakeTimers();
  posted = [];
  signals = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Connects, and lets so much time pass. */
async function connect(millis = 0, set: (connection: Connection) => void = () => {}): Promise<Heard> {
  const heard = new Heard();
  const connection = new Strophe.Connection('https://example.com/http-bind');
  set(connection);
  connection.connect('alice@example.com', 's3cr3t', heard.callback);
  await vi.advanceTimersByTimeAsync(millis);
  return heard;
}

/** A session that is logged in, at a server that keeps the second request. */
async function attach(...answers: Answer[]): Promise<{ heard: Heard; connection: Connection }> {
  answering(ok(body('')), 'silence', ...answers);
  const heard = new Heard();
  const connection = new Strophe.Connection('https://example.com/http-bind');
  connection.attach(...SESSION, heard.callback);
  await vi.advanceTimersByTimeAsync(2000);
  return { heard, connection };
}

describe('the session is not created', () => {
  test.each<[string, () => Answer, string]>([
    ['no XML', () => ok('It works!'), 'bad-format'],
    ['nothing', () => ok(''), 'bad-format'],
    ['half a body', () => ok(CREATED.slice(0, -3)), 'bad-format'],
    ['a DTD', () => ok(`<!DOCTYPE body>${CREATED}`), 'bad-format'],
    ['another element', () => ok("<html xmlns='http://www.w3.org/1999/xhtml'/>"), 'bad-format'],
    ['a body without a namespace', () => ok("<body sid='a1'/>"), 'bad-format'],
    ['a body without a sid', () => ok(body('')), 'bad-format'],
    ['more than a body may have', () => ok(`${CREATED}${' '.repeat(1 << 20)}`), 'bad-format'],
    ['400', () => new Response('', { status: 400 }), 'bad-service'],
    ['403', () => new Response('', { status: 403 }), 'bad-service'],
    ['404', () => new Response('', { status: 404 }), 'bad-service'],
    ['a redirection', () => Response.redirect('https://example.net/', 307), 'bad-service'],
    ['host-unknown', () => ok(terminate('host-unknown')), 'host-unknown'],
    ['a condition of its own', () => ok(terminate('x-odd')), 'x-odd'],
    [
      'an error of the stream behind it',
      () => ok(terminate('remote-stream-error', "<error xmlns='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>")),
      'conflict',
    ],
  ])('with %s', async (_, answer, condition) => {
    answering(answer());
    const heard = await connect();
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [CONNFAIL, condition],
      [DISCONNECTED, condition],
    ]);
    expect(posted.length).toBe(1);
  });

  test('by an end that says nothing', async () => {
    answering(ok(body("type='terminate'")));
    const heard = await connect();
    expect(heard.all.at(-1)).toEqual([DISCONNECTED, 'connection-closed']);
  });

  test('when requests fail time after time, the same one', async () => {
    const [lost, status] = [() => new TypeError('fetch failed'), () => new Response('', { status: 503 })];
    answering(lost(), status(), lost(), status(), lost(), ok(CREATED));
    const codes: number[] = [];
    const heard = await connect(60_000, (connection) => {
      for (const code of [0, 503, 200]) {
        connection.addProtocolErrorHandler('HTTP', code, function (this: unknown, found: number) {
          expect(this).toBe(connection._proto);
          codes.push(found);
        });
      }
    });
    expect(heard.all.slice(1)).toEqual([
      [CONNFAIL, 'giving-up'],
      [DISCONNECTED, 'giving-up'],
    ]);
    expect(codes).toEqual([0, 503, 0, 503, 0]);
    expect(posted.length).toBe(5);
    expect(new Set(posted).size).toBe(1);
  });

  test('when they fail as often as `maxRetries` says', async () => {
    answering(new TypeError('fetch failed'), new TypeError('fetch failed'), ok(CREATED));
    const heard = await connect(60_000, (connection) => {
      connection.maxRetries = 2;
    });
    expect(heard.all.at(-1)).toEqual([DISCONNECTED, 'giving-up']);
    expect(posted.length).toBe(2);
  });

  test('by a server that is silent', async () => {
    answering();
    const heard = await connect(60_000);
    expect(heard.all.slice(1)).toEqual([
      [Strophe.Status.CONNTIMEOUT, 'timeout'],
      [DISCONNECTED, 'timeout'],
    ]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });
});

describe('a session that is logged in', () => {
  test('is not taken over where the server is silent', async () => {
    answering();
    const heard = new Heard();
    const connection = new Strophe.Connection('https://example.com/http-bind');
    connection.attach(...SESSION, heard.callback);
    await vi.advanceTimersByTimeAsync(19_999);
    expect(heard.codes).toEqual([CONNECTING]);
    await vi.advanceTimersByTimeAsync(1);
    expect(heard.all.slice(1)).toEqual([
      [ATTACHFAIL, 'connection-failed'],
      [DISCONNECTED, 'connection-failed'],
    ]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(vi.getTimerCount()).toBe(0);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });

  test.each<[string, () => Answer, string]>([
    ['no XML', () => ok('It works!'), 'bad-format'],
    ['another sid', () => ok(body("sid='b2'")), 'bad-format'],
    ['404', () => new Response('', { status: 404 }), 'item-not-found'],
    ['an end', () => ok(terminate('system-shutdown')), 'system-shutdown'],
    ['an end that says nothing', () => ok(body("type='terminate'")), 'connection-closed'],
  ])('ends with %s', async (_, answer, condition) => {
    const { heard, connection } = await attach();
    await give(answer() as Response);
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [ATTACHED, null],
      [DISCONNECTED, condition],
    ]);
    expect(connection.connected).toBe(false);
  });

  test('ends with the error of the stream behind it', async () => {
    const error = "<error xmlns='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>";
    const { heard } = await attach();
    await give(ok(terminate('remote-stream-error', error)));
    expect(heard.all.slice(2)).toEqual([
      [ERROR, 'conflict'],
      [DISCONNECTED, 'conflict'],
    ]);
  });

  test('outlives failures, and says each stanza once', async () => {
    const { heard, connection } = await attach();
    await give(new TypeError('fetch failed'));
    connection.send(Strophe.toElement("<message xmlns='jabber:client' id='1'/>"));
    await vi.advanceTimersByTimeAsync(5000);
    expect(heard.codes).toEqual([CONNECTING, ATTACHED]);
    const withMessage = posted.filter((text) => text.includes("id='1'") || text.includes('id="1"'));
    expect(withMessage.length).toBe(1);
  });

  test('gets one stanza at a time', async () => {
    const seen: string[] = [];
    const stanzas = "<message xmlns='jabber:client' id='1'/><message xmlns='jabber:client' id='2'/>";
    answering(ok(body('')), ok(body('', stanzas)));
    const connection = new Strophe.Connection('https://example.com/http-bind');
    connection.attach(...SESSION, (status) => {
      if (status !== ATTACHED) return;
      connection.addHandler((stanza) => seen.push(stanza.getAttribute('id') ?? ''), null, 'message');
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual(['1', '2']);
    connection.reset();
  });

  test('is ended in good order, and no request outlives it', async () => {
    const { heard, connection } = await attach();
    connection.disconnect('bye');
    await vi.advanceTimersByTimeAsync(0);
    expect(posted.at(-1)).toMatch(/type=.terminate./);
    expect(heard.codes).toEqual([CONNECTING, ATTACHED, DISCONNECTING]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(heard.all.at(-1)?.[0]).toBe(DISCONNECTED);
    await vi.advanceTimersByTimeAsync(5000);
    const [answered, ...others] = signals.map((signal) => signal.aborted);
    expect([answered, ...new Set(others)]).toEqual([false, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is left at once by `reset`, though the server is told', async () => {
    const { heard, connection } = await attach(ok(body("type='terminate'")));
    connection.reset();
    expect(connection.connected).toBe(false);
    await vi.advanceTimersByTimeAsync(0);
    expect(posted.at(-1)).toMatch(/type=.terminate./);
    expect(heard.codes).toEqual([CONNECTING, ATTACHED]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(vi.getTimerCount()).toBe(0);
  });
});
