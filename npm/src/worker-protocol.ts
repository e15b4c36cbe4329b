// What pages and the worker that has their connection say to each other.
//
// A login: the page says `connect`, hears `role` and `opened`, and its core logs in, with `send` and
// `frame`. Other pages wait meanwhile. It ends in one of two ways, and whoever waited hears `attached`:
//
// - `bound`: nobody counts stanzas. What comes goes to all pages as it is, and so does what they send.
// - `managed`: both sides count (XEP-0198), and the page gives its session away. The worker's core
//   goes on with it from the frames that the page has not heard; what it was passed of those it is to
//   ignore, up to `taken`. From then on `frame` is only what is for the pages, what they send is
//   queued by the worker's core, and `session` says where that stands.
//
// Where the connection is lost, all hear `lost`. The worker keeps the session, and the next page of the
// account gets it with `opened`, so that its core resumes it. Stanzas of pages that had not heard of
// the loss wait for `bound` or `managed`. A page that comes back says where it was in the session, and
// is given what has come since.

/** Both have to be of the same version, since a worker may outlive the pages that started it. */
export const VERSION = 2;

/** Whether a page answers for all of them. */
export type Role = 'primary' | 'secondary';

/** What a page wants of stream management, as the core takes it; null where it wants none. */
export type Management = object | null;

/** Where a page is in a session: the server's name for that, and how many frames it was given. */
export type Place = [session: string, given: number];

/** What a page says. */
export type FromPage =
  /** Connect as this account, or join the pages that are; perhaps to go on where the page was. */
  | ['connect', version: number, url: string, jid: string, management: Management, place: Place | null]
  /** Join the pages that are connected. */
  | ['attach', version: number]
  /** Send a frame. */
  | ['send', frame: string]
  /** The login is done, and nobody counts: everybody has this address. */
  | ['bound', jid: string]
  /**
   * The login is done, and the session is the worker's from the next frame on, after so many that
   * were heard. It may be the one that was got with `opened`.
   */
  | ['managed', session: string, heard: number, isResumed: boolean]
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
  /** The socket is open: log in. A session that was lost is to be gone on with; stanzas can be counted. */
  | ['opened', session: string | null, counts: boolean]
  /** The session was taken over: what comes from now on is for you. */
  | ['taken']
  /**
   * Where the session stands that the worker counts, whether it is that of an earlier connection, and
   * where the page is in it.
   */
  | ['session', session: string, isResumed: boolean, place: Place]
  /**
   * There is a session, of this address; the worker counts its stanzas, and watches the server. The
   * page goes on where it was: what it has missed follows.
   */
  | ['attached', jid: string, isManaged: boolean, goesOn: boolean]
  /** The server sent this. */
  | ['frame', frame: string]
  /** Another page sent this. */
  | ['foreign', frame: string]
  /** Another page is logging out. */
  | ['leaving']
  /** There is no connection any more, or none to be had; never, if it is final. */
  | ['lost', why: string, isFinal: boolean]
  /** Something went wrong that the log should say. */
  | ['problem', what: string]
  /** Are you there? */
  | ['ping'];
