// Where the module of the core comes from: here it is a file, which the program has fetched.

import initialize from '../wasm/epode_wasm.js';

/** The module, a response with it, or where it is. */
export type ModuleSource =
  | string
  | URL
  | Request
  | Response
  | BufferSource
  | WebAssembly.Module
  | Promise<Response | BufferSource | WebAssembly.Module>;

let isThere = false;

/** Fetches and compiles the core, as it comes. */
export async function load(source: ModuleSource): Promise<void> {
  await initialize({ module_or_path: source });
  isThere = true;
}

/** The program says when: by `init`. */
export function warm(): Promise<void> {
  return Promise.resolve();
}

/**
 * Makes the core ready.
 *
 * @throws {Error} if it is not there yet.
 */
export function prepare(): void {
  if (!isThere) throw new Error('the core is not there yet: `await init()` before the first login');
}
