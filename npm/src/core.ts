// The Rust core, which is made ready when it is first needed.

import { initSync, Kind, Machine, Protection, SecretKind } from '../wasm/epode_wasm.js';
import bytes from '../wasm/epode.wasm';

let isReady = false;

/** A connection of the core, before it is open. */
export function newMachine(options: object, kind: SecretKind, secret: string): Machine {
  if (!isReady) {
    initSync({ module: bytes });
    isReady = true;
  }
  try {
    return new Machine(JSON.stringify(options), kind, secret);
  } catch (words) {
    throw new TypeError(String(words));
  }
}

export { Kind, Protection, SecretKind };
export type { Machine };
