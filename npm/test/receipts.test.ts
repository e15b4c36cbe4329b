// Promises of stanzas, until the server has acknowledged them.

import { $build, $msg, ConnectionEndedError, Strophe, UnacknowledgedError } from 'strophejs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { breakable, type Cuts } from './cuts.js';
import { login, next, until, type Connection, type Options } from './login.js';
import { serve, type Server } from './server.js';

const { CONNECTED } = Strophe.Status;

let server: Server;
let other: Server | undefined;
let cuts: Cuts;
const open: Connection[] = [];

beforeAll(async () => {
  server = await serve('secret');
});
afterAll(() => server.stop());
beforeEach(() => {
  Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  cuts = breakable(server);
});
afterEach(async () => {
  for (const connection of open.splice(0)) connection.reset();
  await other?.stop();
  other = undefined;
});

const MANAGED = { enableStreamManagement: true };
const HASTY = { ...MANAGED, reconnect: { first: 1, longest: 1 } };

async function alice(options: Options = MANAGED): Promise<Connection> {
  const connection = await login('alice', options);
  open.push(connection);
  if (options?.enableStreamManagement) await vi.waitFor(() => expect(connection.sm?.enabled).toBe(true));
  return connection;
}

/** A message to oneself. */
const letter = (to: Connection, text: string) => $msg({ to: to.jid }).c('body').t(text);

/** Cuts the connection at the next message that goes out. */
function cut(): void {
  cuts.at = (way, _, frame) => {
    const isMeant = way === 'out' && frame.startsWith('<message');
    if (isMeant) cuts.at = () => false;
    return isMeant;
  };
}

describe('the promise is kept', () => {
  test('once the server has the stanza', async () => {
    const connection = await alice();
    const came = next(connection, null, 'message');
    await connection.sendAcknowledged(letter(connection, 'Hi'));
    expect((await came).textContent).toBe('Hi');
    expect(connection.sm?.unacked).toEqual([]);
  });

  test('of each of many, the same one among them', async () => {
    const connection = await alice({ ...MANAGED, streamManagement: { maxUnacked: 3 } });
    const same = letter(connection, 'again');
    await Promise.all([1, 2, 3, 4, 5, 6].map(() => connection.sendAcknowledged(same)));
  });

  test('over the connections of its session', async () => {
    const connection = await alice(HASTY);
    cut();
    const came = next(connection, null, 'message');
    await connection.sendAcknowledged(letter(connection, 'Hi'));
    expect(cuts.count).toBe(1);
    expect(connection.restored).toBe(true);
    expect((await came).textContent).toBe('Hi');
  });

  test('of what is held back, and of what is sent between two connections', async () => {
    const connection = await alice(HASTY);
    connection.pause();
    const held = connection.sendAcknowledged(letter(connection, 'held'));
    cut();
    connection.resume();
    const between = connection.sendAcknowledged(letter(connection, 'between'));
    await Promise.all([held, between]);
    expect(cuts.count).toBe(1);
  });

  test('of a message that goes on into a new session', async () => {
    const connection = await alice(HASTY);
    other = await serve('secret');
    cuts.server = other;
    cut();
    await connection.sendAcknowledged(letter(connection, 'Hi'));
    expect(connection.restored).toBe(false);
  });
});

describe('the promise is rejected', () => {
  test('when the session ends before', async () => {
    const connection = await alice();
    for (const end of ['cut', 'reset'] as const) {
      if (end === 'cut') cut();
      else connection.pause();
      const receipt = connection.sendAcknowledged(letter(connection, 'Hi'));
      if (end === 'reset') connection.reset();
      await expect(receipt).rejects.toBeInstanceOf(ConnectionEndedError);
      if (end === 'cut') await until(connection, CONNECTED);
    }
  });

  test('when the session goes on without the stanza', async () => {
    const connection = await alice(HASTY);
    other = await serve('secret');
    cuts.server = other;
    cuts.at = (way, _, frame) => way === 'out' && frame.startsWith('<presence');
    const presence = connection.sendAcknowledged($build('presence', { xmlns: Strophe.NS.CLIENT }));
    cuts.at = () => false;
    await expect(presence).rejects.toBeInstanceOf(ConnectionEndedError);
    await connection.sendAcknowledged(letter(connection, 'Hi')); // which has an end of its own
  });

  test.each([
    ['is not wanted', {}],
    ['is not to be had, over BOSH', 'bosh'],
  ] as const)('where stream management %s', async (_, options) => {
    const service = options === 'bosh' ? server.bosh : 'wss://example.com/ws';
    const connection = new Strophe.Connection(service, options === 'bosh' ? MANAGED : options);
    open.push(connection);
    await until(connection, CONNECTED);
    const came = next(connection, null, 'message');
    await expect(connection.sendAcknowledged(letter(connection, 'Hi'))).rejects.toBeInstanceOf(UnacknowledgedError);
    expect((await came).textContent).toBe('Hi');
  });

  test('for what cannot be sent', async () => {
    const connection = new Strophe.Connection('wss://example.com/ws', MANAGED);
    const refused = expect.objectContaining({ name: 'StropheError' });
    await expect(connection.sendAcknowledged(letter(connection, 'nobody is there'))).rejects.toEqual(refused);
    await expect(connection.sendAcknowledged('text' as never)).rejects.toEqual(refused);
    const online = await alice();
    await expect(online.sendAcknowledged($build('other'))).rejects.toEqual(refused);
    await online.sendAcknowledged(letter(online, 'the next one'));
  });
});
