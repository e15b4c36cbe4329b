// Streams of a component's server, taken apart for programs that have a socket of their own.

import { ComponentParser, Strophe } from 'strophejs';
import { beforeEach, describe, expect, test } from 'vitest';

const START =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='s&amp;1' from='bridge.example.com'>";
const MESSAGE = "<message from='a@example.com/é' type='chat'><body>Grüße 😀</body><x xmlns='urn:x'/></message>";
const END = '</stream:stream>';

/** A parser, and what it tells. */
class Told {
  readonly lines: string[] = [];
  readonly parser = new ComponentParser({
    onStreamStart: (attributes) => this.say('start', JSON.stringify(attributes)),
    onStanza: (stanza) => this.say('stanza', Strophe.serialize(stanza) ?? ''),
    onStreamEnd: () => this.say('end'),
    onError: (error) => this.say('error', error.message),
  });
  /** Called with each line. */
  also: (line: string) => void = () => {};

  private say(...words: string[]): void {
    const line = words.join(' ');
    this.lines.push(line);
    this.also(line);
  }
}

let told: Told;
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  told = new Told();
});

const STARTED = 'start {"id":"s&1","from":"bridge.example.com"}';
const ALL = [
  STARTED,
  'stanza <handshake xmlns="jabber:component:accept"/>',
  'stanza <message from="a@example.com/é" type="chat" xmlns="jabber:client"><body>Grüße 😀</body><x xmlns="urn:x"/></message>',
  'end',
];

describe('a stream is the same', () => {
  const stream = `${START}<handshake/>\n ${MESSAGE}${END}`;

  test('in bytes that are cut anywhere', () => {
    const bytes = new TextEncoder().encode(stream);
    for (const size of [1, 2, 3, 7, 64, bytes.length]) {
      told = new Told();
      for (let at = 0; at < bytes.length; at += size) told.parser.write(bytes.subarray(at, at + size));
      expect(told.lines).toEqual(ALL);
    }
  });

  test('in text that is cut anywhere, within a character too', () => {
    for (const size of [1, 2, 5, stream.length]) {
      told = new Told();
      for (let at = 0; at < stream.length; at += size) told.parser.write(stream.slice(at, at + size));
      expect(told.lines).toEqual(ALL);
    }
  });

  test('in bytes whose buffer is used again', () => {
    const [buffer, bytes] = [new Uint8Array(16), new TextEncoder().encode(stream)];
    for (let at = 0; at < bytes.length; at += buffer.length) {
      const piece = bytes.subarray(at, at + buffer.length);
      buffer.set(piece);
      told.parser.write(buffer.subarray(0, piece.length));
    }
    expect(told.lines).toEqual(ALL);
  });
});

test('what stands in it is an element as those that handlers get', () => {
  let stanza: Element | undefined;
  const elements = new ComponentParser({
    onStreamStart() {},
    onStanza: (element) => (stanza = element),
    onStreamEnd() {},
    onError() {},
  });
  elements.write(START + MESSAGE);
  expect(stanza?.getAttribute('xmlns')).toBe('jabber:client');
  expect(stanza?.getElementsByTagName('body')[0]?.textContent).toBe('Grüße 😀');
  expect(Strophe).toHaveProperty('ComponentParser', ComponentParser);
});

describe('what breaks the rules', () => {
  test.each([
    ['another root', '<html>', 'html'],
    ['another namespace', START.replace('etherx', 'ether'), 'namespace'],
    ['text between stanzas', `${START}text`, 'text'],
    ['tags that do not match', `${START}<a></b>`, ''],
    ['a comment', `${START}<!-- -->`, 'comment'],
    ['a document type', '<!DOCTYPE x>', ''],
    ['bytes that are no UTF-8', new Uint8Array([0x3c, 0x61, 0xff, 0x3e]), ''],
    ['a stanza without end', `${START}<message><body>${'x'.repeat(2 << 20)}`, ''],
  ])('is told once, and ends it: %s', (_, stream, words) => {
    told.parser.write(stream);
    const last = told.lines.at(-1) ?? '';
    expect(last).toMatch(/^error ./);
    expect(last).toContain(words);
    const count = told.lines.length;
    told.parser.write(START + MESSAGE);
    expect(told.lines).toHaveLength(count);
    told.parser.reset();
    told.parser.write(START);
    expect(told.lines.slice(count)).toEqual([STARTED]);
  });

  test('nothing follows the end', () => {
    told.parser.write(`${START}${END}${MESSAGE}`);
    told.parser.write(START);
    expect(told.lines).toEqual([STARTED, 'end']);
  });
});

describe('a handler', () => {
  test('may throw, and the next one is called', () => {
    const lines: string[] = [];
    const { log } = Strophe;
    Strophe.log = (_, line) => lines.push(line);
    told.also = (line) => {
      if (line.includes('handshake')) throw new Error('a fault of ours');
    };
    told.parser.write(`${START}<handshake/>${MESSAGE}`);
    Strophe.log = log;
    expect(told.lines).toHaveLength(3);
    expect(lines.join()).toContain('a fault of ours');
  });

  test('may begin anew, and what is left of the old stream is gone', () => {
    told.also = (line) => {
      if (line.startsWith('stanza')) told.parser.reset();
    };
    told.parser.write(`${START}<handshake/>${MESSAGE}${'<message/>'.repeat(10_000)}`);
    told.parser.write(START);
    expect(told.lines).toEqual([STARTED, ALL[1], STARTED]);
  });

  test('may write, and that comes in its turn', () => {
    told.also = (line) => {
      if (line.startsWith('start')) told.parser.write(END);
    };
    told.parser.write(`${START}<handshake/>`);
    expect(told.lines).toEqual([STARTED, ALL[1], 'end']);
  });
});

test('much at once is no fault', () => {
  const long = `<message><body>${'x'.repeat(10_000)}</body></message>`;
  told.parser.write(START + long.repeat(300));
  expect(told.lines).toHaveLength(301);
});
