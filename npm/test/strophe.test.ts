// Builders, utilities, handlers, requests, and what is said about a connection.

import { $build, $iq, $msg, $pres, Stanza, Strophe, stx, toStanza } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { redirect, serve, type Server } from './server.js';

const { Status } = Strophe;

describe('builders', () => {
  test('write stanzas step by step', () => {
    const stanza = $msg({ to: 'bob@example.com', type: 'chat' })
      .c('body')
      .t('Hi <you> & "me"')
      .up()
      .c('active', { xmlns: 'http://jabber.org/protocol/chatstates' });
    expect(stanza.toString()).toBe(
      '<message to="bob@example.com" type="chat" xmlns="jabber:client">' +
        '<body>Hi &lt;you&gt; &amp; &quot;me&quot;</body>' +
        '<active xmlns="http://jabber.org/protocol/chatstates"/></message>',
    );
  });

  test('an element with a text is not gone to', () => {
    expect($build('a').c('b', {}, 'one').c('c', {}, '').c('d').toString()).toBe(
      '<a><b>one</b><c></c><d/></a>',
    );
    expect($pres().c('show', 'away').toString()).toContain('<show>away</show>');
  });

  test('attributes come and go, and the caller keeps his object', () => {
    const attributes = { id: '1', type: undefined, to: null };
    const builder = $iq(attributes);
    expect(builder.toString()).toBe('<iq id="1" xmlns="jabber:client"/>');
    expect(attributes).toEqual({ id: '1', type: undefined, to: null });
    builder.attrs({ id: null, type: 'get' });
    expect(builder.toString()).toBe('<iq type="get" xmlns="jabber:client"/>');
  });

  test('a copy of an element says its namespace', () => {
    const item = Strophe.toElement("<query xmlns='urn:q'><item a='1'>x</item></query>").firstChild;
    const copy = $iq().c('query', { xmlns: 'urn:other' }).cnode(item as Element).t('!').root();
    expect(copy.c('z').toString()).toBe(
      '<iq xmlns="jabber:client"><query xmlns="urn:other">' +
        '<item a="1" xmlns="urn:q">x!</item></query><z/></iq>',
    );
  });

  test('XML is read, and what is none is refused', () => {
    expect(Strophe.Builder.fromString('<a b="1"><c/></a>').toString()).toBe('<a b="1"><c/></a>');
    expect(() => Strophe.Builder.fromString('<a>')).toThrow();
    expect(() => Strophe.Builder.fromString('')).toThrow();
    expect(() => Strophe.Builder.fromString('<message/>')).toThrow('namespace jabber:client');
    expect(() => $build('')).toThrow(TypeError);
  });
});

describe('templates', () => {
  test('escape what is put into them', () => {
    const [to, text, nothing] = ['"bob"&co', '</body><evil/>', undefined];
    const items = ['<1>', stx`<i/><j/>`, $build('k')];
    const stanza = stx`
      <message xmlns="jabber:client" to="${to}">
        <body> ${text}${nothing} </body>${items}${Stanza.unsafeXML('<raw a="1"/>')}
      </message>`;
    expect(stanza.toString()).toBe(
      '<message to="&quot;bob&quot;&amp;co" xmlns="jabber:client">' +
        '<body> &lt;/body&gt;&lt;evil/&gt; </body>&lt;1&gt;<i/><j/><k/><raw a="1"/></message>',
    );
  });

  test('are builders', () => {
    expect(stx`<iq xmlns="jabber:client"> <q/> </iq>`.c('x').toString()).toBe(
      '<iq xmlns="jabber:client"><q/><x/></iq>',
    );
  });

  test('are refused when they are read', () => {
    Strophe.setLogLevel(Strophe.LogLevel.FATAL);
    for (const wrong of [stx`<a>`, stx``, stx`<a/><b/>`, stx`<message/>`, stx`<iq xmlns="urn:x"/>`]) {
      expect(() => wrong.tree()).toThrow();
    }
    expect(() => toStanza('<presence/>', true)).toThrow('namespace jabber:client');
    expect(toStanza('<presence/>').nodeName).toBe('presence');
  });
});

