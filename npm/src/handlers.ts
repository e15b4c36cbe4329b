// The part of a connection that says who gets which stanza: handlers, answers to requests, timed
// handlers. How stanzas come and go is not known here.

import { Answer, type Asker } from './answer.js';
import { ConnectionEndedError, StanzaError, TimeoutError } from './errors.js';
import { Hooks } from './frames.js';
import { Handler, TimedHandler, type HandlerCallback, type HandlerOptions } from './handler.js';
import { guard, handleError, warn } from './log.js';
import type { Sendable } from './options.js';
import { elementOf, refusalOf, uniqueId } from './outgoing.js';
import { isPromise } from './promise.js';
import type { Role } from './worker-protocol.js';

/** What a connection is to its handlers. */
export abstract class Handlers extends Hooks {
  /** The handlers, in the order in which they are called. */
  handlers: Handler[] = [];
  timedHandlers: TimedHandler[] = [];
  /** Whether this page answers for all that share its connection; null where it shares none. */
  role: Role | null = null;
  /** Takes the requests that no other handler takes: it refuses them, once for all pages. */
  iqFallbackHandler: Handler | null = new Handler(
    (iq) => this.role === 'secondary' || this.send(refusalOf(iq)),
    null,
    'iq',
    ['get', 'set'],
  );
  private idle: ReturnType<typeof setTimeout> | undefined;

  abstract jid: string;
  abstract authenticated: boolean;
  /** Whether there is a connection, or one is being made. */
  protected abstract get isUnderWay(): boolean;
  /** Whether stanzas can be sent. */
  protected abstract get takesStanzas(): boolean;
  /** Sends stanzas. */
  abstract send(stanza: Sendable): void;

  /**
   * Sends a request. The answer goes to `callback`, an error to `errback`; so does null, when
   * `timeout` milliseconds have passed or the connection has ended. Only the one who was asked can
   * answer.
   *
   * @returns the id of the request.
   */
  sendIQ(
    stanza: Sendable,
    callback?: ((answer: Element) => unknown) | null,
    errback?: ((answer: Element | null) => unknown) | null,
    timeout?: number,
  ): string {
    return this.ask(stanza, 'sendIQ', { callback, errback }, timeout);
  }

  /** Sends a presence that is answered by one of the same id; as {@link sendIQ} for the rest. */
  sendPresence(
    stanza: Sendable,
    callback?: ((answer: Element) => unknown) | null,
    errback?: ((answer: Element | null) => unknown) | null,
    timeout?: number,
  ): string {
    return this.ask(stanza, 'sendPresence', { callback, errback }, timeout);
  }

  /**
   * Sends a request, for `await`. It comes to the answer, or is rejected: with a `StanzaError`, a
   * `TimeoutError` after so many milliseconds, or a `ConnectionEndedError`.
   */
  request(stanza: Sendable, timeout = REQUEST_TIMEOUT): Promise<Element> {
    return new Promise((resolve, reject) => {
      const begun = Date.now();
      const refused = (answer: Element | null) => {
        if (answer) return reject(new StanzaError(answer));
        const isLate = Date.now() - begun >= timeout;
        const seconds = Math.round(timeout / 1000);
        return reject(
          isLate
            ? new TimeoutError(`nobody answered within ${seconds} seconds`)
            : new ConnectionEndedError('the session has ended before the answer came'),
        );
      };
      this.sendIQ(stanza, resolve, refused, timeout);
    });
  }

  /**
   * Calls a function with the stanzas that meet all of these; what is empty holds for all. It is
   * called until it throws or returns something that is not true, or the connection ends. A promise
   * is true, until it is rejected or comes to `false`.
   */
  addHandler(
    callback: HandlerCallback,
    ns?: string | null,
    name?: string | null,
    type?: string | string[] | null,
    id?: string | null,
    from?: string | null,
    options?: HandlerOptions,
  ): Handler {
    const handler = new Handler(callback, ns, name, type, id, from, options);
    this.handlers.push(handler);
    return handler;
  }

  /**
   * Adds a handler that does not wait for the login. It also gets what is no stanza, once the core
   * has dealt with it.
   */
  _addSysHandler(
    callback: HandlerCallback,
    ns?: string | null,
    name?: string | null,
    type?: string | string[] | null,
    id?: string | null,
  ): Handler {
    const handler = this.addHandler(callback, ns, name, type, id);
    handler.user = false;
    return handler;
  }

  /** Takes a handler away. It is not called any more. */
  deleteHandler(handler: Handler): void {
    this.handlers = this.handlers.filter((other) => other !== handler);
  }

