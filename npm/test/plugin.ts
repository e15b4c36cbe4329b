// Plugins of Strophe.js from npm, loaded the way a page does: as scripts that look for its names.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInThisContext } from 'node:vm';
import { vi } from 'vitest';
import 'strophejs';

const require = createRequire(import.meta.url);

/** Runs a plugin. Connections that are made from now on have it. */
export function load(name: string): void {
  const file = require.resolve(name);
  vi.stubGlobal('window', globalThis);
  runInThisContext(readFileSync(file, 'utf8'), { filename: file });
  vi.unstubAllGlobals();
}

/** Runs a plugin as a module of CommonJS, which asks for its peer by name. */
export function loadModule(name: string, peer: unknown): void {
  const file = require.resolve(name);
  const wrapper = `(function (require, module, exports) {${readFileSync(file, 'utf8')}\n})`;
  const run = runInThisContext(wrapper, { filename: file }) as (...names: unknown[]) => void;
  const module = { exports: {} };
  run((wanted: string) => (wanted === 'strophe.js' ? peer : require(wanted)), module, module.exports);
}
