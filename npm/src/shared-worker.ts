// The script of the shared worker: `new Connection(service, { worker: 'shared-connection-worker.js' })`.

import { words } from './log.js';
import type { TakeOver } from './managed-session.js';
import { SharedConnection } from './shared-connection.js';
import type { Socket } from './shared-line.js';
import type { PagePort } from './shared-page.js';

const scope = globalThis as unknown as {
  onconnect: (event: { ports: [PagePort] }) => void;
  close(): void;
  importScripts(script: string): void;
  /** Of the core's script, once it is loaded. */
  epodeTakeOver?: TakeOver;
};

const connection = new SharedConnection({
  open: (url) => new WebSocket(url, 'xmpp') as unknown as Socket,
  core: () => scope.epodeTakeOver ?? load(CORES),
  shutDown: () => scope.close(),
});

scope.onconnect = ({ ports: [port] }) => connection.admit(port);

/** Loads the first of these scripts that can be used. They stand beside this one. */
function load([script, ...others]: string[]): TakeOver {
  try {
    scope.importScripts(script ?? '');
    if (scope.epodeTakeOver) return scope.epodeTakeOver;
    throw new Error(`${script} is another script`);
  } catch (exception) {
    if (others.length > 0) return load(others);
    throw new Error(`${CORES.join(' or ')} is needed beside the worker's script: ${words(exception)}`);
  }
}

/** The second is for where WebAssembly is not to be had. */
const CORES = ['shared-connection-core.js', 'shared-connection-core.no-wasm.js'];
