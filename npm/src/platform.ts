// What browsers have and Node.js gets from other packages: a DOM and WebSockets.

/** Where the DOM and the WebSockets come from. */
export interface Platform {
  parse(xml: string): Document;
  parseHtml(html: string): Document;
  document(): Document;
  WebSocket(): typeof WebSocket | undefined;
}

let platform: Platform = {
  parse: (xml) => new DOMParser().parseFromString(xml, 'text/xml'),
  parseHtml: (html) => new DOMParser().parseFromString(html, 'text/html'),
  document: () => document.implementation.createDocument('jabber:client', 'strophe', null),
  WebSocket: () => globalThis.WebSocket,
};
let generator: Document | undefined;

/** Replaces it; for the entry of Node.js. */
export function setPlatform(other: Platform): void {
  platform = other;
  generator = undefined;
}

/** Reads XML. What is wrong with it is told by the platform's own words. */
export function parse(xml: string): Document {
  return platform.parse(xml);
}

/** Reads HTML. Nothing in it is run or fetched. */
export function parseHtml(html: string): Document {
  return platform.parseHtml(`<html><body>${html}</body></html>`);
}

/** The document that elements are made with. */
export function xmlGenerator(): Document {
  generator ??= platform.document();
  return generator;
}

/** The class of WebSockets: one that a page has put in place comes first. */
export function webSocketClass(): typeof WebSocket {
  const found = globalThis.WebSocket ?? platform.WebSocket();
  if (!found) throw new Error('there are no WebSockets here: in Node.js install the package `ws`');
  return found;
}
