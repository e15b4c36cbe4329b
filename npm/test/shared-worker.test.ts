// The scripts of the shared worker as they are shipped, each in a realm of its own: how they find the
// core, with WebAssembly and without.

import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PagePort } from '../src/shared-page.js';
import { VERSION } from '../src/worker-protocol.js';
import { FakePage, FakeSocket } from './fake-pages.js';

const [CORE, WITHOUT] = ['shared-connection-core.js', 'shared-connection-core.no-wasm.js'];
const SESSION = JSON.stringify({
  jid: 'alice@example.com/desk',
  ...{ id: 's1', in: 0, in_h: 0, out: 0, out_h: 0, queue: [] },
});
const R = "<r xmlns='urn:xmpp:sm:3'/>";

let asked: string[];

beforeEach(() => {
  vi.useFakeTimers();
  [asked, FakeSocket.all] = [[], []];
});
afterEach(() => vi.useRealTimers());

/** A worker that finds these scripts beside its own, and its first page. */
function started(found: string[], before = ''): FakePage {
  const scope = createContext({
    importScripts: (script: string) => {
      asked.push(script);
      if (!found.includes(script)) throw `${script} failed to load`;
      run(script);
    },
    WebSocket: FakeSocket,
    ...{ setTimeout, clearTimeout, setInterval, clearInterval, performance, crypto, atob },
    ...{ TextDecoder, TextEncoder },
  }) as { onconnect?: (event: { ports: [PagePort] }) => void };
  const run = (script: string) => {
    runInContext(readFileSync(new URL(`../dist/${script}`, import.meta.url), 'utf8'), scope);
  };
  runInContext(before, scope);
  run('shared-connection-worker.js');
  const page = new FakePage();
  scope.onconnect?.({ ports: [page] });
  return page;
}

function connect(page: FakePage, management: object | null = {}): FakeSocket {
  page.say('connect', VERSION, 'wss://example.com/ws', 'alice@example.com', management, null);
  const socket = FakeSocket.all.at(-1) as FakeSocket;
  socket.onopen?.();
  return socket;
}

test.each([
  ['the core', [CORE, WITHOUT], '', [CORE]],
  ['the core as JavaScript, where there is no WebAssembly', [CORE, WITHOUT], 'delete globalThis.WebAssembly', [CORE, WITHOUT]],
  ['the core as JavaScript, where the other is not there', [WITHOUT], '', [CORE, WITHOUT]],
])('the worker loads %s', (_, found, before, expected) => {
  const page = started(found, before);
  const socket = connect(page);
  expect(page.news()).toEqual([['role', 'primary'], ['opened', null, true]]);
  expect(asked).toEqual(expected);
  page.say('managed', SESSION, 0, false);
  socket.says("<message xmlns='jabber:client'/>");
  socket.says(R);
  expect(socket.sent).toEqual(["<a xmlns='urn:xmpp:sm:3' h='1'/>"]);
  page.say('bye');
  connect(page);
  expect(asked).toEqual(expected); // once
});

test('nothing is loaded where nothing is to be counted', () => {
  const page = started([]);
  connect(page, null);
  expect(page.news()).toEqual([['role', 'primary'], ['opened', null, false]]);
  expect(asked).toEqual([]);
});

test('what is missing is told, and looked for again', () => {
  const found: string[] = [];
  const page = started(found);
  connect(page);
  const what = `there is no stream management: ${CORE} or ${WITHOUT} is needed beside the worker's script: ${WITHOUT} failed to load`;
  expect(page.news()).toEqual([['role', 'primary'], ['problem', what], ['opened', null, false]]);
  page.say('bye');
  found.push(CORE ?? '');
  connect(page);
  expect(page.news()).toEqual([['role', 'primary'], ['opened', null, true]]);
});