describe('utilities', () => {
  test.each([
    ['alice@example.com/desk', 'alice', 'example.com', 'desk', 'alice@example.com'],
    ['example.com', null, 'example.com', null, 'example.com'],
    ['example.com/foo@bar', null, 'example.com', 'foo@bar', 'example.com'],
    ['a@b/c/d', 'a', 'b', 'c/d', 'a@b'],
  ])('the parts of %s', (jid, node, domain, resource, bare) => {
    expect(Strophe.getNodeFromJid(jid)).toBe(node);
    expect(Strophe.getDomainFromJid(jid)).toBe(domain);
    expect(Strophe.getResourceFromJid(jid)).toBe(resource);
    expect(Strophe.getBareJidFromJid(jid)).toBe(bare);
  });

  test('nodes are escaped and back', () => {
    const node = 'a\\b c"d&e\'f/g:h<i>j@k';
    const escaped = 'a\\5cb\\20c\\22d\\26e\\27f\\2fg\\3ah\\3ci\\3ej\\40k';
    expect(Strophe.escapeNode(node)).toBe(escaped);
    expect(Strophe.unescapeNode(escaped)).toBe(node);
    expect(Strophe.unescapeNode('\\5c20')).toBe('\\20');
  });

  test('entities are read once', () => {
    expect(Strophe.xmlescape(`<a b='c' d="e">&`)).toBe('&lt;a b=&apos;c&apos; d=&quot;e&quot;&gt;&amp;');
    expect(Strophe.xmlunescape('&amp;lt;&lt;&quot;')).toBe('&lt;<"');
  });

  test('elements', () => {
    const element = Strophe.toElement("<a xmlns='urn:x'> <b>1 &lt; 2</b> <c/><b/> </a>");
    const names: string[] = [];
    Strophe.forEachChild(element, 'b', (child) => names.push(child.tagName));
    expect(names).toEqual(['b', 'b']);
    expect(element.childNodes.length).toBe(3);
    expect(Strophe.getText(element.firstChild as Element)).toBe('1 &lt; 2');
    expect(Strophe.getNamespace(element.firstChild as Element)).toBe('urn:x');
    expect(Strophe.serialize(null)).toBeNull();
    expect(Strophe.xmlElement('a', [['b', '1']], 'c')?.textContent).toBe('c');
  });

  test('bytes', () => {
    expect(Strophe.utf16to8('é€😀')).toBe('\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80');
    expect(Strophe.arrayBufToBase64(Strophe.stringToArrayBuf('hi'))).toBe('aGk=');
    const sum = Strophe.xorArrayBuffers(Strophe.base64ToArrayBuf('AQI='), Strophe.base64ToArrayBuf('AwM='));
    expect(Array.from(new Uint8Array(sum))).toEqual([2, 1]);
  });

  test('the log goes where one wants', () => {
    const original = Strophe.log;
    const lines: [number, string][] = [];
    Strophe.log = (level, message) => lines.push([level, message]);
    Strophe.warn('careful');
    Strophe.log = original;
    expect(lines).toEqual([[Strophe.LogLevel.WARN, 'careful']]);
    expect(() => Strophe.setLogLevel(5)).toThrow('from 0 to 4');
  });
});

describe('handlers match', () => {
  const stanza = Strophe.toElement(
    "<iq xmlns='jabber:client' type='result' id='1' from='bob@example.com/x'>" +
      "<a xmlns='urn:a'><b xmlns='urn:b#1'/></a></iq>",
  );
  const cases: [boolean, unknown[]][] = [
    [true, []],
    [true, ['jabber:client', 'iq', 'result', '1', 'bob@example.com/x']],
    [true, ['urn:a']],
    [true, ['urn:b#1']],
    [false, ['urn:b']],
    [true, ['urn:b', null, null, null, null, { ignoreNamespaceFragment: true }]],
    [false, ['urn:c']],
    [false, [null, 'message']],
    [true, [null, null, ['error', 'result']]],
    [false, [null, null, 'error']],
    [false, [null, null, null, '2']],
    [false, [null, null, null, null, 'bob@example.com']],
    [true, [null, null, null, null, 'bob@example.com', { matchBareFromJid: true }]],
    [true, [null, null, null, null, 'bob@example.com/y', { matchBareFromJid: true }]],
    [false, [null, null, null, null, 'eve@example.com', { matchBareFromJid: true }]],
  ];
  test.each(cases)('%s: %j', (expected, criteria) => {
    const handler = new Strophe.Handler(() => true, ...(criteria as []));
    expect(handler.isMatch(stanza)).toBe(expected);
  });
});

