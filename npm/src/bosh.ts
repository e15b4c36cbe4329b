// Frames over BOSH (XEP-0124, XEP-0206), for connections to `http:` and `https:`.
// The session is the core's, one link of it is in `bosh-link.ts`.

import { BoshLink } from './bosh-link.js';
import type { Connection } from './connection.js';
import { attachBoshSession, newBoshSession, type BoshSession } from './core.js';
import { getBareJidFromJid } from './jid.js';
import { canKeepSession, forgetSession, keepSession, keptSession } from './kept-session.js';
import { guard } from './log.js';
import type { Link, Listener, Opening, Transport } from './transport.js';

/** The transport of connections to `http:` and `https:`. */
export class Bosh implements Transport {
  /** The hooks are shown what is in bodies, and not the bodies. May be set on the prototype. */
  declare strip: boolean;
  /** The headers of the last answer, line by line. */
  lastResponseHeaders: string | null = null;
  private link: BoshLink | null = null;

  constructor(readonly _conn: Connection) {}

  /** @internal Whether requests stop the page from now on. */
  get stopsPage(): boolean {
    return this._conn.options.sync === true;
  }

  get showsWrapped(): boolean {
    return !this.strip;
  }

  open(listener: Listener, opening: Opening): Link {
    const { options } = this._conn;
    const session = opening.session ?? newBoshSession(this.settings(opening));
    const posting = {
      url: opening.url,
      headers: { 'Content-Type': session.content_type(), ...options.customHeaders },
      credentials: options.withCredentials ? 'include' : 'same-origin',
      outlivesPage: options.keepalive === true,
      limit: session.response_limit(),
    } as const;
    this.link = new BoshLink(session, posting, listener, this);
    return this.link;
  }

  /**
   * @internal A session that somebody else has logged in, to go on with.
   *
   * @throws {TypeError} that says what is wrong with it.
   */
  taken(jid: string, sid: string, rid: number | string, granted: Granted): BoshSession {
    const session = { jid, sid, rid: Number(rid), ...members(granted) };
    return attachBoshSession(this.settings({}), JSON.stringify(session));
  }

  /** Whether this page can go on with the session of the page before it. */
  get canKeep(): boolean {
    return canKeepSession();
  }

  /**
   * @internal The session that is kept, to go on with.
   *
   * @throws {TypeError} that says why there is none.
   */
  kept(jid: string | null | undefined, granted: Granted): BoshSession {
    const text = canKeepSession() ? keptSession() : null;
    if (text === null) throw new TypeError('no session is kept');
    const session = { ...(JSON.parse(text) as { jid: string }), ...members(granted) };
    const account = jid || getBareJidFromJid(session.jid);
    return attachBoshSession(this.settings({}), JSON.stringify(session), account ?? '');
  }

  /** The id of the session, which is as secret as a password. */
  get sid(): string | null {
    return this.link?.sid ?? null;
  }

  /** The id of the next request. */
  get rid(): number | null {
    return this.link?.rid ?? null;
  }

  /** The requests that are not answered yet. */
  get _requests(): { rid: number }[] {
    return this.link?.requests ?? [];
  }

  /** @internal A request is about to go out, or the session has ended. */
  moved(attachment: string | undefined): void {
    if (!this._conn.options.keepalive || !canKeepSession()) return;
    guard(() => (attachment === undefined ? forgetSession() : keepSession(attachment)));
  }

  /** @internal A request was answered. */
  answered(status: number, headers: string, rid: number): void {
    this.lastResponseHeaders = headers;
    if (status === 200) return void guard(() => this._conn.nextValidRid(rid));
    this.failed(status);
  }

  /** @internal A request was answered with an error; 0 if with nothing at all. */
  failed(status: number): void {
    const handler = this._conn.protocolErrorHandlers.HTTP[status];
    guard(() => handler?.call(this, status));
  }

  private settings({ wait, hold, route }: Partial<Opening>): object {
    const { options, maxRetries } = this._conn;
    return {
      wait: count(wait, 0xffff),
      hold: count(hold, 0xff),
      route: route || undefined,
      contentType: options.contentType,
      attempts: count(maxRetries, 0xffff),
    };
  }
}

Bosh.prototype.strip = false;

/** What a server granted, as far as the application knows better. */
interface Granted {
  wait?: number | undefined;
  hold?: number | undefined;
  wind?: number | undefined;
}

function members({ wait, hold, wind }: Granted): object {
  const given = { wait: count(wait, 0xffff), hold: count(hold, 0xff), requests: count(wind, 0xff) };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A whole number that the core takes, if it is one at all. */
function count(value: number | null | undefined, most: number): number | undefined {
  const number = Math.trunc(Number(value ?? NaN));
  return number >= 0 ? Math.min(number, most) : undefined;
}
