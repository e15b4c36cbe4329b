// The package with the core as a file beside it, for Node.js: `await init()` before a login.

import { readFile } from 'node:fs/promises';
import { load, type ModuleSource } from './module.slim.js';

/**
 * Reads the core, or what else it is given, and compiles it.
 *
 * @throws {Error} if it cannot be had; it may be tried again.
 */
export function init(source?: ModuleSource): Promise<void> {
  return load(source ?? readFile(new URL('./epode.wasm', import.meta.url)));
}

export * from './index.node.js';
export type { ModuleSource };
