// The tokens of an account while connections of it are made and lost. Which token is used, and which
// is dropped, is decided by the core.

import { newTokens, type Tokens } from './core.js';
import { warn } from './log.js';
import type { TokenStore } from './tokens.js';

/**
 * The tokens of one account, while connections of it are made. Changes are made one after the other,
 * in every tab that shares the store, and a later one begins once the one before is kept.
 */
export class TokenKeeper {
  /** The server was told to forget the token, or has refused it; it is not kept any more. */
  isForgotten = false;
  private readonly tokens: Tokens;

  constructor(
    private readonly store: TokenStore,
    private readonly jid: string,
  ) {
    this.tokens = newTokens(jid);
  }

  /** Whether the next login can begin with a token; none is used by asking. */
  async has(): Promise<boolean> {
    try {
      const kept = await exclusively(this.store, this.name, async () => this.store.load(this.jid));
      if (kept) this.tokens.take(kept, Date.now() / 1000);
      return this.tokens.has_token();
    } catch (exception) {
      warn(`the token is not seen: ${String(exception)}`);
      return false;
    }
  }

  /** What the next login begins with; null if that cannot be kept, or not in time. */
  async take(): Promise<Tokens | null> {
    const unix = Date.now() / 1000;
    const taken = this.change('used', (kept) => this.tokens.take(kept, unix));
    return (await within(TAKE_LIMIT, taken)) ? this.tokens : null;
  }

  /** The server has issued this one. The one before is kept too, until this one was accepted. */
  keep(token: string): void {
    void this.change('kept', (kept) => this.tokens.keep(kept, token));
  }

  /** The server does not take the current one any more: it refused it, or was told not to. */
  forget(): void {
    this.isForgotten = true;
    void this.change('forgotten', (kept) => this.tokens.refused(kept));
  }

  /** Nothing of the account is kept any more. */
  async drop(): Promise<void> {
    await this.change('forgotten', () => null);
  }

  /** A login by this mechanism succeeded. */
  connected(mechanism: string): void {
    void this.change('kept', (kept) => this.tokens.connected(kept, mechanism));
  }

  /** The server offers this. */
  remember(server: string): void {
    void this.change('kept', (kept) => this.tokens.remember(kept, server));
  }

  /** There is no other login. What was begun is kept still. */
  end(): void {
    void this.settled().then(() => this.tokens.free());
  }

  /** Fulfilled once all that was begun is kept. */
  settled(): Promise<void> {
    return exclusively(this.store, this.name, () => Promise.resolve());
  }

  private get name(): string {
    return `epode-tokens ${this.jid.toLowerCase()}`;
  }

  private change(what: string, change: (kept: string | undefined) => string | null): Promise<boolean> {
    return exclusively(this.store, this.name, async () => {
      try {
        const kept = (await this.store.load(this.jid)) ?? undefined;
        const next = change(kept);
        if (next === null) await this.store.remove(this.jid);
        else if (next !== kept) await this.store.save(this.jid, next);
        return true;
      } catch (exception) {
        warn(`the token is not ${what}: ${String(exception)}`);
        return false;
      }
    });
  }
}

/** What is done last in each store, as it stands. */
const turns = new WeakMap<TokenStore, Promise<unknown>>();

/** Does one thing in a store after the other; where there are locks, in all tabs. */
function exclusively<T>(store: TokenStore, name: string, act: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  const locked = () => (locks ? (locks.request(name, act) as Promise<T>) : act());
  const before = turns.get(store) ?? Promise.resolve();
  const turn = before.then(locked, locked);
  turns.set(store, turn);
  return turn;
}

/** What a promise gives, or false if it takes too long. */
function within(limit: number, promise: Promise<boolean>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(() => {
      warn('the store of tokens does not answer: the login goes on without');
      done(false);
    }, limit);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** How long a store may take, as long as a server may. */
const TAKE_LIMIT = 20_000;
