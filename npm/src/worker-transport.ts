// The page's side of a connection that all pages of an origin share. The socket is the worker's.

import type { Connection } from './connection.js';
import { guard } from './log.js';
import { protectionOf } from './service.js';
import type { Link, Listener, Opening, Transport } from './transport.js';
import { VERSION, type FromPage, type FromWorker } from './worker-protocol.js';
import { toElement } from './xml.js';

/** The transport of connections with the option `worker`. */
export class WorkerWebsocket implements Transport {
  constructor(readonly _conn: Connection) {}

  open(listener: Listener, opening: Opening): Link {
    const script = this._conn.options.worker ?? '';
    const worker = new SharedWorker(script, 'epode');
    const link = new WorkerLink(worker.port, this._conn, listener, opening);
    worker.onerror = () => link.lost(`the shared worker ${script} could not be started`);
    return link;
  }
}

class WorkerLink implements Link {
  private readonly life = new AbortController();
  private isAttached = false;

  constructor(
    private readonly port: MessagePort,
    private readonly connection: Connection,
    private readonly listener: Listener,
    private readonly opening: Opening,
  ) {
    port.onmessage = ({ data }) => this.heard(data as FromWorker);
    port.start();
    this.watchPage();
    if (opening.joins) this.tell(['attach', VERSION]);
    else this.tell(['connect', VERSION, opening.url, opening.jid]);
  }

  send(frame: string): void {
    this.tell(['send', frame]);
  }

  bound(jid: string): void {
    if (!this.isAttached) this.tell(['bound', jid]);
  }

  close(): void {
    this.tell(['bye']);
    this.connection.role = null;
    this.life.abort();
    this.port.onmessage = null;
    this.port.close();
  }

  lost(why: string): void {
    this.listener.lost(why);
  }

  private tell(message: FromPage): void {
    this.port.postMessage(message);
  }

  private heard(message: FromWorker): void {
    const { connection, listener } = this;
    switch (message[0]) {
      case 'role':
        connection.role = message[1];
        return void guard(() => connection.onRoleChanged(message[1]));
      case 'opened':
        return listener.opened(protectionOf(this.opening.url));
      case 'attached':
        this.isAttached = true;
        return listener.attached(message[1]);
      case 'frame':
        return listener.received(message[1]);
      case 'foreign':
        return void guard(() => connection.onForeignStanzaSent(toElement(message[1])));
      case 'leaving':
        return listener.leaving();
      case 'lost':
        return listener.lost(message[1]);
      case 'ping':
        return this.tell(['pong']);
    }
  }

  /** A page that is put aside cannot answer for the others. */
  private watchPage(): void {
    const { signal } = this.life;
    const on = (target: EventTarget | undefined, event: string, message: FromPage) => {
      target?.addEventListener?.(event, () => this.tell(message), { signal });
    };
    const page = globalThis as { document?: Document } & EventTarget;
    on(page, 'pagehide', ['away']);
    on(page, 'pageshow', ['pong']);
    on(page.document, 'freeze', ['relinquish']);
    on(page.document, 'resume', ['pong']);
  }
}
