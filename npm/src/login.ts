// Logins as promises. What comes of them is what the callback of `connect` is told.

import { Status } from './constants.js';
import type { News } from './news.js';
import { LoginError } from './errors.js';
import type { Pass, ScramKeys } from './options.js';
import type { LoginReport } from './report.js';

/** Who logs in, by what. */
export interface LoginOptions {
  jid: string;
  /** One of these at most; none, where a token is kept, for guests, and for certificates. */
  password?: string;
  token?: string;
  keys?: ScramKeys;
  /** Whose secret it is, where that is not the JID's first part. */
  authcid?: string;
  /** After how many milliseconds to give up; each wait for the server has its limit without. */
  timeout?: number;
}

/** A login that succeeded. */
export interface LoginResult {
  /** The address, with the resource that was bound. */
  jid: string;
  /** Empty, where another page that shares the connection has logged in. */
  mechanism: string;
  /** Whether the server proved that it knows the account, as with SCRAM. */
  serverProved: boolean;
  /** How many times the client spoke before it was done. */
  flights: number;
  /** Whether the session of an earlier connection goes on. */
  resumed: boolean;
  /** With the option `report`. */
  report?: LoginReport;
}

/** A connection, as far as a login as a promise needs it. */
export interface Watched {
  report: LoginReport | null;
  /** Hears of each status after the callback has. Returns what ends that. */
  _watch(listener: (news: News) => void): () => void;
  reset(): void;
}

/** What proves who logs in. */
export function passOf({ password, token, keys }: LoginOptions): Pass | null {
  if (token !== undefined) return { token };
  return keys ?? (password === undefined ? null : { password });
}

/** What the login comes to that `begin` begins. */
export function loggedIn(
  connection: Watched,
  begin: () => void,
  timeout?: number,
): Promise<LoginResult> {
  return new Promise((resolve, reject) => {
    let failure: News | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      unwatch();
      outcome();
    };
    const fail = (news: News) => settle(() => reject(errorOf(news, connection.report)));
    const unwatch = connection._watch((news) => {
      if (isOnline(news)) settle(() => resolve(resultOf(news, connection.report)));
      else if (news.code === Status.DISCONNECTED) fail(failure ?? news);
      else if (news.code === Status.CONNECTING) failure = undefined; // another connection
      else if (news.condition !== undefined) failure ??= news;
    });
    if (timeout !== undefined) {
      timer = setTimeout(() => {
        fail({ code: Status.CONNTIMEOUT, condition: 'timeout', message: LATE });
        connection.reset();
      }, timeout);
    }
    try {
      begin();
    } catch (exception) {
      settle(() => reject(exception as Error));
    }
  });
}

/** There is a session, that of a page that logged in before this one included. */
function isOnline({ code }: News): boolean {
  return code === Status.CONNECTED || code === Status.ATTACHED;
}

function resultOf(news: News, report: LoginReport | null): LoginResult {
  const { jid = '', mechanism = '', serverProved = false, flights = 0, resumed = false } = news;
  return { jid, mechanism, serverProved, flights, resumed, ...(report ? { report } : {}) };
}

/** The error that news of a failure are. */
export function errorOf(news: News, report: LoginReport | null): LoginError {
  const { code, condition = 'closed', message = 'the connection was closed', advice = null } = news;
  return new LoginError(code, condition, message, advice, report);
}

const LATE = 'the login took longer than it may';
