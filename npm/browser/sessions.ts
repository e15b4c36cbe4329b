// Sessions that outlive connections, and logins by token, as a page has them.

import type { Page } from 'playwright-core';
import type * as Library from '../dist/types/index.js';
import type { Login } from './library.js';
import type { Line } from './line.js';

/** A login as a promise, and what became of a token. */
export interface QuickLogins {
  logins: { mechanism: string; flights: number }[];
  /** Whether the server said that it has forgotten the token. */
  isForgotten: boolean;
  /** What a login without it and without a password comes to. */
  after: string;
}

/** Logs in with the password, twice with the token that this left, and out for good. */
export function logInByToken(page: Page, login: Login): Promise<QuickLogins> {
  return page.evaluate(async ({ service, jid, pass }) => {
    const { Strophe } = globalThis as unknown as typeof Library;
    const tokens = new Strophe.MemoryTokenStore();
    const logins: QuickLogins['logins'] = [];
    let connection = new Strophe.Connection(service, { tokens });
    for (const password of [String(pass), undefined, undefined]) {
      connection = new Strophe.Connection(service, { tokens });
      const secret = password === undefined ? {} : { password };
      const { mechanism, flights } = await connection.login({ jid, ...secret });
      logins.push({ mechanism, flights });
      await connection.close();
      if (!(await connection.hasToken(jid))) throw new Error('the login left no token');
    }
    const isForgotten = await connection.logout();
    const after = await connection.login({ jid }).then(
      () => 'CONNECTED',
      ({ condition }: Library.LoginError) => condition,
    );
    return { logins, isForgotten, after };
  }, login);
}

/** What became of a connection that was cut. */
export interface Survived {
  statuses: string[];
  isRestored: boolean;
  isSameAddress: boolean;
  /** What came to whoever was cut off, and what to the other. */
  arrived: [string[], string[]];
}

/** Two log in, the first over a line that is cut; both write meanwhile; then the line is mended. */
export async function survive(page: Page, line: Line, logins: [Login, Login], options: Library.ConnectionOptions): Promise<Survived> {
  await page.exposeFunction('cutLine', () => line.cut());
  await page.exposeFunction('mendLine', () => line.mend());
  return page.evaluate(async ({ logins, options }) => {
    const { Strophe, $msg, $pres, cutLine, mendLine } = globalThis as unknown as typeof Library & Controls;
    const nameOf = (status: number) => Object.entries(Strophe.Status).find(([, it]) => it === status)?.[0] ?? '';
    const [alice, bob] = [
      new Strophe.Connection(logins[0].service, options),
      new Strophe.Connection(logins[1].service),
    ] as const;
    const arrived: Survived['arrived'] = [[], []];
    const statuses: string[] = [];
    const until = async (isSo: () => boolean) => {
      while (!isSo()) await new Promise((done) => setTimeout(done, 5));
    };
    const begin = (connection: Library.Connection, texts: string[]) => {
      const read = (message: Element) => texts.push(message.querySelector('body')?.textContent ?? '');
      connection.addHandler((message: Element) => Boolean(read(message)), null, 'message', 'chat');
      connection.send($pres());
    };
    const login = ({ jid, pass }: Login) => ({ jid, password: String(pass) });
    await bob.login(login(logins[1]));
    begin(bob, arrived[1]);
    const { jid } = await alice.login(login(logins[0]), (status) => {
      statuses.push(nameOf(status));
      if (status === Strophe.Status.CONNECTED && !alice.restored) begin(alice, arrived[0]);
    });
    await until(() => !options.enableStreamManagement || alice.sm?.resumeSupported === true);

    statuses.length = 0;
    await cutLine();
    await until(() => statuses.includes('RECONNECTING'));
    alice.send($msg({ to: bob.jid, type: 'chat' }).c('body').t('from nowhere'));
    if (options.enableStreamManagement) bob.send($msg({ to: jid, type: 'chat' }).c('body').t('to nowhere'));
    await mendLine();
    await until(() => statuses.includes('CONNECTED'));
    const { restored: isRestored } = alice;
    const isSameAddress = alice.jid === jid;
    bob.send($msg({ to: alice.jid, type: 'chat' }).c('body').t('the last'));
    await until(() => arrived[0].includes('the last') && arrived[1].length > 0);
    await Promise.all([alice.close(), bob.close()]);
    return { statuses, isRestored, isSameAddress, arrived };
  }, { logins, options });
}

interface Controls {
  cutLine(): Promise<void>;
  mendLine(): Promise<void>;
}
