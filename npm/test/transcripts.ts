// What a scripted server says, in parts that several tests put together.

/** A stream begins. */
export const OPEN = `C: *
S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.com' id='1' version='1.0'/>
`;
export const AUTH = 'urn:ietf:params:xml:ns:xmpp-sasl';

/** A server that offers these, and then goes on so. */
export function offer(names: string[], then = ''): string {
  const mechanisms = names.map((name) => `<mechanism>${name}</mechanism>`).join('');
  return `${OPEN}S: <features xmlns='http://etherx.jabber.org/streams'><mechanisms
    xmlns='${AUTH}'>${mechanisms}</mechanisms></features>
${then}`;
}

/** The login by PLAIN that follows, to its end. */
export const LOGIN = offer(
  ['PLAIN'],
  `C: <auth xmlns='${AUTH}' mechanism='PLAIN'>*</auth>
S: <success xmlns='${AUTH}'/>
${OPEN}S: <features xmlns='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></features>
C: <iq xmlns='jabber:client' type='set' id='*'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
S: <iq xmlns='jabber:client' type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@example.com/it's&amp;</jid></bind></iq>
`,
);

/** The client ends the stream, and the server agrees. */
export const CLOSED = `C: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
S: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
S: !close`;
