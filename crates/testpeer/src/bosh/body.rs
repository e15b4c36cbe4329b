//! The bodies of requests and answers.
//!
//! Leaves out what they do to the session.

use std::time::Duration;

use epode_proto::xml::{Element, Limits, namespaces, parse_document};

use super::{HTTP_BIND, XBOSH};

/// A request's body. It has no `Debug`: whoever knows its ids has the session.
pub(crate) struct Body {
    element: Element,
    rid: u64,
}

/// Why a session ends, or is not there (XEP-0124, section 17.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    BadRequest,
    ImproperAddressing,
    ItemNotFound,
    PolicyViolation,
    RemoteStreamError,
}

impl Body {
    /// Reads a request of at most so many bytes.
    pub(crate) fn parse(bytes: &[u8], largest: usize) -> Result<Self, Condition> {
        let limits = Limits::default();
        let limits = limits.with_stanza(largest).with_depth(limits.depth.saturating_add(1));
        let element = parse_document(bytes, &limits).map_err(|_| Condition::BadRequest)?;
        let rid = element.attr("rid").and_then(|rid| rid.parse().ok());
        match rid.filter(|rid| (1..=MAX_RID).contains(rid)) {
            Some(rid) if element.is("body", HTTP_BIND) => Ok(Self { element, rid }),
            _ => Err(Condition::BadRequest),
        }
    }

    pub(crate) fn rid(&self) -> u64 {
        self.rid
    }

    pub(crate) fn sid(&self) -> Option<&str> {
        self.attr("sid")
    }

    pub(super) fn attr(&self, name: &str) -> Option<&str> {
        self.element.attr(name)
    }

    /// An attribute that is a number of seconds, or another small one.
    pub(super) fn number(&self, name: &str) -> Option<u16> {
        self.attr(name)?.parse().ok()
    }

    pub(super) fn pause(&self) -> Option<Duration> {
        self.number("pause").map(|seconds| Duration::from_secs(seconds.into()))
    }

    pub(super) fn is_restart(&self) -> bool {
        matches!(self.element.attr_ns(XBOSH, "restart"), Some("true" | "1"))
    }

    pub(super) fn is_terminate(&self) -> bool {
        self.attr("type") == Some("terminate")
    }

    /// It does nothing but wait for an answer.
    pub(super) fn is_empty(&self) -> bool {
        let does_something = self.is_restart() || self.is_terminate() || self.pause().is_some();
        !does_something && self.payloads().next().is_none()
    }

    pub(super) fn payloads(&self) -> impl Iterator<Item = &Element> {
        self.element.children()
    }

    /// The stream header that it stands for. A restart may leave out the version.
    pub(super) fn header(&self, to: &str) -> Element {
        let mut header = Element::new("open", namespaces::FRAMING).with_attr("to", to);
        let restarted = self.is_restart().then_some("1.0");
        if let Some(version) = self.element.attr_ns(XBOSH, "version").or(restarted) {
            header.set_attr("version", version);
        }
        if let Some(from) = self.attr("from") {
            header.set_attr("from", from);
        }
        header
    }
}

impl Condition {
    const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::ImproperAddressing => "improper-addressing",
            Self::ItemNotFound => "item-not-found",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteStreamError => "remote-stream-error",
        }
    }
}

/// An answer with nothing in it.
pub(super) fn answer() -> Element {
    Element::new("body", HTTP_BIND)
}

/// The same answer, which ends the session, for this reason if there is one.
pub(super) fn ended(mut body: Element, condition: Option<Condition>) -> Element {
    body.set_attr("type", "terminate");
    if let Some(condition) = condition {
        body.set_attr("condition", condition.name());
    }
    body
}

/// The answer to a request that no session takes.
pub(crate) fn refusal(condition: Condition) -> String {
    ended(answer(), Some(condition)).to_xml()
}

/// Which a double-precision number still holds exactly (XEP-0124, section 14.1).
const MAX_RID: u64 = (1 << 53) - 1;
