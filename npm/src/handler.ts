// Who wants to hear of which stanzas, and of time that passes.

import { handleError } from './log.js';
import { getBareJidFromJid } from './jid.js';
import { forEachChild, getNamespace, isTagEqual } from './xml.js';

/** Called with a stanza; what is true keeps the handler, anything else removes it. */
export type HandlerCallback = (stanza: Element) => unknown;

/** How addresses and namespaces are compared. */
export interface HandlerOptions {
  /** The sender counts without its resource. */
  matchBareFromJid?: boolean;
  /** A namespace counts without what stands after its `#`. */
  ignoreNamespaceFragment?: boolean;
}

/** A function, and the stanzas that it is for. A criterion that is empty holds for all. */
export class Handler {
  /** It waits until the login is done. */
  user = true;
  readonly options: Required<HandlerOptions>;
  readonly from: string | null;

  constructor(
    readonly handler: HandlerCallback,
    readonly ns?: string | null,
    readonly name?: string | null,
    readonly type?: string | string[] | null,
    readonly id?: string | null,
    from?: string | null,
    options: HandlerOptions = {},
  ) {
    this.options = { matchBareFromJid: false, ignoreNamespaceFragment: false, ...options };
    this.from = (this.options.matchBareFromJid ? getBareJidFromJid(from) : from) ?? null;
  }

  /** The namespace of an element, as far as it counts. */
  getNamespace(element: Element): string | null {
    const namespace = getNamespace(element);
    if (!namespace || !this.options.ignoreNamespaceFragment) return namespace;
    return namespace.split('#', 1)[0] ?? namespace;
  }

  /** Whether the element, or one within it at any depth, is in the namespace. */
  namespaceMatch(element: Element): boolean {
    if (!this.ns || this.getNamespace(element) === this.ns) return true;
    let found = false;
    forEachChild(element, null, (child) => {
      found ||= this.namespaceMatch(child);
    });
    return found;
  }

  /** Whether the stanza is one for it. */
  isMatch(stanza: Element): boolean {
    const sender = stanza.getAttribute('from');
    const from = this.options.matchBareFromJid ? getBareJidFromJid(sender) : sender;
    const type = stanza.getAttribute('type') ?? '';
    return (
      this.namespaceMatch(stanza) &&
      (!this.name || isTagEqual(stanza, this.name)) &&
      (!this.type || (Array.isArray(this.type) ? this.type.includes(type) : type === this.type)) &&
      (!this.id || stanza.getAttribute('id') === this.id) &&
      (!this.from || from === this.from)
    );
  }

  /**
   * Calls the function.
   *
   * @throws whatever it throws, once that is in the log.
   */
  run(stanza: Element): unknown {
    try {
      return this.handler(stanza);
    } catch (exception) {
      handleError(exception);
      throw exception;
    }
  }

  toString(): string {
    return `{Handler: ${this.handler.name}(${this.name},${this.id},${this.ns})}`;
  }
}

/** A function that is called again and again, as long as it returns true. */
export class TimedHandler {
  user = true;
  /** When it was called last, or made. */
  lastCalled = Date.now();

  constructor(
    readonly period: number,
    readonly handler: () => unknown,
  ) {}

  /** Calls the function. */
  run(): unknown {
    this.lastCalled = Date.now();
    return this.handler();
  }

  /** Begins its period anew. */
  reset(): void {
    this.lastCalled = Date.now();
  }

  toString(): string {
    return `{TimedHandler: ${this.handler.name}(${this.period})}`;
  }
}
