// What the argument `pass` of `connect` is: a password, a token, keys, or nothing.

import { SecretKind } from './core.js';
import { wantToken } from './mechanisms.js';

/** The keys that a login with SCRAM leaves: as secret as the password. */
export interface ScramKeys {
  /** The hash, as `SHA-512`. */
  name: string;
  /** The client key, in Base64. */
  ck: string;
  /** The server key, in Base64. */
  sk: string;
  /** The count of iterations. */
  iter: number;
  /** The salt, in Base64. */
  salt: string;
}

/** What proves who logs in. */
export type Pass = string | ScramKeys | { password: string } | { token: string };

/**
 * What the core is told of it. A string is a token only where no mechanism would take a password:
 * a password must not reach a server as a token.
 */
export function classify(
  pass: Pass | null,
  mechanisms: string[],
): { kind: SecretKind; secret: string } {
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
