//! Framing over WebSocket (RFC 7395): one message, one element.
//!
//! Pure functions: a message says all that is to be known about it. That messages are text and
//! that the subprotocol is `xmpp` is the transport's affair.

use super::{Frame, FrameError};
use crate::stream::{StreamHeader, excerpt};
use crate::xml::namespaces::{FRAMING, XML};
use crate::xml::{Element, Limits, parse_document};

/// The element that opens a stream to the server of the domain `to`.
///
/// `from` is the client's bare JID; a client that does not want to say it before the connection
/// is encrypted leaves it out (RFC 6120, section 4.7.1).
///
/// ```
/// use epode_proto::framing::websocket;
///
/// assert_eq!(
///     websocket::open("example.org", None, "en").to_xml(),
///     "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' \
///      to='example.org' version='1.0' xml:lang='en'/>"
/// );
/// ```
#[must_use]
pub fn open(to: &str, from: Option<&str>, lang: &str) -> Element {
    let mut open = Element::new("open", FRAMING)
        .with_attr("to", to)
        .with_attr("version", "1.0")
        .with_attr_ns(XML, "lang", lang);
    if let Some(from) = from {
        open.set_attr("from", from);
    }
    open
}

/// The element that closes a stream.
#[must_use]
pub fn close() -> Element {
    Element::new("close", FRAMING)
}

/// Reads the text of one WebSocket message.
///
/// # Errors
///
/// [`FrameError::Xml`] if it is not exactly one element; [`FrameError::WrongNamespace`] for an
/// `<open/>` or `<close/>` outside the framing namespace.
///
/// ```
/// use epode_proto::framing::{Frame, websocket};
/// use epode_proto::xml::Limits;
///
/// let message = b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
/// let frame = websocket::decode(message, &Limits::default());
/// assert_eq!(frame, Ok(Frame::Close { see_other_uri: None }));
/// ```
pub fn decode(message: &[u8], limits: &Limits) -> Result<Frame, FrameError> {
    let element = parse_document(message, limits)?;
    let name = match element.name() {
        "open" => "open",
        "close" => "close",
        _ => return Ok(Frame::Element(element)),
    };
    if element.namespace() != FRAMING {
        let found = excerpt(element.namespace());
        return Err(FrameError::WrongNamespace { name, expected: FRAMING, found });
    }
    Ok(match name {
        "open" => Frame::Open(StreamHeader::from_element(&element)),
        _ => Frame::Close { see_other_uri: element.attr("see-other-uri").map(Into::into) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlError;

    fn decode(message: &str) -> Result<Frame, FrameError> {
        super::decode(message.as_bytes(), &Limits::default())
    }

    #[test]
    fn what_we_send_is_understood() {
        let opened = decode(&open("b.example", Some("a'&@b.example"), "en").to_xml());
        let Ok(Frame::Open(header)) = opened else { panic!("{opened:?}") };
        assert_eq!(header.to.as_deref(), Some("b.example"));
        assert_eq!(header.from.as_deref(), Some("a'&@b.example"));
        assert_eq!(header.version.as_deref(), Some("1.0"));
        assert_eq!(header.lang.as_deref(), Some("en"));
        assert_eq!(header.id, None);
        assert_eq!(decode(&close().to_xml()), Ok(Frame::Close { see_other_uri: None }));
    }

    #[test]
    fn any_spelling_of_xml_is_the_same_frame() {
        let expected = decode(&close().to_xml());
        for close in [
            "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />",
            "<close\nxmlns='urn:ietf:params:xml:ns:xmpp-framing'></close>\n",
            "<?xml version='1.0'?><f:close xmlns:f='urn:ietf:params:xml:ns:xmpp-framing'/>",
        ] {
            assert_eq!(decode(close), expected, "{close}");
        }
    }

    #[test]
    fn a_redirection_is_reported() {
        let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='ws://x/'/>";
        let expected = Frame::Close { see_other_uri: Some("ws://x/".into()) };
        assert_eq!(decode(close), Ok(expected));
    }

    #[test]
    fn headers_need_their_namespace() {
        for (name, namespace) in [
            ("open", ""),
            ("open", "jabber:client"),
            ("close", "urn:ietf:params:xml:ns:xmpp-framinG"),
        ] {
            let message = Element::new(name, namespace).with_attr("version", "1.0").to_xml();
            assert_eq!(
                decode(&message),
                Err(FrameError::WrongNamespace {
                    name,
                    expected: FRAMING,
                    found: namespace.into()
                })
            );
        }
    }

    #[test]
    fn a_message_is_one_element() {
        for (message, error) in [
            ("<iq xmlns='jabber:client'", XmlError::Truncated),
            ("<a/><b/>", XmlError::ContentAfterRoot),
            ("", XmlError::Empty),
            (" ", XmlError::NotXml { byte: b' ' }),
            ("<stream:features/>", XmlError::UnboundPrefix),
        ] {
            assert_eq!(decode(message), Err(FrameError::Xml(error)), "{message}");
        }
    }

    #[test]
    fn everything_else_is_passed_on() {
        let error = Element::new("error", "http://etherx.jabber.org/streams");
        assert_eq!(decode(&error.to_xml()), Ok(Frame::Element(error)));
    }
}
