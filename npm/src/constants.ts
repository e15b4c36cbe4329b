// Names and numbers of the interface.

/** What has become of a connection. */
export const Status = {
  ERROR: 0,
  CONNECTING: 1,
  CONNFAIL: 2,
  AUTHENTICATING: 3,
  AUTHFAIL: 4,
  CONNECTED: 5,
  DISCONNECTED: 6,
  DISCONNECTING: 7,
  ATTACHED: 8,
  REDIRECT: 9,
  CONNTIMEOUT: 10,
  BINDREQUIRED: 11,
  ATTACHFAIL: 12,
  RECONNECTING: 13,
} as const;

/** Conditions that are not the server's. */
export const ErrorCondition = {
  BAD_FORMAT: 'bad-format',
  CONFLICT: 'conflict',
  MISSING_JID_NODE: 'x-strophe-bad-non-anon-jid',
  NO_AUTH_MECH: 'no-auth-mech',
  UNKNOWN_REASON: 'unknown',
} as const;

/** How much a line of the log matters. */
export const LogLevel = { DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3, FATAL: 4 } as const;

/** Kinds of DOM nodes. */
export const ElementType = { NORMAL: 1, TEXT: 3, CDATA: 4, FRAGMENT: 11 } as const;

/** Namespaces, by the names under which `Strophe.NS` has them; `addNamespace` adds more. */
export const NS = {
  AUTH: 'jabber:iq:auth',
  BIND: 'urn:ietf:params:xml:ns:xmpp-bind',
  BOSH: 'urn:xmpp:xbosh',
  CLIENT: 'jabber:client',
  COMPONENT: 'jabber:component:accept',
  DELAY: 'urn:xmpp:delay',
  DISCO_INFO: 'http://jabber.org/protocol/disco#info',
  DISCO_ITEMS: 'http://jabber.org/protocol/disco#items',
  FRAMING: 'urn:ietf:params:xml:ns:xmpp-framing',
  HTTPBIND: 'http://jabber.org/protocol/httpbind',
  MUC: 'http://jabber.org/protocol/muc',
  PROFILE: 'jabber:iq:profile',
  ROSTER: 'jabber:iq:roster',
  SASL: 'urn:ietf:params:xml:ns:xmpp-sasl',
  SERVER: 'jabber:server',
  SESSION: 'urn:ietf:params:xml:ns:xmpp-session',
  SM: 'urn:xmpp:sm:3',
  STANZAS: 'urn:ietf:params:xml:ns:xmpp-stanzas',
  STREAM: 'http://etherx.jabber.org/streams',
  VERSION: 'jabber:iq:version',
  XHTML: 'http://www.w3.org/1999/xhtml',
  XHTML_IM: 'http://jabber.org/protocol/xhtml-im',
} satisfies Record<string, string>;
