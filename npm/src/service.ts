// The address of a server, and which transport it is for.

import type { Protection } from './transport.js';

/** The kinds of transports that come with the package. */
export type Kind = 'websocket' | 'bosh';

/**
 * Which transport it takes.
 *
 * @throws {Error} that names a protocol which is not known.
 */
export function kindOf(service: string, protocol: string | undefined): Kind {
  if (/^wss?:/.test(service) || protocol?.startsWith('ws')) return 'websocket';
  if (protocol) {
    throw new Error(
      `unknown connection protocol: ${protocol}: it is ws or wss, or Connection.addProtocol adds it`,
    );
  }
  return 'bosh';
}

/**
 * The whole address; a relative one is one of the page.
 *
 * @throws {TypeError} if it is none.
 */
export function resolveService(service: string, protocol: string | undefined): string {
  if (/^wss?:/.test(service)) return service;
  const base = here();
  const url = URL.canParse(service, base) ? new URL(service, base) : null;
  if (!url || !/^https?:$/.test(url.protocol)) throw new TypeError(noAddress(service));
  if (kindOf(service, protocol) === 'bosh') return url.href;
  url.protocol = protocol === 'ws' && url.protocol !== 'https:' ? 'ws:' : 'wss:';
  return url.href;
}

/** The address to which a server leads from another, if it protects as much (RFC 7395, section 3.6.1). */
export function movedTo(address: string, place: string): string | null {
  if (!/^wss?:\/\//.test(place) || !URL.canParse(place)) return null;
  const isAsGood = protectionOf(place) === 'encrypted' || /^ws:/.test(address);
  return isAsGood && /^wss?:/.test(address) ? place : null;
}

/** What protects the way. A browser tells no more of it than its address does. */
export function protectionOf(address: string): Protection {
  const { protocol, hostname } = new URL(address);
  if (protocol === 'wss:' || protocol === 'https:') return 'encrypted';
  const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return isHere ? 'loopback' : 'plaintext';
}

function noAddress(service: string): string {
  return `${service} is no address of a server: write it as wss://example.com/xmpp-websocket, or as https:// for BOSH`;
}

/** The address of the page, where there is one. */
function here(): string | undefined {
  return (globalThis as { location?: Location }).location?.href;
}
