// Whoever has a connection, as the driver sees it.

import type { Verdict } from './choice.js';
import type { News } from './news.js';
import type { Fate } from './receipts.js';
import type { SessionKeeper } from './storage.js';
import type { Claim } from './success.js';
import type { TokenKeeper } from './token-keeper.js';

/** Whoever has the connection. Nothing of the core is in use while one of these runs. */
export interface Owner {
  /** A frame came. */
  received(frame: string): void;
  /** It is the server's offer: the core waits for it until `choose` is called. */
  offered(): void;
  /** The verdicts on the mechanisms, before the server has made an offer. */
  judged(): Verdict[];
  /** What a mechanism says of the frame that was received, if that claims success. */
  claimed(): Claim | undefined;
  /** All that followed from the frame at once has been done. */
  handled(): void;
  /** A frame goes out. */
  transmitted(frame: string): void;
  /** What the hooks are shown in place of frames came in. */
  showInput(text: string): void;
  /** What the hooks are shown in place of frames goes out. */
  showOutput(text: string): void;
  /** The message of a mechanism that is JavaScript's. */
  respond(mechanism: string, challenge: Uint8Array | undefined): unknown;
  /** The server has accepted the login. */
  authenticated(): void;
  reported(news: News): void;
  kept(keys: string): void;
  /** The report of a login, as JSON. */
  explained(report: string): void;
  /** What has become of the stanza of this number, and of those before it unless it was dropped. */
  settled(number: number, fate: Fate): void;
  /** The frame that is being handled is a stanza. */
  delivered(): void;
}

/** What outlives a connection, and where it is kept. */
export interface Keeping {
  session?: SessionKeeper | undefined;
  tokens?: TokenKeeper | undefined;
}
