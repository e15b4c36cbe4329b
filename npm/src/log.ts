// What the package says about itself. Where it goes is `Strophe.log`, which may be replaced.

import { LogLevel } from './constants.js';
import { isPromise } from './promise.js';

/** Takes a line of the log. */
export type Log = (level: number, message: string) => void;

let threshold: number = LogLevel.INFO;

/** Where lines go: the console, until somebody replaces it. */
export const sink: { log: Log } = {
  log(level, message) {
    if (level < threshold) return;
    const write = [console.debug, console.info, console.warn][level] ?? console.error;
    write.call(console, message);
  },
};

/** Lines below this level do not go to the console. */
export function setLogLevel(level: number): void {
  if (!Number.isInteger(level) || level < LogLevel.DEBUG || level > LogLevel.FATAL) {
    throw new Error(`a log level is a number from 0 to 4, not ${level}`);
  }
  threshold = level;
}

export const log: Log = (level, message) => sink.log(level, message);
export const debug = (message: string): void => log(LogLevel.DEBUG, message);
export const info = (message: string): void => log(LogLevel.INFO, message);
export const warn = (message: string): void => log(LogLevel.WARN, message);
export const error = (message: string): void => log(LogLevel.ERROR, message);
export const fatal = (message: string): void => log(LogLevel.FATAL, message);

/** What an exception says. */
export function words(exception: unknown): string {
  return exception instanceof Error ? exception.message : String(exception);
}

/** An exception that nobody else takes. */
export function handleError(exception: unknown): void {
  const text = exception instanceof Error ? (exception.stack ?? exception.message) : exception;
  fatal(String(text));
}

/** Calls what is not ours; what it throws, or its promise is rejected with, goes to the log. */
export function guard<T>(call: () => T): T | undefined {
  try {
    const result = call();
    if (isPromise(result)) result.then(undefined, handleError);
    return result;
  } catch (exception) {
    handleError(exception);
    return undefined;
  }
}
