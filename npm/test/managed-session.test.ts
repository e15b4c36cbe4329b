// A session with stream management as the worker has it: the core is real, time is invented, and
// pages and servers say what is wanted.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Backlog } from '../src/backlog.js';
import { LostSession } from '../src/lost-session.js';
import type { ManagedSession } from '../src/managed-session.js';
import { SharedConnection } from '../src/shared-connection.js';
import { VERSION, type FromWorker, type Place } from '../src/worker-protocol.js';
import { FakePage, FakeSocket } from './fake-pages.js';
import { sharedCore } from './shared-core.js';

const URL = 'wss://example.com/ws';
const JID = 'alice@example.com/desk';
const CLOSE = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const R = "<r xmlns='urn:xmpp:sm:3'/>";
const message = (id: number | string) => `<message xmlns='jabber:client' id='${id}'/>`;
const answer = (handled: number) => `<a xmlns='urn:xmpp:sm:3' h='${handled}'/>`;

/** The core's JSON of a session. */
function session(handled = 0, queue: string[] = []): string {
  const kept = queue.map((xml, index) => ({ n: index + 1, at: 1000, xml }));
  const counts = { in: handled, in_h: handled, out: queue.length, out_h: 0 };
  return JSON.stringify({ jid: JID, id: 's1', ...counts, queue: kept });
}

let shared: SharedConnection;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  shared = new SharedConnection({ open: (url) => new FakeSocket(url), core: sharedCore, shutDown: () => {} });
});
afterEach(() => vi.useRealTimers());

function page(jid = 'alice@example.com', place: Place | null = null): FakePage {
  const made = new FakePage();
  shared.admit(made);
  vi.advanceTimersByTime(1); // no two are of the same moment
  made.say('connect', VERSION, URL, jid, {}, place);
  return made;
}

/** A page that logs in, and its socket. */
function loggingIn(): { primary: FakePage; socket: FakeSocket } {
  const primary = page();
  const socket = FakeSocket.all.at(-1) as FakeSocket;
  socket.onopen?.();
  return { primary, socket };
}

/** A page that has given its session away, and its socket. */
function managed(state = session()): { primary: FakePage; socket: FakeSocket } {
  const { primary, socket } = loggingIn();
  primary.say('managed', state, 0, false);
  vi.advanceTimersByTime(1);
  primary.news();
  return { primary, socket };
}

function joined(): FakePage {
  const made = page();
  expect(made.news().map(([name]) => name)).toEqual(['role', 'session', 'attached']);
  return made;
}

/** What a page was told, but for where the session stands. */
const news = (page: FakePage) => page.news().filter(([name]) => name !== 'session');

/** Where the session stands, as a page was told last. */
function shown(told: FromWorker[]): Record<string, unknown> | undefined {
  const last = told.filter(([name]) => name === 'session').at(-1);
  return last && (JSON.parse(last[1] as string) as Record<string, unknown>);
}

/** The session that the next page gets. */
function left(): Record<string, unknown> {
  const { primary } = loggingIn();
  const opened = primary.news().find(([name]) => name === 'opened');
  return JSON.parse((opened?.[1] as string | null | undefined) ?? 'null') as Record<string, unknown>;
}

describe('a session that is given away', () => {
  test('goes on in the worker, from the frame that the page has not heard', () => {
    const { primary, socket } = loggingIn();
    const waiting = page();
    for (const frame of ['<features/>', '<enabled/>', message('a'), R, message('b')]) socket.says(frame);
    expect([primary.news().length, waiting.news().length]).toEqual([7, 1]);
    primary.say('managed', session(), 2, false);
    const frames: FromWorker[] = [['frame', message('a')], ['frame', message('b')]];
    expect(news(primary)).toEqual([['taken'], ...frames]);
    expect(news(waiting)).toEqual([['attached', JID, true, false], ...frames]);
    expect(socket.sent).toEqual([answer(1)]);
    socket.says(R);
    expect(socket.sent).toEqual([answer(1), answer(2)]);
    expect([news(primary), news(waiting)]).toEqual([[], []]);
  });

  test.each([
    ['of another account', session().replace('alice', 'bob')],
    ['that is damaged', '{"jid":'],
    ['without an address', session().replace('/desk', '')],
  ])('%s is not taken over', (_, state) => {
    const { primary } = loggingIn();
    const waiting = page();
    waiting.news();
    primary.news();
    primary.say('managed', state, 0, false);
    const lost: FromWorker = ['lost', 'the session could not be taken over', true];
    expect(news(primary)).toEqual([['problem', expect.stringContaining('could not be taken over: ')], lost]);
    expect(news(waiting)).toEqual([lost]);
  });

  test('is given away once, and by the page that logs in', () => {
    const { primary, socket } = loggingIn();
    const waiting = page();
    waiting.say('managed', session(), 0, false);
    primary.say('bound', JID);
    primary.news();
    primary.say('managed', session(), 0, false);
    expect(news(primary)).toEqual([]);
    socket.says(R);
    expect(socket.sent).toEqual([]);
  });

  test('is not given away by a page that does not keep up', () => {
    const { primary, socket } = loggingIn();
    for (let count = 0; count <= 1000; count += 1) socket.says('<x/>');
    expect(news(primary).at(-1)).toEqual(['lost', 'the page that logs in does not answer', false]);
  });
});

