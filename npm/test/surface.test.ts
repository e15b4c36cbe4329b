// What is there besides connections: names, constants, formatted text, bytes.

import { readFileSync } from 'node:fs';
import * as epode from 'strophejs';
import { $build, $msg, Strophe } from 'strophejs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

beforeEach(() => Strophe.setLogLevel(Strophe.LogLevel.FATAL));
afterEach(() => vi.unstubAllGlobals());

describe('names', () => {
  test('are exported, and put onto the page', () => {
    const names = ['$build', '$iq', '$msg', '$pres', 'Strophe', 'stx', 'toStanza'];
    const classes = ['Builder', 'Request', 'Stanza', 'StreamManagement', 'StreamManagementMirror'];
    for (const name of [...names, ...classes]) expect(epode).toHaveProperty(name);
    for (const name of names) expect(globalThis).toHaveProperty(name);
    for (const name of ['WebSocket', 'DOMParser', 'XMLSerializer', 'document']) {
      expect(globalThis).toHaveProperty(name);
    }
  });

  test('of stream management say the same with and without a worker', () => {
    const { StreamManagement, StreamManagementMirror } = Strophe;
    const options = { enableStreamManagement: true };
    const own = new Strophe.Connection('wss://example.com/', options).sm;
    const shared = new Strophe.Connection('wss://example.com/', { ...options, worker: 'worker.js' }).sm;
    expect([own, shared].map((sm) => sm?.constructor)).toEqual([StreamManagement, StreamManagementMirror]);
    const members = ['enabled', 'resumed', 'resumeSupported', 'boundJid', 'hIn', 'hOutAcked', 'unacked'] as const;
    for (const sm of [own, shared]) {
      expect(members.map((name) => sm?.[name])).toEqual([false, false, false, null, 0, 0, []]);
    }
    expect(new Strophe.Connection('wss://example.com/', { worker: 'worker.js' }).sm).toBeNull();
  });

  test('the version is that of the package', () => {
    const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
    expect(Strophe.VERSION).toBe((JSON.parse(text) as { version: string }).version);
  });

  test('numbers and texts are those of the interface', () => {
    expect(Object.entries(Strophe.Status).map(([name, code]) => `${code} ${name}`)).toEqual([
      '0 ERROR',
      '1 CONNECTING',
      '2 CONNFAIL',
      '3 AUTHENTICATING',
      '4 AUTHFAIL',
      '5 CONNECTED',
      '6 DISCONNECTED',
      '7 DISCONNECTING',
      '8 ATTACHED',
      '9 REDIRECT',
      '10 CONNTIMEOUT',
      '11 BINDREQUIRED',
      '12 ATTACHFAIL',
      '13 RECONNECTING',
    ]);
    expect(Object.values(Strophe.ErrorCondition)).toEqual([
      'bad-format',
      'conflict',
      'x-strophe-bad-non-anon-jid',
      'no-auth-mech',
      'unknown',
    ]);
    expect(Strophe.ElementType).toEqual({ NORMAL: 1, TEXT: 3, CDATA: 4, FRAGMENT: 11 });
    expect(Strophe.LogLevel).toEqual({ DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3, FATAL: 4 });
    Strophe.addNamespace('EXAMPLE', 'urn:example');
    expect(Strophe.NS['EXAMPLE']).toBe('urn:example');
  });

  test('the log begins at INFO', async () => {
    const { Strophe: fresh } = (await import('../dist/index.node.js?fresh' as string)) as typeof epode;
    const debug = vi.spyOn(console, 'debug').mockImplementation(() => {});
    const info = vi.spyOn(console, 'info').mockImplementation(() => {});
    fresh.debug('no');
    fresh.info('yes');
    expect([debug.mock.calls.length, info.mock.calls]).toEqual([0, [['yes']]]);
    vi.restoreAllMocks();
  });
});

