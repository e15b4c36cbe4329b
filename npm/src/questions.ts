// What the core asks during a login: keys to be derived, messages of mechanisms that are JavaScript's.
// What follows from the answers is the driver's to know.

import { bytesOf } from './bytes.js';
import type { Machine } from './core.js';
import { saltedPassword } from './derivation.js';
import { debug, words } from './log.js';
import { isPromise } from './promise.js';

/** A question that the core has asked. */
export interface Question {
  /** Whether an answer is still wanted. */
  readonly isOpen: () => boolean;
  /** Gives the answer, unless it comes too late. */
  readonly answer: (give: (machine: Machine, now: number) => void) => void;
}

/** Asks one question at a time: whoever answers another is too late. */
export class Questions {
  private count = 0;

  constructor(
    private readonly give: (answer: (machine: Machine, now: number) => void) => void,
    private readonly isOver: () => boolean,
  ) {}

  /** The question that waits from now on. */
  next(): Question {
    this.count += 1;
    const number = this.count;
    const isOpen = () => !this.isOver() && number === this.count;
    const answer: Question['answer'] = (give) => {
      if (!isOpen()) return;
      try {
        this.give(give);
      } catch (late) {
        debug(`an answer came too late: ${words(late)}`);
      }
    };
    return { isOpen, answer };
  }

  /** None waits any more. */
  drop(): void {
    this.count += 1;
  }
}

/** Derives keys: by the Web Crypto API, or else by the core, a few milliseconds at a time. */
export async function derive(machine: Machine, { isOpen, answer }: Question): Promise<void> {
  const derivation = {
    hash: machine.subject(),
    password: machine.text(),
    salt: new Uint8Array(machine.bytes() ?? []),
    iterations: machine.number(),
  };
  const salted = await saltedPassword(derivation).catch(() => null);
  if (salted) {
    answer((machine, now) => machine.derived(now, salted));
    salted.fill(0);
    return;
  }
  let isDone = false;
  while (!isDone && isOpen()) {
    answer((machine, now) => {
      isDone = true; // whatever it throws
      isDone = machine.derive(now);
    });
    await new Promise((done) => setTimeout(done, 0));
  }
}

/** Answers with the message of a mechanism, which may be a promise, or refuses. */
export function respond(message: () => unknown, { answer }: Question): void {
  const refuse = (why: unknown) => answer((machine, now) => machine.refuse(now, words(why)));
  const settle = (response: unknown) => {
    if (typeof response !== 'string') return refuse('the mechanism gave the login up');
    let bytes: Uint8Array;
    try {
      bytes = bytesOf(response);
    } catch (exception) {
      return refuse(exception);
    }
    answer((machine, now) => machine.respond(now, bytes));
  };
  let response: unknown;
  try {
    response = message();
  } catch (exception) {
    return refuse(exception);
  }
  if (isPromise(response)) response.then(settle, refuse);
  else settle(response);
}
