// The stream of a component's server (XEP-0114) as stanzas, for programs in Node.js that have a
// socket of their own. The grammar and its limits are the core's.

import { newStreamParser, StreamNews, type StreamParser } from './core.js';
import { guard, words } from './log.js';
import { read } from './xml.js';

/** Told of what is in a stream. What one of these throws goes to the log. */
export interface StreamParserHandlers {
  /** The stream begins, with these attributes: `id`, `from`, `to`, `version`, `xml:lang`. */
  onStreamStart(attributes: Record<string, string>): unknown;
  /** A stanza, or whatever else stands directly in the stream. */
  onStanza(stanza: Element): unknown;
  /** The stream has come to its end. */
  onStreamEnd(): unknown;
  /** It is no stream, or beyond a limit. Nothing follows until {@link ComponentParser.reset}. */
  onError(error: Error): unknown;
}

/**
 * Takes the stream of a component's server apart, in whatever pieces it arrives.
 *
 * ```ts
 * const parser = new ComponentParser({
 *   onStreamStart: ({ id }) => …,
 *   onStanza: (stanza) => …,
 *   onStreamEnd: () => …,
 *   onError: (error) => …,
 * });
 * socket.on('data', (bytes) => parser.write(bytes));
 * ```
 */
export class ComponentParser {
  private parser: StreamParser | null = null;
  private isDead = false;
  private pieces: Uint8Array[] = [];
  private isReading = false;
  /** The first half of a character whose second half is in the next text. */
  private half = '';

  constructor(private readonly handlers: StreamParserHandlers) {}

  /** Takes bytes or text in, cut anywhere. */
  write(chunk: Uint8Array | string): void {
    if (this.isDead) return;
    this.pieces.push(typeof chunk === 'string' ? this.encoded(chunk) : new Uint8Array(chunk));
    if (this.isReading) return; // a handler has called: in its turn
    this.isReading = true;
    try {
      for (let piece = this.pieces.shift(); piece; piece = this.pieces.shift()) this.take(piece);
    } finally {
      this.isReading = false;
    }
  }

  /** Forgets all that came, for another stream. */
  reset(): void {
    this.die();
    this.isDead = false;
  }

  private take(bytes: Uint8Array): void {
    const parser = (this.parser ??= newStreamParser());
    for (let at = 0; at < bytes.length && this.parser === parser; at += SLICE) {
      parser.feed(bytes.subarray(at, at + SLICE));
      this.tell(parser);
    }
  }

  private tell(parser: StreamParser): void {
    try {
      while (this.parser === parser) {
        const news = parser.poll();
        if (news === undefined) break;
        this.handle(parser, news);
      }
    } catch (problem) {
      this.die();
      guard(() => this.handlers.onError(new Error(words(problem))));
    }
  }

  private handle(parser: StreamParser, news: StreamNews): void {
    const { handlers } = this;
    switch (news) {
      case StreamNews.Start: {
        const attributes = pairs(parser.attributes());
        return void guard(() => handlers.onStreamStart(attributes));
      }
      case StreamNews.Stanza: {
        const stanza = read(parser.stanza());
        return void guard(() => handlers.onStanza(stanza));
      }
      case StreamNews.End:
        this.die();
        return void guard(() => handlers.onStreamEnd());
    }
  }

  private die(): void {
    this.parser?.free();
    this.parser = null;
    this.isDead = true;
    [this.pieces, this.half] = [[], ''];
  }

  private encoded(text: string): Uint8Array {
    const whole = this.half + text;
    this.half = /[\ud800-\udbff]$/.test(whole) ? whole.slice(-1) : '';
    return new TextEncoder().encode(this.half ? whole.slice(0, -1) : whole);
  }
}

function pairs(flat: string[]): Record<string, string> {
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) found.push([flat[at] ?? '', flat[at + 1] ?? '']);
  return Object.fromEntries(found);
}

/** The core takes more at once. */
const SLICE = 64 * 1024;
