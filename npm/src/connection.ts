// A connection, as Strophe.js has it: stanzas and status. The login is the core's; handlers are in
// `handlers.ts`, mechanisms in `authentication.ts`, what outlives a connection in `sessions.ts`.

import type { Verdict } from './choice.js';
import { NS, Status } from './constants.js';
import { warmUp } from './core.js';
import { Driver } from './driver.js';
import { Frames } from './frames.js';
import { isStanza, offers, stanzasIn, type Received } from './incoming.js';
import { INSPECT } from './inspect.js';
import { getBareJidFromJid, getDomainFromJid, getNodeFromJid, wanted } from './jid.js';
import { error, guard, warn } from './log.js';
import type { News } from './news.js';
import type {
  ConnectCallback,
  ConnectionOptions,
  ConnectionPlugin,
  Pass,
  ScramKeys,
} from './options.js';
import type { Owner } from './owner.js';
import type { LoginReport } from './report.js';
import type { Sender } from './sending.js';
import { Sessions } from './sessions.js';
import { coreOptions } from './settings.js';
import type { SessionView } from './stream-management.js';
import { weigh } from './success.js';
import type { Opening } from './transport.js';
import { serialize, toElement } from './xml.js';

/**
 * A connection to a server, over a WebSocket or BOSH.
 *
 * ```ts
 * const conn = new Strophe.Connection('wss://xmpp.example.com/xmpp-websocket');
 * conn.connect('alice@example.com', password, (status) => …);
 * ```
 */
export class Connection extends Sessions {
  /** @internal */
  static readonly plugins = new Map<string, object>();

  /** The address: as it was given, and once a resource is bound, with that. */
  override jid = '';
  domain: string | null = null;
  /** What the server offered last. */
  features: Element | null = null;
  override authenticated = false;
  connected = false;
  disconnecting = false;
  connect_callback: ConnectCallback | null = null;
  disconnection_timeout = 3000;

  private driver: Driver | null = null;
  private reason: string | null = null;
  private readonly frames = new Frames(this);

  constructor(service: string, options: ConnectionOptions = {}) {
    super(service, options);
    this.registerSASLMechanisms(options.mechanisms);
    for (const [name, plugin] of Connection.plugins) {
      const own = Object.create(plugin) as ConnectionPlugin;
      (this as unknown as Record<string, unknown>)[name] = own;
      own.init?.(this);
    }
    warmUp();
  }

  /** Gives all connections that are made from now on `connection[name]`. */
  static addConnectionPlugin<T extends object>(name: string, plugin: T & ConnectionPlugin): void {
    Connection.plugins.set(name, plugin);
  }

  /**
   * Connects and logs in.
   *
   * `pass` is a password; or a token, where `mechanisms` names mechanisms of tokens and none of
   * passwords; or `{ token }`; or the `scram_keys` of an earlier login. `wait`, `hold` and `route`
   * are BOSH's: how many seconds the server may keep a request waiting, how many requests, and
   * which server is behind it.
   *
   * @throws {TypeError} if the JID or the server's address is none, or the keys are no keys.
   */
  connect(
    jid: string,
    pass?: Pass | null,
    callback?: ConnectCallback | null,
    wait?: number,
    hold?: number,
    route?: string,
    authcid?: string | null,
    disconnection_timeout = 3000,
  ): void {
    this.disconnection_timeout = disconnection_timeout;
    this.begin(wanted(jid), pass ?? null, authcid, callback, { wait, hold, route });
  }

  /** Binds a resource, after BINDREQUIRED. */
  bind(): void {
    try {
      this.driver?.bind();
    } catch (words) {
      warn(`bind: ${String(words)}`);
    }
  }

  /** Ends the connection in good order: DISCONNECTING, and DISCONNECTED once the server agrees. */
  override disconnect(reason?: string): void {
    this.reason = reason ?? null;
    const driver = this.driver;
    if (!driver) {
      this._changeConnectStatus(Status.DISCONNECTING, this.reason);
      this._changeConnectStatus(Status.DISCONNECTED, null);
      return;
    }
    if (this.disconnecting) return;
    this.disconnecting = true;
    this.flush();
    if (this.authenticated && driver.takesStanzas && !this._proto.isComponent) {
      driver.send(`<presence xmlns='${NS.CLIENT}' type='unavailable'/>`);
    }
    driver.close();
  }

  /** Ends the connection at once, and forgets handlers and stanzas. Nobody is told. */
  override reset(): void {
    this.driver?.abandon();
    this.driver = null;
    this.end();
    this.connected = false;
    this.tell({ code: Status.DISCONNECTED, condition: 'reset', message: 'the connection was reset' });
  }

  /** Whether the server's last features have resources bound. */
  get do_bind(): boolean {
    return offers(this.features, NS.BIND);
  }

  /** Whether the server's last features have the session of RFC 3921, which the core sees to. */
  get do_session(): boolean {
    return offers(this.features, NS.SESSION);
  }

  /** Tells plugins and the application. */
  _changeConnectStatus(status: number, condition: string | null, element?: Element | null): void {
    for (const name of Connection.plugins.keys()) {
      const plugin = (this as unknown as Record<string, unknown>)[name] as ConnectionPlugin;
      guard(() => plugin.statusChanged?.(status, condition));
    }
    guard(() => this.connect_callback?.(status, condition, element));
  }

  /**
   * Gives stanzas, or those in a wrapper, to hooks and handlers as if they had come: for programs
   * that play the server to themselves. The core does not hear of them, so no login comes of it.
   */
  _dataRecv(data: Received, raw?: string): void {
    const { root, elements } = stanzasIn(data);
    guard(() => this.xmlInput(root));
    guard(() => this.rawInput(raw ?? serialize(root) ?? ''));
    for (const element of elements) {
      if (isStanza(element)) this.deliver(element);
      else this.observe(element);
    }
  }

