// The frames that came, and wait to be dealt with: one after the other, whatever is called meanwhile.
// What they mean is not looked at.

/** The frames of one link after the other. */
export class Inbox {
  /** How many of this link's were given out. */
  taken = 0;
  private frames: string[] = [];
  private isGiving = false;
  private isHeld = false;
  /** Which link it is. */
  private round = 0;

  constructor(private readonly take: (frame: string) => void) {}

  /** A frame came. */
  push(frame: string): void {
    this.frames.push(frame);
    this.give();
  }

  /**
   * Holds the others back until a promise is kept and what follows from it is done. Nothing does, if
   * there is another link by then.
   */
  waitFor<T>(promise: PromiseLike<T>, then: (value: T) => void): void {
    this.isHeld = true;
    const { round } = this;
    promise.then((value) => {
      if (round !== this.round) return;
      this.isHeld = false;
      then(value);
      this.give();
    });
  }

  /** Forgets those that wait. */
  clear(): void {
    this.frames = [];
  }

  /** There is another link, or none any more. */
  restart(): void {
    this.round += 1;
    [this.frames, this.taken, this.isHeld] = [[], 0, false];
  }

  private give(): void {
    if (this.isGiving) return;
    this.isGiving = true;
    try {
      while (!this.isHeld) {
        const frame = this.frames.shift();
        if (frame === undefined) break;
        this.taken += 1;
        this.take(frame);
      }
    } finally {
      this.isGiving = false;
    }
  }
}
