// Where the module of the core comes from: here it is a part of the JavaScript.

import bytes from '../wasm/epode.wasm';
import { initSync } from '../wasm/epode_wasm.js';

/** Makes the core ready. */
export function prepare(): void {
  initSync({ module: bytes });
}
