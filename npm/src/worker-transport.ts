// The page's side of a connection that all pages of an origin share. The socket is the worker's, and
// so is a session with stream management.

import type { Connection } from './connection.js';
import { error, guard } from './log.js';
import { protectionOf } from './service.js';
import { managementOf } from './settings.js';
import type { Link, Listener, Opening, Transport } from './transport.js';
import { VERSION, type FromPage, type FromWorker, type Place } from './worker-protocol.js';
import { toElement } from './xml.js';

/** The transport of connections with the option `worker`. */
export class WorkerWebsocket implements Transport {
  /** @internal Where this page is in the session that the worker counts. */
  _place: Place | null = null;

  constructor(readonly _conn: Connection) {}

  open(listener: Listener, opening: Opening): Link {
    const script = this._conn.options.worker ?? '';
    const worker = new SharedWorker(script, 'epode');
    const link = new WorkerLink(worker.port, this, listener, opening);
    worker.onerror = () => link.lost(`the shared worker ${script} could not be started`);
    return link;
  }
}

class WorkerLink implements Link {
  private readonly life = new AbortController();
  private readonly connection: Connection;
  /** What is bound, where it is this page that has logged in. */
  private jid: string | undefined;
  /** The session is given away: what comes is not for this page until the worker has it. */
  private isGiving = false;
  /** Where this page is, once the worker counts. */
  private place: Place | null = null;

  constructor(
    private readonly port: MessagePort,
    private readonly transport: WorkerWebsocket,
    private readonly listener: Listener,
    private readonly opening: Opening,
  ) {
    const connection = transport._conn;
    this.connection = connection;
    // Where handlers are gone, there is nothing to go on with.
    if (!connection.reconnecting) transport._place = null;
    port.onmessage = ({ data }) => this.heard(data as FromWorker);
    port.start();
    // Of a worker that has crashed; not all browsers tell.
    const { signal } = this.life;
    port.addEventListener('close', () => this.lost('the shared worker has ended'), { signal });
    this.watchPage();
    if (opening.joins) this.tell(['attach', VERSION]);
    else this.connect();
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

  private connect(): void {
    const { connection, opening, transport } = this;
    const management = managementOf(connection.options);
    this.tell(['connect', VERSION, opening.url, opening.jid, management, transport._place]);
  }

  private received(frame: string): void {
    if (this.isGiving) return;
    if (this.place) this.place[1] += 1;
    this.listener.received(frame);
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
        this.place = this.transport._place = message[3];
        return listener.counted(message[1], message[2]);
      case 'attached':
        return listener.joined(message[1], message[2], message[3]);
      case 'frame':
        return this.received(message[1]);
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
