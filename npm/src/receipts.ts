// What becomes of stanzas whose sender wants to know: promises, until the server has acknowledged
// them (XEP-0198). The counting is the core's.

import { Kind } from './core.js';
import { ConnectionEndedError, UnacknowledgedError } from './errors.js';

/** What has become of a stanza. */
export type Fate = 'acknowledged' | 'unmanaged' | 'dropped';

/** @internal What an action says of a stanza. */
export function fateOf(kind: Kind.Acknowledged | Kind.Unmanaged | Kind.Dropped): Fate {
  if (kind === Kind.Dropped) return 'dropped';
  return kind === Kind.Acknowledged ? 'acknowledged' : 'unmanaged';
}

/** Promises of stanzas: by the element, until it is sent, and then by the number that it has. */
export class Receipts {
  private readonly waiting = new Map<Element | number, Promised>();

  /** The promise of a stanza that is about to be sent. */
  expect(stanza: Element): Promise<void> {
    return new Promise((keep, breach) => this.waiting.set(stanza, { keep, breach }));
  }

  /** The core has taken a stanza, under this number; under none, where there is no session. */
  taken(stanza: Element, number: number | undefined): void {
    const promised = this.waiting.get(stanza);
    if (!promised) return;
    this.waiting.delete(stanza);
    if (number === undefined) promised.breach(unmanaged());
    else this.waiting.set(number, promised);
  }

  /** A stanza was not sent. */
  refused(stanza: Element, reason: Error): void {
    this.waiting.get(stanza)?.breach(reason);
    this.waiting.delete(stanza);
  }

  /** What has become of the stanza of this number; and of those before it, unless it was dropped. */
  settled(number: number, fate: Fate): void {
    for (const [key, { keep, breach }] of [...this.waiting]) {
      const isMeant = typeof key === 'number' && (fate === 'dropped' ? key === number : key <= number);
      if (!isMeant) continue;
      this.waiting.delete(key);
      if (fate === 'acknowledged') keep();
      else breach(fate === 'dropped' ? lost() : unmanaged());
    }
  }

  /** The session has ended. */
  end(): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { breach } of all) breach(lost());
  }
}

interface Promised {
  keep(): void;
  breach(reason: Error): void;
}

function lost(): Error {
  return new ConnectionEndedError('the session has ended before the server acknowledged the stanza');
}

function unmanaged(): Error {
  return new UnacknowledgedError(
    'the stanza was sent, but there are no acknowledgements of it: see `enableStreamManagement`',
  );
}
