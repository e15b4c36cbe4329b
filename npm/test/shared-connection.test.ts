// The connection that pages share, as the worker has it: in invented time, with pages and servers
// that say what is wanted.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OpenRequests } from '../src/open-requests.js';
import { rootTag } from '../src/root-tag.js';
import { SharedConnection } from '../src/shared-connection.js';
import { VERSION } from '../src/worker-protocol.js';
import { FakePage, FakeSocket } from './fake-pages.js';

const URL = 'wss://example.com/ws';
const JID = 'alice@example.com/desk';
const NO_CORE = () => {
  throw new Error('it is not wanted');
};
const CLOSE = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

let shared: SharedConnection;
let shutDown: ReturnType<typeof vi.fn>;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  shutDown = vi.fn();
  shared = new SharedConnection({ open: (url) => new FakeSocket(url), core: NO_CORE, shutDown });
});
afterEach(() => vi.useRealTimers());

function page(): FakePage {
  const made = new FakePage();
  shared.admit(made);
  vi.advanceTimersByTime(1); // no two are of the same moment
  return made;
}

/** A page that wants this account. */
function connecting(jid = 'alice@example.com'): FakePage {
  const made = page();
  made.say('connect', VERSION, URL, jid, null, null);
  return made;
}

/** A page that has logged in, and its socket. */
function loggedIn(): { primary: FakePage; socket: FakeSocket } {
  const primary = connecting();
  const socket = FakeSocket.all.at(-1) as FakeSocket;
  socket.onopen?.();
  primary.say('bound', JID);
  primary.news();
  return { primary, socket };
}

function joined(): FakePage {
  const made = connecting();
  expect(made.news()).toEqual([['role', 'secondary'], ['attached', JID, false, false]]);
  return made;
}

describe('a login', () => {
  test('is the first page\'s, and the others wait for it', () => {
    const primary = connecting();
    expect(primary.news()).toEqual([['role', 'primary']]);
    const [socket] = FakeSocket.all as [FakeSocket];
    expect(socket.url).toBe(URL);
    socket.onopen?.();
    const [same, any] = [connecting('Alice@Example.com/other'), page()];
    any.say('attach', VERSION);
    socket.says('<features/>');
    same.say('send', '<auth/>');
    same.say('bound', 'mallory@example.com/x');
    primary.say('send', '<auth/>');
    expect(socket.sent).toEqual(['<auth/>']);
    expect(primary.news()).toEqual([['opened', null, false], ['frame', '<features/>']]);
    expect(same.news()).toEqual([['role', 'secondary']]);
    primary.say('bound', JID);
    expect([same.news(), any.news()]).toEqual([[['attached', JID, false, false]], [['role', 'secondary'], ['attached', JID, false, false]]]);
    expect(FakeSocket.all.length).toBe(1);
  });

  test.each([
    ['is refused', (primary: FakePage) => primary.say('bye')],
    ['is left', (primary: FakePage) => primary.say('away')],
    ['is frozen', (primary: FakePage) => primary.say('relinquish')],
    ['is silent', (primary: FakePage) => {
      primary.isAwake = false;
      vi.advanceTimersByTime(90_000);
    }],
    ['ends', () => FakeSocket.all[0]?.onclose?.({ code: 1006 })],
  ])('that %s is lost to those that wait', (_, fail) => {
    const primary = connecting();
    const waiting = connecting();
    waiting.news();
    fail(primary);
    expect(waiting.news()).toEqual([['lost', expect.any(String), false]]);
    expect(connecting().news()).toEqual([['role', 'primary']]);
  });

  test('cannot be joined where there is none', () => {
    const alone = page();
    alone.say('attach', VERSION);
    expect(alone.news()).toEqual([['lost', 'no page of this origin is connected', true]]);
    expect(FakeSocket.all).toEqual([]);
  });

  test('fails where no socket can be made', () => {
    shared = new SharedConnection({
      open: () => {
        throw new Error('forbidden');
      },
      core: NO_CORE,
      shutDown,
    });
    expect(connecting().news()).toEqual([
      ['role', 'primary'],
      ['lost', expect.stringContaining('could not be opened: Error: forbidden'), false],
    ]);
  });

  test('of another account replaces the one that is', () => {
    const { primary, socket } = loggedIn();
    const other = connecting('bob@example.com');
    expect(primary.news()).toEqual([['lost', 'another page connects anew', true]]);
    expect(socket.isClosed).toBe(true);
    expect(other.news()).toEqual([['role', 'primary']]);
    primary.say('send', '<message/>');
    expect(FakeSocket.all[1]?.sent).toEqual([]);
  });
});

