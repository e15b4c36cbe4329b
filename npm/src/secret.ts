// What the argument `pass` of `connect` is: a password, a token, keys, or nothing.

import { SecretKind, type Proof } from './core.js';
import { wantToken } from './mechanisms.js';
import type { Pass } from './options.js';

/**
 * What the core is told of it. A string is a token only where no mechanism would take a password:
 * a password must not reach a server as a token.
 */
export function classify(pass: Pass | null, mechanisms: string[]): Proof {
  const value: unknown = pass instanceof String ? String(pass) : pass;
  if (value === null || value === '') return { kind: SecretKind.None, secret: '' };
  if (typeof value === 'string') {
    const kind = wantToken(mechanisms) ? SecretKind.Token : SecretKind.Password;
    return { kind, secret: value };
  }
  if (typeof value === 'object') {
    if ('token' in value) return { kind: SecretKind.Token, secret: String(value.token) };
    if ('password' in value) return { kind: SecretKind.Password, secret: String(value.password) };
    return { kind: SecretKind.Keys, secret: JSON.stringify(value) };
  }
  throw new TypeError('the pass is a string, { token }, { password } or keys');
}
