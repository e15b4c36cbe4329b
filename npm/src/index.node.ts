// The package in Node.js: the DOM is that of @xmldom/xmldom, the WebSockets are those of ws, and
// there are components.

import { DOMImplementation, DOMParser, XMLSerializer } from '@xmldom/xmldom';
import WebSocket from 'ws';
import { Component } from './component.js';
import { ComponentParser } from './component-parser.js';
import { Connection } from './connection.js';
import { setPlatform, xmlGenerator } from './platform.js';
import { Strophe } from './strophe.js';

setPlatform({
  parse: (xml) => new DOMParser({ onError }).parseFromString(xml, 'text/xml') as unknown as Document,
  parseHtml: (html) => {
    const made = new DOMParser({ onError }).parseFromString(html, 'text/html');
    return made as unknown as Document;
  },
  document: () => {
    const made = new DOMImplementation().createDocument('jabber:client', 'strophe', null);
    return made as unknown as Document;
  },
  WebSocket: () => WebSocket as unknown as typeof globalThis.WebSocket,
});

Connection.addProtocol('component', Component);
Object.assign(Strophe, { Component, ComponentParser });

// Programs look for these there, as in a browser. What is there already stays.
for (const [name, value] of Object.entries({ WebSocket, DOMParser, XMLSerializer })) {
  if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
}
if (!('document' in globalThis)) Object.assign(globalThis, { document: xmlGenerator() });

/** What is wrong is thrown, and not printed. */
function onError(level: string, message: string): void {
  if (level !== 'warning') throw new Error(message);
}

export * from './index.js';
export { Component, ComponentParser };
export type { StreamParserHandlers } from './component-parser.js';
