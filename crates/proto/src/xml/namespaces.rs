//! The XML namespaces that this crate speaks, and the small type that holds one.
//!
//! Namespaces of extensions that only an application knows are not listed; they work all the same.

use std::fmt;
use std::sync::Arc;

/// The element that wraps an RFC 6120 stream, its features and its errors.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// The conditions inside a stream error (RFC 6120, section 4.9).
pub const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// The conditions inside a stanza error (RFC 6120, section 8.3).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// `message`, `presence` and `iq` between a client and its server.
pub const CLIENT: &str = "jabber:client";
/// What an external component and its server say to each other (XEP-0114). Inside, its stanzas are
/// those of [`CLIENT`]: the framing moves them.
pub const COMPONENT: &str = "jabber:component:accept";
/// `<open/>` and `<close/>` over WebSocket (RFC 7395).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// STARTTLS (RFC 6120, section 5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120, section 6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// The extensible profile of SASL, "SASL2" (XEP-0388).
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// Resource binding within a login by SASL2 (XEP-0386).
pub const BIND2: &str = "urn:xmpp:bind:0";
/// Tokens for quick logins (XEP-0484).
pub const FAST: &str = "urn:xmpp:fast:0";
/// The version of what a server offers, for logins that do not wait for the offer (XEP-0509).
pub const IAP: &str = "urn:xmpp:iap:0";
/// Upgrades of the keys that a server has of an account (XEP-0480).
pub const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
/// The upgrade of an account to another hash of SCRAM (XEP-0480, section 3).
pub const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
/// Copies of what other clients of an account send and receive (XEP-0280).
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// The types of channel binding that a server knows (XEP-0440).
pub const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// Resource binding (RFC 6120, section 7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// The session request of RFC 3921, which RFC 6120 dropped.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// XMPP ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Stream management (XEP-0198).
pub const SM: &str = "urn:xmpp:sm:3";
/// Client state indication (XEP-0352).
pub const CSI: &str = "urn:xmpp:csi:0";
/// When a stanza was sent that comes late (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// The namespace of the prefix `xml`, as in `xml:lang`; it is never declared.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of the prefix `xmlns`; no element and no attribute can be in it.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// A namespace name, cheap to clone: known ones are borrowed for ever, others are shared.
#[derive(Clone)]
pub(crate) enum Namespace {
    Known(&'static str),
    Other(Arc<str>),
}

impl Namespace {
    /// No namespace at all.
    pub(crate) const NONE: Self = Self::Known("");

    pub(crate) fn new(name: &str) -> Self {
        match KNOWN.iter().find(|known| **known == name) {
            Some(known) => Self::Known(known),
            None => Self::Other(name.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }

    /// The name, or `None` where there is no namespace.
    pub(crate) fn name(&self) -> Option<&str> {
        Some(self.as_str()).filter(|name| !name.is_empty())
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Namespace {}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

const KNOWN: [&str; 17] = [
    "", CLIENT, COMPONENT, STREAM, SASL, SASL2, FRAMING, SM, BIND, BIND2, STREAMS, STANZAS,
    SESSION, TLS, PING, XML, XMLNS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_not_copied() {
        assert!(matches!(Namespace::new("jabber:client"), Namespace::Known(CLIENT)));
        assert!(matches!(Namespace::new("urn:example"), Namespace::Other(_)));
    }

    #[test]
    fn equality_is_by_name() {
        assert_eq!(Namespace::Other(CLIENT.into()), Namespace::Known(CLIENT));
        assert_ne!(Namespace::new("jabber:server"), Namespace::new(CLIENT));
    }

    #[test]
    fn no_namespace_has_no_name() {
        assert_eq!(Namespace::NONE.name(), None);
        assert_eq!(Namespace::new("").name(), None);
        assert_eq!(Namespace::new(PING).name(), Some("urn:xmpp:ping"));
    }
}
