// The frames of a connection as elements, and whoever wants to see them pass.

import { guard } from './log.js';
import { read } from './xml.js';

/** Functions that see what passes. They do nothing until they are replaced. */
export class Hooks {
  /** Called with each element that comes. */
  xmlInput(_element: Element): void {}
  /** Called with each element that goes out, secrets included. */
  xmlOutput(_element: Element): void {}
  /** Called with each text that comes. */
  rawInput(_text: string): void {}
  /** Called with each text that goes out, secrets included. */
  rawOutput(_text: string): void {}
}

const { xmlInput, xmlOutput, rawInput, rawOutput } = Hooks.prototype;

/** The frame that is being handled. It is an element once somebody wants to see it. */
export class Frames {
  private frame: string | null = null;
  private parsed: Element | null = null;

  constructor(private readonly hooks: Hooks) {}

  /** A frame came. The hooks are not shown one that came in something else. */
  received(frame: string, isWrapped = false): void {
    this.frame = frame;
    this.parsed = null;
    if (!isWrapped) this.show(frame, () => this.element());
  }

  /** Something came that frames are in. */
  showInput(text: string): void {
    this.show(text, () => elementOf(text));
  }

  /** It has been dealt with. */
  handled(): void {
    this.frame = null;
    this.parsed = null;
  }

  /** A frame goes out. The hooks are not shown one that goes out in something else. */
  transmitted(frame: string, isWrapped = false): void {
    if (!isWrapped) this.showOutput(frame);
  }

  /** Something goes out that frames are in. */
  showOutput(text: string): void {
    const { hooks } = this;
    const element = hooks.xmlOutput === xmlOutput ? null : elementOf(text);
    if (element) guard(() => hooks.xmlOutput(element)); // a start tag of a stream is none
    if (hooks.rawOutput !== rawOutput) guard(() => hooks.rawOutput(text));
  }

  /** The frame as an element, if it is one. */
  element(): Element | null {
    if (!this.parsed && this.frame) this.parsed = elementOf(this.frame);
    if (!this.parsed) this.frame = null; // the core says what is wrong with it
    return this.parsed;
  }

  private show(text: string, element: () => Element | null): void {
    const { hooks } = this;
    if (hooks.rawInput !== rawInput) guard(() => hooks.rawInput(text));
    const shown = hooks.xmlInput === xmlInput ? null : element();
    if (shown) guard(() => hooks.xmlInput(shown));
  }
}

/** What the core refuses, is none. */
function elementOf(text: string): Element | null {
  if (/<!DOCTYPE/i.test(text)) return null;
  try {
    return read(text);
  } catch {
    return null;
  }
}
