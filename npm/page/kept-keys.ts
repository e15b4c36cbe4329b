// The keys that a login by SCRAM leaves, for the next one. They are in memory alone.

import type { ScramKeys } from 'epode';
import { field, part } from './parts.js';
import { milliseconds } from './steps.js';

interface Kept {
  jid: string;
  keys: ScramKeys;
  /** How long the login took in which they were derived. */
  time: number;
}

export class KeptKeys {
  private kept: Kept | null = null;
  private readonly box: HTMLElement;
  private readonly text: HTMLElement;
  private readonly check: HTMLInputElement;

  constructor(form: HTMLFormElement, private readonly changed: () => void) {
    this.box = part(form, 'kept');
    this.text = part(form, 'kept-text');
    this.check = field(form, 'kept');
    this.check.addEventListener('change', changed);
    part(form, 'forget').addEventListener('click', () => this.forget());
  }

  /** Those that fit this login, if they are to be used. */
  keysFor(jid: string, mechanism: string): ScramKeys | null {
    const kept = this.kept;
    if (!kept || !this.check.checked || kept.jid !== jid) return null;
    return ['Automatic', mechanismOf(kept.keys)].includes(mechanism) ? kept.keys : null;
  }

  /** A login left these. */
  keep(jid: string, keys: ScramKeys, time: number): void {
    this.kept = { jid, keys, time };
    this.text.textContent =
      `${mechanismOf(keys)} for ${jid}, ${count(keys)}. They are as secret as the password, ` +
      'and are in the memory of this page alone.';
    this.check.checked = true;
    this.box.hidden = false;
    this.changed();
  }

  forget(): void {
    this.kept = null;
    this.box.hidden = true;
    this.changed();
  }

  /** What a login by them saved. */
  saved(time: number): string {
    if (!this.kept) return '';
    const first = milliseconds(this.kept.time);
    return `Nothing was derived: ${count(this.kept.keys)} saved; ${milliseconds(time)} in place of ${first}.`;
  }
}

export function count(keys: ScramKeys): string {
  return `${keys.iter.toLocaleString('en')} iterations of ${keys.name}`;
}

function mechanismOf(keys: ScramKeys): string {
  return `SCRAM-${keys.name}`;
}
