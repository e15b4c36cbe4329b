// A request of HTTP, as programs make one to play the server to `_dataRecv`. None is sent by it.

import { read, serialize } from './xml.js';

/** What was asked, and what came of it: `getResponse` may be replaced, or `xhr` given. */
export class Request {
  readonly data: string;
  /** Where the response is read from: a document, or else its text. */
  xhr: { responseXML?: Document | null; responseText?: string } | null = null;

  constructor(
    readonly xmlData: Element,
    readonly func: (request: Request) => unknown,
    readonly rid = 0,
    readonly sends = 0,
  ) {
    this.data = serialize(xmlData) ?? '';
  }

  /**
   * The element of the response, if there is one.
   *
   * @throws {Error} if its text is not well-formed.
   */
  getResponse(): Element | null {
    const element = this.xhr?.responseXML?.documentElement;
    if (element) return element;
    return this.xhr?.responseText ? read(this.xhr.responseText) : null;
  }
}
