// What the core is told of the options of a connection that are our own.

import type { ConnectionOptions } from './options.js';

/** How a lost connection is made anew. Times are milliseconds. */
export interface ReconnectOptions {
  /** Within which time the first attempt is made, at a random moment of it: 1,000. */
  first?: number;
  /** The longest that such a time becomes, which doubles with each attempt: 300,000. */
  longest?: number;
  /** How many attempts are made, one after the other: no limit. */
  attempts?: number;
  /** How many times in a row the server may send us elsewhere: 3. */
  redirects?: number;
}

/** What goes along with a login by SASL2 (XEP-0388). */
export interface Sasl2Options {
  /** What the server shows the account's owner of this program; with `tokens` the id is theirs. */
  userAgent?: { id?: string; software?: string; device?: string };
  /** With what the resource should begin that the server makes up (XEP-0386). */
  tag?: string;
  /** Whether to ask for copies of what the account's other clients send and receive (XEP-0280). */
  carbons?: boolean;
}

/** The options as the core takes them. */
export function coreOptions(options: ConnectionOptions): object {
  const { sasl2, tokens, reconnect } = options;
  const management = managementOf(options);
  return {
    explicitBinding: options.explicitResourceBinding === true,
    allowPlaintext: options.dangerAllowPlaintext === true,
    report: options.report === true,
    ...(management && { streamManagement: management }),
    ...(sasl2 && { sasl2: sasl2 === true ? {} : sasl2 }),
    ...(tokens && { tokens: 'logIn' }),
    ...(reconnect && { reconnect: reconnect === true ? {} : wholes(reconnect) }),
  };
}

/** What is wanted of stream management, as the core takes it; null where it is not. */
export function managementOf(options: ConnectionOptions): object | null {
  if (!options.enableStreamManagement) return null;
  const { maxUnacked, requestResume, max } = options.streamManagement ?? {};
  return { maxUnacked: whole(maxUnacked), requestResume, max: whole(max) };
}

/** The same for the last login with a token, which stands alone. */
export function logoutOptions(options: object): object {
  return { ...options, tokens: 'logOut', reconnect: undefined, streamManagement: undefined };
}

function wholes(options: ReconnectOptions): object {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, whole(value)]));
}

/** A number as the core has room for it. */
function whole(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.min(Math.max(Math.round(value), 0), 2 ** 32 - 1);
}
