// The form in which a login is asked for.

import type { Pass } from 'epode';
import type { Hints } from './hints.js';
import { KeptKeys } from './kept-keys.js';
import { KeptToken } from './kept-token.js';
import { choiceOf, CHOICES, type SecretName } from './mechanisms.js';
import { field, make, part } from './parts.js';
import type { Stage } from './session-buttons.js';

/** What was asked for. */
export interface Request {
  jid: string;
  mechanism: string;
  transport: string;
  /** By SASL2 (XEP-0388), where the server has it. */
  isSasl2: boolean;
  pass: Pass | null;
  /** What of an earlier login takes the place of the secret. */
  by: 'secret' | 'keys' | 'token';
}

export class LoginForm {
  readonly kept: KeptKeys;
  readonly token: KeptToken;
  private readonly form: HTMLFormElement;
  private readonly jid: HTMLInputElement;
  private readonly secret: HTMLInputElement;
  private readonly mechanism: HTMLSelectElement;
  private readonly transport: HTMLSelectElement;
  private readonly profile: HTMLSelectElement;
  private lastSecretName: SecretName = 'Password';

  constructor(root: HTMLElement, private readonly hints: Hints, transports: Iterable<string>) {
    this.form = part<HTMLFormElement>(root, 'login');
    this.jid = field(this.form, 'jid');
    this.secret = field(this.form, 'secret');
    this.mechanism = field<HTMLSelectElement>(this.form, 'mechanism');
    this.transport = field<HTMLSelectElement>(this.form, 'transport');
    this.profile = field<HTMLSelectElement>(this.form, 'profile');
    this.jid.placeholder = `name@${hints.domain}`;
    this.mechanism.append(...Array.from(CHOICES.keys(), (name) => new Option(name)));
    this.transport.append(...Array.from(transports, (name) => new Option(name)));
    this.kept = new KeptKeys(this.form, () => this.adapt());
    this.token = new KeptToken(this.form);
    this.mechanism.addEventListener('change', () => this.mechanismChanged());
    this.jid.addEventListener('input', () => this.adapt());
    this.showHints();
    this.adapt();
  }

  /** Calls these when a login is asked for, and when the token is to be forgotten. */
  onRequest(callback: (request: Request) => void, forget: () => void): void {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      callback(this.request());
    });
    this.token.onRequest(({ jid, transport }) => {
      callback({ jid, mechanism: 'Automatic', transport, isSasl2: true, pass: null, by: 'token' });
    }, forget);
  }

  /** Nothing can be asked for while a login lasts, and nothing is to be seen of it once it is done. */
  lock(stage: Stage): void {
    const isDone = stage === 'online' || stage === 'lost';
    for (const name of ['fields', 'login-buttons']) part(this.form, name).hidden = isDone;
    for (const element of this.form.elements) {
      if (!element.closest('[data-session]')) (element as HTMLInputElement).disabled = stage !== 'open';
    }
    this.adapt();
  }

  /** Writes an account in, as far as it is known. */
  fill(jid: string): void {
    const account = this.hints.accounts.find((account) => account.jid === jid);
    if (!account || this.secretName === 'Nothing') return;
    this.jid.value = jid;
    this.secret.value = (this.secretName === 'Token' ? account.token : account.password) ?? '';
    this.adapt();
  }

  focus(): void {
    this.secret.focus();
    this.secret.select();
  }

  private request(): Request {
    const [jid, mechanism, transport] = [this.jid.value.trim(), this.mechanism.value, this.transport.value];
    const keys = this.kept.keysFor(jid, mechanism);
    const pass = keys ?? passOf(this.secretName, this.secret.value);
    const isSasl2 = this.profile.value === 'SASL2';
    return { jid, mechanism, transport, isSasl2, pass, by: keys ? 'keys' : 'secret' };
  }

  private get secretName(): SecretName {
    return choiceOf(this.mechanism.value).secret;
  }

  /** Where another secret is wanted, the one that was typed is of no use. */
  private mechanismChanged(): void {
    const jid = this.jid.value;
    if (this.secretName === this.lastSecretName) return this.adapt();
    this.lastSecretName = this.secretName;
    if (this.secretName === 'Nothing') {
      this.jid.value = this.hints.domain;
      this.secret.value = '';
    } else {
      this.fill(jid === this.hints.domain ? (this.hints.accounts[0]?.jid ?? '') : jid);
    }
    this.adapt();
  }

  /** What the secret is called, and whether it is wanted at all. */
  private adapt(): void {
    const name = this.secretName;
    const isLocked = this.mechanism.disabled;
    part(this.form, 'secret-name').textContent = name === 'Nothing' ? 'Password' : name;
    const isWanted = name !== 'Nothing' && !this.kept.keysFor(this.jid.value.trim(), this.mechanism.value);
    this.secret.disabled = isLocked || !isWanted;
    this.secret.required = isWanted;
  }

  private showHints(): void {
    const buttons = this.hints.accounts.map(({ jid }) => {
      const button = make('button', [jid]);
      button.type = 'button';
      button.addEventListener('click', () => this.fill(jid));
      return button;
    });
    const box = part(this.form, 'hints');
    box.append(...buttons);
    box.hidden = buttons.length === 0;
  }
}

function passOf(name: SecretName, secret: string): Pass | null {
  switch (name) {
    case 'Password':
      return { password: secret };
    case 'Token':
      return { token: secret };
    case 'Nothing':
      return null;
  }
}
