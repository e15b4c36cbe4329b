// The way to a server, by which one connection is made after the other. When that is, the core says.

import { pause } from './pause.js';
import { movedTo } from './service.js';
import type { Opening, Transport } from './transport.js';

/** By what connections are made, and the wait before the next one. */
export class Way {
  private callOff: (() => void) | undefined;

  constructor(
    private readonly transport: Transport,
    private readonly opening: Opening,
  ) {}

  /** Whether the next connection is waited for. */
  get isWaiting(): boolean {
    return this.callOff !== undefined;
  }

  /** The place to which a server sends us, if the way there is as good. */
  to(place: string | undefined): string | null {
    return place === undefined ? null : movedTo(this.opening.url, place);
  }

  /** Has a connection made after so many milliseconds: there, or where the first was made. */
  again(
    wait: number,
    there: string | null,
    make: (transport: Transport, opening: Opening) => void,
  ): void {
    const { session: _, joins: __, ...opening } = this.opening; // that session is over
    this.callOff = pause(wait, () => {
      this.callOff = undefined;
      make(this.transport, { ...opening, url: there ?? opening.url });
    });
  }

  /** Waits no more. */
  stop(): void {
    this.callOff?.();
    this.callOff = undefined;
  }
}
