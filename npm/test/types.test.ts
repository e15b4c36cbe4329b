// What programs in TypeScript write: that it compiles is the test. A little of it is run.

import { $msg, Strophe, type ConnectCallback, type ConnectionOptions } from 'strophejs';
import { expect, test } from 'vitest';

declare module 'strophejs' {
  interface Connection {
    greeter: { greet(): string };
    shout(): string;
  }
}

test('a plugin is typed, and so is what it adds', () => {
  Strophe.addConnectionPlugin('greeter', {
    connection: null as Strophe.Connection | null,
    told: [] as number[],
    init(connection) {
      this.connection = connection;
    },
    statusChanged(status) {
      this.told.push(status);
    },
    greet(): string {
      return `I am ${this.connection?.jid}`;
    },
  });
  Strophe.Connection.prototype.shout = function () {
    return this.jid.toUpperCase();
  };
  const connection: Strophe.Connection = new Strophe.Connection('wss://example.com/ws');
  connection.jid = 'alice@example.com';
  expect(connection.greeter.greet()).toBe('I am alice@example.com');
  expect(connection.shout()).toBe('ALICE@EXAMPLE.COM');
});

test('a class of connections may have methods of its own, and change those that there are', () => {
  class Recorded extends Strophe.Connection {
    readonly sent: Element[] = [];

    constructor(service: string, options: ConnectionOptions = {}) {
      super(service, options);
    }

    override connect(jid: string, password: string, callback?: ConnectCallback): void {
      super.connect(jid, password, callback, 59);
    }

    override async bind(): Promise<void> {
      await Promise.resolve();
      super.bind();
    }

    override send(stanza: Element): void {
      this.sent.push(stanza);
    }
  }
  const connection = new Recorded('wss://example.com/ws');
  const body = $msg({ to: 'bob@example.com' }).c('body').t('Hi').tree();
  connection.send($msg({ to: 'carol@example.com' }).cnode(Strophe.copyElement(body)).tree());
  expect(connection.sent.map((stanza) => Strophe.serialize(stanza))).toHaveLength(1);
});

// @ts-expect-error A plugin is an object.
export const refusedPlugin = () => Strophe.addConnectionPlugin('name', 5);
// @ts-expect-error Statuses are numbers.
export const refusedStatus: Strophe.Connection['connect_callback'] = (status: string) => status;
// @ts-expect-error What is sent is an element or a builder.
export const refusedText = (connection: Strophe.Connection) => connection.send('<message/>');
