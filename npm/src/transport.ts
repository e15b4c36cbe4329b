// What carries the frames of a connection, whatever it is. Which one it is, `service.ts` decides.

import type { BoshSession } from './core.js';

/**
 * A way to servers. `Connection.addProtocol` adds ways of one's own; each is made once for a
 * connection, which is the argument of its constructor.
 */
export interface Transport {
  /** The application is a server's component, and no client. */
  readonly isComponent?: boolean;
  /** The hooks are shown what it tells of with `showInput` and `showOutput`, and not the frames. */
  readonly showsWrapped?: boolean;
  /**
   * Opens a link. What becomes of it the listener is told, but not before this has returned; if
   * it throws, nothing could be opened.
   */
  open(listener: Listener, opening: Opening): Link;
}

/** A class of transports. */
export type TransportClass = new (connection: never) => Transport;

/** One link to a server. */
export interface Link {
  /** Sends a frame: one XML element, in the framing of RFC 7395. */
  send(frame: string): void;
  /** Ends the link. Its listener is told nothing more. */
  close(): void;
  /** A resource is bound. */
  bound?(jid: string): void;
  /**
   * @internal Where several pages share the link: the login is done. They count from here on, after so
   * many frames that were received, if there is a session to be counted.
   */
  settled?(session: string | undefined, heard: number): void;
}

/** What a link is wanted for. */
export interface Opening {
  /** The whole address of the server. */
  url: string;
  /** The address of the account. */
  jid: string;
  /** For how many seconds a BOSH server may keep a request waiting. */
  wait?: number | undefined;
  /** How many requests a BOSH server may keep waiting. */
  hold?: number | undefined;
  /** The server behind a BOSH server. */
  route?: string | undefined;
  /** @internal A BOSH session to take over. */
  session?: BoshSession;
  /** A connection that another page has made is to be joined. */
  joins?: boolean;
}

/** Whoever has a link. */
export interface Listener {
  /** It is open, and so protected. */
  opened(protection: Protection, carrier?: Carrier): void;
  /** In place of `opened`: there is a session already, of this address. */
  attached(jid: string): void;
  /** @internal Before `opened`: what the pages that share the link go on with, and whether they can count. */
  agreed(session: string | null, counts: boolean): void;
  /**
   * @internal As `attached`: another page has logged in, the server may be watched for this one, and
   * this one may go on where it was.
   */
  joined(jid: string, isWatched: boolean, goesOn: boolean): void;
  /** @internal Where the session stands that is counted for this page. */
  counted(session: string, isResumed: boolean): void;
  /** A frame came. */
  received(frame: string): void;
  /** @internal Any bytes of a stream came. */
  receivedBytes(bytes: Uint8Array): void;
  /** Nothing can be sent or received any more; or it could not be opened. No other is made, if it is final. */
  lost(why: string, isFinal?: boolean): void;
  /** Somebody else ends the connection, in good order. */
  leaving(): void;
  /** @internal The BOSH session is over. */
  ended(session: BoshSession): void;
  /** What frames came in. */
  showInput(text: string): void;
  /** What frames go out in. */
  showOutput(text: string): void;
}

/** What protects a link: nothing, that it does not leave this machine, or TLS. */
export type Protection = 'plaintext' | 'loopback' | 'encrypted';

/** What lies below the frames. */
export type Carrier = 'websocket' | 'bosh' | 'tcp';
