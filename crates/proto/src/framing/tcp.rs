//! Framing over TCP (RFC 6120, section 4): one long XML document in each direction.
//!
//! The decoder remembers what it has seen, because a byte means nothing without those before it.

use super::{Frame, FrameError};
use crate::stream::{StreamHeader, excerpt};
use crate::xml::namespaces::{CLIENT, COMPONENT, STREAM};
use crate::xml::{Element, Limits, Scope, StreamEvent, StreamReader, append_attribute, write};

/// The text that opens a stream to the server of the domain `to`; [`CLOSE`] ends it.
///
/// It is one piece, to be sent in one write: servers exist that expect that. `from` is as in
/// [`websocket::open`](super::websocket::open).
///
/// ```
/// use epode_proto::framing::tcp;
///
/// assert_eq!(
///     tcp::open("example.org", None, "en"),
///     "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
///      xmlns:stream='http://etherx.jabber.org/streams' \
///      to='example.org' version='1.0' xml:lang='en'>"
/// );
/// ```
#[must_use]
pub fn open(to: &str, from: Option<&str>, lang: &str) -> String {
    let mut header = String::from("<?xml version='1.0'?><stream:stream");
    append_attribute("xmlns", CLIENT, &mut header);
    append_attribute("xmlns:stream", STREAM, &mut header);
    append_attribute("to", to, &mut header);
    append_attribute("version", "1.0", &mut header);
    append_attribute("xml:lang", lang, &mut header);
    if let Some(from) = from {
        append_attribute("from", from, &mut header);
    }
    header.push('>');
    header
}

/// The text that opens the stream of the external component `domain` to its server (XEP-0114,
/// section 3). Elements in it are written by [`encode`], too: those of `jabber:client` are then in
/// the stream's own namespace, since neither is named.
///
/// ```
/// use epode_proto::framing::tcp;
///
/// assert_eq!(
///     tcp::open_component("bridge.example.org"),
///     "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
///      xmlns:stream='http://etherx.jabber.org/streams' to='bridge.example.org'>"
/// );
/// ```
#[must_use]
pub fn open_component(domain: &str) -> String {
    let mut header = String::from("<?xml version='1.0'?><stream:stream");
    append_attribute("xmlns", COMPONENT, &mut header);
    append_attribute("xmlns:stream", STREAM, &mut header);
    append_attribute("to", domain, &mut header);
    header.push('>');
    header
}

/// The text that closes a stream.
pub const CLOSE: &str = "</stream:stream>";

/// An element as text inside the stream that [`open`] began.
///
/// ```
/// use epode_proto::framing::tcp;
/// use epode_proto::xml::{Element, namespaces::CLIENT};
///
/// assert_eq!(tcp::encode(&Element::new("presence", CLIENT)), "<presence/>");
/// ```
#[must_use]
pub fn encode(element: &Element) -> String {
    let mut text = String::with_capacity(element.size_hint());
    write(element, &Scope::CLIENT_STREAM, &mut text);
    text
}

/// Takes a server's bytes apart, in whatever pieces they arrive.
///
/// ```
/// use epode_proto::framing::{Frame, tcp};
/// use epode_proto::xml::Limits;
///
/// let mut decoder = tcp::Decoder::new(Limits::default());
/// decoder.feed(tcp::open("example.org", None, "en").as_bytes());
/// assert!(matches!(decoder.next_frame(), Ok(Some(Frame::Open(_)))));
/// decoder.feed(tcp::CLOSE.as_bytes());
/// assert_eq!(decoder.next_frame(), Ok(Some(Frame::Close { see_other_uri: None })));
/// assert_eq!(decoder.next_frame(), Ok(None));
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    reader: StreamReader,
    failed: Option<FrameError>,
    is_component: bool,
}

impl Decoder {
    /// A decoder before the first byte of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, reader: StreamReader::new(limits), failed: None, is_component: false }
    }

    /// The same for the stream of a component (XEP-0114): its stanzas come out in `jabber:client`,
    /// and so does all in them that is in the stream's namespace.
    ///
    /// ```
    /// use epode_proto::framing::{Frame, tcp};
    /// use epode_proto::xml::Limits;
    ///
    /// let mut decoder = tcp::Decoder::of_component(Limits::default());
    /// decoder.feed(tcp::open_component("bridge.example.org").as_bytes());
    /// decoder.feed(b"<message><body>hello</body></message>");
    /// decoder.next_frame()?;
    /// let Some(Frame::Element(message)) = decoder.next_frame()? else { panic!("it is whole") };
    /// assert!(message.child("body", "jabber:client").is_some());
    /// # Ok::<(), epode_proto::framing::FrameError>(())
    /// ```
    #[must_use]
    pub fn of_component(limits: Limits) -> Self {
        Self { is_component: true, ..Self::new(limits) }
    }

    /// Takes bytes in, as [`StreamReader::feed`] does.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.reader.feed(bytes);
    }

    /// The next frame, or `None` until more bytes are fed, and after [`Frame::Close`].
    ///
    /// # Errors
    ///
    /// A [`FrameError`]; from then on each call gives the same one.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = match self.reader.next_event() {
            Ok(Some(StreamEvent::Header(element))) => header(&element).map(Frame::Open).map(Some),
            Ok(Some(StreamEvent::Element(mut element))) => {
                if self.is_component && is_stanza_of_component(&element) {
                    element.move_namespace(COMPONENT, CLIENT);
                }
                Ok(Some(Frame::Element(element)))
            }
            Ok(Some(StreamEvent::End)) => Ok(Some(Frame::Close { see_other_uri: None })),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        };
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// Whether nothing but whitespace is left of what was fed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.reader.is_idle()
    }

    /// Begins a new stream on the same connection, after a step of the negotiation that asks for
    /// it (RFC 6120, section 4.3.3). Call it before the new header is sent, with every frame
    /// taken.
    ///
    /// # Errors
    ///
    /// [`FrameError::BytesBeforeRestart`] if anything but whitespace arrived that was not part
    /// of the old stream's last element.
    pub fn restart(&mut self) -> Result<(), FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if !self.is_idle() {
            self.failed = Some(FrameError::BytesBeforeRestart);
            return Err(FrameError::BytesBeforeRestart);
        }
        self.reader = StreamReader::new(self.limits);
        Ok(())
    }
}

