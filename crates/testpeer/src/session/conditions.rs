//! The errors of streams and stanzas that the server sends.
//!
//! Leaves out those of SASL, which are in `sasl`.

use epode_proto::xml::{Element, namespaces};

use super::stream_management;

/// Why a stream ends (RFC 6120, section 4.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamCondition {
    BadFormat,
    Conflict,
    ConnectionTimeout,
    /// The client acknowledged `count` stanzas and was sent fewer (XEP-0198, section 6).
    HandledCountTooHigh {
        count: u32,
        sent: u32,
    },
    HostUnknown,
    ImproperAddressing,
    InvalidFrom,
    InvalidNamespace,
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
    FeatureNotImplemented,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    RemoteServerNotFound,
    ResourceConstraint,
    ServiceUnavailable,
    UnexpectedRequest,
}

impl StreamCondition {
    const fn name(self) -> &'static str {
        match self {
            Self::BadFormat => "bad-format",
            Self::Conflict => "conflict",
            Self::ConnectionTimeout => "connection-timeout",
            Self::HandledCountTooHigh { .. } => "undefined-condition",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::InvalidFrom => "invalid-from",
            Self::InvalidNamespace => "invalid-namespace",
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
        let error = Element::new("error", namespaces::STREAM)
            .with_child(Element::new(self.name(), namespaces::STREAMS));
        let Self::HandledCountTooHigh { count, sent } = self else { return error };
        let detail = Element::new("handled-count-too-high", stream_management::NAMESPACE)
            .with_attr("h", count.to_string())
            .with_attr("send-count", sent.to_string());
        error.with_child(detail)
    }
}

impl StanzaCondition {
    const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::Conflict => "conflict",
            Self::FeatureNotImplemented => "feature-not-implemented",
            Self::ItemNotFound => "item-not-found",
            Self::JidMalformed => "jid-malformed",
            Self::NotAcceptable => "not-acceptable",
            Self::NotAllowed => "not-allowed",
            Self::RemoteServerNotFound => "remote-server-not-found",
            Self::ResourceConstraint => "resource-constraint",
            Self::ServiceUnavailable => "service-unavailable",
            Self::UnexpectedRequest => "unexpected-request",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::BadRequest | Self::JidMalformed | Self::NotAcceptable => "modify",
            Self::ResourceConstraint | Self::UnexpectedRequest => "wait",
            Self::Conflict
            | Self::FeatureNotImplemented
            | Self::ItemNotFound
            | Self::NotAllowed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable => "cancel",
        }
    }

    /// The condition by itself.
    pub(crate) fn element(self) -> Element {
        Element::new(self.name(), namespaces::STANZAS)
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
                .with_child(self.element()),
        )
    }
}
