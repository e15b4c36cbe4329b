// Plugins from npm at work. Discovery and rosters are those of an honest server; rooms and nodes,
// which it has not, are played from transcripts.

import { createRequire } from 'node:module';
import { $build, $pres, Strophe } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { login, until, type Connection } from './login.js';
import { load, loadModule } from './plugin.js';
import { play, redirect, serve, type Server } from './server.js';
import { LOGIN } from './transcripts.js';

/** What the tests use of the plugins, as their documentation has it. */
interface Plugins {
  disco: {
    addIdentity(category: string, type: string, name: string, lang?: string): boolean;
    addFeature(name: string): boolean;
    addItem(jid: string, name: string, node?: string, callback?: () => unknown[]): boolean;
    info(jid: string, node: string | null, success: Taken, error?: Taken, timeout?: number): void;
    items(jid: string, node: string | null, success: Taken, error?: Taken, timeout?: number): void;
  };
  roster: {
    items: Item[];
    get(callback: (items: Item[]) => void): string;
    add(jid: string, name: string, groups: string[], callback: Taken): void;
    update(jid: string, name: string, groups: string[], callback: Taken): void;
    remove(jid: string, callback: Taken): void;
    registerCallback(callback: (items: Item[], item?: Item) => void): void;
    registerRequestCallback(callback: (from: string) => void): void;
  };
  muc: {
    join(room: string, nick: string, ...handlers: ((stanza: Element) => unknown)[]): void;
    groupchat(room: string, message: string, html?: string, id?: string): string;
    leave(room: string, nick: string, callback: Taken): string;
    rooms: Record<string, { roster: Record<string, { role: string; affiliation: string }> }>;
  };
  pubsub: {
    service: string;
    createNode(node: string, options: object | null, callback: Taken): string;
    publish(node: string, items: object[], callback: Taken): string;
    subscribe(node: string, options: object | null, event: Taken, success: Taken, error: Taken): string;
    items(node: string, success: Taken, error: Taken): string;
  };
}
type Taken = (stanza: Element) => unknown;
interface Item {
  jid: string;
  name: string;
  groups: string[];
  subscription: string;
  resources: Record<string, { show: string; status: string }>;
}

const plugins = (connection: Connection) => connection as unknown as Plugins;

let server: Server;
let played: Server | undefined;
let alice: Connection;

beforeAll(async () => {
  for (const name of ['disco', 'roster', 'muc', 'pubsub']) load(`strophejs-plugin-${name}`);
  server = await serve('secret');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  redirect(server);
});
afterEach(async () => {
  alice.reset();
  await played?.stop();
  played = undefined;
});

/** Logs in to a server that plays this afterwards. */
async function playing(transcript: string): Promise<Plugins> {
  played = await play(LOGIN + transcript);
  redirect(played);
  alice = new Strophe.Connection('wss://example.com/');
  await until(alice, Strophe.Status.CONNECTED, 'alice@example.com');
  return plugins(alice);
}

const attributes = (element: Element, tag: string, name: string) =>
  Array.from(element.getElementsByTagName(tag), (one) => one.getAttribute(name));

describe('discovery', () => {
  test('asks a server what it is and has', async () => {
    alice = await login('alice');
    const { disco } = plugins(alice);
    const info = await new Promise<Element>((done) => disco.info('example.com', null, done));
    expect(attributes(info, 'identity', 'category')).toContain('server');
    expect(attributes(info, 'feature', 'var')).toContain(Strophe.NS['DISCO_INFO']);
    const items = await new Promise<Element>((done) => disco.items('example.com', null, done));
    expect(items.getAttribute('type')).toBe('result');
  });

  test('answers others, by the handlers of its init', async () => {
    alice = await login('alice');
    const bob = await login('bob');
    plugins(bob).disco.addIdentity('client', 'web', 'a "web" client', 'en');
    plugins(bob).disco.addFeature('urn:example:feature');
    plugins(bob).disco.addItem('bob@example.com', 'things', 'things', () => [{ jid: 'thing' }]);
    const { disco } = plugins(alice);
    const info = await new Promise<Element>((done) => disco.info(bob.jid, null, done));
    expect(attributes(info, 'identity', 'name')).toEqual(['a "web" client']);
    const features = [Strophe.NS['PUBSUB'], 'urn:example:feature'];
    expect(attributes(info, 'feature', 'var')).toEqual(features);
    const items = await new Promise<Element>((done) => disco.items(bob.jid, 'things', done));
    expect(attributes(items, 'item', 'jid')).toEqual(['thing']);
    bob.reset();
  });
});