describe('what is sent', () => {
  test('is counted over all pages, and shown to them', () => {
    const { primary, socket } = managed();
    const second = joined();
    primary.say('send', message(1));
    second.say('send', message(2));
    expect(socket.sent).toEqual([message(1), message(2)]);
    expect([news(primary), news(second)]).toEqual([[['foreign', message(2)]], [['foreign', message(1)]]]);
    vi.advanceTimersByTime(1);
    expect(shown(primary.heard)?.['queue']).toHaveLength(2);
    expect(primary.news()).toEqual(second.news());
    vi.advanceTimersByTime(500);
    expect(socket.sent.at(-1)).toBe(R);
    socket.says(answer(1));
    vi.advanceTimersByTime(1);
    expect(shown(second.news())).toMatchObject({ out: 2, out_h: 1, queue: [{ xml: message(2) }] });
  });

  test.each([
    ['no stanza', "<x xmlns='jabber:client'/>", 'only message, presence and iq are sent in a session'],
    ['not XML', '<message', ''],
    ['without a namespace', '<message/>', 'only message, presence and iq are sent in a session'],
  ])('and is %s is refused, and the page told', (_, frame, why) => {
    const { primary, socket } = managed();
    primary.say('send', frame);
    expect(socket.sent).toEqual([]);
    expect(news(primary)).toEqual([['problem', expect.stringContaining(`a stanza was not sent: `)]]);
    primary.say('send', frame);
    expect(JSON.stringify(primary.news())).toContain(why);
  });

  test('is told of once in each turn', () => {
    const { primary } = managed();
    for (let id = 0; id < 10; id += 1) primary.say('send', message(id));
    vi.advanceTimersByTime(1);
    expect(primary.news().filter(([name]) => name === 'session')).toHaveLength(1);
  });
});

