// Cookies that an application gives its page. The browser decides which requests they go with.

import { error } from './log.js';

/** Cookies by their names: a value, or a value and what restricts it. */
export type Cookies = Record<string, string | Cookie>;

interface Cookie {
  value: string;
  domain?: string;
  path?: string;
  expires?: string;
}

/**
 * Gives them to the page.
 *
 * @throws {TypeError} for what would be another cookie than it says.
 */
export function addCookies(cookies: Cookies): void {
  const page = (globalThis as { document?: Document }).document;
  for (const [name, given] of Object.entries(cookies)) {
    const { value, ...rest } = typeof given === 'string' ? { value: given } : given;
    if (!NAME.test(name)) throw new TypeError(`this is no name of a cookie: ${name}`);
    const parts = [`${name}=${escaped(value)}`];
    for (const key of ['expires', 'domain', 'path'] as const) {
      const part = (rest as Partial<Cookie>)[key];
      if (part === undefined) continue;
      if (part.includes(';')) throw new TypeError(`the ${key} of the cookie ${name} has a semicolon`);
      parts.push(`${key}=${part}`);
    }
    if (page && 'cookie' in page) page.cookie = parts.join('; ');
    else error(`the cookie ${name} is for a page, and there is none`);
  }
}

/** What is escaped already stays as it is. */
function escaped(value: string): string {
  return value.replace(/%[0-9a-f]{2}|[^\w@*+\-./]/giu, (found) =>
    found.length === 3 ? found : encodeURIComponent(found),
  );
}

/** RFC 6265, section 4.1.1. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
