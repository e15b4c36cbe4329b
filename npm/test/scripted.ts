// A connection to a server that plays a transcript, from its beginning to its end.

import { Strophe } from 'strophejs';
import type { Connection, Options } from './login.js';
import { play, redirect } from './server.js';

export interface Play {
  jid?: string;
  authcid?: string;
  pass?: Parameters<Connection['connect']>[1];
  options?: Options;
  service?: string;
  /** Another connection than a new one. */
  connection?: Connection;
  heard?: (status: number, connection: Connection) => void;
}

export interface Outcome {
  connection: Connection;
  statuses: [number, string | null][];
  /** What the client has sent, as text. */
  sent: string[];
}

/** Connects, and waits for DISCONNECTED. */
export async function connectTo(transcript: string, play_: Play = {}): Promise<Outcome> {
  const server = await play(transcript);
  redirect(server);
  const { jid = 'alice@example.com', pass = 's3cr3t', service = 'wss://example.com/' } = play_;
  const connection = play_.connection ?? new Strophe.Connection(service, play_.options);
  const [statuses, sent]: [Outcome['statuses'], string[]] = [[], []];
  connection.rawOutput = (text) => sent.push(text);
  await new Promise<void>((done) => {
    const callback = (status: number, condition: string | null) => {
      statuses.push([status, condition]);
      play_.heard?.(status, connection);
      if (status === Strophe.Status.DISCONNECTED) done();
    };
    const { authcid } = play_;
    connection.connect(jid, pass, callback, undefined, undefined, undefined, authcid);
  });
  await server.stop();
  return { connection, statuses, sent };
}

/** The message of the `<auth/>` or `<response/>` at a place among those, as text. */
export function message(sent: string[], place = 0): string {
  const texts = sent.flatMap((xml) => /<(?:auth|response)\b[^>]*>([^<]*)</.exec(xml)?.[1] ?? []);
  const text = texts[place] ?? '';
  return text === '=' ? '=' : Buffer.from(text, 'base64').toString();
}
