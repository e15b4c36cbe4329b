// The small server of the command `epode`, started for a test; and the way to it.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';

const BINARY =
  process.env['EPODE'] ?? new URL('../../target/debug/epode', import.meta.url).pathname;

/** A server that runs until it is stopped. */
export interface Server {
  /** Where it listens for WebSockets. */
  url: string;
  /** Where it listens for BOSH; a server that plays a transcript does not. */
  bosh: string;
  /** Where it listens for WebSockets over TLS, and the file of the authority to trust there. */
  tls: { url: string; ca: string };
  stop(): Promise<void>;
}

/** An honest server of `example.com`, whose accounts have this password. */
export function serve(password: string): Promise<Server> {
  const accounts = ['--account', 'alice', '--account', 'bob'];
  const args = ['--domain', 'example.com', ...accounts, '--password-env', 'EPODE_TEST_PASSWORD'];
  return start(args, { EPODE_TEST_PASSWORD: password });
}

/** A server with a page for browsers. */
export interface WebServer extends Server {
  /** Where the page is, with the key to its accounts. */
  page: string;
  /** The same over TLS. */
  securePage: string;
}

/** The server of a person who tries the page: it makes its passwords itself. */
export async function serveWeb(): Promise<WebServer> {
  const server = await start(['--web'], {});
  return { ...server, page: server.told('page'), securePage: server.told('page, TLS') };
}

/** A server that plays a transcript. */
export async function play(transcript: string): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'epode-npm-'));
  const file = join(folder, 'transcript');
  writeFileSync(file, transcript, { mode: 0o600 });
  const server = await start(['--script', file], {});
  rmSync(folder, { recursive: true });
  return server;
}

/** Leads every WebSocket to this server, whatever host it names. */
export function redirect(server: Pick<Server, 'url'>): void {
  lead(server.url, {});
}

/** The same over TLS: the server offers what it offers to those alone whom nobody else hears. */
export function redirectOverTls({ tls: { url, ca } }: Server): void {
  const options = { ca: readFileSync(ca), servername: 'example.com' };
  lead(url, options);
}

function lead(there: string, options: WebSocket.ClientOptions): void {
  globalThis.WebSocket = class extends WebSocket {
    constructor(_url: string, protocols?: string) {
      super(there, protocols, options);
    }
  } as unknown as typeof globalThis.WebSocket;
}

/** A server, and what it has told of itself. */
type Started = Server & { told(name: string): string };

function start(args: string[], env: Record<string, string>): Promise<Started> {
  const child = spawn(BINARY, ['serve', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async () => {
    child.kill('SIGINT');
    await ended;
  };
  return new Promise((ready, failed) => {
    let text = '';
    child.once('error', failed);
    child.once('exit', (code) => failed(new Error(`the server ended with ${code}: ${text}`)));
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      const told = (name: string) => new RegExp(`^${name} +(\\S+)$`, 'm').exec(text)?.[1] ?? '';
      const [url, bosh, ca] = [told('ws'), told('BOSH'), told('CA')];
      const isScript = args[0] === '--script';
      if (!url || (!ca && !isScript)) return;
      ready({ url, bosh, tls: { url: told('wss'), ca }, stop, told });
    });
  });
}
