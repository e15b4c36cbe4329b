//! Why a server ended a session (XEP-0124, section 17.2).
//! What a client makes of it is decided elsewhere.

use std::fmt;

use super::HTTP_BIND;
use crate::xml::Element;

/// Why a server ended a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// A header or a body of ours was not acceptable.
    BadRequest,
    /// The domain, or the host of the route, is no longer served.
    HostGone,
    /// The domain, or the host of the route, is not known.
    HostUnknown,
    /// The server wants a `to` or a route, and had none.
    ImproperAddressing,
    /// The server failed.
    InternalServerError,
    /// The session, the request id or the key is not known: often a session that expired.
    ItemNotFound,
    /// Another request that was under way ended the session.
    OtherRequest,
    /// We broke the rules: too often, or too much at once.
    PolicyViolation,
    /// The connection to the XMPP server behind it failed.
    RemoteConnectionFailed,
    /// The XMPP stream ended in an error, which comes as a frame of its own.
    RemoteStreamError,
    /// The server is at another address.
    SeeOtherUri(
        /// Which, cut to 512 characters, without control characters. Nobody has checked it.
        Option<String>,
    ),
    /// The server is being shut down.
    SystemShutdown,
    /// None of the others.
    UndefinedCondition,
    /// A condition that XEP-0124 does not know.
    Other(
        /// The server's word, cut to 64 characters, with `?` for what no condition has in it.
        String,
    ),
}

impl Condition {
    /// The condition by its name, which for [`Other`](Self::Other) is the server's word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::SeeOtherUri(_) => SEE_OTHER_URI,
            Self::Other(name) => name,
            known => PLAIN
                .iter()
                .find(|(_, condition)| condition == known)
                .map_or("undefined-condition", |(name, _)| name),
        }
    }

    /// The condition that a body names.
    pub(super) fn of(body: &Element) -> Option<Self> {
        let name = body.attr("condition")?;
        if name == SEE_OTHER_URI {
            let uri = body.child("uri", HTTP_BIND).map(Element::text);
            return Some(Self::SeeOtherUri(uri.map(|uri| harmless_uri(&uri))));
        }
        let known = PLAIN.iter().find(|(known, _)| *known == name);
        Some(known.map_or_else(|| Self::Other(harmless_name(name)), |(_, known)| known.clone()))
    }

    /// What servers of before version 1.6 said by an HTTP status (XEP-0124, section 17.1).
    pub(super) fn of_status(status: u16) -> Option<Self> {
        match status {
            400 => Some(Self::BadRequest),
            403 => Some(Self::PolicyViolation),
            404 => Some(Self::ItemNotFound),
            _ => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::SeeOtherUri(Some(uri)) => write!(f, " ({uri:?})"),
            _ => Ok(()),
        }
    }
}

fn harmless_uri(uri: &str) -> String {
    uri.trim().chars().filter(|c| !c.is_control()).take(MAX_URI).collect()
}

fn harmless_name(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '?' };
    name.chars().take(MAX_NAME).map(clean).collect()
}

const SEE_OTHER_URI: &str = "see-other-uri";
const MAX_URI: usize = 512;
const MAX_NAME: usize = 64;

/// The conditions that are their names and nothing else.
const PLAIN: [(&str, Condition); 12] = [
    ("bad-request", Condition::BadRequest),
    ("host-gone", Condition::HostGone),
    ("host-unknown", Condition::HostUnknown),
    ("improper-addressing", Condition::ImproperAddressing),
    ("internal-server-error", Condition::InternalServerError),
    ("item-not-found", Condition::ItemNotFound),
    ("other-request", Condition::OtherRequest),
    ("policy-violation", Condition::PolicyViolation),
    ("remote-connection-failed", Condition::RemoteConnectionFailed),
    ("remote-stream-error", Condition::RemoteStreamError),
    ("system-shutdown", Condition::SystemShutdown),
    ("undefined-condition", Condition::UndefinedCondition),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(condition: &str) -> Option<Condition> {
        Condition::of(&Element::new("body", HTTP_BIND).with_attr("condition", condition))
    }

    #[test]
    fn each_condition_is_known_by_its_name() {
        for (name, condition) in PLAIN {
            assert_eq!(of(name).as_ref(), Some(&condition));
            assert_eq!((condition.name(), condition.to_string().as_str()), (name, name));
        }
        assert_eq!(Condition::of(&Element::new("body", HTTP_BIND)), None);
    }

    #[test]
    fn an_unknown_condition_is_kept_and_harmless() {
        assert_eq!(of("so-what"), Some(Condition::Other("so-what".into())));
        assert_eq!(of("a\u{1b}[2J\nb<"), Some(Condition::Other("a??2J?b?".into())));
        let Some(Condition::Other(long)) = of(&"x".repeat(8000)) else { panic!("it is unknown") };
        assert_eq!(long.len(), 64);
        assert_eq!(of(""), Some(Condition::Other(String::new())));
    }

    #[test]
    fn the_other_uri_is_kept_and_harmless() {
        assert_eq!(of(SEE_OTHER_URI), Some(Condition::SeeOtherUri(None)));
        let uri = Element::new("uri", HTTP_BIND)
            .with_text(format!("\n https://a.example/\u{7}b{}", "c".repeat(9000)));
        let body = Element::new("body", HTTP_BIND).with_attr("condition", SEE_OTHER_URI);
        let Some(condition @ Condition::SeeOtherUri(Some(uri))) =
            &Condition::of(&body.with_child(uri))
        else {
            panic!("it is another condition");
        };
        assert!(uri.starts_with("https://a.example/bccc"));
        assert_eq!(uri.len(), 512);
        assert_eq!(condition.name(), SEE_OTHER_URI);
    }
}