describe('what comes', () => {
  test('while no page is there waits for one, and is not acknowledged before', () => {
    const { primary, socket } = managed();
    primary.say('away');
    socket.says(message('a'));
    socket.says(message('b'));
    socket.says(R);
    expect(socket.sent).toEqual([answer(0)]);
    const second = page();
    expect(news(second)).toEqual([
      ['role', 'primary'],
      ['attached', JID, true, false],
      ['frame', message('a')],
      ['frame', message('b')],
    ]);
    expect(socket.sent).toEqual([answer(0), answer(2)]);
    socket.says(message('c'));
    primary.say('pong');
    expect([news(second), news(primary)]).toEqual([[['frame', message('c')]], [['role', 'secondary']]]);
  });

  test.each([
    ['so many', 1001, message],
    ['so much', 21, () => message('long').replace('/>', `>${`<a>${'x'.repeat(4000)}</a>`.repeat(50)}</message>`)],
  ])('%s that has nobody to come to is left to the server', (_, count, message) => {
    const { primary, socket } = managed();
    primary.say('away');
    for (let id = 1; id < count; id += 1) socket.says(message(id));
    expect(socket.isClosed).toBe(false);
    socket.says(message(count));
    expect(socket.isClosed).toBe(true);
    expect(left()).toMatchObject({ in: 0, in_h: 0, id: 's1' });
  });

  test('when nobody came for ten seconds, ends with the session', () => {
    const { primary, socket } = managed();
    primary.say('bye');
    socket.says(message('a'));
    vi.advanceTimersByTime(10_000);
    expect([socket.sent, socket.isClosed]).toEqual([[answer(0), CLOSE], true]);
    expect(left()).toBeNull();
  });

  test('pings are answered here, other requests by one page', () => {
    const { primary, socket } = managed();
    socket.says("<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    expect(socket.sent).toEqual(["<iq xmlns='jabber:client' type='result' id='p'/>"]);
    expect(news(primary)).toEqual([]);
    const second = joined();
    socket.says("<iq xmlns='jabber:client' type='get' id='q' from='bob@example.com'/>");
    const answered = "<iq xmlns='jabber:client' id='q' to='bob@example.com' type='result'/>";
    second.say('send', answered);
    primary.say('send', answered.replace('result', 'error'));
    expect(socket.sent.slice(1)).toEqual([answered]);
  });
});

describe('a server', () => {
  test('that is silent is asked, and given up', () => {
    const { primary, socket } = managed();
    vi.advanceTimersByTime(60_000);
    expect(socket.sent).toEqual([R]);
    vi.advanceTimersByTime(20_000);
    expect(news(primary)).toEqual([['lost', expect.stringContaining('sign of life'), false]]);
    expect(left()).toMatchObject({ id: 's1' });
  });

  test.each([
    ['that closes the stream', CLOSE, 's1'],
    ['that says what is wrong', "<error xmlns='http://etherx.jabber.org/streams'><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>", 's1'],
    ['that acknowledges what was not sent', answer(7), undefined],
  ])('%s is heard by the pages, and the session is kept', (_, frame, id) => {
    const { primary, socket } = managed();
    const second = joined();
    primary.say('send', message(1));
    second.news();
    socket.says(frame);
    const expected = [['frame', frame], ['lost', expect.any(String), false]];
    expect([news(primary), news(second)]).toEqual([expected, expected]);
    const kept = left();
    expect([kept['id'], kept['queue']]).toEqual([id, [{ n: 1, at: expect.any(Number), xml: message(1) }]]);
  });
});

describe('a session that was lost', () => {
  test('has what was sent before the pages heard of it, in order', () => {
    const { primary, socket } = managed();
    const second = joined();
    primary.say('send', message(1));
    socket.onclose?.({ code: 1006 });
    primary.say('send', message(2));
    const { primary: third, socket: next } = loggingIn();
    const opened = third.news().find(([name]) => name === 'opened');
    expect(JSON.parse(opened?.[1] as string)).toMatchObject({ queue: [{ xml: message(1) }, { xml: message(2) }] });
    second.say('send', message(3));
    second.say('send', "<iq xmlns='jabber:client' type='get' id='4'/>");
    third.say('managed', opened?.[1] as string, 0, true);
    expect(next.sent).toEqual([message(3), "<iq xmlns='jabber:client' type='get' id='4'/>"]);
    second.say('send', message(5));
    expect(next.sent.at(-1)).toBe(message(5));
  });

  test('that does not go on sends messages alone in the next', () => {
    const { primary, socket } = managed();
    const second = joined();
    socket.onclose?.({ code: 1006 });
    const { primary: third, socket: next } = loggingIn();
    primary.say('send', message(1));
    second.say('send', "<presence xmlns='jabber:client'/>");
    third.say('managed', session(), 0, false);
    expect(next.sent).toEqual([message(1)]);
    primary.news();
    primary.say('send', "<presence xmlns='jabber:client'/>");
    expect(primary.news()).toEqual([['problem', 'a stanza was not sent: its session has ended']]);
  });

  test('is there for the next attempt when one fails', () => {
    const { primary, socket } = managed();
    socket.onclose?.({ code: 1006 });
    expect(left()).toMatchObject({ id: 's1', queue: [] });
    primary.say('send', message(1));
    FakeSocket.all[1]?.onclose?.({ code: 1006 });
    expect(left()).toMatchObject({ id: 's1', queue: [{ xml: message(1) }] });
  });

  test('is left by a login whose connection is lost while it is given away', () => {
    const { primary, socket } = loggingIn();
    socket.onclose?.({ code: 1006 });
    primary.say('managed', session(3, [message(1)]), 0, false);
    primary.say('send', message(2));
    expect(left()).toMatchObject({ in_h: 3, queue: [{ xml: message(1) }, { xml: message(2) }] });
  });

  test.each([
    ['when a page logs out', (pages: FakePage[], socket: FakeSocket) => {
      pages[1]?.say('send', CLOSE);
      socket.onclose?.({ code: 1006 });
    }],
    ['when a page has logged out and did not know of the loss', (pages: FakePage[], socket: FakeSocket) => {
      socket.onclose?.({ code: 1006 });
      pages[1]?.say('send', CLOSE);
    }],
    ['when another account logs in', () => {
      page('bob@example.com').say('bye');
    }],
  ])('is forgotten %s', (_, end) => {
    const { primary, socket } = managed();
    end([primary, joined()], socket);
    expect(left()).toBeNull();
  });

  test('is not kept for a page that logs in unmanaged', () => {
    const { socket } = managed();
    socket.onclose?.({ code: 1006 });
    const { primary, socket: next } = loggingIn();
    primary.say('bound', JID);
    next.onclose?.({ code: 1006 });
    expect(left()).toBeNull();
  });

  test('takes no more than there are limits for', () => {
    const sent: string[] = [];
    const core = { state: '{}', send: (stanza: string) => void sent.push(stanza), free: vi.fn() };
    const lost = new LostSession('alice@example.com', core as unknown as ManagedSession, new Backlog(''));
    expect([lost.send('0'), lost.take()]).toEqual([undefined, '{}']);
    for (let count = 1; count <= 1000; count += 1) expect(lost.send(String(count))).toBeUndefined();
    expect(lost.send('1001')).toBe('too many wait for the next connection');
    expect(sent).toEqual(['0']);
    lost.take();
    expect(sent.length).toBe(1001);
    expect(lost.send('x'.repeat(5_000_000))).toBe('too many wait for the next connection');
    lost.forget();
    lost.forget();
    expect(lost.send('late')).toBe('its session has ended');
    expect([core.free.mock.calls.length, lost.take()]).toEqual([1, null]);
  });
});

describe('a page that comes back', () => {
  /** Two pages have heard one stanza, and the connection is lost. */
  function lost(): Place {
    const { primary, socket } = managed();
    socket.says(message('a'));
    vi.advanceTimersByTime(1);
    const place = primary.news().filter(([name]) => name === 'session').at(-1)?.[3] as Place;
    socket.onclose?.({ code: 1006 });
    return place;
  }

  test('is given what it has missed, once', () => {
    const place = lost();
    expect(place).toEqual(['s1', 1]);
    const { primary, socket } = loggingIn();
    primary.say('managed', session(1), 0, true);
    socket.says(message('b'));
    const second = page('alice@example.com', place);
    expect(news(second)).toEqual([['role', 'secondary'], ['attached', JID, true, true], ['frame', message('b')]]);
    const third = page();
    expect(news(third)).toEqual([['role', 'secondary'], ['attached', JID, true, false]]);
    socket.says(message('c'));
    expect([news(second), news(third)]).toEqual([[['frame', message('c')]], [['frame', message('c')]]]);
  });

  test('and logs in is given what others heard over another connection', () => {
    const place = lost();
    const { primary, socket } = loggingIn();
    primary.say('managed', session(1), 0, true);
    socket.says(message('b'));
    socket.onclose?.({ code: 1006 });
    const back = page('alice@example.com', place);
    FakeSocket.all.at(-1)?.onopen?.();
    back.news();
    back.say('managed', session(2), 0, true);
    expect(news(back)).toEqual([['taken'], ['frame', message('b')]]);
  });

  test.each([
    ['is another', ['s0', 1] as Place, true],
    ['is longer ago than is kept', ['s1', 0] as Place, true],
    ['has not come to where it was', ['s1', 5000] as Place, true],
    ['is over', ['s1', 1] as Place, false],
  ])('to a session that %s begins anew', (_, place, isResumed) => {
    lost();
    const { primary, socket } = loggingIn();
    primary.say('managed', isResumed ? session(1) : session().replace('s1', 's2'), 0, isResumed);
    for (let id = 0; id < 1000; id += 1) socket.says(message(id));
    const second = page('alice@example.com', place);
    const attached = second.news().slice(-1);
    expect(attached).toEqual([['attached', JID, true, false]]);
  });

  test('finds as much as there are limits for', () => {
    const backlog = new Backlog('s1');
    for (let count = 0; count < 3; count += 1) backlog.add('x'.repeat(500_000));
    expect([backlog.since(['s1', 0]), backlog.since(['s1', 1])?.length, backlog.place(1)]).toEqual([null, 2, ['s1', 2]]);
    backlog.add('');
    expect([backlog.since(['s1', 3]), backlog.since(null)]).toEqual([[], null]);
    expect(new Backlog('').since(['', 0])).toBeNull();
  });
});

test('no timer is left when all is over', () => {
  const { primary } = managed();
  primary.say('send', message(1));
  primary.say('send', CLOSE);
  FakeSocket.all[0]?.says(CLOSE);
  primary.say('bye');
  expect(vi.getTimerCount()).toBe(0);
});
