//! Stream management (XEP-0198): what a client wants of it, and its elements.
//! Counting is in `inbound` and `outbound`, when to say what in `session`.

use std::time::Duration;

use super::state::Resumable;
use crate::{
    Element,
    xml::namespaces::{SM, STREAM, STREAMS},
};

/// What a client wants of stream management, where the server offers it (XEP-0198).
///
/// ```
/// use epode_proto::StreamManagement;
/// use std::time::Duration;
///
/// let patient = StreamManagement::default().max(Duration::from_secs(3600)).every(10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamManagement {
    pub(crate) resume: bool,
    pub(crate) max: Option<Duration>,
    pub(crate) every: u32,
    pub(crate) after: Duration,
    pub(crate) queue: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) when_handled: bool,
}

impl StreamManagement {
    /// Whether the session may be resumed after its connection was lost; yes by default.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// For how long the server should keep a session whose connection was lost; what it likes by
    /// default.
    #[must_use]
    pub fn max(mut self, span: Duration) -> Self {
        self.max = Some(span);
        self
    }

    /// After how many stanzas an acknowledgement is asked for; 5 by default, at least 1.
    #[must_use]
    pub fn every(mut self, stanzas: u32) -> Self {
        self.every = stanzas.max(1);
        self
    }

    /// How long after a stanza an acknowledgement is asked for, where there were fewer; half a
    /// second by default.
    #[must_use]
    pub fn after(mut self, span: Duration) -> Self {
        self.after = span;
        self
    }

    /// How many stanzas, and how many bytes of memory of them, are kept until the server
    /// acknowledges them; 1,000 and 8 MiB by default. Beyond that none is taken.
    #[must_use]
    pub fn queue(mut self, stanzas: usize, bytes: usize) -> Self {
        (self.queue, self.queue_bytes) = (stanzas.max(1), bytes);
        self
    }

    /// Acknowledges a stanza only once the driver says that the application has handled it
    /// ([`Input::Handled`](crate::Input::Handled)), not when it was received. For an application
    /// that keeps its session over a restart, and is to miss nothing.
    #[must_use]
    pub fn when_handled(mut self) -> Self {
        self.when_handled = true;
        self
    }
}

impl Default for StreamManagement {
    fn default() -> Self {
        Self {
            resume: true,
            max: None,
            every: 5,
            after: Duration::from_millis(500),
            queue: 1000,
            queue_bytes: 8 * 1024 * 1024,
            when_handled: false,
        }
    }
}

/// Whether the features of a stream offer it.
pub(crate) fn is_offered(features: &Element) -> bool {
    features.child("sm", SM).is_some()
}

pub(crate) fn enable(wanted: &StreamManagement) -> Element {
    let mut enable = Element::new("enable", SM);
    if wanted.resume {
        enable.set_attr("resume", "true");
    }
    if let Some(max) = wanted.max {
        enable.set_attr("max", max.as_secs().max(1).to_string());
    }
    enable
}

pub(crate) fn resume(stream: &Resumable, handled: u32) -> Element {
    Element::new("resume", SM)
        .with_attr("h", handled.to_string())
        .with_attr("previd", stream.id.as_str())
}

pub(crate) fn request() -> Element {
    Element::new("r", SM)
}

pub(crate) fn answer(handled: u32) -> Element {
    Element::new("a", SM).with_attr("h", handled.to_string())
}

/// What to say to a server that acknowledges what cannot be (section 6).
pub(crate) fn too_high(handled: u32, sent: u32) -> Element {
    let details = Element::new("handled-count-too-high", SM)
        .with_attr("h", handled.to_string())
        .with_attr("send-count", sent.to_string());
    Element::new("error", STREAM)
        .with_child(Element::new("undefined-condition", STREAMS))
        .with_child(details)
}

/// What a server says of stream management.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It counts; with this the stream can be resumed, if it can.
    Enabled(Option<Resumable>),
    Resumed {
        id: String,
        handled: u32,
    },
    /// It refuses; perhaps it knows how many it had handled.
    Failed(Option<u32>),
    Request,
    Answer(u32),
}