describe('stanzas', () => {
  test('come to all pages, and are sent by any', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    socket.says('<message/>');
    expect([primary.news(), second.news()]).toEqual([[['frame', '<message/>']], [['frame', '<message/>']]]);
    second.say('send', '<message to="bob"/>');
    primary.say('send', '<presence/>');
    second.say('send', "<iq type='get' id='1'/>");
    expect(socket.sent).toEqual(['<message to="bob"/>', '<presence/>', "<iq type='get' id='1'/>"]);
    expect(primary.news()).toEqual([['foreign', '<message to="bob"/>']]);
    expect(second.news()).toEqual([['foreign', '<presence/>']]);
  });

  test('that are requests are answered once', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    socket.says("<iq type='get' id='1' from='bob@example.com/&#97;'/>");
    const answer = '<iq to="bob@example.com/a" type="result" id="1"/>';
    second.say('send', answer);
    primary.say('send', "<iq type='error' id='1' to='bob@example.com/a'/>");
    primary.say('send', "<iq type='result' id='2'/>");
    expect(socket.sent).toEqual([answer]);
  });
});

describe('the role', () => {
  test('goes to the page that was heard last, when a page goes', () => {
    const { primary } = loggedIn();
    const [second, third] = [joined(), joined()];
    second.say('pong');
    primary.say('bye');
    expect([second.news(), third.news()]).toEqual([[['role', 'primary']], []]);
    second.say('relinquish');
    expect([second.news(), third.news()]).toEqual([[['role', 'secondary']], [['role', 'primary']]]);
    second.say('bye');
    third.say('relinquish');
    expect(third.news()).toEqual([]);
  });

  test('goes on where the primary is silent', () => {
    const { primary } = loggedIn();
    const second = joined();
    primary.isAwake = false;
    vi.advanceTimersByTime(60_000);
    expect([primary.news(), second.news()]).toEqual([[], []]);
    vi.advanceTimersByTime(30_000);
    expect([primary.news(), second.news()]).toEqual([[['role', 'secondary']], [['role', 'primary']]]);
  });

  test('stays where all are silent', () => {
    const { primary } = loggedIn();
    const second = joined();
    primary.isAwake = second.isAwake = false;
    vi.advanceTimersByTime(10 * 60_000);
    expect(primary.news()).toEqual([]);
  });
});

describe('a page that is away', () => {
  test('hears nothing until it comes again', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    primary.say('away');
    expect(second.news()).toEqual([['role', 'primary']]);
    socket.says('<message/>');
    primary.say('send', '<presence/>');
    primary.say('pong');
    expect(primary.news()).toEqual([['role', 'secondary']]);
    expect(socket.sent).toEqual([]);
    socket.says('<presence/>');
    expect(primary.news()).toEqual([['frame', '<presence/>']]);
  });

  test('learns that all is over', () => {
    const { primary, socket } = loggedIn();
    primary.say('away');
    socket.onclose?.({ code: 1006 });
    primary.say('pong');
    expect(primary.news()).toEqual([['lost', 'the connection ended meanwhile', false]]);
  });

  test('is taken for gone after half an hour, and may come again', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    second.isAwake = false;
    vi.advanceTimersByTime(31 * 60_000);
    socket.says('<message/>');
    expect(second.news()).toEqual([]);
    second.isAwake = true;
    second.say('pong');
    socket.says('<presence/>');
    expect(second.news()).toEqual([['frame', '<presence/>']]);
    expect(primary.news().length).toBe(2);
  });
});

