// The order in which frames are dealt with.

import { expect, test } from 'vitest';
import { Inbox } from '../src/inbox.js';

test('one after the other, whatever is called meanwhile', () => {
  const taken: string[] = [];
  const inbox: Inbox = new Inbox((frame) => {
    if (frame === 'a') inbox.push('c');
    taken.push(frame);
  });
  inbox.push('a');
  inbox.push('b');
  expect(taken).toEqual(['a', 'c', 'b']);
  expect(inbox.taken).toBe(3);
});

test('what comes waits for a promise, and for what follows from it', async () => {
  const taken: string[] = [];
  const inbox: Inbox = new Inbox((frame) => {
    if (frame !== 'a') return void taken.push(frame);
    inbox.waitFor(Promise.resolve('then'), (word) => taken.push(word));
  });
  inbox.push('a');
  inbox.push('b');
  expect(taken).toEqual([]);
  await Promise.resolve();
  expect(taken).toEqual(['then', 'b']);
});

test('a promise that is kept too late has no say in another link', async () => {
  const taken: string[] = [];
  const inbox: Inbox = new Inbox((frame) => taken.push(frame));
  let keep = (_: string) => {};
  inbox.waitFor(new Promise<string>((done) => (keep = done)), (word) => taken.push(word));
  inbox.push('old');
  inbox.restart();
  inbox.push('new');
  keep('late');
  await Promise.resolve();
  expect([taken, inbox.taken]).toEqual([['new'], 1]);
});

test('what is forgotten is not dealt with, and a fault ends nothing', () => {
  const taken: string[] = [];
  const inbox: Inbox = new Inbox((frame) => {
    if (frame === 'bad') throw new Error('a fault');
    if (frame === 'a') {
      inbox.push('b');
      inbox.clear();
    }
    taken.push(frame);
  });
  inbox.push('a');
  expect(() => inbox.push('bad')).toThrow('a fault');
  inbox.push('c');
  expect(taken).toEqual(['a', 'c']);
});
