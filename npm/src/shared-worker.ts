// The script of the shared worker: `new Connection(service, { worker: 'shared-connection-worker.js' })`.

import { SharedConnection, type PagePort, type Socket } from './shared-connection.js';

const scope = globalThis as unknown as {
  onconnect: (event: { ports: [PagePort] }) => void;
  close(): void;
};

const connection = new SharedConnection({
  open: (url) => new WebSocket(url, 'xmpp') as unknown as Socket,
  shutDown: () => scope.close(),
});

scope.onconnect = ({ ports: [port] }) => connection.admit(port);
