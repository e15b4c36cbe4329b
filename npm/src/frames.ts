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

  /** A frame came. */
  received(frame: string): void {
    this.frame = frame;
    this.parsed = null;
    const { hooks } = this;
    if (hooks.rawInput !== rawInput) guard(() => hooks.rawInput(frame));
    const element = hooks.xmlInput === xmlInput ? null : this.element();
    if (element) guard(() => hooks.xmlInput(element));
  }

  /** It has been dealt with. */
  handled(): void {
    this.frame = null;
    this.parsed = null;
  }

  /** A frame goes out. */
  transmitted(frame: string): void {
    const { hooks } = this;
    if (hooks.xmlOutput !== xmlOutput) guard(() => hooks.xmlOutput(read(frame)));
    if (hooks.rawOutput !== rawOutput) guard(() => hooks.rawOutput(frame));
  }

  /** The frame as an element, if it is one. */
  element(): Element | null {
    if (this.parsed || !this.frame) return this.parsed;
    if (/<!DOCTYPE/i.test(this.frame)) return null; // the core refuses it, and so do we
    try {
      this.parsed = read(this.frame);
    } catch {
      this.frame = null; // the core says what is wrong with it
    }
    return this.parsed;
  }
}
