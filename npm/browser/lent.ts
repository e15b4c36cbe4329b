// The real servers that `cargo xtask browser` has started.

/** What `epode-interop lend` tells. */
export interface Lent {
  accounts: [string, string];
  password: string;
  servers: RealServer[];
}

/** A server, and where it listens. */
export interface RealServer extends Record<'ws' | 'wss' | 'bosh' | 'secureBosh', string> {
  name: string;
  domains: string[];
  /** A token of alice's. */
  token: string;
}

/** The servers that run. */
export function lent(): Lent {
  const text = process.env['EPODE_SERVERS'];
  if (!text) throw new Error('no servers run: `cargo xtask browser` starts them, and sets EPODE_SERVERS');
  return JSON.parse(text) as Lent;
}
