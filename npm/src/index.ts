// XMPP with the interface of Strophe.js, for browsers; `index.node.ts` is the same for Node.js.

import { $build, $iq, $msg, $pres, Builder } from './builder.js';
import { Stanza, stx, toStanza } from './stanza.js';
import { Strophe } from './strophe.js';

// Plugins and pages without modules look for these names there.
Object.assign(globalThis, { Strophe, $build, $iq, $msg, $pres, stx, toStanza });

export { $build, $iq, $msg, $pres, Builder, Stanza, Strophe, stx, toStanza };
export { redacted } from './redacted.js';
export { Request } from './request.js';
export {
  ConnectionEndedError,
  LoginError,
  StanzaError,
  TimeoutError,
  UnacknowledgedError,
} from './errors.js';
export { MemoryStorageBackend, SessionStorageBackend } from './storage.js';
export { StreamManagement, StreamManagementMirror } from './stream-management.js';
export { LocalTokenStore, MemoryTokenStore } from './tokens.js';
export type { BuilderAttributes } from './builder.js';
export type { Connection } from './connection.js';
export type { Handler, HandlerCallback, HandlerOptions, TimedHandler } from './handler.js';
export type { Log } from './log.js';
export type { LoginOptions, LoginResult } from './login.js';
export type { SASLMechanism, SASLResponse } from './mechanism.js';
export type {
  ConnectCallback,
  ConnectionOptions,
  ConnectionPlugin,
  Pass,
  ProtocolErrorHandler,
  SASLMechanismClass,
  ScramKeys,
  Sendable,
} from './options.js';
export type {
  Carrier,
  Link,
  Listener,
  Opening,
  Protection,
  Transport,
  TransportClass,
} from './transport.js';
export type { LoginReport, ReportedChoice } from './report.js';
export type { ReconnectOptions, Sasl2Options } from './settings.js';
export type { SMState, SMStorageBackend } from './storage.js';
export type { QueuedStanza, StreamManagementOptions } from './stream-management.js';
export type { TokenStore } from './tokens.js';
