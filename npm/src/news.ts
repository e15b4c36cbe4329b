// What the core says of a connection.

/** What the core says of a status. */
export interface News {
  code: number;
  condition?: string;
  message?: string;
  advice?: string;
  jid?: string;
  mechanism?: string;
  serverProved?: boolean;
  flights?: number;
  passedOver?: { mechanism: string; offered: boolean; reason: string }[];
  /** Whether the session is that of an earlier connection. */
  resumed?: boolean;
  /** Whether the server sends copies of what the account's other clients send and receive. */
  carbons?: boolean;
  /** Where the server sends us. */
  place?: string;
  /** Which attempt to reconnect it is, and in how many milliseconds it is made. */
  attempt?: number;
  wait?: number;
}
