// One account: its form, and what comes of what is asked for there.

import { MemoryStorageBackend, Strophe, type Connection, type ConnectionOptions, type LoginReport } from 'epode';
import { Chat } from './chat.js';
import type { Hints } from './hints.js';
import { count } from './kept-keys.js';
import { LoginForm, type Request } from './login-form.js';
import { choiceOf } from './mechanisms.js';
import { make, part } from './parts.js';
import { failureWords, flightWords, ReportView } from './report-view.js';
import { SessionButtons, type Stage } from './session-buttons.js';
import { milliseconds, Steps, type Tone } from './steps.js';
import { Transcript } from './transcript.js';
import { serviceOf, TRANSPORTS } from './transports.js';

const { Status } = Strophe;

export class Pane {
  readonly element: HTMLElement;
  private readonly form: LoginForm;
  private readonly buttons: SessionButtons;
  private readonly status: HTMLElement;
  private readonly steps: Steps;
  private readonly transcript: Transcript;
  private readonly report: ReportView;
  private readonly chat: Chat;
  private connection: Connection | null = null;
  /** The last one, and what was asked for: there may be a token of it. */
  private last: { connection: Connection; request: Request } | null = null;
  private reason = '';
  private explained: LoginReport | null = null;

  constructor(title: string, template: HTMLTemplateElement, hints: Hints) {
    const root = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
    this.element = root;
    root.setAttribute('aria-label', title);
    part(root, 'title').textContent = title;
    this.form = new LoginForm(root, hints, TRANSPORTS.keys());
    this.buttons = new SessionButtons(root, () => this.connection, () => void this.logOut());
    this.status = part(root, 'status');
    this.steps = new Steps(part(root, 'steps'));
    this.transcript = new Transcript(part(root, 'transcript'), part(root, 'count'));
    this.report = new ReportView(root);
    this.chat = new Chat(root);
    this.form.onRequest((request) => this.login(request), () => void this.logOut());
    this.become('open');
    root.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.connection?.disconnect();
    });
  }

  /** Writes an account into the form, and another one into the chat. */
  suggest(jid: string | undefined, peer: string | undefined): void {
    if (jid) this.form.fill(jid);
    if (peer) this.chat.suggest(peer);
  }

  private login(request: Request): void {
    const connection = new Strophe.Connection(serviceOf(request.transport), this.optionsFor(request));
    connection.rawInput = (frame) => this.transcript.received(frame);
    connection.rawOutput = (frame) => this.transcript.sent(frame);
    [this.connection, this.last] = [connection, { connection, request }];
    this.reason = '';
    this.steps.begin();
    this.transcript.clear();
    this.report.clear();
    this.become('busy');
    this.buttons.focus();
    try {
      connection.connect(request.jid, request.pass, (status, condition) => {
        if (connection !== this.connection) return;
        this.changed(connection, request, status, condition);
        // The report is there once everybody has been told.
        queueMicrotask(() => this.explain(connection, request));
      });
    } catch (exception) {
      this.reason = exception instanceof Error ? exception.message : String(exception);
      this.steps.add('Not begun', this.reason, 'bad');
      this.last = null;
      this.over();
    }
  }

  private optionsFor({ mechanism, isSasl2, by }: Request): ConnectionOptions {
    const { classes, secret } = choiceOf(mechanism);
    return {
      deriveInWasm: true,
      report: true,
      reconnect: true,
      enableStreamManagement: true,
      // A login on this page begins a session of its own.
      streamManagement: { storage: new MemoryStorageBackend() },
      sasl2: isSasl2,
      ...(isSasl2 && secret !== 'Nothing' && { tokens: this.form.token.storeFor(by === 'token') }),
      ...(classes.length > 0 && { mechanisms: classes }),
    };
  }

  private changed(connection: Connection, request: Request, status: number, condition: string | null): void {
    switch (status) {
      case Status.CONNECTING:
        return this.step('Connecting', `${request.transport} to ${connection.service}`, 'busy');
      case Status.AUTHENTICATING:
        return this.step('Authenticating', `by ${connection._sasl_mechanism?.mechname ?? 'the token'}`, 'busy');
      case Status.CONNECTED:
        return this.connected(connection, request);
      case Status.DISCONNECTING:
        return this.step('Disconnecting', '', 'busy');
      case Status.RECONNECTING:
        return this.lost(connection);
      case Status.DISCONNECTED:
        return this.over();
      default:
        this.reason = `${nameOf(status)}: ${condition ?? 'no reason was given'}`;
        return this.step('Failed', this.reason, 'bad');
    }
  }

  private connected(connection: Connection, request: Request): void {
    const time = this.steps.elapsed;
    const isAgain = this.chat.isOpen;
    const what = connection.restored ? 'Resumed' : 'Connected';
    this.steps.add(what, this.sessionWords(connection, request, time, isAgain), 'good', time);
    this.show(`${what} in ${milliseconds(time)}`, 'good');
    const { scram_keys } = connection;
    if (scram_keys && request.by === 'secret' && !isAgain) this.form.kept.keep(request.jid, scram_keys, time);
    const isWatched = this.hasFocus;
    this.become('online');
    void this.lookForToken();
    if (connection.restored) return;
    this.chat.begin(connection);
    if (isWatched) this.chat.focus();
  }

  private sessionWords(connection: Connection, { by }: Request, time: number, isAgain: boolean): string {
    const { jid, restored, scram_keys } = connection;
    if (restored) return `as ${jid}. It is the session from before: nothing was lost.`;
    if (isAgain) return `as ${jid}. It is a new session: the server does not know the one from before.`;
    if (by === 'token') return `as ${jid}, by token: no password was sent or used.`;
    if (by === 'keys') return `as ${jid}. ${this.form.kept.saved(time)}`;
    if (!scram_keys) return `as ${jid}.`;
    return `as ${jid}. ${count(scram_keys)} were derived. The keys are kept for the next login.`;
  }

  /** The connection is lost, and will be made anew. The chat goes on. */
  private lost({ reconnecting }: Connection): void {
    const { attempt = 1, wait = 0 } = reconnecting ?? {};
    this.steps.begin();
    this.step('Reconnecting', `The connection is lost. Attempt ${attempt} begins in ${milliseconds(wait)}.`, 'busy');
    this.become('lost');
  }

  private explain(connection: Connection, { by }: Request): void {
    const { report } = connection;
    if (!report || report === this.explained) return;
    this.explained = report;
    this.report.show(report);
    if (report.outcome === 'failed') this.steps.explain(failureWords(report));
    else if (by !== 'keys') this.steps.explain(flightWords(report));
  }

  private over(): void {
    const isWatched = this.hasFocus;
    this.connection = null;
    this.chat.end();
    this.become('open');
    void this.lookForToken();
    if (this.reason) this.show(this.reason, 'bad');
    else this.step('Disconnected', '', 'idle', 'Not connected');
    if (isWatched) this.form.focus();
  }

  /** Shows what can be done with the token, if there is one. */
  private async lookForToken(): Promise<void> {
    if (!this.last) return;
    const { connection, request } = this.last;
    const isThere = await connection.hasToken(request.jid);
    this.form.token.show(isThere ? request : null);
    this.buttons.showLogout(isThere && this.connection !== null);
  }

  /** Has the server forget the token, which takes a last login with it. */
  private async logOut(): Promise<void> {
    if (!this.last) return;
    try {
      const isForgotten = await this.last.connection.logout();
      const words = isForgotten ? 'The server has forgotten the token, by a last login with it.' : 'There was no token.';
      this.step('Logged out', words, 'idle');
    } catch (exception) {
      this.step('Not logged out', `${String(exception)}. The token is kept.`, 'bad');
    }
    await this.lookForToken();
  }

  private become(stage: Stage): void {
    this.form.lock(stage);
    this.buttons.show(stage);
  }

  /** Whether the person is here: the focus of what is no longer there is the body's. */
  private get hasFocus(): boolean {
    const focused = document.activeElement;
    return focused === document.body || this.element.contains(focused);
  }

  private step(name: string, detail: string, tone: Tone, status = name): void {
    this.steps.add(name, detail, tone);
    this.show(status, tone);
  }

  private show(text: string, tone: Tone): void {
    this.status.replaceChildren(make('span', [text]));
    this.status.dataset['tone'] = tone;
  }
}

/** As `AUTHFAIL`. */
function nameOf(status: number): string {
  return Object.entries(Status).find(([, number]) => number === status)?.[0] ?? String(status);
}
