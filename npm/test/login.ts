// A login to an honest server, for tests of what comes after it.

import { Strophe } from 'strophejs';

export type Connection = InstanceType<typeof Strophe.Connection>;
export type Options = ConstructorParameters<typeof Strophe.Connection>[1];

/** Connects; the promise is kept once a status of this number is reported. */
export function until(
  connection: Connection,
  status: number,
  jid = 'alice@example.com/alice',
): Promise<string | null> {
  return new Promise((done) => {
    connection.connect(jid, 'secret', (code, condition) => {
      if (code === status) done(condition);
    });
  });
}

/** A connection that is logged in. */
export async function login(user: string, options: Options = {}): Promise<Connection> {
  const connection = new Strophe.Connection('wss://example.com/ws', options);
  await until(connection, Strophe.Status.CONNECTED, `${user}@example.com/${user}`);
  return connection;
}

/** The next stanza that meets these criteria. */
export function next(connection: Connection, ...criteria: unknown[]): Promise<Element> {
  return new Promise((done) => {
    connection.addHandler(done, ...(criteria as []));
  });
}