fn is_stanza_of_component(element: &Element) -> bool {
    element.namespace() == COMPONENT && matches!(element.name(), "message" | "presence" | "iq")
}

fn header(root: &Element) -> Result<StreamHeader, FrameError> {
    if root.name() != "stream" {
        return Err(FrameError::NotAStream { found: excerpt(root.name()) });
    }
    if root.namespace() != STREAM {
        let found = excerpt(root.namespace());
        return Err(FrameError::WrongNamespace { name: "stream", expected: STREAM, found });
    }
    Ok(StreamHeader::from_element(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlError;

    fn fed(bytes: &str) -> Decoder {
        let mut decoder = Decoder::new(Limits::default());
        decoder.feed(bytes.as_bytes());
        decoder
    }

    fn opened() -> Decoder {
        let mut decoder = fed(&open("example.org", None, "en"));
        assert!(matches!(decoder.next_frame(), Ok(Some(Frame::Open(_)))));
        decoder
    }

    #[test]
    fn what_we_send_is_understood() {
        let message = Element::new("message", CLIENT)
            .with_attr("to", "a'<>&\"b")
            .with_child(Element::new("body", CLIENT).with_text("x\r\ny"));
        let error = Element::new("error", STREAM).with_child(Element::new("reset", "urn:x"));
        let stream = open("<b>", Some("a&b"), "en") + &encode(&message) + &encode(&error) + CLOSE;
        for size in [1, 7, 4096] {
            let mut decoder = Decoder::new(Limits::default());
            let mut frames = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                decoder.feed(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            let [Frame::Open(header), rest @ ..] = &frames[..] else { panic!("{frames:?}") };
            assert_eq!(header.to.as_deref(), Some("<b>"));
            assert_eq!(header.from.as_deref(), Some("a&b"));
            assert_eq!(
                rest,
                [
                    Frame::Element(message.clone()),
                    Frame::Element(error.clone()),
                    Frame::Close { see_other_uri: None }
                ]
            );
        }
    }

    #[test]
    fn another_root_is_refused() {
        let not_a_stream = FrameError::NotAStream { found: "html".into() };
        assert_eq!(fed("<html>").next_frame(), Err(not_a_stream));
        for namespace in ["", "jabber:client", "http://etherx.jabber.org/streams/"] {
            let mut decoder = fed(&format!("<stream xmlns='{namespace}' version='1.0'>"));
            let error = FrameError::WrongNamespace {
                name: "stream",
                expected: STREAM,
                found: namespace.into(),
            };
            assert_eq!(decoder.next_frame(), Err(error.clone()));
            assert_eq!(decoder.next_frame(), Err(error.clone()));
            assert_eq!(decoder.restart(), Err(error));
        }
    }

    #[test]
    fn bad_xml_stays_an_error() {
        let mut decoder = opened();
        decoder.feed(b"<!-- -->");
        for _ in 0..2 {
            assert_eq!(decoder.next_frame(), Err(FrameError::Xml(XmlError::Comment)));
        }
        assert_eq!(decoder.restart(), Err(FrameError::Xml(XmlError::Comment)));
    }

    #[test]
    fn a_restart_takes_a_new_header() {
        let mut decoder = opened();
        decoder.feed(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/> \n");
        assert!(matches!(decoder.next_frame(), Ok(Some(Frame::Element(_)))));
        assert_eq!(decoder.restart(), Ok(()));
        decoder.feed(open("example.org", None, "en").as_bytes());
        assert!(matches!(decoder.next_frame(), Ok(Some(Frame::Open(_)))));
    }

    #[test]
    fn nothing_is_carried_over_a_restart() {
        for smuggled in ["<message/>", "<mess", "x", CLOSE] {
            let mut decoder = opened();
            decoder.feed(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            decoder.feed(smuggled.as_bytes());
            assert!(matches!(decoder.next_frame(), Ok(Some(Frame::Element(_)))));
            assert_eq!(decoder.restart(), Err(FrameError::BytesBeforeRestart), "{smuggled}");
            assert_eq!(decoder.next_frame(), Err(FrameError::BytesBeforeRestart));
        }
    }
}