describe('connections', () => {
  let server: Server;
  let alice: InstanceType<typeof Strophe.Connection>;
  let bob: InstanceType<typeof Strophe.Connection>;

  beforeAll(async () => {
    server = await serve('secret');
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    Strophe.setLogLevel(Strophe.LogLevel.FATAL);
    redirect(server);
    [alice, bob] = await Promise.all([login('alice'), login('bob')]);
  });
  afterEach(() => {
    alice.reset();
    bob.reset();
  });

  function login(user: string): Promise<InstanceType<typeof Strophe.Connection>> {
    const connection = new Strophe.Connection('wss://example.com/ws');
    return new Promise((done, failed) => {
      connection.connect(`${user}@example.com/${user}`, 'secret', (status, condition) => {
        if (status === Status.CONNECTED) done(connection);
        if (status === Status.AUTHFAIL) failed(new Error(condition ?? ''));
      });
    });
  }

  function message(connection: typeof bob, criteria: unknown[] = [null, 'message']): Promise<Element> {
    return new Promise((done) => {
      connection.addHandler(done, ...(criteria as []));
    });
  }

  test('stanzas arrive as elements', async () => {
    const arrived = message(bob);
    alice.send($msg({ to: bob.jid, type: 'chat' }).c('body').t('Ünï & <co>'));
    const stanza = await arrived;
    expect(stanza.nodeName).toBe('message');
    expect(stanza.getAttribute('from')).toBe(alice.jid);
    expect(stanza.getElementsByTagName('body')[0]?.textContent).toBe('Ünï & <co>');
  });

  test('handlers are called in their order, and stay for what is true', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
    const calls: string[] = [];
    bob.addHandler(() => calls.push('first') > 0, null, 'message');
    bob.addHandler(() => void calls.push('second'), null, 'message');
    const thrown = bob.addHandler(() => { calls.push('third'); throw new Error('no'); }, null, 'message');
    const gone = bob.addHandler(() => calls.push('gone'), null, 'message');
    bob.addHandler(() => { bob.deleteHandler(late); return true; }, null, 'message');
    const late = bob.addHandler(() => calls.push('late'), null, 'message');
    bob.deleteHandler(gone);
    const bodies = message(bob, [null, 'message', null, '2']);
    alice.send([$msg({ to: bob.jid, id: '1' }), $msg({ to: bob.jid, id: '2' })]);
    await bodies;
    expect(calls).toEqual(['first', 'second', 'third', 'first']);
    expect(bob.handlers).not.toContain(thrown);
    expect(printed).toHaveBeenCalledOnce();
    printed.mockRestore();
  });

  test('requests are answered', async () => {
    bob.addHandler((iq) => {
      const { id, from } = { id: iq.getAttribute('id'), from: iq.getAttribute('from') };
      bob.send($iq({ type: 'result', id, to: from }).c('pong', { xmlns: 'urn:pong' }));
      return true;
    }, 'urn:ping');
    const request = $iq({ to: bob.jid, type: 'get' }).c('ping', { xmlns: 'urn:ping' });
    const answer = await new Promise<Element>((done) => {
      expect(alice.sendIQ(request, done)).toMatch(/^[0-9a-f-]{36}:sendIQ$/);
    });
    expect(answer.getElementsByTagName('pong').length).toBe(1);
  });

  test('requests that nobody takes are refused, to whoever asked', async () => {
    const request = $iq({ to: bob.jid, type: 'get' }).c('query', { xmlns: 'urn:unknown' });
    const answer = await new Promise<Element | null>((done) => alice.sendIQ(request, null, done));
    expect(answer?.getAttribute('from')).toBe(bob.jid);
    expect(answer?.getElementsByTagName('service-unavailable').length).toBe(1);
  });

  test('only the one who was asked can answer', async () => {
    const callback = vi.fn();
    const request = $iq({ to: 'carol@example.com/x', type: 'get', id: 'known' });
    alice.sendIQ(request.c('query', { xmlns: 'urn:unknown' }), callback, () => {});
    const marker = message(alice);
    bob.send($iq({ type: 'result', id: 'known', to: alice.jid }));
    bob.send($msg({ to: alice.jid }));
    await marker;
    expect(callback).not.toHaveBeenCalled();
  });

  test('a request fails in time, and when the connection ends', async () => {
    bob.addHandler(() => true, 'urn:ping');
    const request = () => $iq({ to: bob.jid, type: 'get' }).c('ping', { xmlns: 'urn:ping' });
    const late = await new Promise((done) => alice.sendIQ(request(), null, done, 1));
    expect(late).toBeNull();
    const ended = new Promise((done) => alice.sendIQ(request(), null, done));
    alice.disconnect();
    expect(await ended).toBeNull();
  });

  test('timed handlers are called until they are done', async () => {
    const calls: number[] = [];
    await new Promise<void>((done) => {
      alice.addTimedHandler(1, () => {
        calls.push(calls.length);
        if (calls.length === 3) done();
        return calls.length < 3;
      });
    });
    expect(calls).toEqual([0, 1, 2]);
    expect(alice.timedHandlers).toEqual([]);
  });

  test('stanzas are held back by pause', async () => {
    const seen: string[] = [];
    alice.rawOutput = (text) => seen.push(text);
    alice.pause();
    alice.send($msg({ to: bob.jid }));
    expect(seen).toEqual([]);
    const arrived = message(bob);
    alice.resume();
    await arrived;
    expect(seen.length).toBe(1);
  });

  test('disconnect says so at once, and the end later', async () => {
    const heard: [number, string | null, boolean][] = [];
    await new Promise<void>((done) => {
      alice.connect_callback = (status, condition) => {
        heard.push([status, condition, alice.connected]);
        if (status === Status.DISCONNECTED) done();
      };
      const output: string[] = [];
      alice.xmlOutput = (element) => output.push(element.nodeName);
      alice.disconnect('good night');
      expect(heard).toEqual([[Status.DISCONNECTING, 'good night', true]]);
      expect(output).toEqual(['presence', 'close']);
    });
    expect(heard[1]).toEqual([Status.DISCONNECTED, null, true]);
    expect(alice.connected).toBe(false);
    expect(alice.handlers).toEqual([]);
  });

  test('what cannot be sent throws', () => {
    expect(() => alice.send('<message/>' as never)).toThrow(/only elements and builders/);
    expect(() => alice.send($build('r', { xmlns: 'urn:xmpp:sm:3' }))).toThrow(/<r\/> was not sent/);
    const unconnected = new Strophe.Connection('wss://example.com/ws');
    expect(() => unconnected.send($pres())).toThrow(/not connected/);
    unconnected.pause();
    expect(() => unconnected.send($pres())).toThrow(/not connected/);
    expect(unconnected.send(null)).toBeUndefined();
  });

  test('plugins are made for each connection and hear of it', async () => {
    const heard: number[] = [];
    const init = vi.fn();
    Strophe.addConnectionPlugin('example', {
      init,
      statusChanged: (status: number) => heard.push(status),
    });
    const connection = await login('alice');
    expect(init).toHaveBeenCalledWith(connection);
    expect(heard).toEqual([Status.CONNECTING, Status.AUTHENTICATING, Status.CONNECTED]);
    connection.reset();
  });

  test('a server that is not there is CONNFAIL, once', async () => {
    redirect({ url: 'ws://127.0.0.1:1/' });
    const connection = new Strophe.Connection('wss://example.com/ws');
    const heard: [number, string | null][] = [];
    await new Promise<void>((done) => {
      connection.connect('alice@example.com', 'secret', (status, condition) => {
        heard.push([status, condition]);
        if (status === Status.DISCONNECTED) done();
      });
    });
    expect(heard).toEqual([
      [Status.CONNECTING, null],
      [Status.CONNFAIL, 'connection-failed'],
      [Status.DISCONNECTED, 'connection-failed'],
    ]);
  });

  test('a password goes over no connection that others can read', async () => {
    const connection = new Strophe.Connection('ws://example.com/ws', {
      mechanisms: [Strophe.SASLPlain],
    });
    const condition = await new Promise((done) => {
      connection.connect('alice@example.com', 'secret', (status, words) => {
        if (status === Status.AUTHFAIL) done(words);
      });
    });
    expect(condition).toBe('no-auth-mech');
    connection.reset();
  });
});

describe('arguments', () => {
  test('services and JIDs that are none', () => {
    expect(() => new Strophe.Connection('x', { protocol: 'smoke' })).toThrow(
      /unknown connection protocol/,
    );
    const named = new Strophe.Connection('wss://example.com/ws', { protocol: 'smoke' });
    expect(named._proto).toBeInstanceOf(Strophe.Websocket);
    const connection = new Strophe.Connection('wss://example.com/ws');
    expect(() => connection.connect('', 'x')).toThrow(TypeError);
    expect(() => connection.connect('@', 'x')).toThrow('the JID');
    expect(() => connection.connect('a@b', { name: 'SHA-1' } as never)).toThrow('the keys');
    expect(() => connection.connect('a@b', 7 as never)).toThrow(TypeError);
  });

  test('names of mechanisms are no names of objects', () => {
    const connection = new Strophe.Connection('wss://example.com/ws');
    expect(connection.mechanisms['constructor']).toBeUndefined();
    expect(Object.keys(connection.mechanisms).length).toBe(9);
  });
});
