// One request over HTTP, and as much of its answer as is wanted. When it is made, others say.

import { warn } from './log.js';

/** How requests are made. */
export interface Posting {
  url: string;
  headers: Record<string, string>;
  credentials: RequestCredentials;
  /** What is short arrives, even if the page is left meanwhile. */
  outlivesPage: boolean;
  /** So many bytes of an answer are read, and one more if there is one. */
  limit: number;
}

/** An answer. Only that of status 200 has its body read. */
export interface Reply {
  status: number;
  headers: string;
  body: Uint8Array;
}

/** Posts a text. It is not sent on to where a server redirects it: a secret may be in it. */
export async function post(how: Posting, body: string, signal: AbortSignal): Promise<Reply> {
  const { url, headers, credentials, limit } = how;
  const keepalive = how.outlivesPage && body.length < MOST_OUTLIVING;
  const response = await fetch(url, {
    method: 'POST',
    headers,
    credentials,
    body,
    signal,
    keepalive,
    cache: 'no-store',
    redirect: 'manual',
  });
  // Browsers do not tell which redirection it is.
  const status = response.type === 'opaqueredirect' ? 302 : response.status;
  const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  const isWanted = status === 200;
  if (!isWanted) response.body?.cancel().catch(() => {});
  return {
    status,
    headers: lines.join('\r\n'),
    body: isWanted ? await read(response, limit + 1) : new Uint8Array(),
  };
}

/**
 * The same, while the page stands still; its answer is given later all the same. Where no such request
 * can be made, or is not made any more since the page goes away, it is one that outlives the page.
 */
export function postStopping(how: Posting, body: string, signal: AbortSignal): Promise<Reply> {
  const reply = replyAtOnce(how, body);
  return reply ? Promise.resolve(reply) : post({ ...how, outlivesPage: true }, body, signal);
}

function replyAtOnce({ url, headers, credentials, limit }: Posting, body: string): Reply | null {
  if (!globalThis.XMLHttpRequest) {
    warnOnce('requests that stop the page (`sync`) need XMLHttpRequest, which is not there');
    return null;
  }
  const request = new XMLHttpRequest();
  try {
    request.open('POST', url, false);
    request.withCredentials = credentials === 'include';
    request.overrideMimeType('text/plain; charset=utf-8');
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
  } catch {
    return null;
  }
  // Neither that it is led elsewhere nor how much comes can be prevented here.
  const isLedElsewhere = request.responseURL !== url.replace(/#.*/, '');
  if (isLedElsewhere) return { status: 302, headers: '', body: new Uint8Array() };
  const bytes = new TextEncoder().encode(request.status === 200 ? request.responseText : '');
  return {
    status: request.status,
    headers: request.getAllResponseHeaders().trimEnd(),
    body: bytes.subarray(0, limit + 1),
  };
}

function warnOnce(message: string): void {
  if (!isWarned) warn(message);
  isWarned = true;
}

let isWarned = false;

async function read(response: Response, limit: number): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array();
  const bytes: Uint8Array[] = [];
  let size = 0;
  while (size < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.push(value);
    size += value.length;
  }
  if (size >= limit) reader.cancel().catch(() => {});
  const body = new Uint8Array(size);
  let place = 0;
  for (const chunk of bytes) {
    body.set(chunk, place);
    place += chunk.length;
  }
  return body.subarray(0, limit);
}

/** Browsers grant 64 KiB to all requests of a page together, in UTF-8. */
const MOST_OUTLIVING = 8 * 1024;
