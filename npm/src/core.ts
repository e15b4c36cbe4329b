// The Rust core, which is made ready when it is first needed.

import {
  Bosh as BoshSession,
  first_message,
  Kind,
  Machine,
  Protection,
  redacted,
  SecretKind,
  StreamNews,
  StreamParser,
  Tokens,
} from '../wasm/epode_wasm.js';
import { prepare, warm } from './module.js';

let isReady = false;
let isWarming = false;

/** What proves who logs in. */
export interface Proof {
  kind: SecretKind;
  secret: string;
}

/**
 * Has the core compiled while the page goes on. A login in the same breath does not wait for it, and
 * compiles the core itself; so does one that finds that this did not work, which says why.
 */
export function warmUp(): void {
  if (isWarming) return;
  isWarming = true;
  queueMicrotask(() => {
    if (!isReady) warm().catch(() => {});
  });
}

/** A connection of the core, before it is open; it goes on with this session, if it can. */
export function newMachine(options: object, { kind, secret }: Proof, session?: string): Machine {
  return call(() => new Machine(JSON.stringify(options), kind, secret, session));
}

/** Says that a link is open: so protected, and with that below the frames. */
export function openMachine(
  machine: Machine,
  now: number,
  protection: keyof typeof PROTECTIONS,
  carrier: 'websocket' | 'bosh' | 'tcp' = 'websocket',
): void {
  if (carrier === 'bosh') machine.opened_bosh(now, PROTECTIONS[protection]);
  else if (carrier === 'tcp') machine.opened_tcp(now, PROTECTIONS[protection]);
  else machine.opened(now, PROTECTIONS[protection]);
}

/** The tokens of an account. */
export function newTokens(jid: string): Tokens {
  return call(() => new Tokens(jid));
}

/** The message that one of the nine mechanisms opens with, but for SCRAM. */
export function firstMessage(
  options: object,
  mechanism: string,
  { kind, secret }: Proof,
): Uint8Array {
  return call(() => first_message(JSON.stringify(options), mechanism, kind, secret));
}

/** A session of BOSH that is to be created. */
export function newBoshSession(options: object): BoshSession {
  return call(() => new BoshSession(JSON.stringify(options)));
}

/** A session of BOSH that is logged in: one of this account, if it is given. */
export function attachBoshSession(options: object, session: string, account?: string): BoshSession {
  return call(() => BoshSession.attach(JSON.stringify(options), session, account, Date.now()));
}

/** The stream of a component's server, before its first byte. */
export function newStreamParser(): StreamParser {
  return call(() => new StreamParser());
}

/** A frame without its secrets. */
export function redact(frame: string): string {
  return call(() => redacted(frame));
}

/**
 * Makes the core ready now, and not when it is first used.
 *
 * @throws {Error} if it cannot be.
 */
export function makeReady(): void {
  if (!isReady) prepare();
  isReady = true;
}

/** Calls the core once it is ready. What it throws are texts. */
function call<T>(use: () => T): T {
  makeReady();
  try {
    return use();
  } catch (words) {
    throw new TypeError(String(words));
  }
}

const PROTECTIONS = {
  plaintext: Protection.Plaintext,
  loopback: Protection.Loopback,
  encrypted: Protection.Encrypted,
};

export { Kind, SecretKind, StreamNews };
export type { BoshSession, Machine, StreamParser, Tokens };
