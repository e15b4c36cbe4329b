// The requests of the server that no page has answered yet: each is answered once.

import type { RootTag } from './root-tag.js';

/** Requests by who asked and with which id. */
export class OpenRequests {
  private readonly keys = new Set<string>();

  /** A stanza came. */
  came(iq: RootTag): void {
    if (!isRequest(iq)) return;
    this.keys.add(key(iq.attribute('from'), iq));
    // The oldest will not be answered any more.
    const [oldest] = this.keys.size > MOST ? this.keys : [];
    if (oldest !== undefined) this.keys.delete(oldest);
  }

  /** A page sends a stanza: whether that is no answer, or the first. */
  mayAnswer(iq: RootTag): boolean {
    if (isRequest(iq)) return true;
    const to = iq.attribute('to');
    if (to !== undefined) return this.keys.delete(key(to, iq));
    // What goes to one's own server need not say so, though it may have come with a sender.
    const ending = key(undefined, iq);
    const asked = [...this.keys].find((known) => known.endsWith(ending));
    return asked !== undefined && this.keys.delete(asked);
  }
}

function isRequest(iq: RootTag): boolean {
  const type = iq.attribute('type');
  return type === 'get' || type === 'set';
}

/** No address has a newline in it. */
function key(jid: string | undefined, iq: RootTag): string {
  return `${jid ?? ''}\n${iq.attribute('id') ?? ''}`;
}

const MOST = 1000;
