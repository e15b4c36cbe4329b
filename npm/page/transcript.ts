// The frames of a connection, without their secrets.

import { redacted } from 'epode';
import { make } from './parts.js';

export class Transcript {
  private seen = 0;

  constructor(
    private readonly list: HTMLElement,
    private readonly count: HTMLElement,
  ) {}

  clear(): void {
    this.seen = 0;
    this.list.replaceChildren();
    this.count.textContent = '';
  }

  sent(frame: string): void {
    this.add('client', '→', 'sent', frame);
  }

  received(frame: string): void {
    this.add('server', '←', 'received', frame);
  }

  private add(from: string, arrow: string, words: string, frame: string): void {
    const mark = make('b', [arrow]);
    mark.setAttribute('role', 'img');
    mark.setAttribute('aria-label', words);
    this.list.append(make('li', [mark, ...masked(frame)], { from }));
    while (this.list.childElementCount > LIMIT) this.list.firstElementChild?.remove();
    this.seen += 1;
    this.count.textContent = this.seen === 1 ? '1 frame' : `${this.seen} frames`;
  }
}

/** A frame with a mark in place of each secret. */
function masked(frame: string): (Node | string)[] {
  const pieces = redacted(frame).split('[redacted]');
  return pieces.flatMap((piece, index) => (index === 0 ? [piece] : [make('mark', ['masked']), piece]));
}

/** The frames that are kept. */
const LIMIT = 500;
