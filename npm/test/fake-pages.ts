// Pages and sockets of the shared worker that say what a test wants, and note what they are told.

import type { Socket } from '../src/shared-line.js';
import type { PagePort } from '../src/shared-page.js';
import type { FromPage, FromWorker } from '../src/worker-protocol.js';

/** A page. It answers pings while it is awake. */
export class FakePage implements PagePort {
  heard: FromWorker[] = [];
  onmessage: ((event: { data: FromPage }) => unknown) | null = null;

  postMessage(message: FromWorker): void {
    if (message[0] !== 'ping') this.heard.push(message);
    else if (this.isAwake) this.say('pong');
  }

  isAwake = true;

  say(...message: FromPage): void {
    this.onmessage?.({ data: message });
  }

  /** What it has heard since it was last asked. */
  news(): FromWorker[] {
    return this.heard.splice(0);
  }
}

/** What was to be the WebSocket. */
export class FakeSocket implements Socket {
  static all: FakeSocket[] = [];
  sent: string[] = [];
  isClosed = false;
  onopen: (() => unknown) | null = null;
  onmessage: ((event: { data: unknown }) => unknown) | null = null;
  onclose: ((event: { code: number }) => unknown) | null = null;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  send(frame: string): void {
    this.sent.push(frame);
  }

  close(): void {
    this.isClosed = true;
  }

  says(frame: string): void {
    this.onmessage?.({ data: frame });
  }
}
