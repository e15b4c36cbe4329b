// Components, with a server that says what is wanted.

import { createHash } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { $iq, $msg, Strophe } from 'strophejs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Heard } from './heard.js';
import type { Options } from './login.js';

const { AUTHFAIL, CONNECTED, CONNECTING, CONNFAIL, DISCONNECTED, DISCONNECTING, ERROR, RECONNECTING } =
  Strophe.Status;

const HEADER =
  "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' id='s1' from='bridge.example.com'>";
const NOT_AUTHORIZED =
  "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
const STREAMS = 'urn:ietf:params:xml:ns:xmpp-streams';
const HANDSHAKE = `<handshake>${createHash('sha1').update('s1s3cr3t').digest('hex')}</handshake>`;

/** A server that takes one component. */
class Peer {
  readonly listening: Promise<string>;
  text = '';
  private socket: Socket | undefined;
  private readonly server: Server;
  private look = () => {};

  constructor() {
    this.server = createServer((socket) => {
      this.socket = socket;
      socket.setEncoding('utf8');
      socket.on('data', (text: string) => {
        this.text += text;
        this.look();
      });
      socket.on('close', () => this.look());
      socket.on('error', () => {});
      this.look();
    });
    this.listening = new Promise((done) => {
      this.server.listen(0, '127.0.0.1', () => {
        done(`tcp://127.0.0.1:${(this.server.address() as AddressInfo).port}`);
      });
    });
  }

  async until(words: string): Promise<void> {
    await new Promise<void>((done) => {
      this.look = () => this.text.includes(words) && done();
      this.look();
    });
    this.text = this.text.slice(this.text.indexOf(words) + words.length);
  }

  says(text: string | Uint8Array): void {
    this.socket?.write(text);
  }

  hangsUp(): void {
    this.socket?.end();
  }

  breaksOff(): void {
    this.socket?.resetAndDestroy();
  }

  stop(): void {
    this.socket?.destroy();
    this.server.close();
  }
}

let peer: Peer;
let heard: Heard;

beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  peer = new Peer();
  heard = new Heard();
});
afterEach(() => peer.stop());

async function connecting(options: Options = {}) {
  const service = await peer.listening;
  const connection = new Strophe.Connection(service, { protocol: 'component', ...options });
  connection.connect('bridge.example.com', 's3cr3t', heard.callback);
  await peer.until('<stream:stream');
  await peer.until('>');
  return connection;
}

async function connected(options: Options = {}) {
  const connection = await connecting(options);
  await accept();
  await heard.until(CONNECTED);
  return connection;
}

/** The server knows the component. */
async function accept() {
  peer.says(HEADER);
  await peer.until(HANDSHAKE);
  peer.says('<handshake/>');
}

