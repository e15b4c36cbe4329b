// Where the module of the core comes from: here it is a part of the JavaScript.

import bytes from '../wasm/epode.wasm';
import { initSync, Machine, Protection, SecretKind } from '../wasm/epode_wasm.js';

/** Compiles the core on another thread, makes it ready, and has it begin a login with nobody. */
export async function warm(): Promise<void> {
  initSync({ module: await WebAssembly.compile(bytes) }); // which does nothing if it is ready by then
  // An engine compiles a function for good when it is first called.
  const machine = new Machine('{"jid":"localhost","mechanisms":[]}', SecretKind.None, '');
  machine.opened(0, Protection.Loopback);
  while (machine.poll() !== undefined) machine.text();
  machine.free();
}

/** Makes the core ready. */
export function prepare(): void {
  initSync({ module: bytes });
}
