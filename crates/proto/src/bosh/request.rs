//! The bodies that are sent (XEP-0124, sections 6 to 15; XEP-0206, sections 3 and 5).
//! When which one is sent is decided by the session.

use std::fmt;

use zeroize::Zeroizing;

use super::{HTTP_BIND, Options, XBOSH};
use crate::{Frame, stream::StreamHeader, xml::append_attribute};

/// A body to be posted.
pub struct Request {
    /// What to say with its answer, or with the news that there will be none.
    pub id: RequestId,
    /// An earlier attempt at the same, whose HTTP exchange is to be given up.
    pub replaces: Option<RequestId>,
    /// The bytes, UTF-8. They may hold a password: drivers should not keep copies.
    pub body: Frame,
    pub(super) rid: u64,
    pub(super) is_poll: bool,
}

impl Request {
    /// Whether it says nothing, and only gives the server something to answer when it likes.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        self.is_poll
    }

    /// The request id inside the body (XEP-0124, section 14), the same for each attempt.
    #[must_use]
    pub fn rid(&self) -> u64 {
        self.rid
    }
}

impl fmt::Debug for Request {
    /// Without the ids of the session, which are as good as a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("replaces", &self.replaces)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Ties an answer to its request. Each attempt has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u64);

/// A start tag of `<body/>` that is being written. It is built from a buffer that is never moved,
/// since a key may be in it.
pub(super) struct Head(Zeroizing<String>);

impl Head {
    pub(super) fn new(rid: u64) -> Self {
        let mut head = Self(Zeroizing::new(String::with_capacity(CAPACITY)));
        head.0.push_str("<body");
        head.attribute("xmlns", HTTP_BIND);
        head.attribute("rid", &rid.to_string());
        head
    }

    pub(super) fn attribute(&mut self, name: &str, value: &str) {
        append_attribute(name, value, &mut self.0);
    }

    /// What creates a session.
    pub(super) fn create(&mut self, header: &StreamHeader, options: &Options) {
        self.stream(header);
        self.attribute("ver", "1.6");
        self.attribute("wait", &options.wait.as_secs().to_string());
        self.attribute("hold", &options.hold.to_string());
        self.attribute("ack", "1");
        self.attribute("content", &options.content_type);
        if let Some(route) = &options.route {
            self.attribute("route", route);
        }
        if options.secure {
            self.attribute("secure", "true");
        }
        self.attribute("xmlns:xmpp", XBOSH);
        self.attribute("xmpp:version", header.version.as_deref().unwrap_or("1.0"));
    }

    /// What begins a new stream in a session.
    pub(super) fn restart(&mut self, header: &StreamHeader) {
        self.stream(header);
        self.attribute("xmlns:xmpp", XBOSH);
        self.attribute("xmpp:restart", "true");
    }

    fn stream(&mut self, header: &StreamHeader) {
        let attributes = [("to", &header.to), ("from", &header.from), ("xml:lang", &header.lang)];
        for (name, value) in attributes {
            if let Some(value) = value {
                self.attribute(name, value);
            }
        }
    }

    /// The whole body.
    pub(super) fn with(self, payloads: &[Frame]) -> Frame {
        let size: usize = payloads.iter().map(|frame| frame.as_bytes().len()).sum();
        let mut body = Zeroizing::new(Vec::with_capacity(self.0.len() + size + END.len() + 1));
        body.extend_from_slice(self.0.as_bytes());
        if payloads.is_empty() {
            body.extend_from_slice(b"/>");
        } else {
            body.push(b'>');
            for payload in payloads {
                body.extend_from_slice(payload.as_bytes());
            }
            body.extend_from_slice(END.as_bytes());
        }
        Frame::from(body)
    }
}

const END: &str = "</body>";
/// More than a start tag with keys has, unless the server's `sid` is very long.
const CAPACITY: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    fn text(frame: &Frame) -> &str {
        std::str::from_utf8(frame.as_bytes()).expect("bodies are UTF-8")
    }

    fn header() -> StreamHeader {
        let open = "<open to='a&amp;b' version='1.0' xml:lang='de'/>";
        StreamHeader::from_element(&Element::parse(open).expect("it is XML"))
    }

    #[test]
    fn a_session_is_created_with_all_that_is_asked_for() {
        let mut head = Head::new(7);
        head.create(&header(), &Options::default().route("xmpp:h:9999").secure());
        assert_eq!(
            text(&head.with(&[])),
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='7' to='a&amp;b' \
             xml:lang='de' ver='1.6' wait='60' hold='1' ack='1' \
             content='text/xml; charset=utf-8' route='xmpp:h:9999' secure='true' \
             xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>"
        );
    }

    #[test]
    fn payloads_stand_inside() {
        let mut head = Head::new(8);
        head.attribute("sid", "'<");
        let payloads = ["<a xmlns='b'/>", "<c/>"].map(Frame::new);
        assert_eq!(
            text(&head.with(&payloads)),
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='8' sid='&apos;&lt;'>\
             <a xmlns='b'/><c/></body>"
        );
    }

    #[test]
    fn debug_shows_no_ids() {
        let body = Head::new(123_456).with(&[]);
        let id = RequestId(1);
        let request = Request { id, replaces: None, body, rid: 123_456, is_poll: true };
        assert_eq!(
            format!("{request:?}"),
            "Request { id: RequestId(1), replaces: None, body: Frame(64 bytes), .. }"
        );
    }
}
