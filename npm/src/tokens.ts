// Where tokens for quick logins (XEP-0484) are kept from one login to the next. What they are good
// for is the core's to say.

/**
 * Keeps what there is of an account, by its bare JID: a text that is as secret as a password. Each
 * method may return a promise; a change is safe once it is fulfilled.
 */
export interface TokenStore {
  load(jid: string): string | null | undefined | Promise<string | null | undefined>;
  save(jid: string, text: string): void | Promise<void>;
  remove(jid: string): void | Promise<void>;
}

/** Tokens for as long as the page lives. */
export class MemoryTokenStore implements TokenStore {
  readonly #texts = new Map<string, string>();

  load(jid: string): string | null {
    return this.#texts.get(jid.toLowerCase()) ?? null;
  }

  save(jid: string, text: string): void {
    this.#texts.set(jid.toLowerCase(), text);
  }

  remove(jid: string): void {
    this.#texts.delete(jid.toLowerCase());
  }
}

/** Tokens in `localStorage`: every script of the page's origin can read them there. */
export class LocalTokenStore implements TokenStore {
  load(jid: string): string | null {
    return localStorage.getItem(keyOf(jid));
  }

  save(jid: string, text: string): void {
    localStorage.setItem(keyOf(jid), text);
  }

  remove(jid: string): void {
    localStorage.removeItem(keyOf(jid));
  }
}

function keyOf(jid: string): string {
  return `epode-tokens:${jid.toLowerCase()}`;
}
