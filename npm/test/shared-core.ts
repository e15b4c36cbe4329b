// The script that the shared worker loads for stream management, as it is shipped.

import { readFileSync } from 'node:fs';
import { runInThisContext } from 'node:vm';
import type { TakeOver } from '../src/managed-session.js';

const scope = globalThis as { epodeTakeOver?: TakeOver };

/** Loads it, once. */
export function sharedCore(): TakeOver {
  if (!scope.epodeTakeOver) {
    const file = new URL('../dist/shared-connection-core.js', import.meta.url);
    runInThisContext(readFileSync(file, 'utf8'));
  }
  if (!scope.epodeTakeOver) throw new Error('it is another script');
  return scope.epodeTakeOver;
}
