// Pages that share one connection: their cores are real, and so is the worker, which is here.

import { Strophe } from 'strophejs';
import { vi } from 'vitest';
import WebSocket from 'ws';
import { SharedConnection } from '../src/shared-connection.js';
import type { Socket } from '../src/shared-line.js';
import type { PagePort } from '../src/shared-page.js';
import type { FromPage } from '../src/worker-protocol.js';
import { Heard } from './heard.js';
import type { Server } from './server.js';
import { sharedCore } from './shared-core.js';

const { ATTACHED, CONNECTED } = Strophe.Status;
type Connection = InstanceType<typeof Strophe.Connection>;

/** A page. */
export interface Tab {
  connection: Connection;
  heard: Heard;
  roles: string[];
  foreign: string[];
}

/** All pages of an origin. */
export class Tabs {
  readonly sockets: WebSocket[] = [];
  readonly all: Tab[] = [];
  /** What the worker was told, but for frames. */
  readonly told: FromPage[] = [];
  /** The worker's ends of the ports. */
  readonly ports: MessagePort[] = [];
  /** What went to the server, and came from there. */
  readonly frames: string[] = [];
  /** Which frames break the connection in place of being passed on. */
  cuts: (frame: string) => boolean = () => false;

  constructor(
    private readonly server: () => Server,
    private readonly options: Record<string, unknown> = {},
    core = sharedCore,
    private readonly dial: WebSocket.ClientOptions = {},
  ) {
    const worker = new SharedConnection({ open: () => this.open(), core, shutDown: () => {} });
    const { ports, told } = this;
    vi.stubGlobal('SharedWorker', class {
      readonly port: MessagePort;

      constructor(readonly script: string) {
        const { port1, port2 } = new MessageChannel();
        port2.addEventListener('message', ({ data }) => void told.push(data as FromPage));
        ports.push(port2);
        worker.admit(port2 as unknown as PagePort);
        this.port = port1;
      }
    });
  }

  page(options: Record<string, unknown> = {}): Tab {
    const connection: Connection = new Strophe.Connection(this.server().url, {
      worker: 'worker.js',
      ...this.options,
      ...options,
    });
    const made: Tab = { connection, heard: new Heard(), roles: [], foreign: [] };
    connection.onRoleChanged = (role) => void made.roles.push(role);
    connection.onForeignStanzaSent = (stanza) => void made.foreign.push(stanza.tagName);
    this.all.push(made);
    return made;
  }

  connecting(pass = 's3cr3t', jid = 'alice@example.com', options = {}): Tab {
    const made = this.page(options);
    made.connection.connect(jid, pass, made.heard.callback);
    return made;
  }

  async loggedIn(): Promise<Tab> {
    const made = this.connecting();
    await made.heard.until(CONNECTED);
    return made;
  }

  async joined(): Promise<Tab> {
    const made = this.connecting();
    await made.heard.until(ATTACHED);
    return made;
  }

  /** The connection breaks. */
  cut(): void {
    this.sockets.at(-1)?.terminate();
  }

  /** All pages are closed. */
  close(): void {
    for (const { connection } of this.all) connection.reset();
    for (const socket of this.sockets) socket.close();
    vi.unstubAllGlobals();
  }

  private open(): Socket {
    const tabs = this;
    class Breakable extends WebSocket {
      override send(frame: string): void {
        if (this.breaks(frame)) return;
        super.send(frame);
      }

      override emit(event: string | symbol, ...values: unknown[]): boolean {
        if (event === 'message' && this.breaks(String(values[0]))) return false;
        return super.emit(event, ...values);
      }

      private breaks(frame: string): boolean {
        const isGone = this.readyState !== WebSocket.OPEN || tabs.cuts(frame);
        if (isGone) this.terminate();
        else tabs.frames.push(frame);
        return isGone;
      }
    }
    const socket = new Breakable(this.server().url, 'xmpp', this.dial);
    this.sockets.push(socket);
    return socket as unknown as Socket;
  }
}

/** The texts of the messages that come to a page. */
export function bodies({ connection }: Pick<Tab, 'connection'>): string[] {
  const came: string[] = [];
  connection.addHandler((stanza) => came.push(stanza.textContent ?? ''), null, 'message');
  return came;
}

/** A stanza of this name comes to a page. */
export function coming({ connection }: Tab, name: string): Promise<Element> {
  return new Promise((done) => connection.addHandler((stanza) => done(stanza), null, name));
}
