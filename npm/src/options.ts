// What a connection is told, and by whom it is heard.

import type { Builder } from './builder.js';
import type { Connection } from './connection.js';
import type { Cookies } from './cookies.js';
import type { SASLMechanism } from './mechanism.js';
import type { ReconnectOptions, Sasl2Options } from './settings.js';
import type { StreamManagementOptions } from './stream-management.js';
import type { TokenStore } from './tokens.js';

/** What a connection is told before it begins. */
export interface ConnectionOptions {
  /** The mechanisms to know; the nine that come with the package otherwise. */
  mechanisms?: SASLMechanismClass[];
  /** BINDREQUIRED is reported in place of a resource being bound. */
  explicitResourceBinding?: boolean;
  /** The scheme of a relative address, `ws` or `wss`; or a name of `Connection.addProtocol`. */
  protocol?: string;
  /**
   * The address of `shared-connection-worker.js` on the page's own server: all pages that name it
   * share one connection.
   */
  worker?: string;
  /** Cookies that the page gets when the connection is made, for requests to its own server. */
  cookies?: Cookies;
  /** Names and values of headers that requests of BOSH have. */
  customHeaders?: Record<string, string>;
  /** Cookies go with requests of BOSH to other hosts, too. */
  withCredentials?: boolean;
  /** The `Content-Type` of requests of BOSH; `text/xml; charset=utf-8` otherwise. */
  contentType?: string;
  /** The session of BOSH is kept in `sessionStorage`, for `restore`. */
  keepalive?: boolean;
  /**
   * Requests of BOSH that say something stop the page until they are answered, once it is logged in:
   * for a page that is about to go away, which may set it then.
   */
  sync?: boolean;
  /** SCRAM is used where there is no Web Crypto API, too: its keys are derived in wasm. */
  deriveInWasm?: boolean;
  /** Stream management (XEP-0198), where the server offers it. */
  enableStreamManagement?: boolean;
  streamManagement?: StreamManagementOptions;
  /** SASL2 (XEP-0388) and Bind 2 (XEP-0386), where the server offers them. */
  sasl2?: boolean | Sasl2Options;
  /** Where tokens for quick logins (XEP-0484) are kept: the next login needs no password. */
  tokens?: TokenStore;
  /** A connection that is lost is made anew. */
  reconnect?: boolean | ReconnectOptions;
  /** The report of each login is in `connection.report`. */
  report?: boolean;
  /** Secrets may go over connections that anybody on the way can read. For test networks only. */
  dangerAllowPlaintext?: boolean;
}

/** A class of mechanisms, made without arguments. */
export type SASLMechanismClass = new () => SASLMechanism;

/** Told of a status of HTTP. */
export type ProtocolErrorHandler = (status: number) => unknown;

/** Told of each status: its number, a condition, and the element that brought it. */
export type ConnectCallback = (
  status: number,
  condition: string | null,
  element?: Element | null,
) => unknown;

/** What a plugin may have. The rest is its own. */
export interface ConnectionPlugin {
  init?(connection: Connection): void;
  statusChanged?(status: number, condition: string | null): void;
}

/** What can be sent. */
export type Sendable = Element | Builder;

/** The keys that a login with SCRAM leaves: as secret as the password. */
export interface ScramKeys {
  /** The hash, as `SHA-512`. */
  name: string;
  /** The client key, in Base64. */
  ck: string;
  /** The server key, in Base64. */
  sk: string;
  /** The count of iterations. */
  iter: number;
  /** The salt, in Base64. */
  salt: string;
}

/** What proves who logs in. */
export type Pass = string | ScramKeys | { password: string } | { token: string };