describe('the end', () => {
  test('comes ten seconds after the last page, in good order', () => {
    const { primary, socket } = loggedIn();
    primary.say('bye');
    vi.advanceTimersByTime(9_990);
    expect(socket.isClosed).toBe(false);
    const again = connecting();
    expect(again.news()).toEqual([['role', 'primary'], ['attached', JID, false, false]]);
    vi.advanceTimersByTime(20_000);
    again.say('bye');
    vi.advanceTimersByTime(10_000);
    expect([socket.sent, socket.isClosed]).toEqual([[CLOSE], true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is for all pages, when one logs out', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    second.say('send', CLOSE);
    expect(primary.news()).toEqual([['leaving']]);
    primary.say('send', CLOSE);
    expect(socket.sent).toEqual([CLOSE]);
    const late = connecting();
    expect(late.news()).toEqual([['role', 'primary']]);
    expect(FakeSocket.all.length).toBe(2);
    expect(primary.news()).toEqual([['lost', 'another page connects anew', true]]);
  });

  test('is told by the server to all, and answered once', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    socket.says(CLOSE);
    expect([primary.news(), second.news()]).toEqual([[['frame', CLOSE]], [['frame', CLOSE]]]);
    primary.say('send', CLOSE);
    second.say('send', CLOSE);
    expect(socket.sent).toEqual([CLOSE]);
    primary.say('bye');
    second.say('bye');
    expect(socket.isClosed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is that of the socket', () => {
    const { primary, socket } = loggedIn();
    const second = joined();
    socket.onclose?.({ code: 1006 });
    expect([primary.news(), second.news()]).toEqual([[['lost', 'code 1006', false]], [['lost', 'code 1006', false]]]);
  });
});

describe('what is refused', () => {
  test('pages of another version; a newer one gets a new worker', () => {
    const { primary, socket } = loggedIn();
    const older = page();
    older.say('connect', VERSION - 1, URL, JID, null, null);
    expect(older.news()).toEqual([['lost', expect.stringContaining('different versions'), true]]);
    expect([primary.news(), shutDown.mock.calls.length]).toEqual([[], 0]);
    const newer = page();
    newer.say('attach', VERSION + 1);
    expect(newer.news()).toEqual([['lost', expect.stringContaining('different versions'), true]]);
    expect(primary.news()).toEqual([['lost', expect.stringContaining('newer version'), true]]);
    expect([socket.isClosed, shutDown.mock.calls.length]).toEqual([true, 1]);
  });

  test('more pages than there are limits for', () => {
    loggedIn();
    for (let count = 1; count < 100; count += 1) joined();
    expect(connecting().news()).toEqual([['lost', 'more than 100 pages share the connection', true]]);
  });

  test('answers to requests that were forgotten, the oldest first', () => {
    const requests = new OpenRequests();
    for (let id = 0; id <= 1000; id += 1) requests.came(rootTag(`<iq type='get' id='${id}'/>`));
    expect(requests.mayAnswer(rootTag("<iq type='result' id='0'/>"))).toBe(false);
    expect(requests.mayAnswer(rootTag("<iq type='result' id='1'/>"))).toBe(true);
    expect(requests.mayAnswer(rootTag("<iq type='result' id='1'/>"))).toBe(false);
    expect(requests.mayAnswer(rootTag("<iq type='error' id='2' to='mallory'/>"))).toBe(false);
  });
});

describe('a root tag', () => {
  test.each([
    ['<a/>', 'a', undefined],
    [" <iq id='1>2' type=\"get\"><x id='3'/></iq>", 'iq', '1>2'],
    ["<stream:error\n id = '&lt;&#38;&#x41;&unknown;'/>", 'stream:error', '<&A&unknown;'],
    ["<iq id='&#x110000;'/>", 'iq', '&#x110000;'],
    ['<iq id=1/>', '', undefined],
    ["<iq id='1'", '', undefined],
    ['text', '', undefined],
    ['', '', undefined],
  ])('of %s', (frame, name, id) => {
    const root = rootTag(frame);
    expect([root.name, root.attribute('id')]).toEqual([name, id]);
  });
});
