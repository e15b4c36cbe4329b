// The package in Node.js: the DOM is that of @xmldom/xmldom, the WebSockets are those of ws.

import { DOMImplementation, DOMParser } from '@xmldom/xmldom';
import WebSocket from 'ws';
import { setPlatform } from './platform.js';

setPlatform({
  parse: (xml) => new DOMParser({ onError }).parseFromString(xml, 'text/xml') as unknown as Document,
  document: () => {
    const made = new DOMImplementation().createDocument('jabber:client', 'strophe', null);
    return made as unknown as Document;
  },
  WebSocket: () => WebSocket as unknown as typeof globalThis.WebSocket,
});

/** What is wrong is thrown, and not printed. */
function onError(level: string, message: string): void {
  if (level !== 'warning') throw new Error(message);
}

export * from './index.js';
