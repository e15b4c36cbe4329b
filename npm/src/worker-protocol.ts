// What pages and the worker that has their connection say to each other.

/** Both have to be of the same version, since a worker may outlive the pages that started it. */
export const VERSION = 1;

/** Whether a page answers for all of them. */
export type Role = 'primary' | 'secondary';

/** What a page says. */
export type FromPage =
  /** Connect as this account, or join the pages that are. */
  | ['connect', version: number, url: string, jid: string]
  /** Join the pages that are connected. */
  | ['attach', version: number]
  /** Send a frame. */
  | ['send', frame: string]
  /** The login is done: everybody has this address. */
  | ['bound', jid: string]
  /** I am here. */
  | ['pong']
  /** Somebody else had better answer. */
  | ['relinquish']
  /** I may be gone, and say `pong` if I come again. */
  | ['away']
  /** I am gone. */
  | ['bye'];

/** What the worker says. */
export type FromWorker =
  | ['role', role: Role]
  /** The socket is open: log in. */
  | ['opened']
  /** There is a session, of this address. */
  | ['attached', jid: string]
  /** The server sent this. */
  | ['frame', frame: string]
  /** Another page sent this. */
  | ['foreign', frame: string]
  /** Another page is logging out. */
  | ['leaving']
  /** There is no connection any more, or none to be had. */
  | ['lost', why: string]
  /** Are you there? */
  | ['ping'];