impl Said {
    /// Reads an element of the namespace; none that is right is left out.
    pub(crate) fn parse(element: &Element) -> Option<Self> {
        let number = |name| element.attr(name).and_then(unsigned);
        match element.name() {
            _ if element.namespace() != SM => None,
            "enabled" => Some(Self::Enabled(resumable(element))),
            "resumed" => {
                let id = element.attr("previd")?.to_owned();
                Some(Self::Resumed { id, handled: number("h")? })
            }
            "failed" if element.attr("h").is_none() => Some(Self::Failed(None)),
            "failed" => Some(Self::Failed(Some(number("h")?))),
            "r" => Some(Self::Request),
            "a" => Some(Self::Answer(number("h")?)),
            _ => None,
        }
    }
}

fn resumable(enabled: &Element) -> Option<Resumable> {
    let resume = matches!(enabled.attr("resume"), Some("true" | "1"));
    let id = enabled.attr("id").filter(|id| resume && !id.is_empty() && id.len() <= LONGEST)?;
    let location = enabled.attr("location").filter(|it| !it.is_empty() && it.len() <= LONGEST);
    Some(Resumable {
        id: id.to_owned(),
        location: location.map(Into::into),
        max: enabled.attr("max").and_then(unsigned),
    })
}

/// An `xs:unsignedInt` in digits alone.
fn unsigned(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// No server needs more for an id, or for a host and a port.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inside: &str) -> Option<Said> {
        let xml = format!("<{inside} xmlns='urn:xmpp:sm:3'/>");
        Said::parse(&Element::parse(&xml).expect("it is XML"))
    }

    #[test]
    fn what_servers_say_is_understood() {
        assert_eq!(parse("r"), Some(Said::Request));
        assert_eq!(parse("a h='4294967295'"), Some(Said::Answer(u32::MAX)));
        assert_eq!(parse("failed"), Some(Said::Failed(None)));
        assert_eq!(parse("failed h='7'"), Some(Said::Failed(Some(7))));
        let resumed = Said::Resumed { id: "x".into(), handled: 7 };
        assert_eq!(parse("resumed previd='x' h='7'"), Some(resumed));
        for not_resumable in ["enabled", "enabled id='x'", "enabled id='' resume='1'"] {
            assert_eq!(parse(not_resumable), Some(Said::Enabled(None)), "{not_resumable}");
        }
        let resumable = |location: Option<&str>, max| {
            let location = location.map(Into::into);
            Some(Said::Enabled(Some(Resumable { id: "x".into(), location, max })))
        };
        assert_eq!(parse("enabled id='x' resume='1'"), resumable(None, None));
        let all = "enabled id='x' resume='true' location='[::1]:5223' max='600'";
        assert_eq!(parse(all), resumable(Some("[::1]:5223"), Some(600)));
    }

    #[test]
    fn what_is_no_count_is_refused() {
        for wrong in ["", "-1", "+1", " 1", "1.0", "x", "4294967296", "99999999999999999999"] {
            assert_eq!(parse(&format!("a h='{wrong}'")), None, "{wrong}");
            assert_eq!(parse(&format!("failed h='{wrong}'")), None, "{wrong}");
            assert_eq!(parse(&format!("resumed previd='x' h='{wrong}'")), None, "{wrong}");
        }
        for missing in ["a", "resumed previd='x'", "resumed h='1'", "sm", "A h='1'"] {
            assert_eq!(parse(missing), None, "{missing}");
        }
        let foreign = Element::parse("<a xmlns='urn:xmpp:sm:2' h='1'/>").expect("it is XML");
        assert_eq!(Said::parse(&foreign), None);
    }

    #[test]
    fn what_is_said_to_servers() {
        let wanted = StreamManagement::default();
        assert_eq!(enable(&wanted).to_xml(), "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        let limited = wanted.resume(false).max(Duration::from_secs(60));
        assert_eq!(enable(&limited).to_xml(), "<enable xmlns='urn:xmpp:sm:3' max='60'/>");
        let stream = Resumable { id: "a'<".into(), location: None, max: None };
        assert_eq!(
            resume(&stream, 3).to_xml(),
            "<resume xmlns='urn:xmpp:sm:3' h='3' previd='a&apos;&lt;'/>"
        );
        assert_eq!(request().to_xml(), "<r xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(answer(9).to_xml(), "<a xmlns='urn:xmpp:sm:3' h='9'/>");
    }
}
