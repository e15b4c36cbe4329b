// The steps of a login as they happen, each with the time since its beginning.

import { make } from './parts.js';

export type Tone = 'idle' | 'busy' | 'good' | 'bad';

export class Steps {
  private zero = 0;

  constructor(private readonly list: HTMLElement) {}

  /** A login begins: those of the one before go. */
  begin(): void {
    this.zero = performance.now();
    this.list.replaceChildren();
  }

  /** Milliseconds since then. */
  get elapsed(): number {
    return performance.now() - this.zero;
  }

  add(name: string, detail: string, tone: Tone, time = this.elapsed): void {
    const item = make('li', [make('strong', [name]), make('time', [milliseconds(time)])], { tone });
    if (detail) item.append(make('p', [detail]));
    this.list.append(item);
  }

  /** More about the last step that came to something. */
  explain(words: string): void {
    [...this.list.querySelectorAll('li:is([data-tone="bad"], [data-tone="good"])')].at(-1)?.append(make('p', [words]));
  }
}

/** As `12 ms`. */
export function milliseconds(time: number): string {
  return `${time.toFixed(time < 10 ? 1 : 0)} ms`;
}
