// The BOSH session of a page, kept for the page that comes after it in the same tab.
// It is as secret as a password, and good for as long as the session is.

/** Whether there is a place for it. Browsers that store nothing throw at the question. */
export function canKeepSession(): boolean {
  try {
    return typeof sessionStorage.getItem === 'function';
  } catch {
    return false;
  }
}

/** Keeps it in place of the one before. */
export function keepSession(json: string): void {
  sessionStorage.setItem(KEY, json);
}

/** The session that is kept, as JSON. */
export function keptSession(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Keeps none any more. */
export function forgetSession(): void {
  sessionStorage.removeItem(KEY);
}

const KEY = 'epode-bosh-session';
