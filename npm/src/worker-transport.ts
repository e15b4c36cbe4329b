// The page's side of a connection that all pages of an origin share. The socket is the worker's, and
// so is a session with stream management.

import type { Connection } from './connection.js';
import { error, guard } from './log.js';
import { protectionOf } from './service.js';
import { managementOf } from './settings.js';
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
  /** What is bound, where it is this page that has logged in. */
  private jid: string | undefined;
  /** The session is given away: what comes is not for this page until the worker has it. */
  private isGiving = false;

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
    else this.tell(['connect', VERSION, opening.url, opening.jid, managementOf(connection.options)]);
  }

  send(frame: string): void {
    this.tell(['send', frame]);
  }

  bound(jid: string): void {
    this.jid = jid;
  }

  settled(session: string | undefined, heard: number): void {
    if (session === undefined) return this.tell(['bound', this.jid ?? '']);
    this.isGiving = true;
    this.tell(['managed', session, heard, this.connection.restored]);
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
        listener.agreed(message[1], message[2]);
        return listener.opened(protectionOf(this.opening.url));
      case 'taken':
        this.isGiving = false;
        return;
      case 'session':
        return listener.counted(message[1], message[2]);
      case 'attached':
        return listener.joined(message[1], message[2]);
      case 'frame':
        return this.isGiving ? undefined : listener.received(message[1]);
      case 'foreign':
        return void guard(() => connection.onForeignStanzaSent(toElement(message[1])));
      case 'leaving':
        return listener.leaving();
      case 'lost':
        return listener.lost(message[1], message[2]);
      case 'problem':
        return error(message[1]);
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
