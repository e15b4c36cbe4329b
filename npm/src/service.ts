// The address of a server's WebSocket.

import { Protection } from './core.js';

/**
 * Refuses addresses that are none of a WebSocket.
 *
 * @throws {Error} that names what is not known.
 */
export function checkService(service: string, protocol: string | undefined): void {
  if (/^wss?:/.test(service)) return;
  const isRelative = !/^[a-z][a-z0-9+.-]*:\/\//i.test(service);
  if (isRelative && (protocol === 'ws' || protocol === 'wss')) return;
  const found = protocol ?? service;
  throw new Error(`unknown connection protocol: ${found}: only ws and wss are known here`);
}

/** The whole address; a relative one is one of the page. */
export function resolveService(service: string, protocol: string | undefined): string {
  if (/^wss?:/.test(service)) return service;
  const url = new URL(service, globalThis.location.href);
  url.protocol = protocol === 'ws' && url.protocol !== 'https:' ? 'ws:' : 'wss:';
  return url.href;
}

/** What protects the way. A browser tells no more of it than its address does. */
export function protectionOf(address: string): Protection {
  const { protocol, hostname } = new URL(address);
  if (protocol === 'wss:') return Protection.Encrypted;
  const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return isHere ? Protection.Loopback : Protection.Plaintext;
}
