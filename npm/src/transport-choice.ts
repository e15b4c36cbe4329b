// Which transport a connection has, and sessions that it takes over.
// What the transports do is in their own files.

import { Authentication } from './authentication.js';
import { Bosh } from './bosh.js';
import { addCookies } from './cookies.js';
import type { BoshSession } from './core.js';
import type { ConnectCallback, ConnectionOptions, Pass, ProtocolErrorHandler } from './options.js';
import { namedError } from './outgoing.js';
import { kindOf, resolveService } from './service.js';
import type { Opening, Transport, TransportClass } from './transport.js';
import { Websocket } from './websocket.js';
import type { Role } from './worker-protocol.js';
import { WorkerWebsocket } from './worker-transport.js';

/** A connection, as far as it has a transport. */
export abstract class TransportChoice extends Authentication {
  private static readonly protocols = new Map<string, TransportClass>();

  readonly options: ConnectionOptions;
  service: string;
  /** The transport. */
  _proto: Transport;
  /** How often a request of BOSH is made before the session is given up. */
  maxRetries = 5;
  protocolErrorHandlers: Record<'HTTP' | 'websocket', Record<number, ProtocolErrorHandler>> = {
    HTTP: {},
    websocket: {},
  };
  /** The session is one that the page before this one had. */
  restored = false;

  constructor(service: string, options: ConnectionOptions) {
    super();
    this.service = service;
    this.options = options;
    this._proto = this.choose();
    if (options.cookies) addCookies(options.cookies);
  }

  /** Makes `new Connection(service, { protocol: name })` use transports of this class. */
  static addProtocol(name: string, transport: TransportClass): void {
    TransportChoice.protocols.set(name, transport);
  }

  /** Chooses the transport anew, as after `service` or `options` were changed. */
  setProtocol(): void {
    this._proto = this.choose();
  }

  /** Calls a function when a request of BOSH is answered with this status; 0 if it is not at all. */
  addProtocolErrorHandler(
    protocol: 'HTTP' | 'websocket',
    status: number,
    handler: ProtocolErrorHandler,
  ): void {
    this.protocolErrorHandlers[protocol][status] = handler;
  }

  /** Called with the id of the next request of BOSH. It does nothing until it is replaced. */
  nextValidRid(_rid: number): void {}

  /** Called when another page is, or is no longer, the one that answers for all. */
  onRoleChanged(_role: Role): void {}

  /** Called with each message and presence that another page has sent. */
  onForeignStanzaSent(_stanza: Element): void {}

  /**
   * Goes on with a session of BOSH that somebody else has logged in: ATTACHED once the server has
   * answered for it, ATTACHFAIL if it does not. `rid` is the id of the next request.
   *
   * With a shared worker the callback is the only argument: the pages that are connected are joined.
   *
   * @throws {Error} named `StropheSessionError`, where there is no BOSH or that is no session.
   */
  attach(
    jid?: string | ConnectCallback | null,
    sid?: string,
    rid?: number | string,
    callback?: ConnectCallback | null,
    wait?: number,
    hold?: number,
    wind?: number,
  ): void {
    if (this._proto instanceof WorkerWebsocket) {
      const told = typeof jid === 'function' ? jid : callback;
      return this.begin(UNKNOWN, null, null, told, { joins: true });
    }
    const bosh = this.bosh('attach');
    let session: BoshSession;
    try {
      session = bosh.taken(String(jid), sid ?? '', rid ?? 0, { wait, hold, wind });
    } catch (cause) {
      throw namedError('StropheSessionError', (cause as Error).message);
    }
    this.begin(String(jid), null, null, callback, { session });
  }

  /**
   * Goes on with the session of the page before this one, where the option `keepalive` has kept
   * it: that of this account, if it is given. For the rest as {@link attach}.
   *
   * @throws {Error} named `StropheSessionError`, where there is no BOSH or no such session.
   */
  restore(
    jid?: string | null,
    callback?: ConnectCallback | null,
    wait?: number,
    hold?: number,
    wind?: number,
  ): void {
    const bosh = this.bosh('restore');
    let session: BoshSession;
    try {
      session = bosh.kept(jid, { wait, hold, wind });
    } catch (cause) {
      const message = '_restore: no restoreable session.';
      throw namedError('StropheSessionError', message, cause);
    }
    this.begin(session.jid() ?? '', null, null, callback, { session });
    this.restored = true;
  }

  /** Whether `restore` could find a session. */
  _sessionCachingSupported(): boolean {
    return this._proto instanceof Bosh && this._proto.canKeep;
  }

  /** Begins anew, whatever there was before. */
  protected abstract begin(
    jid: string,
    pass: Pass | null,
    authcid: string | null | undefined,
    callback: ConnectCallback | null | undefined,
    opening: Partial<Opening>,
  ): void;

  /** The whole address; that of a transport of one's own is what it makes of it. */
  protected get address(): string {
    const { protocol, worker } = this.options;
    const isOwn = protocol !== undefined && TransportChoice.protocols.has(protocol);
    if (isOwn) return this.service;
    return resolveService(this.service, worker ? protocol || 'wss' : protocol);
  }

  private bosh(method: string): Bosh {
    if (this._proto instanceof Bosh) return this._proto;
    const message = `The "${method}" method can only be used with a BOSH connection.`;
    throw namedError('StropheSessionError', message);
  }

  private choose(): Transport {
    const { protocol } = this.options;
    const own = protocol === undefined ? undefined : TransportChoice.protocols.get(protocol);
    if (own) return new own(this as never);
    if (this.options.worker) return new WorkerWebsocket(this as never);
    const isBosh = kindOf(this.service, protocol) === 'bosh';
    return isBosh ? new Bosh(this as never) : new Websocket(this as never);
  }
}

/** Whose connection it is, the worker tells. */
const UNKNOWN = 'unknown.invalid';
