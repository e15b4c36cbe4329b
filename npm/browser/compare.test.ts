// Sizes and login times beside those of Strophe.js 5, in one run, as ratios.
// It prints figures; what it asserts is only that all logins succeed.

import { readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { transform } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { serve, type Server } from '../test/server.js';
import { useChromium } from './chromium.js';
import { logIn, openShelf, type Login, type Shelf } from './library.js';

const OURS = 'dist/strophe.js';
const THEIRS = 'node_modules/strophe.js/dist/strophe.umd.min.js';
/** How long packing may take, in milliseconds: Brotli takes its time for the smallest result. */
const PACKING = 300_000;

const open = useChromium(/favicon/);
let server: Server;
let shelf: Shelf;
beforeAll(async () => {
  [server, shelf] = await Promise.all([serve('pencil'), openShelf()]);
});
afterAll(() => Promise.all([server.stop(), shelf.close()]));

test('sizes', async () => {
  const rows: string[][] = [];
  for (const [name, ...files] of [
    ['epode, classic script', OURS],
    ['epode, ES module', 'dist/index.js'],
    ['epode, ES module and epode.wasm', 'dist/slim.js', 'dist/epode.wasm'],
    ['epode, ES module without WebAssembly', 'dist/no-wasm.js'],
    ['Strophe.js 5, classic script', THEIRS],
    ['Strophe.js 5, ES module', 'node_modules/strophe.js/dist/strophe.esm.js'],
  ] as const) {
    const parts = await Promise.all(files.map(minified));
    const total = (pack: (bytes: Buffer) => Buffer) => {
      return parts.reduce((sum, bytes) => sum + pack(bytes).length, 0).toLocaleString('en');
    };
    const gzip = (bytes: Buffer) => gzipSync(bytes, { level: 9 });
    rows.push([name, total((bytes) => bytes), total(gzip), total((bytes) => brotliCompressSync(bytes))]);
  }
  print('minified, in bytes', ['raw', 'gzip', 'brotli'], rows);
}, PACKING);

/** A file as it is downloaded. */
async function minified(file: string): Promise<Buffer> {
  const bytes = readFileSync(new URL(`../${file}`, import.meta.url));
  expect(bytes.length).toBeGreaterThan(0);
  if (file.endsWith('.wasm')) return bytes;
  const { code } = await transform(bytes, { minify: true, legalComments: 'none' });
  return Buffer.from(code);
}

test('login times', async () => {
  const login = { service: server.url, jid: 'alice@example.com', pass: 'pencil' };
  const [ours, theirs] = [await open(shelf.pageWith(OURS)), await open(shelf.pageWith(THEIRS))];
  const keys = (await logIn(ours, login)).keys;
  const rows = [await compareFirst(login)];
  const changes: [string, Partial<Login>][] = [
    ['SCRAM-SHA-512, 4,096 iterations', { mechanisms: ['SASLSHA512'] }],
    ['SCRAM-SHA-1, 4,096 iterations', { mechanisms: ['SASLSHA1'] }],
    ['SCRAM-SHA-512 with keys', { mechanisms: ['SASLSHA512'], pass: keys }],
    ['PLAIN', { mechanisms: ['SASLPlain'] }],
  ];
  for (const [name, change] of changes) {
    rows.push(await compare(name, ours, theirs, { ...login, ...change }));
  }
  print('from connect to CONNECTED over ws, medians', ['epode', 'Strophe.js 5', 'ratio'], rows);
});

/** Logins on pages that have just been opened: what is compiled then is in the time. */
async function compareFirst(login: Login): Promise<string[]> {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < PAGES; round += 1) {
    for (const [index, script] of [OURS, THEIRS].entries()) {
      const page = await open(shelf.pageWith(script));
      times[index]!.push(await time(page, login));
      await page.context().close();
    }
  }
  return row('the first of a page: SCRAM-SHA-512', ...times);
}

async function compare(name: string, ours: Page, theirs: Page, login: Login): Promise<string[]> {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, page] of [ours, theirs].entries()) {
      const taken = await time(page, login);
      if (round > 0) times[index]!.push(taken); // the first one warms up
    }
  }
  return row(name, ...times);
}

async function time(page: Page, login: Login): Promise<number> {
  const outcome = await logIn(page, login);
  expect(outcome.statuses).toContain('CONNECTED');
  return outcome.time;
}

function row(name: string, ours: number[], theirs: number[]): string[] {
  const [a, b] = [median(ours), median(theirs)];
  return [name, `${a.toFixed(1)} ms`, `${b.toFixed(1)} ms`, (a / b).toFixed(2)];
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function print(title: string, heads: string[], rows: string[][]): void {
  const lines = [[title, ...heads], ...rows].map(([name, ...cells]) => {
    return `  ${name!.padEnd(44)}${cells.map((cell) => cell.padStart(14)).join('')}`;
  });
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
}

const ROUNDS = 15;
const PAGES = 7;
