// What the server tells its page: the domain, and accounts to try.

/** An account. What the person who started the server keeps secret is null. */
export interface Account {
  jid: string;
  password: string | null;
  token: string | null;
}

export interface Hints {
  domain: string;
  accounts: Account[];
}

export async function askHints(): Promise<Hints> {
  const response = await fetch('hints.json');
  if (!response.ok) throw new Error(`the server says ${response.status} to hints.json`);
  return (await response.json()) as Hints;
}
