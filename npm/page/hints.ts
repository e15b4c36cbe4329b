// What the server tells its page: the domain to anybody, and accounts to try to whoever has the key
// that is in the address which the server has printed.

/** An account. What the person who started the server keeps secret is null. */
export interface Account {
  jid: string;
  password: string | null;
  token: string | null;
}

export interface Hints {
  domain: string;
  accounts: Account[];
  /** Why there are no accounts, for people. */
  note: string;
}

/** Asks for all that the key in this address is good for. */
export async function askHints(address: Location): Promise<Hints> {
  const { domain } = await read<{ domain: string }>(await fetch('server.json'));
  const key = new URLSearchParams(address.hash.slice(1)).get('key');
  if (!key) return { domain, accounts: [], note: WITHOUT_KEY };
  const response = await fetch('accounts.json', { headers: { Authorization: `Bearer ${key}` } });
  if (response.status === 401) return { domain, accounts: [], note: WRONG_KEY };
  return { domain, accounts: await read<Account[]>(response), note: '' };
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Error(`${response.url}: the server says ${response.status}`);
  return (await response.json()) as T;
}

const WITHOUT_KEY =
  'Type the address and the password of an account: the server has printed them where it was started. ' +
  'The page’s whole address, as it is printed there, fills them in.';
const WRONG_KEY =
  'The key in this page’s address is of another run of the server. ' +
  'Open the address that it has printed now, or type an account’s address and password.';
