//! What discovery tells of itself: what was asked, what came of it, what was left out and why.
//! Which server is used in the end is not known here.

use std::{fmt, time::Duration};

use super::host_meta::HostMetaError;
use crate::{https::HttpsUrlError, resolver::LookupError, transport::EndpointError};

/// One thing that was found out, for people and for reports; [`Display`](fmt::Display) makes a line
/// of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What was asked.
    pub about: Question,
    /// What came of it.
    pub finding: Finding,
}

impl Note {
    pub(super) fn new(about: Question, finding: Finding) -> Self {
        Self { about, finding }
    }

    /// True when a person who runs the server should see it: a failure, a contradiction, or
    /// something that is published and cannot be used.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match &self.finding {
            Finding::Failed { .. } | Finding::Differs { .. } => true,
            Finding::Dropped { why, .. } => *why != Unfit::Refusal,
            Finding::Found { .. }
            | Finding::Nothing { .. }
            | Finding::NotAsked { .. }
            | Finding::Cut { .. } => false,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.finding)
    }
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Question {
    /// The SRV records for direct TLS (XEP-0368).
    SrvXmpps,
    /// The SRV records for STARTTLS (RFC 6120, section 3.2.1).
    SrvXmpp,
    /// The file `host-meta` (XEP-0156).
    HostMetaXml,
    /// The file `host-meta.json` (XEP-0156).
    HostMetaJson,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SrvXmpps => "SRV _xmpps-client._tcp",
            Self::SrvXmpp => "SRV _xmpp-client._tcp",
            Self::HostMetaXml => "host-meta",
            Self::HostMetaJson => "host-meta.json",
        })
    }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Something was there.
    Found {
        /// How many records, or links for XMPP.
        count: usize,
        /// How long it took.
        took: Duration,
    },
    /// Nothing was there: no such records, or no such file.
    Nothing {
        /// How long it took.
        took: Duration,
    },
    /// It is not known whether something is there.
    Failed {
        /// Why not.
        problem: Problem,
        /// How long it took.
        took: Duration,
    },
    /// It was not asked.
    NotAsked {
        /// Why not.
        why: NotAsked,
    },
    /// A record or link cannot be used.
    Dropped {
        /// The record's host and port, or the link's URL, made printable.
        what: String,
        /// What is wrong with it.
        why: Unfit,
    },
    /// There were more ways than are tried.
    Cut {
        /// How many are.
        kept: usize,
        /// How many there were.
        of: usize,
    },
    /// The two host-meta files do not name the same places; about the JSON one.
    Differs {
        /// What the XML file has alone.
        only_xml: Vec<String>,
        /// What the JSON file has alone.
        only_json: Vec<String>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { count, took } => write!(f, "{count} found ({} ms)", took.as_millis()),
            Self::Nothing { took } => write!(f, "none ({} ms)", took.as_millis()),
            Self::Failed { problem, took } => {
                write!(f, "failed: {problem} ({} ms)", took.as_millis())
            }
            Self::NotAsked { why } => write!(f, "not asked: {why}"),
            Self::Dropped { what, why } => write!(f, "{what} is left out: {why}"),
            Self::Cut { kept, of } => write!(f, "only {kept} of {of} ways by TCP are tried"),
            Self::Differs { only_xml, only_json } => {
                f.write_str("does not say what host-meta says")?;
                for (whose, links) in [("host-meta", only_xml), ("host-meta.json", only_json)] {
                    if !links.is_empty() {
                        write!(f, "; only {whose} has {}", links.join(", "))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A lookup in DNS failed.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A host-meta file could not be had, or not be read.
    #[error(transparent)]
    HostMeta(#[from] HostMetaError),
}

/// Why something was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAsked {
    /// The caller did not want it.
    NotWanted,
    /// The domain is an IP address, or a name that DNS does not know: `localhost` (RFC 6761), a
    /// name below it, or one below `onion` (RFC 7686).
    NotInDns,
    /// The proxy looks names up, so that nobody here hears them.
    ProxyResolves,
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "the options leave it out",
            Self::NotInDns => "the domain is no name in DNS",
            Self::ProxyResolves => "names are looked up by the proxy, and nowhere else",
        })
    }
}

/// Why a record or link cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The target is `.`.
    #[error("the domain says that it has no such service")]
    Refusal,
    /// The target is no host name.
    #[error("the target is no host name")]
    NoHost,
    /// The port is 0.
    #[error("the port is 0")]
    NoPort,
    /// A link for WebSocket to something else than a `wss://` URL.
    #[error("it does not begin with wss://")]
    NotWss,
    /// A link for WebSocket to a `wss://` URL that is not valid.
    #[error(transparent)]
    WebSocketUrl(EndpointError),
    /// A link for BOSH to something else than a valid `https://` URL.
    #[error(transparent)]
    BoshUrl(HttpsUrlError),
    /// There are enough of its kind.
    #[error("more than {limit} of its kind are not tried")]
    TooMany {
        /// How many are.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::EndpointError;

    #[test]
    fn notes_read_as_lines() {
        let took = Duration::from_millis(34);
        let links = |links: &[&str]| links.iter().map(|link| (*link).to_owned()).collect();
        for (about, finding, line, is_problem) in [
            (
                Question::SrvXmpps,
                Finding::Found { count: 2, took },
                "SRV _xmpps-client._tcp: 2 found (34 ms)",
                false,
            ),
            (Question::HostMetaXml, Finding::Nothing { took }, "host-meta: none (34 ms)", false),
            (
                Question::SrvXmpp,
                Finding::Failed { problem: LookupError::TimedOut.into(), took },
                "SRV _xmpp-client._tcp: failed: the name server took too long to answer; try \
                 again, or ask another (34 ms)",
                true,
            ),
            (
                Question::HostMetaJson,
                Finding::NotAsked { why: NotAsked::NotInDns },
                "host-meta.json: not asked: the domain is no name in DNS",
                false,
            ),
            (
                Question::HostMetaXml,
                Finding::Dropped { what: "ws://a.example/".to_owned(), why: Unfit::NotWss },
                "host-meta: ws://a.example/ is left out: it does not begin with wss://",
                true,
            ),
            (
                Question::HostMetaXml,
                Finding::Dropped {
                    what: "wss://".to_owned(),
                    why: Unfit::WebSocketUrl(EndpointError::NoHost),
                },
                "host-meta: wss:// is left out: the URL names no host; write one after the ://, as \
                 in xmpps://example.org",
                true,
            ),
            (
                Question::SrvXmpps,
                Finding::Dropped { what: ".:0".to_owned(), why: Unfit::Refusal },
                "SRV _xmpps-client._tcp: .:0 is left out: the domain says that it has no such \
                 service",
                false,
            ),
            (
                Question::HostMetaJson,
                Finding::Differs {
                    only_xml: links(&["wss://a.example/", "wss://b.example/"]),
                    only_json: links(&["wss://c.example/"]),
                },
                "host-meta.json: does not say what host-meta says; only host-meta has \
                 wss://a.example/, wss://b.example/; only host-meta.json has wss://c.example/",
                true,
            ),
        ] {
            let note = Note::new(about, finding);
            assert_eq!(note.to_string(), line);
            assert_eq!(note.is_problem(), is_problem, "{line}");
        }
    }
}
