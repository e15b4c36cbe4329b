// External components over TCP (XEP-0114), in Node.js. What is said is the core's.

import { connect, type Socket } from 'node:net';
import type { Connection } from './connection.js';
import { debug } from './log.js';
import type { Link, Listener, Opening, Protection, Transport } from './transport.js';

/**
 * The transport of connections with the protocol `component`, to `tcp://host` on port 5347 unless
 * another is named. They are made with the component's domain and the secret of its server, which
 * none but this machine may read on the way.
 *
 * ```ts
 * const bridge = new Strophe.Connection('tcp://localhost', { protocol: 'component' });
 * bridge.connect('bridge.example.org', secret, (status) => …);
 * ```
 */
export class Component implements Transport {
  readonly isComponent = true;
  /** The hooks are shown stanzas. */
  readonly showsWrapped = false;

  constructor(readonly _conn: Connection) {}

  open(listener: Listener, { url }: Opening): Link {
    const socket = connect(placeOf(url));
    socket.setNoDelay(true);
    listen(socket, url, listener);
    return {
      send: (text) => void socket.write(text),
      close: () => {
        socket.removeAllListeners();
        socket.on('error', (error) => debug(error.message)); // nobody waits for it any more
        socket.destroySoon();
      },
    };
  }
}

function listen(socket: Socket, url: string, listener: Listener): void {
  let isOpen = false;
  let reason = 'the server closed the connection';
  socket.on('connect', () => {
    isOpen = true;
    listener.opened(protectionOf(socket), 'tcp');
  });
  socket.on('data', (bytes) => listener.receivedBytes(bytes));
  socket.on('error', (error) => {
    reason = error.message;
  });
  socket.on('close', () => {
    listener.lost(isOpen ? reason : `${url} could not be reached: ${reason}`);
  });
}

/** Host and port of `tcp://host:port`, or of a part of it. */
function placeOf(service: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${service.replace(/^tcp:\/\//i, '')}`);
  if (!hostname) throw new Error(`a component connects to tcp://host:port, not to ${service}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port ? Number(port) : PORT };
}

function protectionOf({ remoteAddress = '' }: Socket): Protection {
  return /^(::ffff:)?127\./.test(remoteAddress) || remoteAddress === '::1' ? 'loopback' : 'plaintext';
}

const PORT = 5347;
