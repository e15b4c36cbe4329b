// The ways to the server that this page came from.

/** By the words that are shown: the scheme without TLS, that with TLS, and the path. */
export const TRANSPORTS: ReadonlyMap<string, [string, string, string]> = new Map([
  ['WebSocket', ['ws', 'wss', '/xmpp-websocket']],
  ['BOSH', ['http', 'https', '/http-bind']],
]);

/** @throws {Error} for words that are not among them. */
export function serviceOf(words: string): string {
  const transport = TRANSPORTS.get(words);
  if (!transport) throw new Error(`there is no transport ${words} to choose`);
  const [scheme, safeScheme, path] = transport;
  return `${location.protocol === 'https:' ? safeScheme : scheme}://${location.host}${path}`;
}
