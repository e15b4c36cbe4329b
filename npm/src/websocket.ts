// Frames over a WebSocket (RFC 7395). What they say is the core's.

import type { Connection } from './connection.js';
import { webSocketClass } from './platform.js';
import { protectionOf } from './service.js';
import type { Link, Listener, Opening, Transport } from './transport.js';

/** The transport of connections to `ws:` and `wss:`. */
export class Websocket implements Transport {
  /** The WebSocket of the last connection. */
  socket: WebSocket | null = null;

  constructor(readonly _conn: Connection) {}

  open(listener: Listener, { url }: Opening): Link {
    const socket = new (webSocketClass())(url, 'xmpp');
    this.socket = socket;
    listen(socket, url, listener);
    return {
      send: (frame) => socket.send(frame),
      close: () => {
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
      },
    };
  }
}

function listen(socket: WebSocket, url: string, listener: Listener): void {
  let isOpen = false;
  let reason = '';
  socket.onopen = () => {
    isOpen = true;
    listener.opened(protectionOf(url));
  };
  // RFC 7395, section 3.2: other data is no frame, and no XML either.
  socket.onmessage = ({ data }) => listener.received(typeof data === 'string' ? data : '');
  socket.onerror = (event) => {
    reason = (event as ErrorEvent).message ?? '';
  };
  socket.onclose = ({ code }) => {
    const why = reason || `code ${code}`;
    listener.lost(isOpen ? why : `the WebSocket ${url} could not be opened: ${why}`);
  };
}