  /** Ends the connection at once, and reports DISCONNECTED. */
  _doDisconnect(condition: string | null = null): void {
    this.driver?.abandon();
    this.disconnected(condition);
  }

  protected override logInBy(verdicts: Verdict[]): void {
    this.driver?.choose(verdicts);
  }

  protected override get sender(): Sender | null {
    return this.driver;
  }

  /** What Node.js prints of it: nothing that is secret. */
  [INSPECT](): string {
    return `Connection { ${this.service}, ${this.jid || 'nobody'} }`;
  }

  protected override get isUnderWay(): boolean {
    return this.driver !== null;
  }

  protected override get view(): SessionView | null {
    return this.driver?.view ?? null;
  }

  protected override get takesStanzas(): boolean {
    return this.driver?.takesStanzas === true;
  }

  protected override begin(
    jid: string,
    pass: Pass | null,
    authcid: string | null | undefined,
    callback: ConnectCallback | null | undefined,
    opening: Partial<Opening>,
  ): void {
    if (this.driver) this.reset();
    this.own(jid);
    this.authcid = authcid || getNodeFromJid(jid);
    this.pass = pass;
    this.scram_keys = null;
    this.features = null;
    this.restored = false;
    this._sasl_data = {};
    this.connect_callback = callback ?? null;
    const url = this.address;
    this.driver = new Driver(this.owner(), this.settings(), this.proof(), this.keeping(this.authzid ?? jid));
    this.driver.start(this._proto, { ...opening, url, jid });
    this.watch();
  }

  private own(jid: string): void {
    this.jid = jid;
    this.domain = getDomainFromJid(jid);
    this.authzid = getBareJidFromJid(jid);
  }

  /** What the core is told. */
  protected override settings(): object {
    return {
      jid: this.jid,
      authcid: this.authcid,
      component: this._proto.isComponent === true,
      ...coreOptions(this.options),
      closeTimeout: this.disconnection_timeout,
      mechanisms: this.listed(),
    };
  }

  /** What the driver tells goes here. Each driver has one: those before it are not heard. */
  private owner(): Owner {
    return {
      received: (frame) => this.frames.received(frame, this._proto.showsWrapped),
      offered: () => this.offered(),
      handled: () => this.handled(),
      transmitted: (frame) => this.frames.transmitted(frame, this._proto.showsWrapped),
      showInput: (text) => this.frames.showInput(text),
      showOutput: (text) => this.frames.showOutput(text),
      judged: () => this.judged(),
      claimed: () => weigh(this, this._sasl_mechanism, () => this.frames.element()),
      respond: (name, challenge) => this.respond(name, challenge),
      authenticated: () => {
        this.authenticated = true;
        guard(() => this._sasl_mechanism?.onSuccess());
      },
      reported: (news) => {
        this.reported(news);
        this.tell(news);
      },
      explained: (report) => {
        this.report = JSON.parse(report) as LoginReport;
      },
      kept: (keys) => {
        this.scram_keys = JSON.parse(keys) as ScramKeys;
      },
      settled: (number, fate) => this._receipts.settled(number, fate),
      delivered: () => {
        const stanza = this.frames.element();
        if (stanza) this.deliver(stanza);
      },
    };
  }

  private offered(): void {
    const features = this.frames.element();
    if (features?.localName === 'features') guard(() => this._connect_cb(features));
    else this.driver?.choose([]); // it is no offer, and the core says what is wrong with it
  }

  private handled(): void {
    const element = this.observes ? this.frames.element() : null;
    if (element && !isStanza(element)) this.observe(element);
    this.frames.handled();
  }

  private reported(news: News): void {
    const { code, condition = null } = news;
    switch (code) {
      case Status.AUTHENTICATING: {
        this.connected = true;
        const mechanism = this.mechanisms[news.mechanism ?? ''];
        this._sasl_mechanism = mechanism ?? null;
        guard(() => mechanism?.onStart(this));
        return this._changeConnectStatus(code, null);
      }
      case Status.BINDREQUIRED:
      case Status.CONNECTED: {
        const features = this.driver?.features;
        if (features) this.features = toElement(features);
        if (news.jid) this.jid = news.jid;
        this.begun(news);
        this._changeConnectStatus(code, null);
        return this.watch();
      }
      case Status.ATTACHED:
        this.connected = true;
        this.own(news.jid ?? '');
        if (this.role) this.joined(this.driver?.view?.isResumed === true, this.driver?.goesOn === true);
        this._changeConnectStatus(code, null);
        this.flush();
        return this.watch();
      case Status.RECONNECTING:
      case Status.REDIRECT:
        this.authenticated = false;
        this.connected = false;
        this._sasl_mechanism = null;
        this.interrupted(news);
        return this._changeConnectStatus(code, condition);
      case Status.DISCONNECTING:
        return this._changeConnectStatus(code, this.reason);
      case Status.DISCONNECTED:
        return this.disconnected(condition);
      default:
        if (code === Status.AUTHFAIL && !this.authenticated) {
          guard(() => this._sasl_mechanism?.onFailure());
        }
        if (news.message) error(news.message);
        return this._changeConnectStatus(code, condition, this.frames.element());
    }
  }

  private disconnected(condition: string | null): void {
    this.driver = null;
    this.end();
    this._changeConnectStatus(Status.DISCONNECTED, condition);
    // Unless the application has connected anew by now.
    if (this.driver === null) this.connected = false;
  }

  /** What does not outlive a connection. */
  private end(): void {
    this.authenticated = false;
    this.disconnecting = false;
    this._sasl_mechanism = null;
    this.endSending();
    this.clearHandlers();
  }
}
