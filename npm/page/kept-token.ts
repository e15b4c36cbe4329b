// The token that a login by SASL2 leaves, for the next one (XEP-0484). It is in memory alone.

import { MemoryTokenStore, type TokenStore } from 'epode';
import { part } from './parts.js';

/** Whose it is, and by which transport it was got. */
interface Origin {
  jid: string;
  transport: string;
}

export class KeptToken {
  private origin: Origin | null = null;
  private tokens = new MemoryTokenStore();

  constructor(private readonly form: HTMLFormElement) {}

  /** Calls these when a login by it is asked for, and when it is to be forgotten. */
  onRequest(again: (origin: Origin) => void, forget: () => void): void {
    part(this.form, 'again').addEventListener('click', () => this.origin && again(this.origin));
    part(this.form, 'forget-token').addEventListener('click', forget);
  }

  /** Where the next login has its token: the one by which it is made, or a new one. */
  storeFor(isByToken: boolean): TokenStore {
    if (!isByToken) this.tokens = new MemoryTokenStore();
    return this.tokens;
  }

  /** There is one, or there is none. */
  show(origin: Origin | null): void {
    this.origin = origin;
    part(this.form, 'token').hidden = part(this.form, 'again').hidden = origin === null;
    part(this.form, 'token-jid').textContent = origin?.jid ?? '';
  }
}