describe('the roster', () => {
  test('is fetched, and follows what the server pushes', async () => {
    alice = await login('alice');
    const { roster } = plugins(alice);
    expect(await new Promise((done) => roster.get(done))).toEqual([]);
    const changed = vi.fn();
    roster.registerCallback(changed);
    await new Promise<Element>((done) => roster.add('bob@example.com', 'Bob & co', ['friends'], done));
    await vi.waitFor(() => expect(roster.items.length).toBe(1));
    expect(roster.items[0]).toMatchObject({ jid: 'bob@example.com', groups: ['friends'] });
    await new Promise<Element>((done) => roster.update('bob@example.com', 'Bob', [], done));
    await vi.waitFor(() => expect(roster.items[0]?.name).toBe('Bob'));
    await new Promise<Element>((done) => roster.remove('bob@example.com', done));
    await vi.waitFor(() => expect(roster.items).toEqual([]));
    expect(changed.mock.calls.at(-1)?.[1]).toEqual({ jid: 'bob@example.com', subscription: 'remove' });
  });

  test('knows who is there, and who asks to be told', async () => {
    alice = await login('alice');
    const bob = await login('bob');
    const { roster } = plugins(alice);
    const asked = new Promise((done) => roster.registerRequestCallback(done));
    bob.send($pres({ to: alice.jid, type: 'subscribe' }));
    expect(await asked).toBe('bob@example.com');
    await new Promise<void>((done) => roster.get(() => done()));
    await new Promise<Element>((done) => roster.add('bob@example.com', 'Bob', [], done));
    bob.send($pres({ to: alice.jid }).c('show', {}, 'away').c('status', {}, 'out & about'));
    await vi.waitFor(() =>
      expect(roster.items[0]?.resources).toEqual({
        [Strophe.getResourceFromJid(bob.jid) ?? '']: { show: 'away', status: 'out &amp; about', priority: '' },
      }),
    );
    bob.reset();
  });
});

const ROOM = 'room@muc.example.com';
const USER = 'http://jabber.org/protocol/muc#user';

describe('rooms', () => {
  test('are joined, talked in and left', async () => {
    const { muc } = await playing(`C: <presence xmlns='jabber:client' to='${ROOM}/ali'><x
    xmlns='http://jabber.org/protocol/muc'/></presence>
S: <presence xmlns='jabber:client' from='${ROOM}/bob'><x xmlns='${USER}'><item affiliation='owner' role='moderator'/></x></presence>
S: <presence xmlns='jabber:client' from='${ROOM}/ali'><x xmlns='${USER}'><item affiliation='none' role='participant'/><status code='110'/></x></presence>
S: <message xmlns='jabber:client' from='${ROOM}' type='groupchat'><subject>talk</subject></message>
C: <message xmlns='jabber:client' to='${ROOM}' type='groupchat' id='*'><body>hi &lt;all&gt;</body><x xmlns='jabber:x:event'><composing/></x></message>
S: <message xmlns='jabber:client' from='${ROOM}/ali' type='groupchat' id='{id}'><body>hi &lt;all&gt;</body></message>
C: <presence xmlns='jabber:client' to='${ROOM}/ali' type='unavailable' id='*'/>
S: <presence xmlns='jabber:client' from='${ROOM}/ali' type='unavailable' id='{id}'><x xmlns='${USER}'><item affiliation='none' role='none'/><status code='110'/></x></presence>
`);
    const [messages, presences] = [[] as string[], [] as (string | null)[]];
    const subject = new Promise<void>((done) => {
      const message = (stanza: Element) => {
        messages.push(stanza.textContent ?? '');
        if (stanza.getElementsByTagName('subject').length > 0) done();
        return true;
      };
      muc.join(ROOM, 'ali', message, (stanza) => presences.push(stanza.getAttribute('from')) > 0);
    });
    await subject;
    expect(presences).toEqual([`${ROOM}/bob`, `${ROOM}/ali`]);
    expect(muc.rooms[ROOM]?.roster['bob']).toMatchObject({ role: 'moderator', affiliation: 'owner' });
    muc.groupchat(ROOM, 'hi <all>');
    await vi.waitFor(() => expect(messages).toEqual(['talk', 'hi <all>']));
    const left = await new Promise<Element>((done) => muc.leave(ROOM, 'ali', done));
    expect(attributes(left, 'item', 'role')).toEqual(['none']);
  });
});

