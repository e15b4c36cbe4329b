//! The bodies that servers send, and the frames that are in them.
//! Whether one is due is decided by the session.

use super::{Condition, Fault, HTTP_BIND, XBOSH};
use crate::{
    Frame,
    framing::websocket,
    stream::excerpt,
    xml::{
        Element, Limits, Node,
        namespaces::{BIND, CLIENT, FRAMING, SASL, SASL2, STREAM, STREAMS, XML},
        parse_document,
    },
};

/// One body from the server.
#[derive(Debug)]
pub(super) struct Reply {
    body: Element,
    /// It stands for an answer that the server no longer has.
    is_gone: bool,
}

/// What a body is, by its `type`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    /// The request is to be repeated (XEP-0124, section 17.3).
    Again,
    /// The session is over (section 17.2), and perhaps why.
    Terminate(Option<Condition>),
}

impl Reply {
    /// Reads a body; `limits` are those of the stanzas in it, but for the size.
    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Fault> {
        let limits = limits.with_depth(limits.depth.saturating_add(1));
        let body = parse_document(bytes.trim_ascii_start(), &limits)?;
        if body.name() != "body" {
            return Err(Fault::NotABody { found: excerpt(body.name()) });
        }
        if body.namespace() != HTTP_BIND {
            return Err(Fault::WrongNamespace { found: excerpt(body.namespace()) });
        }
        let is_text = |node: &Node| matches!(node, Node::Text(text) if !text.trim().is_empty());
        if body.nodes().iter().any(is_text) {
            return Err(Fault::Text);
        }
        Ok(Self { body, is_gone: false })
    }

    /// An answer that the server no longer has, and that had nothing in it.
    pub(super) fn gone() -> Self {
        Self { body: Element::new("body", HTTP_BIND), is_gone: true }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub(super) fn kind(&self) -> Kind {
        match self.attr("type") {
            Some("error") => Kind::Again,
            Some("terminate") => Kind::Terminate(Condition::of(&self.body)),
            _ => Kind::Ordinary,
        }
    }

    pub(super) fn attr(&self, name: &str) -> Option<&str> {
        self.body.attr(name)
    }

    /// Nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.body.children().next().is_none()
    }

    /// Nothing is in it but what is in this body.
    pub(super) fn has_content_of(&self, body: &[u8]) -> bool {
        let limits = Limits::default().with_stanza(body.len());
        let other = parse_document(body, &limits);
        other.is_ok_and(|other| self.body.children().eq(other.children()))
    }

    /// The features of a stream are in it.
    pub(super) fn has_features(&self) -> bool {
        self.body.children().any(|child| child.is("features", STREAM))
    }

    /// Whether the server waits for us after this: it has made an offer, or taken a step of the
    /// login, up to the address. What follows a success of SASL2 comes without a word of ours.
    pub(super) fn is_our_turn(&self) -> bool {
        self.body.children().last().is_some_and(|last| match (last.name(), last.namespace()) {
            ("features", STREAM)
            | ("challenge" | "success", SASL)
            | ("challenge" | "continue", SASL2) => true,
            _ => last.child("bind", BIND).is_some(),
        })
    }

    /// The header of the stream, which BOSH does not have, as a frame. The `sid` is as good as a
    /// password, so it does not stand in for an id that the server does not tell.
    pub(super) fn open(&self) -> Frame {
        let id = self.attr("authid").filter(|id| !id.is_empty()).unwrap_or("bosh");
        let version = self.body.attr_ns(XBOSH, "version").unwrap_or("1.0");
        let mut open =
            Element::new("open", FRAMING).with_attr("id", id).with_attr("version", version);
        if let Some(from) = self.attr("from") {
            open.set_attr("from", from);
        }
        if let Some(language) = self.body.attr_ns(XML, "lang") {
            open.set_attr_ns(XML, "lang", language);
        }
        Frame::new(open.to_xml())
    }

    /// What is in it, as frames.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame> {
        let error = self.bare_stream_error();
        let is_part = error.is_some();
        let children = self.body.children().filter(move |child| {
            let is_of_error = is_part && child.namespace() == STREAMS;
            !child.is("uri", HTTP_BIND) && !is_of_error
        });
        children.map(frame).chain(error)
    }

    /// Servers of before XEP-0124 1.6 send what is inside a stream error without the error.
    fn bare_stream_error(&self) -> Option<Frame> {
        if !matches!(self.kind(), Kind::Terminate(Some(Condition::RemoteStreamError))) {
            return None;
        }
        let mut error = Element::new("error", STREAM);
        for child in self.body.children().filter(|child| child.namespace() == STREAMS) {
            error.push(child.clone());
        }
        (!error.nodes().is_empty()).then(|| frame(&error))
    }
}

/// The frame that ends a stream in good order.
pub(super) fn close() -> Frame {
    Frame::new(websocket::close().to_xml())
}

/// A child as an element that stands alone. One in the namespace of `<body/>` is meant to be a
/// stanza: some servers do not say the namespace of stanzas (XEP-0206, section 2).
fn frame(child: &Element) -> Frame {
    if child.namespace() == HTTP_BIND {
        return Frame::new(stanza(child).to_xml());
    }
    Frame::new(child.to_xml())
}

