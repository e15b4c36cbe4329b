// WebSockets without a server: what they say is the test's. Nothing of them waits.

/** One of them. */
export interface Scripted {
  readonly url: string;
  /** What was sent. */
  readonly sent: string[];
  /** It is open, and the stream has begun. */
  open(): void;
  /** The server says this. */
  say(frame: string): void;
  /** A login by PLAIN, to its end. */
  logIn(): void;
  /** It breaks. */
  lose(): void;
}

/** Makes every WebSocket one of these. They stand in the order in which they were opened. */
export function scriptedSockets(): Scripted[] {
  const all: Scripted[] = [];
  globalThis.WebSocket = class implements Scripted {
    static readonly OPEN = 1;
    readonly readyState = 1;
    readonly sent: string[] = [];
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: { code: number }) => void) | null = null;
    onerror: (() => void) | null = null;

    constructor(readonly url: string) {
      all.push(this);
    }

    send(frame: string): void {
      this.sent.push(frame);
    }

    close(): void {}

    open(): void {
      this.onopen?.();
      this.say(OPEN);
    }

    say(frame: string): void {
      this.onmessage?.({ data: frame });
    }

    logIn(): void {
      this.open();
      this.say(features("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"));
      this.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
      this.say(OPEN);
      this.say(features("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"));
      const id = /id=['"]([^'"]+)/.exec(this.sent.at(-1) ?? '')?.[1] ?? '';
      this.say(`<iq xmlns='jabber:client' type='result' id='${id}'><bind
        xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@example.com/alice</jid></bind></iq>`);
    }

    lose(): void {
      this.onclose?.({ code: 1006 });
    }
  } as unknown as typeof globalThis.WebSocket;
  return all;
}

function features(inside: string): string {
  return `<features xmlns='http://etherx.jabber.org/streams'>${inside}</features>`;
}

const OPEN =
  "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.com' id='1' version='1.0'/>";
