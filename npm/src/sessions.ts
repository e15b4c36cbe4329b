// The part of a connection that outlives connections: the session, tokens, and whoever waits for a
// status. How connections are made is not known here.

import { Status } from './constants.js';
import { getBareJidFromJid, wanted } from './jid.js';
import { warn } from './log.js';
import { loggedIn, passOf, type LoginOptions, type LoginResult } from './login.js';
import { logOut } from './logout.js';
import type { News } from './news.js';
import type { ConnectCallback, ConnectionOptions } from './options.js';
import type { Keeping } from './owner.js';
import type { LoginReport } from './report.js';
import { logoutOptions } from './settings.js';
import { defaultStorage, SessionKeeper, type SMStorageBackend } from './storage.js';
import { StreamManagement, StreamManagementMirror, type SessionView } from './stream-management.js';
import { TokenKeeper } from './token-keeper.js';
import { TransportChoice } from './transport-choice.js';

/** A connection, as far as it is one of several that a session has. */
export abstract class Sessions extends TransportChoice {
  /** What can be seen of stream management, if it is enabled. */
  readonly sm: StreamManagement | null;
  /** The report of the last login, with the option `report`; it is there when CONNECTED is told. */
  report: LoginReport | null = null;
  /** Which attempt it is to make a lost connection anew, and in how many milliseconds it is made. */
  reconnecting: { attempt: number; wait: number } | null = null;

  private readonly storage: SMStorageBackend | null;
  private readonly listeners = new Set<(news: News) => void>();

  constructor(service: string, options: ConnectionOptions) {
    super(service, options);
    const manages = options.enableStreamManagement === true;
    // What several pages share, the worker keeps.
    const keeps = manages && !options.worker;
    this.storage = keeps ? (options.streamManagement?.storage ?? defaultStorage()) : null;
    const Seen = options.worker ? StreamManagementMirror : StreamManagement;
    this.sm = manages ? new Seen(() => this.view) : null;
  }

  /**
   * Connects and logs in, for `await`: as `connect`, whose statuses plugins hear. Once there was a
   * session, `callback` is told what becomes of it.
   *
   * @throws {LoginError} by the promise: the condition, and what to do. What `connect` throws, it is
   *   rejected with.
   */
  login(options: LoginOptions, callback?: ConnectCallback | null): Promise<LoginResult> {
    if (this.isUnderWay) this.reset();
    const begin = () => this.begin(wanted(options.jid), passOf(options), options.authcid, callback, {});
    return loggedIn(this, begin, options.timeout);
  }

  /** Ends the connection in good order, for `await`. */
  close(): Promise<void> {
    if (!this.isUnderWay) return Promise.resolve();
    return new Promise((done) => {
      const unwatch = this._watch(({ code }) => {
        if (code !== Status.DISCONNECTED) return;
        unwatch();
        done();
      });
      this.disconnect();
    });
  }

  /**
   * Logs out: ends the connection, and has the server forget the token for quick logins that is
   * kept, by a last login with it. Says whether it did; nothing is kept here then.
   *
   * @throws {LoginError} by the promise, if the server was not reached. The token is there still.
   */
  async logout(): Promise<boolean> {
    await this.close();
    const { tokens } = this.options;
    if (!tokens || !this.authzid) return false;
    return logOut({
      settings: logoutOptions(this.settings()),
      transport: this._proto,
      opening: { url: this.address, jid: this.authzid },
      tokens: new TokenKeeper(tokens, this.authzid),
    });
  }

  /**
   * Whether the option `tokens` has a token with which this account can log in: a page that knows
   * need not ask for the password. The server may refuse it still.
   */
  async hasToken(jid: string): Promise<boolean> {
    const { tokens } = this.options;
    if (!tokens) return false;
    const keeper = new TokenKeeper(tokens, getBareJidFromJid(jid) ?? jid);
    const isThere = await keeper.has();
    keeper.end();
    return isThere;
  }

  /** Whether the session is that of an earlier connection (XEP-0198). */
  hasResumed(): boolean {
    return this.sm?.resumed === true;
  }

  /** Whether both sides count stanzas (XEP-0198). */
  isStreamManagementEnabled(): boolean {
    return this.sm?.enabled === true;
  }

  abstract disconnect(reason?: string): void;
  abstract reset(): void;

  /** Hears of each status after the application has; whoever waits for one does. */
  _watch(listener: (news: News) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What can be seen of the session. */
  protected abstract get view(): SessionView | null;

  protected tell(news: News): void {
    for (const listener of [...this.listeners]) listener(news);
  }

  /** @internal What outlives the connection of this account that is about to be made. */
  protected keeping(account: string): Keeping {
    [this.report, this.reconnecting] = [null, null];
    const { tokens } = this.options;
    return {
      session: this.storage ? new SessionKeeper(this.storage, account) : undefined,
      tokens: tokens ? new TokenKeeper(tokens, account) : undefined,
    };
  }

  /** There is a session: that of an earlier connection, with all its handlers, or another one. */
  protected begun({ resumed = false }: News): void {
    if (this.reconnecting && !resumed) this.clearHandlers();
    this.reconnecting = null;
    this.restored = resumed;
    if (this.sm) this.sm._resumed = resumed;
  }

  /** Another page has logged in for this one, to which the session may be new though it was resumed. */
  protected joined(isResumed: boolean, goesOn: boolean): void {
    this.begun({ code: Status.ATTACHED, resumed: goesOn });
    if (this.sm) this.sm._resumed = isResumed;
  }

  /** The connection is lost or led elsewhere, and will be made anew. */
  protected interrupted({ attempt = 1, wait = 0, message }: News): void {
    this.reconnecting = { attempt, wait };
    if (message) warn(message);
  }
}
