// The last login with a token (XEP-0484, section 3.5): the server forgets it, and so do we.

import { Status } from './constants.js';
import { SecretKind } from './core.js';
import { Driver } from './driver.js';
import { errorOf } from './login.js';
import type { News } from './news.js';
import type { Owner } from './owner.js';
import type { TokenKeeper } from './token-keeper.js';
import type { Opening, Transport } from './transport.js';

/** What it takes. */
export interface LogOut {
  /** What the core is told. */
  settings: object;
  transport: Transport;
  opening: Opening;
  /** Those of the account, whose next login is the last. */
  tokens: TokenKeeper;
}

/** Logs out. Says whether the server has forgotten the token; there is none here any more. */
export async function logOut({ settings, transport, opening, tokens }: LogOut): Promise<boolean> {
  if (!(await tokens.take())?.has_token()) return false;
  let failure: News | undefined;
  let isConnected = false;
  await new Promise<void>((ended) => {
    const reported = (news: News) => {
      if (news.code === Status.CONNECTED) {
        isConnected = true;
        driver.close();
      } else if (news.code === Status.DISCONNECTED) {
        failure ??= news;
        ended();
      } else if (news.condition !== undefined) failure ??= news;
    };
    const owner = { ...DEAF, offered: () => driver.choose([]), reported };
    const proof = { kind: SecretKind.None, secret: '' };
    const driver: Driver = new Driver(owner, settings, proof, { tokens });
    driver.start(transport, opening);
  });
  await tokens.settled();
  if (!isConnected && failure && failure.code !== Status.AUTHFAIL) throw errorOf(failure, null);
  await tokens.drop(); // the server does not take it any more
  return isConnected && tokens.isForgotten;
}

/** Whoever wants to hear of nothing. */
const DEAF: Omit<Owner, 'offered' | 'reported'> = {
  received() {},
  judged: () => [],
  claimed: () => undefined,
  handled() {},
  transmitted() {},
  showInput() {},
  showOutput() {},
  respond: () => false,
  authenticated() {},
  kept() {},
  explained() {},
  settled() {},
  delivered() {},
};