describe('a component', () => {
  test('connects, speaks, and goes', async () => {
    const connection = await connected();
    expect(connection.jid).toBe('bridge.example.com');
    const shown: string[] = [];
    connection.xmlInput = (element) => void shown.push(element.tagName);
    const came = new Promise<Element>((done) => connection.addHandler(done, null, 'message'));
    const second = new Promise<Element>((done) => connection.addHandler(done, null, 'presence'));
    const stanzas = new TextEncoder().encode(
      "<message from='a@example.com/é' to='x@bridge.example.com'><body>é</body></message> <presence from='a@example.com' to='bridge.example.com'/>",
    );
    for (const byte of stanzas) peer.says(Uint8Array.of(byte));
    expect((await came).textContent).toBe('é');
    expect((await second).getAttribute('from')).toBe('a@example.com');
    expect(shown).toEqual(['message', 'presence']);
    connection.send($msg({ to: 'a@example.com' }).c('body').t('Hi'));
    await peer.until('from=');
    await peer.until('bridge.example.com');
    expect(() => connection.send($msg())).toThrow('says to whom it goes');
    connection.disconnect();
    await peer.until('</stream:stream>');
    peer.says('</stream:stream>');
    await heard.until(DISCONNECTED);
    expect(heard.all.slice(1)).toEqual([
      [CONNECTED, null],
      [DISCONNECTING, null],
      [DISCONNECTED, null],
    ]);
  });

  test('asks and is asked', async () => {
    const connection = await connected();
    const answer = new Promise<Element>((done) => {
      const query = $iq({ type: 'get', to: 'example.com', id: 'q' }).c('query', { xmlns: 'urn:q' });
      connection.sendIQ(query, done);
    });
    await peer.until('urn:q');
    peer.says("<iq type='result' id='q' from='example.com' to='bridge.example.com'/>");
    expect((await answer).getAttribute('type')).toBe('result');
    peer.says("<iq type='get' id='p' from='a@example.com' to='x@bridge.example.com'><query xmlns='urn:q'/></iq>");
    await peer.until('service-unavailable');
    connection.reset();
  });

  test.each([
    ['a wrong secret', `${HEADER}${NOT_AUTHORIZED}`, AUTHFAIL, 'not-authorized'],
    ['no header', 'HTTP/1.1 400 Bad Request\r\n\r\n', CONNFAIL, 'not-well-formed'],
    ['another element', `${HEADER}<features/>`, AUTHFAIL, 'protocol-violation'],
    ['a handshake that says something', `${HEADER}<handshake>no</handshake>`, AUTHFAIL, 'protocol-violation'],
    ['a header without an id', `${HEADER.replace("id='s1'", '')}<handshake/>`, AUTHFAIL, 'protocol-violation'],
  ])('is refused by %s', async (_, words, status, condition) => {
    await connecting();
    peer.says(words);
    await heard.until(DISCONNECTED);
    expect(heard.all).toEqual([
      [CONNECTING, null],
      [status, condition],
      [DISCONNECTED, condition],
    ]);
  });

  test('hears of the end of the stream, and of the connection', async () => {
    await connected();
    peer.says("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    await heard.until(DISCONNECTED);
    expect(heard.all.slice(2)).toEqual([
      [ERROR, 'conflict'],
      [DISCONNECTED, 'conflict'],
    ]);
    heard = new Heard();
    peer.stop();
    peer = new Peer();
    await connected();
    peer.hangsUp();
    await heard.until(DISCONNECTED);
    expect(heard.all.slice(2)).toEqual([[DISCONNECTED, 'connection-lost']]);
  });

  test('does not connect where nobody listens, or to what is no place', async () => {
    const service = await peer.listening;
    peer.stop();
    for (const place of [service, 'tcp://', 'http://localhost/']) {
      heard = new Heard();
      const connection = new Strophe.Connection(place, { protocol: 'component' });
      connection.connect('bridge.example.com', 's3cr3t', heard.callback);
      await heard.until(DISCONNECTED);
      expect(heard.all.slice(1)).toEqual([
        [CONNFAIL, 'connection-failed'],
        [DISCONNECTED, 'connection-failed'],
      ]);
    }
  });
});

describe('a component that loses its server', () => {
  const HASTY = { reconnect: { first: 1, longest: 1 } };

  /** The next connection, up to what follows the header. */
  async function again() {
    heard.all.length = 0;
    await peer.until('<stream:stream');
    await peer.until('>');
    await accept();
    await heard.until(CONNECTED);
  }

  test.each([
    ['hangs up', () => peer.hangsUp()],
    ['breaks off', () => peer.breaksOff()],
    ['closes the stream', () => peer.says('</stream:stream>')],
    ['shuts down', () => peer.says(`<stream:error><system-shutdown xmlns='${STREAMS}'/></stream:error></stream:stream>`)],
  ])('that %s is there again', async (_, end) => {
    const connection = await connected(HASTY);
    end();
    await heard.until(RECONNECTING);
    expect(connection.reconnecting?.attempt).toBe(1);
    expect(connection.authenticated).toBe(false);
    await again();
    expect(connection.reconnecting).toBeNull();
    const came = new Promise<Element>((done) => connection.addHandler(done, null, 'message'));
    peer.says("<message from='a@example.com' to='x@bridge.example.com'><body>anew</body></message>");
    expect((await came).textContent).toBe('anew');
    connection.send($msg({ to: 'a@example.com' }).c('body').t('Hi'));
    await peer.until('Hi');
    connection.reset();
  });

  test('sends later what was sent meanwhile, and requests fail', async () => {
    const connection = await connected(HASTY);
    const errback = new Promise((done) => {
      connection.sendIQ($iq({ type: 'get', to: 'example.com' }).c('q', { xmlns: 'urn:q' }), null, done);
    });
    await peer.until('urn:q');
    const told = connection.connect_callback;
    connection.connect_callback = (status, condition) => {
      if (status === RECONNECTING) connection.send($msg({ to: 'a@example.com' }).c('body').t('later'));
      return told?.(status, condition);
    };
    peer.hangsUp();
    await again();
    await peer.until('later');
    expect(await errback).toBeNull();
    connection.reset();
  });

  test('is sent away for good where its secret is wrong by now', async () => {
    await connected(HASTY);
    peer.hangsUp();
    await heard.until(RECONNECTING);
    await peer.until('<stream:stream');
    await peer.until('>');
    peer.says(`${HEADER}${NOT_AUTHORIZED}`);
    await heard.until(DISCONNECTED);
    expect(heard.all.slice(2)).toEqual([
      [RECONNECTING, 'connection-lost'],
      [CONNECTING, null],
      [AUTHFAIL, 'not-authorized'],
      [DISCONNECTED, 'not-authorized'],
    ]);
  });

  test('has the last word while it waits', async () => {
    const connection = await connected({ reconnect: { first: 3_600_000, longest: 3_600_000 } });
    peer.hangsUp();
    await heard.until(RECONNECTING);
    connection.disconnect();
    await heard.until(DISCONNECTED);
    expect(heard.codes.slice(2)).toEqual([RECONNECTING, DISCONNECTING, DISCONNECTED]);
  });

  test('is told so where it does not want it back', async () => {
    await connected();
    peer.breaksOff();
    await heard.until(DISCONNECTED);
    expect(heard.codes).not.toContain(RECONNECTING);
  });
});