  /** Calls a function each time so many milliseconds have passed, until it returns something false. */
  addTimedHandler(period: number, callback: () => unknown): TimedHandler {
    const handler = new TimedHandler(period, callback);
    this.timedHandlers.push(handler);
    this.watch();
    return handler;
  }

  /** Takes a timed handler away. */
  deleteTimedHandler(handler: TimedHandler): void {
    this.timedHandlers = this.timedHandlers.filter((other) => other !== handler);
  }

  /** An id that nobody can guess, with a suffix for people who read logs. */
  getUniqueId(suffix?: string | number | null): string {
    const id = uniqueId();
    return typeof suffix === 'string' || typeof suffix === 'number' ? `${id}:${suffix}` : id;
  }

  /** Calls the timed handlers whose time has come. */
  _onIdle(): void {
    const now = Date.now();
    for (const handler of [...this.timedHandlers]) {
      const waits = handler.user && !this.authenticated;
      const isGone = !this.timedHandlers.includes(handler);
      if (waits || isGone || now - handler.lastCalled < handler.period) continue;
      if (!guard(() => handler.run())) this.deleteTimedHandler(handler);
    }
  }

  /** Looks at the timed handlers now and then, while there are any. */
  protected watch(): void {
    if (this.idle !== undefined || !this.isUnderWay || this.timedHandlers.length === 0) return;
    this.idle = setTimeout(() => {
      this.idle = undefined;
      this._onIdle();
      this.watch();
    }, IDLE_PERIOD);
  }

  /** Gives a stanza to the handlers that want it. A request that nobody takes is refused. */
  protected deliver(stanza: Element): void {
    if (this.dispatch(stanza, (handler) => !handler.user || this.authenticated)) return;
    const fallback = this.iqFallbackHandler;
    if (this.takesStanzas && fallback?.isMatch(stanza)) guard(() => fallback.handler(stanza));
  }

  /** Gives what is no stanza to the handlers of the system that want it. */
  protected observe(element: Element): void {
    this.dispatch(element, (handler) => !handler.user);
  }

  /** Whether there are handlers of system, so that what is no stanza is worth reading. */
  protected get observes(): boolean {
    return this.handlers.some((handler) => !handler.user);
  }

  /** Forgets all handlers: the connection has ended. Requests that wait for an answer fail. */
  protected clearHandlers(): void {
    const answers = this.handlers.filter((handler) => handler instanceof Answer);
    this.handlers = [];
    this.timedHandlers = [];
    clearTimeout(this.idle);
    this.idle = undefined;
    for (const answer of answers) guard(() => answer.fail());
  }

  /** Calls the handlers that want an element, and says whether one has taken it. */
  private dispatch(element: Element, may: (handler: Handler) => boolean): boolean {
    let isTaken = false;
    for (const handler of [...this.handlers]) {
      const isGone = !this.handlers.includes(handler); // taken away meanwhile
      if (isGone || !may(handler)) continue;
      try {
        if (!handler.isMatch(element)) continue;
        const result = handler.run(element);
        isTaken = true;
        if (isPromise(result)) this.settle(handler, result);
        else if (!result) this.deleteHandler(handler);
      } catch {
        this.drop(handler);
      }
    }
    return isTaken;
  }

  /** What a promise of a handler comes to may end it. */
  private settle(handler: Handler, promise: PromiseLike<unknown>): void {
    const settled = (stays: unknown) => {
      if (stays === false) this.deleteHandler(handler);
    };
    promise.then(settled, (exception) => {
      handleError(exception);
      this.drop(handler);
    });
  }

  private drop(handler: Handler): void {
    this.deleteHandler(handler);
    warn('a handler was taken away because it threw an exception');
  }

  private ask(stanza: Sendable, suffix: string, asker: Asker, timeout?: number): string {
    const request = elementOf(stanza);
    const id = request.getAttribute('id') || this.getUniqueId(suffix);
    request.setAttribute('id', id);
    const settle = () => {
      this.deleteHandler(answer);
      if (timer) this.deleteTimedHandler(timer);
    };
    const answer = new Answer(request, id, () => this.jid, asker, (element): unknown => {
      settle();
      return answer.give(element);
    });
    this.send(request);
    this.handlers.push(answer);
    const late = () => {
      settle();
      answer.fail();
    };
    const timer = timeout ? this.addTimedHandler(timeout, late) : null;
    if (timer) timer.user = false; // it is late whether we are connected or not
    return id;
  }
}

const IDLE_PERIOD = 100;
const REQUEST_TIMEOUT = 60_000;
