// Addresses as text, the way Strophe.js takes them apart. Nothing is checked or prepared.

/** The part before the `@`, or null. */
export function getNodeFromJid(jid: string): string | null {
  const bare = bareOf(jid);
  const at = bare.indexOf('@');
  return at < 0 ? null : bare.slice(0, at);
}

/** The part after the `@` and before the `/`. */
export function getDomainFromJid(jid: string): string {
  const bare = bareOf(jid);
  return bare.slice(bare.indexOf('@') + 1);
}

/** The part after the first `/`, or null. */
export function getResourceFromJid(jid: string | null): string | null {
  const slash = jid?.indexOf('/') ?? -1;
  return !jid || slash < 0 ? null : jid.slice(slash + 1);
}

/** The address without its resource; null for none. */
export function getBareJidFromJid(jid: string | null | undefined): string | null {
  return jid ? bareOf(jid) : null;
}

/** A node in which characters that have a meaning are written in another way (XEP-0106). */
export function escapeNode<T>(node: T): T | string {
  if (typeof node !== 'string') return node;
  return node.trim().replace(/[\\ "&'/:<>@]/g, (found) => `\\${hex(found)}`);
}

/** The reverse of {@link escapeNode}. */
export function unescapeNode<T>(node: T): T | string {
  if (typeof node !== 'string') return node;
  return node.replace(/\\(5c|20|22|26|27|2f|3a|3c|3e|40)/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/**
 * The JID of whoever logs in.
 *
 * @throws {TypeError} if it is missing.
 */
export function wanted(jid: string): string {
  if (!jid) throw new TypeError('a JID is needed, as alice@example.com, or the domain for guests');
  return jid;
}

/** Whether an answer from `from` is one to a request to `to` (RFC 6120, section 8.1.2.1). */
export function mayAnswer(own: string, to: string | null, from: string | null): boolean {
  const [account, domain] = [bareOf(own), getDomainFromJid(own)];
  const isOurs = (jid: string) => [account, own, domain].some((known) => isSame(jid, known));
  if (!from) return !to || isOurs(to);
  if (!to || isSame(to, account)) return isOurs(from);
  return isSame(from, to);
}

function isSame(one: string, other: string): boolean {
  const fold = (jid: string) => bareOf(jid).toLowerCase() + jid.slice(bareOf(jid).length);
  return fold(one) === fold(other);
}

function bareOf(jid: string): string {
  return jid.split('/', 1)[0] ?? '';
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0');
}
