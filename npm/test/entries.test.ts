// When the core is compiled, and the other ways to load the package: with the core as a file, and as
// JavaScript.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type * as Whole from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { redirect, serve, type Server } from './server.js';

type Slim = typeof import('../dist/types/index.slim.node.js');
type Connection = InstanceType<typeof Whole.Strophe.Connection>;

let server: Server;

beforeAll(async () => {
  server = await serve('secret');
});
afterAll(() => server.stop());
beforeEach(() => redirect(server));
afterEach(() => vi.unstubAllGlobals());

/** A package that nobody has used yet. */
const fresh = async (name: string) => {
  const file = new URL(`../dist/slim.node.js?${name}`, import.meta.url);
  return (await import(file.href)) as Slim & typeof Whole;
};

/** Logs in, and sends a message to itself. */
async function use({ Strophe, $msg }: typeof Whole, length: number, options = {}): Promise<string> {
  const connection: Connection = new Strophe.Connection('wss://example.com/', options);
  await new Promise<void>((done, failed) => {
    connection.connect('alice@example.com', 'secret', (status, condition) => {
      if (status === Strophe.Status.CONNECTED) done();
      if (status === Strophe.Status.AUTHFAIL) failed(new Error(String(condition)));
    });
  });
  const came = new Promise<Element>((done) => connection.addHandler(done, null, 'message'));
  connection.send($msg({ to: connection.jid }).c('body').t('ü'.repeat(length)));
  const text = (await came).textContent ?? '';
  connection.reset();
  return text;
}

describe('the core within the JavaScript', () => {
  const whole = async (name: string) => {
    const file = new URL(`../dist/index.node.js?${name}`, import.meta.url);
    return (await import(file.href)) as typeof Whole;
  };
  afterEach(() => vi.restoreAllMocks());

  test('is compiled once there is a connection, before it connects', async () => {
    const compile = vi.spyOn(WebAssembly, 'compile');
    const { Strophe } = await whole('early');
    expect(compile).not.toHaveBeenCalled();
    const connections = [1, 2].map(() => new Strophe.Connection('wss://example.com/'));
    await Promise.resolve();
    expect(compile).toHaveBeenCalledOnce();
    await compile.mock.results[0]!.value;
    await Promise.resolve();
    const atOnce = vi.spyOn(WebAssembly, 'Module');
    connections[0]!.connect('alice@example.com', 'secret');
    expect(atOnce).not.toHaveBeenCalled();
    connections[0]!.reset();
  });

  test('does not let a connection wait that connects in the same breath', async () => {
    const compile = vi.spyOn(WebAssembly, 'compile');
    expect(await use(await whole('at-once'), 1)).toBe('ü');
    expect(compile).not.toHaveBeenCalled();
  });

  test('is compiled at the login where that did not work before', async () => {
    const compile = vi.spyOn(WebAssembly, 'compile');
    compile.mockRejectedValue(new WebAssembly.CompileError('out of memory'));
    const library = await whole('late');
    const connection = new library.Strophe.Connection('wss://example.com/');
    await Promise.resolve();
    expect(compile).toHaveBeenCalledOnce();
    expect(await use(library, 1)).toBe('ü');
    connection.reset();
  });
});

describe('the core as a file', () => {
  const wasm = async () => new Uint8Array(await readFile(new URL('../dist/epode.wasm', import.meta.url)));

  test('is needed for a login, and for nothing else', async () => {
    const slim = await fresh('file');
    expect(String(slim.$msg({ id: '1' }))).toContain('id="1"');
    const connection = new slim.Strophe.Connection('wss://example.com/');
    expect(() => connection.connect('alice@example.com', 'secret')).toThrow('await init()');
    await slim.init();
    expect(await use(slim, 3)).toBe('üüü');
  });

  test('may be a response, which is compiled as it comes', async () => {
    const slim = await fresh('response');
    const streaming = vi.spyOn(WebAssembly, 'instantiateStreaming');
    const headers = { 'content-type': 'application/wasm' };
    await slim.init(Promise.resolve(new Response(await wasm(), { headers })));
    expect(streaming).toHaveBeenCalledOnce();
    expect(await use(slim, 1)).toBe('ü');
    streaming.mockRestore();
  });

  test('that cannot be had can be had later', async () => {
    const slim = await fresh('later');
    await expect(slim.init(new Response('', { status: 404 }))).rejects.toThrow('404');
    await expect(slim.init(new Uint8Array([1, 2]))).rejects.toThrow(WebAssembly.CompileError);
    const connection = new slim.Strophe.Connection('wss://example.com/');
    expect(() => connection.connect('alice@example.com', 'secret')).toThrow('await init()');
    await slim.init(await wasm());
    await slim.init(); // once more changes nothing
    expect(await use(slim, 1)).toBe('ü');
  });
});

describe('the core as JavaScript', () => {
  const without = () => {
    const require = createRequire(import.meta.url);
    return require('../dist/no-wasm.node.cjs') as typeof Whole;
  };

  test.each([
    ['with the Web Crypto API', {}],
    ['by itself', { deriveInWasm: true }],
  ])('logs in %s where there is no WebAssembly', async (how, options) => {
    vi.stubGlobal('WebAssembly', undefined);
    if (how === 'by itself') {
      const getRandomValues = crypto.getRandomValues.bind(crypto);
      vi.stubGlobal('crypto', { getRandomValues });
    }
    expect(await use(without(), 3, options)).toBe('üüü');
  });

  test('has memory that grows', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    // Younger engines tell that a buffer has moved away; one of JavaScript never has.
    const told = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'detached');
    const never = { configurable: true, get: () => false };
    if (!told) Object.defineProperty(ArrayBuffer.prototype, 'detached', never);
    for (const length of [1, 20_000, 50_000, 2]) {
      expect((await use(without(), length)).length).toBe(length);
    }
    if (!told) delete (ArrayBuffer.prototype as { detached?: boolean }).detached;
  });

  test('knows what JavaScript knows of passwords', async () => {
    await server.stop();
    server = await serve('pa\u00df w\u00f6rd');
    redirect(server);
    vi.stubGlobal('WebAssembly', undefined);
    const { Strophe } = without();
    const connection: Connection = new Strophe.Connection('wss://example.com/');
    const status = await new Promise((done) => {
      connection.connect('alice@example.com', 'pa\u00df\u00a0wo\u0308r\u00add', (code) => {
        if (code > Strophe.Status.AUTHENTICATING) done(code);
      });
    });
    connection.reset();
    expect(status).toBe(Strophe.Status.CONNECTED);
  });
});
