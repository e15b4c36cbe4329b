// The wait before a connection is made anew.

/**
 * Calls a function after so many milliseconds, or sooner if the network is back by then.
 *
 * @returns what calls it off.
 */
export function pause(wait: number, then: () => void): () => void {
  const end = () => {
    clearTimeout(timer);
    globalThis.removeEventListener?.('online', go);
  };
  const go = () => {
    end();
    then();
  };
  const timer = setTimeout(go, wait);
  globalThis.addEventListener?.('online', go);
  return end;
}
