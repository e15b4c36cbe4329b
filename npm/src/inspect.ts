// How Node.js prints what has secrets in it: by a method of this name.

/** The name of the method (`util.inspect.custom`). */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');