describe('formatted text', () => {
  const formatted = (html: string) => String($build('body').h(html));
  test.each([
    ['<p>hi<br>there</p>', '<p>hi<br/>there</p>'],
    ['<P Style="color: red; position: fixed; COLOR:url(x)">x</P>', '<p style="color: red;">x</p>'],
    ['<a href="https://a.example/?b&amp;c" onclick="x()">y</a>', '<a href="https://a.example/?b&amp;c">y</a>'],
    ['<a href="xmpp:bob@example.com">y</a>', '<a href="xmpp:bob@example.com">y</a>'],
    ['<a href="javascript:alert(1)">y</a>', '<a>y</a>'],
    ['<a href=" JaVaScript:alert(1)">y</a>', '<a>y</a>'],
    ['<a href="java&#10;script:alert(1)">y</a>', '<a>y</a>'],
    ['<a href="vbscript:x">y</a>', '<a>y</a>'],
    ['<a href="data:text/html,x">y</a>', '<a>y</a>'],
    ['<a href="//a.example">y</a>', '<a>y</a>'],
    ['<img src="cid:x@bob.xmpp.org" alt="a" onerror="x()">', '<img alt="a" src="cid:x@bob.xmpp.org"/>'],
    ['<table><tr><td>cell</td></tr></table>', 'cell'],
    ['<script>alert(1)</script><style>p{}</style>x', 'x'],
    ['<p style="color: expression(x())">x</p>', '<p>x</p>'],
    ['<p style="color: rgb(1, 2, 3)">x</p>', '<p style="color: rgb(1, 2, 3);">x</p>'],
    ['<iframe src="https://a.example"></iframe>', ''],
    ['a &lt;b&gt; c', 'a &lt;b&gt; c'],
  ])('%s', (html, expected) => {
    const empty = expected === '' ? '<body/>' : `<body>${expected}</body>`;
    expect(formatted(html)).toBe(empty);
  });

  test('goes where the builder stands', () => {
    const xmlns = Strophe.NS['XHTML'] ?? '';
    const stanza = $msg().c('html').c('body', { xmlns }).h('<em>x</em>').up().up().c('end');
    expect(String(stanza)).toContain('<em>x</em></body></html><end/>');
  });

  test('its lists can be asked', () => {
    const { XHTML } = Strophe;
    expect([XHTML.validTag('p'), XHTML.validTag('script'), XHTML.validTag('constructor')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(XHTML.validAttribute('a', 'href')).toBe(true);
    expect(XHTML.validAttribute('a', 'onclick')).toBe(false);
    expect(XHTML.validAttribute('constructor', 'length')).toBe(false);
    expect([XHTML.validCSS('color'), XHTML.validCSS('position')]).toEqual([true, false]);
  });
});

describe('requests that programs make to play the server', () => {
  const request = () => new Strophe.Request($build('body').tree(), () => {}, 7);

  test('say what they carry, and what came of them', () => {
    const made = request();
    expect([made.data, made.rid, made.getResponse()]).toEqual(['<body/>', 7, null]);
    made.xhr = { responseText: '<body><iq/></body>' };
    expect(made.getResponse()?.nodeName).toBe('body');
    made.xhr = { responseXML: Strophe.xmlHtmlNode('<other/>') };
    expect(made.getResponse()?.nodeName).toBe('other');
    made.xhr = { responseText: '<body' };
    expect(() => made.getResponse()).toThrow();
  });
});

test('bytes that do not go together are refused', () => {
  const [one, two] = [new Uint8Array(1).buffer, new Uint8Array(2).buffer];
  expect(() => Strophe.xorArrayBuffers(one, two)).toThrow('differ in length');
  expect(() => Strophe.base64ToArrayBuf('!')).toThrow();
  expect(Strophe.escapeNode(' a b ')).toBe('a\\20b');
  expect(Strophe.escapeNode(7 as never)).toBe(7);
  expect(() => Strophe.getNodeFromJid(null as never)).toThrow(TypeError);
  expect(Strophe.getBareJidFromJid(null)).toBeNull();
});