fn stanza(element: &Element) -> Element {
    if element.namespace() != HTTP_BIND {
        return element.clone();
    }
    let mut stanza = Element::new(element.name(), CLIENT);
    for (namespace, name, value) in element.attributes() {
        stanza.set_attr_ns(namespace.unwrap_or_default(), name, value);
    }
    for node in element.nodes() {
        match node {
            Node::Element(child) => stanza.push(self::stanza(child)),
            Node::Text(text) => stanza.push(text.as_str()),
        }
    }
    stanza
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlError;

    fn parse(body: &str) -> Result<Reply, Fault> {
        Reply::parse(body.as_bytes(), &Limits::default())
    }

    fn body(attributes: &str, inside: &str) -> Reply {
        parse(&format!("<body xmlns='{HTTP_BIND}' {attributes}>{inside}</body>"))
            .expect("it is a body")
    }

    fn frames(reply: &Reply) -> Vec<String> {
        let text = |frame: Frame| String::from_utf8_lossy(frame.as_bytes()).into_owned();
        reply.frames().map(text).collect()
    }

    #[test]
    fn the_server_waits_for_us_after_an_offer_and_a_step_of_the_login() {
        let features = |inside: &str| {
            format!("<features xmlns='http://etherx.jabber.org/streams'>{inside}</features>")
        };
        let success = "<success xmlns='urn:xmpp:sasl:2'/>";
        for (inside, expected) in [
            (features("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"), true),
            (features(""), true),
            ("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), true),
            ("<challenge xmlns='urn:xmpp:sasl:2'/>".to_owned(), true),
            (success.to_owned(), false),
            (format!("{success}{}", features("")), true),
            (String::new(), false),
        ] {
            assert_eq!(body("", &inside).is_our_turn(), expected, "{inside}");
        }
    }

    #[test]
    fn what_is_no_body_is_refused() {
        let cases = [
            ("", Fault::Xml(XmlError::Empty)),
            ("<html><p>Sign in</p></html>", Fault::NotABody { found: "html".into() }),
            ("<body/>", Fault::WrongNamespace { found: String::new() }),
            (
                "<body xmlns='http://www.w3.org/1999/xhtml'/>",
                Fault::WrongNamespace { found: "http://www.w3.org/1999/xhtml".into() },
            ),
            ("<body xmlns='http://jabber.org/protocol/httpbind'>x<a/></body>", Fault::Text),
            (
                "<body xmlns='http://jabber.org/protocol/httpbind'/><a/>",
                Fault::Xml(XmlError::ContentAfterRoot),
            ),
            ("<body xmlns='http://jabber.org/protocol/httpbind'>", Fault::Xml(XmlError::Truncated)),
        ];
        for (text, fault) in cases {
            assert_eq!(parse(text).map(|_| ()), Err(fault), "{text}");
        }
        assert!(matches!(parse("Service Unavailable"), Err(Fault::Xml(_))));
    }

    #[test]
    fn frames_stand_alone() {
        let reply = parse(
            "\n<?xml version='1.0'?><body xmlns='http://jabber.org/protocol/httpbind' \
             xmlns:stream='http://etherx.jabber.org/streams'>\n <stream:features><bind \
             xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>\
             <message xmlns='jabber:client' xml:lang='en'><body>a &lt; b</body></message>\n</body>",
        )
        .expect("it is a body");
        assert!(reply.has_features() && !reply.is_our_turn());
        assert_eq!(
            frames(&reply),
            [
                "<features xmlns='http://etherx.jabber.org/streams'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></features>",
                "<message xmlns='jabber:client' xml:lang='en'><body>a &lt; b</body></message>",
            ]
        );
    }

    #[test]
    fn a_stanza_without_its_namespace_gets_it() {
        let inside = "<message from='a'><body>b<i/></body><x xmlns='urn:x'><y/>\
             <z xmlns='http://jabber.org/protocol/httpbind'/></x></message>";
        assert_eq!(
            frames(&body("", inside)),
            ["<message xmlns='jabber:client' from='a'><body>b<i/></body><x xmlns='urn:x'><y/>\
             <z xmlns='http://jabber.org/protocol/httpbind'/></x></message>"]
        );
    }

    #[test]
    fn the_stream_opens_with_what_the_server_told() {
        let told = "xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.1' authid='s1' from='a.example' \
             xml:lang='de' sid='secret'";
        let text = |reply: Reply| String::from_utf8_lossy(reply.open().as_bytes()).into_owned();
        assert_eq!(
            text(body(told, "")),
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='s1' version='1.1' \
             from='a.example' xml:lang='de'/>"
        );
        assert_eq!(
            text(body("sid='secret'", "")),
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='bosh' version='1.0'/>"
        );
    }

    #[test]
    fn the_content_of_a_stream_error_gets_its_error() {
        let reset = "<reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
        let inside = format!("<message xmlns='jabber:client'/>{reset}");
        let reply = body("type='terminate' condition='remote-stream-error'", &inside);
        assert_eq!(
            frames(&reply),
            [
                "<message xmlns='jabber:client'/>".to_owned(),
                format!("<error xmlns='http://etherx.jabber.org/streams'>{reset}</error>"),
            ]
        );
        assert_eq!(frames(&body("", reset)), [reset]);
    }

    #[test]
    fn the_type_says_what_it_is() {
        let cases = [
            ("", Kind::Ordinary),
            ("type='result'", Kind::Ordinary),
            ("condition='host-gone'", Kind::Ordinary),
            ("type='error'", Kind::Again),
            ("type='terminate'", Kind::Terminate(None)),
            ("type='terminate' condition='host-gone'", Kind::Terminate(Some(Condition::HostGone))),
        ];
        for (attributes, kind) in cases {
            assert_eq!(body(attributes, "").kind(), kind, "{attributes}");
        }
    }
}
