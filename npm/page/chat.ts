// A conversation: what is typed goes out, what comes is shown.

import { $msg, $pres, Strophe, type Connection } from 'epode';
import { field, make, part } from './parts.js';

export class Chat {
  private readonly box: HTMLElement;
  private readonly log: HTMLElement;
  private readonly to: HTMLInputElement;
  private readonly text: HTMLInputElement;
  private connection: Connection | null = null;

  constructor(root: HTMLElement) {
    this.box = part(root, 'chat');
    this.log = part(root, 'messages');
    const form = part<HTMLFormElement>(root, 'talk');
    this.to = field(form, 'to');
    this.text = field(form, 'text');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    this.text.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.text.value) return;
      event.stopPropagation();
      this.text.value = '';
    });
  }

  /** Whom to write to, unless somebody has been written to already. */
  suggest(jid: string): void {
    if (!this.log.childElementCount) this.to.value = jid;
  }

  /** Whether somebody is logged in, or soon will be again. */
  get isOpen(): boolean {
    return this.connection !== null;
  }

  /** A session has begun. Whoever is not present gets no messages. */
  begin(connection: Connection): void {
    this.connection = connection;
    this.box.hidden = false;
    connection.addHandler((message: Element) => this.received(message), null, 'message');
    connection.send($pres());
  }

  end(): void {
    this.connection = null;
    this.box.hidden = true;
    this.log.replaceChildren();
  }

  focus(): void {
    this.text.focus();
  }

  private send(): void {
    const body = this.text.value;
    this.connection?.send($msg({ to: this.to.value, type: 'chat' }).c('body').t(body));
    this.show('me', body);
    this.text.value = '';
  }

  private received(message: Element): true {
    const from = message.getAttribute('from') ?? 'the server';
    if (message.getAttribute('type') === 'error') {
      const why = message.querySelector('error > *')?.localName ?? 'no reason was given';
      this.show('them', `Not delivered: ${why}`, 'bad');
      return true;
    }
    const body = message.querySelector(':scope > body')?.textContent;
    if (body) this.show('them', `${Strophe.getBareJidFromJid(from)}: ${body}`);
    return true;
  }

  private show(from: 'me' | 'them', text: string, tone = 'idle'): void {
    this.log.append(make('li', [text], { from, tone }));
    while (this.log.childElementCount > LIMIT) this.log.firstElementChild?.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }
}

/** The messages that are kept. */
const LIMIT = 200;
