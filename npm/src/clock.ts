// The time of a connection: milliseconds since it began, and the moment at which the core wants to
// be called.

/** A clock with one alarm. */
export class Clock {
  private zero = performance.now();
  private timer: ReturnType<typeof setTimeout> | undefined;

  get now(): number {
    return performance.now() - this.zero;
  }

  /** Calls at this moment, in place of any other. */
  wakeAt(moment: number, call: () => void): void {
    clearTimeout(this.timer);
    // A timer takes no longer waits; one that comes too soon changes nothing.
    const wait = Math.min(Math.max(Math.ceil(moment - this.now), 0), 2 ** 30);
    this.timer = setTimeout(call, wait);
  }

  /** Does not call. */
  stop(): void {
    clearTimeout(this.timer);
  }

  /** It is 0 now. */
  restart(): void {
    this.zero = performance.now();
  }
}
