// WebSockets that break at chosen frames: what was on its way is lost, and nobody says goodbye.

import WebSocket from 'ws';
import type { Server } from './server.js';

/** Which frame it is: its way, and its number on that way over all connections, from 1. */
export type Cut = (way: 'in' | 'out', number: number, frame: string) => boolean;

/** The WebSockets of one test. */
export interface Cuts {
  /** How many were cut. */
  count: number;
  /** Where each was opened to. */
  urls: string[];
  /** Says where to cut next. */
  at: Cut;
  /** Where the next one leads to. */
  server: Server;
}

/** Leads every WebSocket to this server, and cuts it where `at` says so. */
export function breakable(server: Server, at: Cut = () => false): Cuts {
  const passed = { in: 0, out: 0 };
  const cuts: Cuts = { count: 0, urls: [], at, server };
  const breaks = (socket: WebSocket, way: 'in' | 'out', frame: string) => {
    passed[way] += 1;
    if (!cuts.at(way, passed[way], frame)) return false;
    cuts.count += 1;
    socket.terminate();
    return true;
  };
  globalThis.WebSocket = class extends WebSocket {
    constructor(url: string, protocols?: string) {
      super(cuts.server.url, protocols);
      cuts.urls.push(url);
    }

    override send(frame: string): void {
      if (this.readyState !== WebSocket.OPEN || breaks(this, 'out', frame)) return;
      super.send(frame);
    }

    override emit(event: string | symbol, ...values: unknown[]): boolean {
      const isFrame = event === 'message';
      const isGone = this.readyState !== WebSocket.OPEN;
      if (isFrame && (isGone || breaks(this, 'in', String(values[0])))) return false;
      return super.emit(event, ...values);
    }
  } as unknown as typeof globalThis.WebSocket;
  return cuts;
}
