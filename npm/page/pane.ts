// One account: its form, and what comes of what is asked for there.

import { Strophe, type Connection, type LoginReport } from 'epode';
import { Chat } from './chat.js';
import type { Hints } from './hints.js';
import { count } from './kept-keys.js';
import { LoginForm, type Request } from './login-form.js';
import { choiceOf } from './mechanisms.js';
import { make, part } from './parts.js';
import { failureWords, ReportView } from './report-view.js';
import { milliseconds, Steps, type Tone } from './steps.js';
import { Transcript } from './transcript.js';
import { serviceOf, TRANSPORTS } from './transports.js';

const { Status } = Strophe;

export class Pane {
  readonly element: HTMLElement;
  private readonly form: LoginForm;
  private readonly leave: HTMLButtonElement;
  private readonly status: HTMLElement;
  private readonly steps: Steps;
  private readonly transcript: Transcript;
  private readonly report: ReportView;
  readonly chat: Chat;
  private connection: Connection | null = null;
  private reason = '';
  private explained: LoginReport | null = null;

  constructor(title: string, template: HTMLTemplateElement, hints: Hints) {
    const root = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
    this.element = root;
    root.setAttribute('aria-label', title);
    part(root, 'title').textContent = title;
    this.form = new LoginForm(root, hints, TRANSPORTS.keys());
    this.leave = part<HTMLButtonElement>(root, 'leave');
    this.status = part(root, 'status');
    this.steps = new Steps(part(root, 'steps'));
    this.transcript = new Transcript(part(root, 'transcript'), part(root, 'count'));
    this.report = new ReportView(root);
    this.chat = new Chat(root);
    this.form.onRequest((request) => this.login(request));
    this.leave.addEventListener('click', () => this.connection?.disconnect());
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
    const { classes } = choiceOf(request.mechanism);
    const options = { deriveInWasm: true, report: true, ...(classes.length > 0 && { mechanisms: classes }) };
    const service = serviceOf(request.transport);
    const connection = new Strophe.Connection(service, options);
    connection.rawInput = (frame) => this.transcript.received(frame);
    connection.rawOutput = (frame) => this.transcript.sent(frame);
    this.connection = connection;
    this.reason = '';
    this.steps.begin();
    this.transcript.clear();
    this.report.clear();
    this.form.lock('busy');
    this.leave.disabled = false;
    this.leave.textContent = 'Cancel';
    this.leave.focus();
    try {
      connection.connect(request.jid, request.pass, (status, condition) => {
        if (connection !== this.connection) return;
        this.changed(connection, request, status, condition);
        // The report is there once everybody has been told.
        queueMicrotask(() => this.explain(connection));
      });
    } catch (exception) {
      this.reason = exception instanceof Error ? exception.message : String(exception);
      this.steps.add('Not begun', this.reason, 'bad');
      this.over();
    }
  }

  private changed(connection: Connection, request: Request, status: number, condition: string | null): void {
    switch (status) {
      case Status.CONNECTING:
        return this.step('Connecting', `${request.transport} to ${connection.service}`, 'busy');
      case Status.AUTHENTICATING:
        return this.step('Authenticating', `by ${connection._sasl_mechanism?.mechname}`, 'busy');
      case Status.CONNECTED:
        return this.connected(connection, request);
      case Status.DISCONNECTING:
        return this.step('Disconnecting', '', 'busy');
      case Status.RECONNECTING:
        return this.step('Reconnecting', condition ?? '', 'busy');
      case Status.DISCONNECTED:
        return this.over();
      default:
        this.reason = `${nameOf(status)}: ${condition ?? 'no reason was given'}`;
        return this.step('Failed', this.reason, 'bad');
    }
  }

  private connected(connection: Connection, request: Request): void {
    const time = this.steps.elapsed;
    const { scram_keys } = connection;
    let keys = '';
    if (request.isByKeys) keys = this.form.kept.saved(time);
    else if (scram_keys) keys = `${count(scram_keys)} were derived. The keys are kept for the next login.`;
    this.steps.add('Connected', `as ${connection.jid}. ${keys}`, 'good', time);
    if (scram_keys && !request.isByKeys) this.form.kept.keep(request.jid, scram_keys, time);
    this.show(`Connected in ${milliseconds(time)}`, 'good');
    this.leave.textContent = 'Log out';
    const isWatched = this.hasFocus;
    this.form.lock('online');
    this.chat.begin(connection);
    if (isWatched) this.chat.focus();
  }

  private explain({ report }: Connection): void {
    if (!report || report === this.explained) return;
    this.explained = report;
    this.report.show(report);
    if (report.outcome === 'failed') this.steps.explain(failureWords(report));
  }

  private over(): void {
    const isWatched = this.hasFocus;
    this.connection = null;
    this.chat.end();
    this.form.lock('open');
    this.leave.disabled = true;
    this.leave.textContent = 'Cancel';
    if (this.reason) this.show(this.reason, 'bad');
    else this.step('Disconnected', '', 'idle', 'Not connected');
    if (isWatched) this.form.focus();
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
