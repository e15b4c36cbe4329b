// Where the module of the core comes from: here it is JavaScript itself, made of the WebAssembly.

import instantiate from '../wasm/epode.wasm2js.js';
import { initSync } from '../wasm/epode_wasm.js';

/** What the script around the module takes for WebAssembly, where this is put in its place. */
export const WebAssembly = {
  Module: class {},
  Instance: class {
    readonly exports: object;

    constructor(_module: object, imports: object) {
      this.exports = instantiate(imports);
    }
  },
};

/** There is no other thread that could do it. */
export function warm(): Promise<void> {
  return Promise.resolve();
}

/** Makes the core ready. */
export function prepare(): void {
  initSync({ module: new WebAssembly.Module() as globalThis.WebAssembly.Module });
}
