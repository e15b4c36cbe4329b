// The package with the core as a file beside it, for browsers: `await init()` before a login.

import { load, type ModuleSource } from './module.slim.js';

/**
 * Fetches the core, and compiles it while it comes. That is worth doing early: a login needs it,
 * stanzas do not.
 *
 * @throws {Error} if it cannot be had; it may be tried again.
 */
export function init(source: ModuleSource = new URL('./epode.wasm', import.meta.url)): Promise<void> {
  return load(source);
}

export * from './index.js';
export type { ModuleSource };
