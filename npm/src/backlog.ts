// What a session has brought to pages lately, for pages that come back to it and have missed some of
// it meanwhile.

import type { Place } from './worker-protocol.js';

/** The stanzas of one session, over all its connections, as far as they are kept. */
export class Backlog {
  private readonly frames: string[] = [];
  private length = 0;
  /** The number of the first that is kept. */
  private first = 0;

  /** The server's name for the session; none, if it cannot be resumed. */
  constructor(readonly key: string) {}

  /** A frame was given to all pages that are there; one that is empty is nothing to be given again. */
  add(frame: string): void {
    this.frames.push(frame);
    this.length += frame.length;
    while (this.frames.length > MOST_FRAMES || this.length > MOST_CHARACTERS) {
      this.length -= this.frames.shift()?.length ?? 0;
      this.first += 1;
    }
  }

  /** What has come since a page was there; null, if that is not known or is another session. */
  since(place: Place | null): string[] | null {
    if (!place || place[0] !== this.key || this.key === '') return null;
    const index = place[1] - this.first;
    if (index < 0 || index > this.frames.length) return null;
    return this.frames.slice(index).filter((frame) => frame !== '');
  }

  /** Where a page is that is still to be given so many frames. */
  place(missing: number): Place {
    return [this.key, this.first + this.frames.length - missing];
  }
}

const MOST_FRAMES = 1000;
const MOST_CHARACTERS = 1024 * 1024;
