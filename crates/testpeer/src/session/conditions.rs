//! The errors of streams and stanzas that the server sends.
//!
//! Leaves out those of SASL, which are in `sasl`.

use epode_proto::xml::{Element, namespaces};

/// Why a stream ends (RFC 6120, section 4.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamCondition {
    BadFormat,
    Conflict,
    ConnectionTimeout,
    HostUnknown,
    InvalidFrom,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    ResourceConstraint,
    RestrictedXml,
    SystemShutdown,
    UnsupportedStanzaType,
    UnsupportedVersion,
}

/// Why a stanza was not taken (RFC 6120, section 8.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StanzaCondition {
    BadRequest,
    Conflict,
    JidMalformed,
    NotAllowed,
    RemoteServerNotFound,
    ServiceUnavailable,
}

impl StreamCondition {
    const fn name(self) -> &'static str {
        match self {
            Self::BadFormat => "bad-format",
            Self::Conflict => "conflict",
            Self::ConnectionTimeout => "connection-timeout",
            Self::HostUnknown => "host-unknown",
            Self::InvalidFrom => "invalid-from",
            Self::NotAuthorized => "not-authorized",
            Self::NotWellFormed => "not-well-formed",
            Self::PolicyViolation => "policy-violation",
            Self::ResourceConstraint => "resource-constraint",
            Self::RestrictedXml => "restricted-xml",
            Self::SystemShutdown => "system-shutdown",
            Self::UnsupportedStanzaType => "unsupported-stanza-type",
            Self::UnsupportedVersion => "unsupported-version",
        }
    }

    /// The error as it goes over the stream.
    pub(crate) fn element(self) -> Element {
        Element::new("error", namespaces::STREAM)
            .with_child(Element::new(self.name(), namespaces::STREAMS))
    }
}

impl StanzaCondition {
    const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::Conflict => "conflict",
            Self::JidMalformed => "jid-malformed",
            Self::NotAllowed => "not-allowed",
            Self::RemoteServerNotFound => "remote-server-not-found",
            Self::ServiceUnavailable => "service-unavailable",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::BadRequest | Self::JidMalformed => "modify",
            Self::Conflict
            | Self::NotAllowed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable => "cancel",
        }
    }

    /// The stanza that refuses `stanza`, from the address that it was sent to.
    pub(crate) fn reply_to(self, stanza: &Element) -> Element {
        let mut reply = Element::new(stanza.name(), namespaces::CLIENT).with_attr("type", "error");
        for (ours, theirs) in [("id", "id"), ("to", "from"), ("from", "to")] {
            if let Some(value) = stanza.attr(theirs) {
                reply.set_attr(ours, value);
            }
        }
        reply.with_child(
            Element::new("error", namespaces::CLIENT)
                .with_attr("type", self.kind())
                .with_child(Element::new(self.name(), namespaces::STANZAS)),
        )
    }
}
