// The object that all of it hangs from.

import { Bosh } from './bosh.js';
import * as bytes from './bytes.js';
import { Builder } from './builder.js';
import { Connection } from './connection.js';
import { addCookies } from './cookies.js';
import { ElementType, ErrorCondition, LogLevel, NS, Status } from './constants.js';
import { ConnectionEndedError, LoginError, StanzaError, TimeoutError, UnacknowledgedError } from './errors.js';
import { Handler, TimedHandler } from './handler.js';
import {
  escapeNode,
  getBareJidFromJid,
  getDomainFromJid,
  getNodeFromJid,
  getResourceFromJid,
  unescapeNode,
} from './jid.js';
import { debug, error, fatal, handleError, info, setLogLevel, sink, warn, type Log } from './log.js';
import { SASLMechanism } from './mechanism.js';
import {
  SASLAnonymous,
  SASLExternal,
  SASLOAuthBearer,
  SASLPlain,
  SASLSHA1,
  SASLSHA256,
  SASLSHA384,
  SASLSHA512,
  SASLXOAuth2,
} from './mechanisms.js';
import { partOf, patience } from './patience.js';
import { parse, xmlGenerator } from './platform.js';
import type { ConnectionPlugin } from './options.js';
import { Request } from './request.js';
import { Stanza } from './stanza.js';
import { MemoryStorageBackend, SessionStorageBackend } from './storage.js';
import { StreamManagement, StreamManagementMirror } from './stream-management.js';
import { LocalTokenStore, MemoryTokenStore } from './tokens.js';
import type { TransportClass } from './transport.js';
import { Websocket } from './websocket.js';
import { WorkerWebsocket } from './worker-transport.js';
import { createHtml, XHTML } from './xhtml.js';
import * as xml from './xml.js';

const namespaces: Record<string, string> & typeof NS = NS;

/** That of the package; put in when it is built. */
declare const PACKAGE_VERSION: string;

/** The interface of Strophe.js. */
export const Strophe = {
  VERSION: PACKAGE_VERSION,
  /**
   * How long an answer to a request of BOSH may take before it is asked for again: so many times what
   * the server may keep a request waiting; from 1 to 100, and at least 5 seconds more than that.
   * It holds for the requests that are under way, too, as soon as anything happens.
   */
  get TIMEOUT(): number {
    return patience.timeout;
  },
  set TIMEOUT(part: number) {
    patience.timeout = partOf('TIMEOUT', part, 1);
  },
  /** The same where the server has no reason to wait, since it has a later request: 0 to 100. */
  get SECONDARY_TIMEOUT(): number {
    return patience.secondary;
  },
  set SECONDARY_TIMEOUT(part: number) {
    patience.secondary = partOf('SECONDARY_TIMEOUT', part, 0);
  },

  Builder,
  Stanza,
  Connection,
  Bosh,
  Websocket,
  WorkerWebsocket,
  Handler,
  TimedHandler,
  Request,
  SASLMechanism,
  SASLAnonymous,
  SASLExternal,
  SASLOAuthBearer,
  SASLPlain,
  SASLSHA1,
  SASLSHA256,
  SASLSHA384,
  SASLSHA512,
  SASLXOAuth2,

  StreamManagement,
  StreamManagementMirror,
  MemoryStorageBackend,
  SessionStorageBackend,
  MemoryTokenStore,
  LocalTokenStore,

  LoginError,
  StanzaError,
  TimeoutError,
  ConnectionEndedError,
  UnacknowledgedError,

  Status,
  ErrorCondition,
  LogLevel,
  ElementType,
  NS: namespaces,
  XHTML,

  /** Adds a namespace to `Strophe.NS`. */
  addNamespace(name: string, uri: string): void {
    namespaces[name] = uri;
  },

  /** Gives all connections that are made from now on `connection[name]`. */
  addConnectionPlugin<T extends object>(name: string, plugin: T & ConnectionPlugin): void {
    Connection.addConnectionPlugin(name, plugin);
  },

  /** Makes `new Connection(service, { protocol: name })` use transports of this class. */
  addProtocol(name: string, transport: TransportClass): void {
    Connection.addProtocol(name, transport);
  },

  /** Takes each line of the log; may be replaced. */
  get log(): Log {
    return sink.log;
  },
  set log(log: Log) {
    sink.log = log;
  },
  debug,
  info,
  warn,
  error,
  fatal,
  setLogLevel,
  handleError,

  addCookies,
  escapeNode,
  unescapeNode,
  getNodeFromJid,
  getDomainFromJid,
  getResourceFromJid,
  getBareJidFromJid,

  ...bytes,

  createHtml,
  /** The document that a text is. What is wrong with it is told as the platform does. */
  xmlHtmlNode: parse,

  copyElement: xml.copyElement,
  forEachChild: xml.forEachChild,
  getFirstElementChild: xml.getFirstElementChild,
  getNamespace: xml.getNamespace,
  getParserError: xml.getParserError,
  getText: xml.getText,
  isTagEqual: xml.isTagEqual,
  serialize: xml.serialize,
  stripWhitespace: xml.stripWhitespace,
  toElement: xml.toElement,
  xmlElement: xml.xmlElement,
  xmlGenerator,
  xmlTextNode: xml.xmlTextNode,
  xmlescape: xml.xmlescape,
  xmlunescape: xml.xmlunescape,
};

/** The classes as types, for programs that name what they hold: `let conn: Strophe.Connection`. */
export namespace Strophe {
  export type Connection = InstanceType<typeof Connection>;
  export type Builder = InstanceType<typeof Builder>;
  export type Handler = InstanceType<typeof Handler>;
  export type TimedHandler = InstanceType<typeof TimedHandler>;
  export type Request = InstanceType<typeof Request>;
  export type SASLMechanism = InstanceType<typeof SASLMechanism>;
  export type Stanza = InstanceType<typeof Stanza>;
}
