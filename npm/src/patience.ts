// How long answers to requests of BOSH may take, for all connections of the page, before they are
// asked for again. What follows from it for a request is the core's.

/** Both are parts of the time that the server may keep a request waiting. */
export const patience = {
  /** The most that any answer may take. */
  timeout: 1.1,
  /** The most that an answer may take which the server has no reason to keep back. */
  secondary: 0.1,
};

/** A part of that time, brought within what makes sense. */
export function partOf(name: string, value: number, least: number): number {
  if (!Number.isFinite(value)) throw new TypeError(`Strophe.${name} is a number, not ${value}`);
  return Math.min(Math.max(value, least), MOST);
}

const MOST = 100;