const PUBSUB = 'http://jabber.org/protocol/pubsub';

describe('publishing', () => {
  test('creates a node, publishes, subscribes and reads items', async () => {
    const to = `xmlns='jabber:client' to='pubsub.example.com' id='*'`;
    const from = `xmlns='jabber:client' from='pubsub.example.com' id='{id}' type='result'`;
    const event = `<event xmlns='${PUBSUB}#event'><items node='news'><item id='2'>more</item></items></event>`;
    const { pubsub } = await playing(`C: <iq ${to} type='set'><pubsub xmlns='${PUBSUB}'><create node='news'/><configure><x
    xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>${PUBSUB}#node_config</value></field><field
    var='pubsub#max_items'><value>3</value></field></x></configure></pubsub></iq>
S: <iq ${from}/>
C: <iq ${to} type='set'><pubsub xmlns='${PUBSUB}'><publish node='news' jid='*'><item id='1'>one &amp; only</item></publish></pubsub></iq>
S: <iq ${from}><pubsub xmlns='${PUBSUB}'><publish node='news'><item id='1'/></publish></pubsub></iq>
C: <iq ${to} type='set'><pubsub xmlns='${PUBSUB}'><subscribe node='news' jid='*'/></pubsub></iq>
S: <iq ${from}/>
S: <message xmlns='jabber:client' from='pubsub.example.com'>${event}</message>
C: <iq ${to} type='get'><pubsub xmlns='${PUBSUB}'><items node='news'/></pubsub></iq>
S: <iq ${from}><pubsub xmlns='${PUBSUB}'><items node='news'><item id='1'/><item id='2'/></items></pubsub></iq>
`);
    expect(pubsub.service).toBe('pubsub.example.com');
    const failed = (stanza: Element) => {
      throw new Error(stanza.outerHTML);
    };
    await new Promise<Element>((done) => pubsub.createNode('news', { 'pubsub#max_items': 3 }, done));
    const item = { attrs: { id: '1' }, data: 'one & only' };
    const published = await new Promise<Element>((done) => pubsub.publish('news', [item], done));
    expect(attributes(published, 'item', 'id')).toEqual(['1']);
    const event_ = await new Promise<Element>((done) => {
      pubsub.subscribe('news', null, done, () => {}, failed);
    });
    expect(event_.textContent).toBe('more');
    const items = await new Promise<Element>((done) => pubsub.items('news', done, failed));
    expect(attributes(items, 'item', 'id')).toEqual(['1', '2']);
  });
});

test('plugins extend builders', () => {
  const form = $build('a') as ReturnType<typeof $build> & { form(ns: string, o: object): unknown };
  expect(String(form.form('urn:x', { one: '1' }))).toContain('<field var="one"><value>1</value></field>');
});

test('a plugin that is a module of CommonJS finds the package', () => {
  const peer = createRequire(import.meta.url)('../dist/index.node.cjs') as {
    Strophe: typeof Strophe;
  };
  loadModule('strophejs-plugin-disco', peer);
  const connection = new peer.Strophe.Connection('wss://example.com/');
  expect(plugins(connection).disco.addFeature('urn:x')).toBe(true);
  expect(connection.handlers.length).toBe(2);
});
