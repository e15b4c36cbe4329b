// The answer that a request waits for. Only the one who was asked can give it.

import { Handler, type HandlerCallback } from './handler.js';
import { getBareJidFromJid, mayAnswer } from './jid.js';

/** Whom an answer goes to. Null is none: it is too late, or the connection has ended. */
export interface Asker {
  callback: ((answer: Element) => unknown) | null | undefined;
  errback: ((answer: Element | null) => unknown) | null | undefined;
}

/** The handler of one answer: an iq, or a presence of the same id. */
export class Answer extends Handler {
  private readonly to: string | null;

  constructor(
    request: Element,
    id: string,
    private readonly own: () => string,
    private readonly asker: Asker,
    answered: HandlerCallback,
  ) {
    const types = request.tagName === 'iq' ? ['result', 'error'] : null;
    super(answered, null, request.tagName, types, id);
    this.to = request.getAttribute('to');
  }

  override isMatch(stanza: Element): boolean {
    if (!super.isMatch(stanza)) return false;
    const from = stanza.getAttribute('from');
    if (this.name === 'iq') return mayAnswer(this.own(), this.to, from);
    // A presence may be answered by anybody in the room that it went to.
    return mayAnswer(this.own(), getBareJidFromJid(this.to), getBareJidFromJid(from));
  }

  /** Gives it to whoever asked. */
  give(answer: Element): unknown {
    if (answer.getAttribute('type') === 'error') return this.asker.errback?.(answer);
    return this.asker.callback?.(answer);
  }

  /** There will be none. */
  fail(): unknown {
    return this.asker.errback?.(null);
  }
}
