//! Bytes to elements: a whole document at once, or a stream as it arrives.
//!
//! A hostile peer is the normal case: every limit of [`Limits`] is checked before memory is used
//! beyond it, and everything that RFC 6120, section 11.1 forbids ends the stream. What elements
//! mean is not looked at.

use std::fmt;

use rxml::error::EndOrError;
use rxml::{NcName, Parse, RawEvent, RawParser, RawQName, WithOptions};

use super::element::Attribute;
use super::namespaces::{self, Namespace};
use super::{Element, Limits, XmlError};

/// Reads exactly one element, as one WebSocket frame holds it (RFC 7395, section 3.3.3).
///
/// The first byte must be `<`; whitespace after the element is taken, as XML allows it.
///
/// # Errors
///
/// An [`XmlError`] for everything that is not one well-formed element inside the limits.
///
/// ```
/// use epode_proto::xml::{Limits, XmlError, parse_document};
///
/// let limits = Limits::default();
/// let element = parse_document(b"<a xmlns='urn:example'>text</a>", &limits).unwrap();
/// assert_eq!((element.name(), element.text().as_str()), ("a", "text"));
/// assert_eq!(parse_document(b"<a/><b/>", &limits), Err(XmlError::ContentAfterRoot));
/// ```
pub fn parse_document(bytes: &[u8], limits: &Limits) -> Result<Element, XmlError> {
    let limits = limits.bounded();
    if bytes.len() > limits.stanza {
        return Err(XmlError::StanzaTooLarge { limit: limits.stanza });
    }
    check_first_byte(*bytes.first().ok_or(XmlError::Empty)?)?;
    let mut parser = Parser::new(limits, limits.depth);
    let mut root = None;
    let mut rest = bytes;
    loop {
        let mut slice = &rest[..rest.len().min(SLICE)];
        let before = slice.len();
        let at_end = before == rest.len();
        let progress = parser.advance(&mut slice, at_end)?;
        rest = &rest[before - slice.len()..];
        match progress {
            Progress::Closed(element) if parser.depth() == 0 => root = Some(element),
            Progress::Closed(element) => parser.attach(element),
            Progress::Finished => return root.ok_or(XmlError::Truncated),
            Progress::Opened | Progress::Text | Progress::Starved => {}
        }
    }
}

/// What a [`StreamReader`] finds in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// The start tag of the stream, as an element without children.
    Header(Element),
    /// A complete element directly inside the stream.
    Element(Element),
    /// The end tag of the stream. Nothing follows.
    End,
}

/// Reads the XML stream of a TCP connection (RFC 6120, section 4), in whatever pieces it arrives.
///
/// The events depend on the bytes alone, never on how they were split. Whitespace between
/// stanzas, and before the stream begins, is skipped. After [`StreamEvent::End`] there is nothing
/// more; after an error there is only that error.
///
/// ```
/// use epode_proto::xml::{Limits, StreamEvent, StreamReader};
///
/// let mut reader = StreamReader::new(Limits::default());
/// reader.feed(b"<stream xmlns='http://etherx.jabber.org/streams'><feat");
/// assert!(matches!(reader.next_event(), Ok(Some(StreamEvent::Header(_)))));
/// assert_eq!(reader.next_event(), Ok(None));
/// reader.feed(b"ures/></stream>");
/// assert!(matches!(reader.next_event(), Ok(Some(StreamEvent::Element(_)))));
/// assert_eq!(reader.next_event(), Ok(Some(StreamEvent::End)));
/// assert_eq!(reader.next_event(), Ok(None));
/// ```
pub struct StreamReader {
    limits: Limits,
    /// Bytes that were fed and not read; those before `read` are done with.
    buffer: Vec<u8>,
    read: usize,
    state: State,
}

enum State {
    Running(Box<Running>),
    Ended,
    Failed(XmlError),
}

struct Running {
    parser: Parser,
    /// Bytes of the current stanza (or stream header) that were read.
    used: usize,
    /// Whether we are between stanzas, where only whitespace may stand.
    between: bool,
}

impl StreamReader {
    /// A reader before the first byte of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = limits.bounded();
        // The stream element itself is not counted, so that a stanza is at depth 1 everywhere.
        let parser = Parser::new(limits, limits.depth + 1);
        let running = Running { parser, used: 0, between: true };
        Self { limits, buffer: Vec::new(), read: 0, state: State::Running(Box::new(running)) }
    }

    /// Takes bytes in. Call [`next_event`](Self::next_event) until it has none after each call.
    ///
    /// More unread bytes than [`Limits::backlog`] are an error, which `next_event` reports.
    /// Bytes after the end of the stream or after an error are dropped.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Running(_)) {
            return;
        }
        let limit = self.limits.backlog;
        if self.unread() + bytes.len() > limit {
            self.stop(State::Failed(XmlError::Backlog { limit }));
            return;
        }
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, or `None` until more bytes are fed.
    ///
    /// # Errors
    ///
    /// An [`XmlError`] once the peer, or the caller of [`feed`](Self::feed), broke a rule; from
    /// then on each call gives the same error.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, XmlError> {
        let result = match &mut self.state {
            State::Running(running) => running.next(&self.buffer, &mut self.read, &self.limits),
            State::Ended => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
        };
        match &result {
            Ok(Some(StreamEvent::End)) => self.stop(State::Ended),
            Err(error) => self.stop(State::Failed(error.clone())),
            Ok(None) if self.is_idle() => self.rest(),
            Ok(_) => {}
        }
        result
    }

    /// How many bytes were fed and not read yet.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.buffer.len() - self.read
    }

    /// Whether the reader stands between stanzas, with nothing but whitespace left to read.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        match &self.state {
            State::Running(running) => {
                running.between && self.buffer[self.read..].iter().all(|b| is_whitespace(*b))
            }
            State::Ended | State::Failed(_) => true,
        }
    }

    /// Lets go of the memory that only reading takes: most streams are quiet most of the time.
    fn rest(&mut self) {
        self.buffer = Vec::new();
        self.read = 0;
        if let State::Running(running) = &mut self.state {
            running.parser.rest();
        }
    }

    fn stop(&mut self, state: State) {
        self.state = state;
        self.buffer = Vec::new();
        self.read = 0;
    }
}

impl fmt::Debug for StreamReader {
    /// Without the bytes, which may be anybody's mail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StreamReader");
        shown.field("limits", &self.limits).field("unread", &self.unread());
        shown.finish_non_exhaustive()
    }
}

impl Running {
    fn next(
        &mut self,
        buffer: &[u8],
        read: &mut usize,
        limits: &Limits,
    ) -> Result<Option<StreamEvent>, XmlError> {
        loop {
            // A tag such as `<a/>` is two events: the second comes before any further byte.
            let mut progress = self.parser.advance(&mut &[][..], false)?;
            if matches!(progress, Progress::Starved) {
                if !self.skip_whitespace(buffer, read)? {
                    return Ok(None);
                }
                let room = limits.stanza - self.used;
                if room == 0 {
                    return Err(XmlError::StanzaTooLarge { limit: limits.stanza });
                }
                let rest = &buffer[*read..];
                let mut slice = &rest[..rest.len().min(SLICE).min(room)];
                let before = slice.len();
                progress = self.parser.advance(&mut slice, false)?;
                *read += before - slice.len();
                self.used += before - slice.len();
            }
            if let Some(event) = self.handle(progress)? {
                return Ok(Some(event));
            }
        }
    }

    /// Skips what may stand between stanzas; whitespace there is a keepalive (RFC 6120, section
    /// 4.6.1). Whether there is a byte to parse.
    fn skip_whitespace(&mut self, buffer: &[u8], read: &mut usize) -> Result<bool, XmlError> {
        if self.between {
            let rest = &buffer[*read..];
            *read += rest.iter().take_while(|b| is_whitespace(**b)).count();
        }
        let Some(first) = buffer.get(*read) else { return Ok(false) };
        if self.between {
            match (self.parser.depth(), *first) {
                (0, first) => check_first_byte(first)?,
                (_, b'<') => {}
                (_, _) => return Err(XmlError::TextOutsideStanza),
            }
            self.between = false;
        }
        Ok(true)
    }

    fn handle(&mut self, progress: Progress) -> Result<Option<StreamEvent>, XmlError> {
        match (progress, self.parser.depth()) {
            (Progress::Opened, 1) => {
                self.finish_stanza();
                Ok(self.parser.take_root().map(StreamEvent::Header))
            }
            (Progress::Text, 1) => Err(XmlError::TextOutsideStanza),
            (Progress::Closed(_), 0) => Ok(Some(StreamEvent::End)),
            (Progress::Closed(element), 1) => {
                self.finish_stanza();
                Ok(Some(StreamEvent::Element(element)))
            }
            (Progress::Closed(element), _) => {
                self.parser.attach(element);
                Ok(None)
            }
            (Progress::Opened | Progress::Text | Progress::Starved | Progress::Finished, _) => {
                Ok(None)
            }
        }
    }

    fn finish_stanza(&mut self) {
        self.used = 0;
        self.between = true;
    }
}

/// rxml below, elements above: keeps the elements that are open and resolves prefixes.
struct Parser {
    raw: RawParser,
    limits: Limits,
    max_open: usize,
    /// The start tag that is being read.
    head: Option<Head>,
    open: Vec<Open>,
    /// The prefixes declared by the elements in `open`, outermost first.
    prefixes: Vec<(NcName, Namespace)>,
}

/// What a step of the parser brought.
enum Progress {
    /// A start tag is complete; its element is the innermost open one.
    Opened,
    /// Text was added to the innermost open element.
    Text,
    /// An element is complete, and no longer open.
    Closed(Element),
    /// The slice is used up.
    Starved,
    /// The input ended where it may.
    Finished,
}

struct Head {
    name: RawQName,
    attributes: Vec<(RawQName, String)>,
}

struct Open {
    element: Element,
    /// The default namespace inside.
    default: Namespace,
    /// How many of the parser's prefixes come from outside.
    prefixes_before: usize,
}

impl Parser {
    fn new(limits: Limits, max_open: usize) -> Self {
        let options = rxml::Options { max_token_length: limits.token, ..rxml::Options::default() };
        Self {
            raw: RawParser::with_options(options),
            limits,
            max_open,
            head: None,
            open: Vec::new(),
            prefixes: Vec::new(),
        }
    }

    fn depth(&self) -> usize {
        self.open.len()
    }

    /// Takes the outermost open element, once its start tag is read; it stays open, and empty.
    fn take_root(&mut self) -> Option<Element> {
        let root = self.open.first_mut()?;
        Some(std::mem::replace(&mut root.element, Element::new("", "")))
    }

    /// Between elements.
    fn rest(&mut self) {
        self.raw.release_temporaries();
        self.open.shrink_to_fit();
    }

    /// Adds a complete element to the innermost open one.
    fn attach(&mut self, element: Element) {
        if let Some(parent) = self.open.last_mut() {
            parent.element.push(element);
        }
    }

    fn advance(&mut self, slice: &mut &[u8], at_end: bool) -> Result<Progress, XmlError> {
        loop {
            match self.raw.parse(slice, at_end) {
                Ok(Some(event)) => {
                    if let Some(progress) = self.apply(event)? {
                        return Ok(progress);
                    }
                }
                Ok(None) => return Ok(Progress::Finished),
                Err(EndOrError::NeedMoreData) => return Ok(Progress::Starved),
                Err(EndOrError::Error(error)) => {
                    return Err(XmlError::from_rxml(error, self.limits.token));
                }
            }
        }
    }

    fn apply(&mut self, event: RawEvent) -> Result<Option<Progress>, XmlError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(None),
            RawEvent::ElementHeadOpen(_, name) => {
                if self.open.len() >= self.max_open {
                    return Err(XmlError::TooDeep { limit: self.limits.depth });
                }
                self.head = Some(Head { name, attributes: Vec::new() });
                Ok(None)
            }
            RawEvent::Attribute(_, name, value) => {
                if let Some(head) = &mut self.head {
                    if head.attributes.len() >= self.limits.attributes {
                        return Err(XmlError::TooManyAttributes { limit: self.limits.attributes });
                    }
                    head.attributes.push((name, value));
                }
                Ok(None)
            }
            RawEvent::ElementHeadClose(_) => {
                if let Some(head) = self.head.take() {
                    let open = self.open_element(head)?;
                    self.open.push(open);
                }
                Ok(Some(Progress::Opened))
            }
            RawEvent::Text(_, text) => {
                if let Some(open) = self.open.last_mut() {
                    open.element.push(text);
                }
                Ok(Some(Progress::Text))
            }
            RawEvent::ElementFoot(_) => Ok(self.open.pop().map(|open| {
                self.prefixes.truncate(open.prefixes_before);
                Progress::Closed(open.element)
            })),
        }
    }

    /// Resolves the prefixes of a start tag (Namespaces in XML 1.0). rxml has checked the syntax
    /// of the names and most declarations.
    fn open_element(&mut self, head: Head) -> Result<Open, XmlError> {
        let prefixes_before = self.prefixes.len();
        let inherited = self.open.last().map_or(Namespace::NONE, |open| open.default.clone());
        let mut default = None;
        let mut plain = Vec::new();
        for ((prefix, name), value) in head.attributes {
            match prefix {
                Some(prefix) if prefix == "xmlns" => {
                    self.declare(name, &value, prefixes_before)?;
                }
                None if name == "xmlns" => {
                    if default.replace(declared(&value, &inherited)?).is_some() {
                        return Err(XmlError::DuplicateAttribute);
                    }
                }
                prefix => plain.push((prefix, name, value)),
            }
        }
        let default = default.unwrap_or(inherited);
        let mut attributes: Vec<Attribute> = Vec::with_capacity(plain.len());
        for (prefix, name, value) in plain {
            let namespace = match prefix {
                Some(prefix) => self.resolve(&prefix)?,
                None => Namespace::NONE,
            };
            if attributes.iter().any(|a| a.is(namespace.as_str(), &name)) {
                return Err(XmlError::DuplicateAttribute);
            }
            attributes.push(Attribute { namespace, name: boxed(name), value });
        }
        let namespace = match &head.name.0 {
            Some(prefix) => self.resolve(prefix)?,
            None => default.clone(),
        };
        let element = Element::from_parts(boxed(head.name.1), namespace, attributes);
        Ok(Open { element, default, prefixes_before })
    }

    fn declare(&mut self, prefix: NcName, value: &str, outside: usize) -> Result<(), XmlError> {
        if self.prefixes[outside..].iter().any(|(known, _)| *known == prefix) {
            return Err(XmlError::DuplicateAttribute);
        }
        if self.prefixes.len() >= self.limits.namespaces {
            return Err(XmlError::TooManyNamespaces { limit: self.limits.namespaces });
        }
        let namespace = declared(value, &Namespace::NONE)?;
        self.prefixes.push((prefix, namespace));
        Ok(())
    }

    fn resolve(&self, prefix: &NcName) -> Result<Namespace, XmlError> {
        if prefix == "xml" {
            return Ok(Namespace::Known(namespaces::XML));
        }
        let declaration = self.prefixes.iter().rev().find(|(known, _)| known == prefix);
        declaration.map(|(_, namespace)| namespace.clone()).ok_or(XmlError::UnboundPrefix)
    }
}

/// The namespace of a declaration; `likely` saves a copy where it is the same one.
fn declared(value: &str, likely: &Namespace) -> Result<Namespace, XmlError> {
    if value == namespaces::XMLNS {
        return Err(XmlError::ReservedNamespace);
    }
    if value == likely.as_str() { Ok(likely.clone()) } else { Ok(Namespace::new(value)) }
}

fn boxed(name: NcName) -> Box<str> {
    String::from(name).into_boxed_str()
}

fn check_first_byte(first: u8) -> Result<(), XmlError> {
    match first {
        b'<' => Ok(()),
        // The first bytes of the marks of UTF-8 and of UTF-16 in both orders.
        0xef | 0xfe | 0xff => Err(XmlError::ByteOrderMark),
        byte => Err(XmlError::NotXml { byte }),
    }
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// rxml takes quadratic time on long text in one slice, and linear time on short slices.
const SLICE: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::{CLIENT, STREAM, XML};

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' id='i&amp;d' version='1.0' xml:lang='en'>";

    fn document(xml: impl AsRef<[u8]>) -> Result<Element, XmlError> {
        parse_document(xml.as_ref(), &Limits::default())
    }

    /// All that a stream brings, with the error that ended it.
    type Outcome = (Vec<StreamEvent>, Option<XmlError>);

    fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
        let mut reader = StreamReader::new(limits);
        let mut events = Vec::new();
        for piece in pieces {
            reader.feed(piece);
            loop {
                match reader.next_event() {
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => break,
                    Err(error) => return (events, Some(error)),
                }
            }
        }
        (events, None)
    }

    fn read(stream: impl AsRef<[u8]>) -> Outcome {
        read_pieces([stream.as_ref()], Limits::default())
    }

    /// Checks that the pieces a stream comes in do not matter, and gives its outcome.
    fn read_any_split(stream: &[u8], limits: Limits) -> Outcome {
        let whole = read_pieces([stream], limits);
        assert_eq!(read_pieces(stream.chunks(1), limits), whole, "byte by byte");
        for at in 1..stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(read_pieces([head, tail], limits), whole, "split at {at}");
        }
        whole
    }

    fn stanza(body: &str) -> StreamEvent {
        let body = Element::new("body", CLIENT).with_text(body);
        StreamEvent::Element(Element::new("message", CLIENT).with_child(body))
    }

    #[test]
    fn prefixes_are_resolved() {
        let element = document(
            "<p:a xmlns:p='urn:1' xmlns='urn:2' p:x='1' x='2' xml:lang='de'>\
             <b xmlns:p='urn:3'><p:c/></b><p:c/><d xmlns=''/></p:a>",
        );
        let expected = Element::new("a", "urn:1")
            .with_attr_ns("urn:1", "x", "1")
            .with_attr("x", "2")
            .with_attr_ns(XML, "lang", "de")
            .with_child(Element::new("b", "urn:2").with_child(Element::new("c", "urn:3")))
            .with_child(Element::new("c", "urn:1"))
            .with_child(Element::new("d", ""));
        assert_eq!(element, Ok(expected));
    }

    #[test]
    fn text_is_exact() {
        let element = document("<a b=' x\ty '>1 &lt;&#x41;&#9731;<![CDATA[<&]]> \r\n2</a> \n");
        let expected =
            Element::new("a", "").with_attr("b", " x y ").with_text("1 <A\u{2603}<& \n2");
        assert_eq!(element, Ok(expected));
        let long = "é".repeat(50_000);
        assert_eq!(document(format!("<a>{long}</a>")).unwrap().text(), long);
    }

    #[test]
    fn a_declaration_may_say_what_is_so() {
        assert!(document("<?xml version='1.0' encoding='UTF-8'?>\n<a/>").is_ok());
        for other in ["version='1.1'", "version='1.0' encoding='latin1'"] {
            assert_eq!(
                document(format!("<?xml {other}?><a/>")),
                Err(XmlError::UnsupportedDeclaration)
            );
        }
        assert_eq!(document("<a/><?xml version='1.0'?>"), Err(XmlError::ContentAfterRoot));
    }

    #[test]
    fn what_is_dangerous_is_refused() {
        for doctype in [
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<a><!ENTITY b 'c'></a>",
        ] {
            assert_eq!(document(doctype), Err(XmlError::Doctype), "{doctype}");
        }
        for instruction in ["<?php a?><a/>", "<a><?a?></a>", "<a><?xml version='1.0'?></a>"] {
            assert_eq!(document(instruction), Err(XmlError::ProcessingInstruction));
        }
        for comment in ["<!-- --><a/>", "<a><!-- --></a>"] {
            assert_eq!(document(comment), Err(XmlError::Comment), "{comment}");
        }
        for entity in ["<a>&nbsp;</a>", "<a b='&b;'/>", "<a>&LT;</a>"] {
            assert_eq!(document(entity), Err(XmlError::UndeclaredEntity), "{entity}");
        }
    }

    #[test]
    fn characters_outside_xml_are_refused() {
        for (xml, code) in [
            ("<a>\0</a>", 0),
            ("<a>\u{1b}</a>", 0x1b),
            ("<a>&#1;</a>", 1),
            ("<a b='&#x0;'/>", 0),
            ("<a>&#xD800;</a>", 0xd800),
            ("<a>\u{fffe}</a>", 0xfffe),
            ("<a b='\u{ffff}'/>", 0xffff),
            ("<a><![CDATA[\u{2}]]></a>", 2),
        ] {
            assert_eq!(document(xml), Err(XmlError::ForbiddenCharacter { code }), "{xml:?}");
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        let wide =
            |order: fn(u16) -> [u8; 2]| "<a/>".encode_utf16().flat_map(order).collect::<Vec<_>>();
        assert_eq!(document("\u{feff}<a/>"), Err(XmlError::ByteOrderMark));
        assert_eq!(document([0xff, 0xfe, b'<', 0]), Err(XmlError::ByteOrderMark));
        assert_eq!(document([0xfe, 0xff, 0, b'<']), Err(XmlError::ByteOrderMark));
        assert_eq!(document(wide(u16::to_le_bytes)), Err(XmlError::ForbiddenCharacter { code: 0 }));
        assert_eq!(document(wide(u16::to_be_bytes)), Err(XmlError::NotXml { byte: 0 }));
        for bad in [&b"<a>\xff</a>"[..], b"<a b='\xc3'/>", b"<a\xc0/>", b"<a>\xed\xa0\x80</a>"] {
            assert_eq!(document(bad), Err(XmlError::InvalidUtf8), "{bad:?}");
        }
    }

    #[test]
    fn namespace_rules_are_kept() {
        for unbound in ["<p:a/>", "<a p:b=''/>", "<a><b xmlns:p='urn:x'/><p:c/></a>", "<xmlns:a/>"]
        {
            assert_eq!(document(unbound), Err(XmlError::UnboundPrefix), "{unbound}");
        }
        for reserved in [
            "<a xmlns:xml='urn:x'/>",
            "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
            "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            "<a xmlns:xmlns='urn:x'/>",
            "<a xmlns:p=''/>",
        ] {
            assert_eq!(document(reserved), Err(XmlError::ReservedNamespace), "{reserved}");
        }
        for twice in [
            "<a b='' b=''/>",
            "<a xmlns='urn:x' xmlns='urn:y'/>",
            "<a xmlns:p='urn:x' xmlns:p='urn:y'/>",
            "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>",
        ] {
            assert_eq!(document(twice), Err(XmlError::DuplicateAttribute), "{twice}");
        }
        for name in ["<1a/>", "<a:/>", "<:a/>", "<a:b:c/>", "<a:1/>", "<a -b=''/>", "<\u{d7}/>"] {
            assert!(
                matches!(document(name), Err(XmlError::MalformedName)),
                "{name} {:?}",
                document(name)
            );
        }
    }

    #[test]
    fn grammar_is_kept() {
        assert_eq!(document("<a></b>"), Err(XmlError::MismatchedEndTag));
        assert_eq!(document("<a>]]></a>"), Err(XmlError::CdataEndInText));
        for second in ["<a/><b/>", "<a/>x", "<a/>&lt;", "<a/></a>"] {
            assert_eq!(document(second), Err(XmlError::ContentAfterRoot), "{second}");
        }
        for truncated in ["<", "<a", "<a b", "<a b='", "<a>", "<a>x", "<a></a", "<?xml"] {
            assert_eq!(document(truncated), Err(XmlError::Truncated), "{truncated}");
        }
        assert_eq!(document(""), Err(XmlError::Empty));
        assert_eq!(document(" <a/>"), Err(XmlError::NotXml { byte: b' ' }));
        assert_eq!(document("HTTP/1.1 400"), Err(XmlError::NotXml { byte: b'H' }));
        for malformed in ["<a b='<'/>", "<a b/>", "<a b=c/>", "<a b=''c=''/>", "<a>&;</a>"] {
            assert!(matches!(document(malformed), Err(XmlError::Malformed { .. })), "{malformed}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(document(nested(64)).is_ok());
        assert_eq!(document(nested(65)), Err(XmlError::TooDeep { limit: 64 }));
        assert_eq!(document("<a>".repeat(80_000)), Err(XmlError::TooDeep { limit: 64 }));

        let many = |count: usize| {
            let attributes: String = (0..count).map(|n| format!(" b{n}=''")).collect();
            format!("<a{attributes}/>")
        };
        assert!(document(many(64)).is_ok());
        assert_eq!(document(many(65)), Err(XmlError::TooManyAttributes { limit: 64 }));
        assert_eq!(document(many(20_000)), Err(XmlError::TooManyAttributes { limit: 64 }));

        let value = |length: usize| format!("<a b='{}'/>", "x".repeat(length));
        assert!(document(value(8192)).is_ok());
        assert_eq!(document(value(8193)), Err(XmlError::TokenTooLong { limit: 8192 }));
        let name = format!("<{}/>", "x".repeat(8193));
        assert_eq!(document(name), Err(XmlError::TokenTooLong { limit: 8192 }));

        let sized = |size: usize| format!("<a>{}</a>", "x".repeat(size - 7));
        assert!(document(sized(256 * 1024)).is_ok());
        assert_eq!(
            document(sized(256 * 1024 + 1)),
            Err(XmlError::StanzaTooLarge { limit: 256 * 1024 })
        );
    }

    #[test]
    fn limits_do_not_wait_for_the_end_of_a_tag() {
        let fed = |open_ended: String| read(format!("<s>{open_ended}")).1;
        assert_eq!(fed("<a".into()), None);
        assert_eq!(
            fed("<a".to_owned() + &" b=''".repeat(65)),
            Some(XmlError::TooManyAttributes { limit: 64 })
        );
        assert_eq!(fed("<a>".repeat(64) + "<a "), Some(XmlError::TooDeep { limit: 64 }));
        for endless in ["<a b='", "<a ", "<"] {
            let long = endless.to_owned() + &"x".repeat(8193);
            assert_eq!(fed(long), Some(XmlError::TokenTooLong { limit: 8192 }), "{endless}");
        }
    }

    #[test]
    fn declarations_in_force_are_limited() {
        let declaring = |depth: usize| {
            let level = |n: usize| {
                let declarations: String =
                    (0..32).map(|i| format!(" xmlns:p{n}x{i}='urn:x'")).collect();
                format!("<a{declarations}>")
            };
            (0..depth).map(level).collect::<String>() + &"</a>".repeat(depth)
        };
        assert!(document(declaring(4)).is_ok());
        assert_eq!(document(declaring(5)), Err(XmlError::TooManyNamespaces { limit: 128 }));
        // Those of a closed element are no longer in force.
        let siblings = format!("<b>{}</b>", declaring(4).repeat(4));
        assert!(document(siblings).is_ok());
    }

    #[test]
    fn a_stream_is_its_events() {
        let stream = format!(
            "{HEADER} \r\n<message><body>1</body></message>\t<message><body>2</body></message> </stream:stream>"
        );
        let header = Element::new("stream", STREAM)
            .with_attr("id", "i&d")
            .with_attr("version", "1.0")
            .with_attr_ns(XML, "lang", "en");
        let expected =
            vec![StreamEvent::Header(header), stanza("1"), stanza("2"), StreamEvent::End];
        assert_eq!(read_any_split(stream.as_bytes(), Limits::default()), (expected, None));
    }

    #[test]
    fn a_stream_may_close_in_its_first_tag() {
        let (events, error) = read_any_split(b"<stream/>trailing", Limits::default());
        assert!(matches!(events[..], [StreamEvent::Header(_), StreamEvent::End]));
        assert_eq!(error, None);
    }

    #[test]
    fn stanzas_after_the_end_are_not_read() {
        let (events, error) = read(format!("{HEADER}</stream:stream><message/>"));
        assert!(matches!(events[..], [StreamEvent::Header(_), StreamEvent::End]));
        assert_eq!(error, None);
    }

    #[test]
    fn splits_do_not_change_errors_either() {
        let unicode =
            format!("{HEADER}<a b='\u{1f642}\u{e9}'>\u{1f642}&#x1f642;<![CDATA[\u{e9}]]></a>");
        let bad_text = [unicode.as_bytes(), b"<a>\xf0\x9f\x99</a>"].concat();
        let cases: [(&[u8], XmlError); 8] = [
            (&bad_text, XmlError::InvalidUtf8),
            (b"<s><a/>x<b/></s>", XmlError::TextOutsideStanza),
            (b"<s>&#32;<b/></s>", XmlError::TextOutsideStanza),
            (b"<s><![CDATA[ ]]><b/></s>", XmlError::TextOutsideStanza),
            (b"<s><a><b></a></s>", XmlError::MismatchedEndTag),
            (b"<s><a/><!-- c --></s>", XmlError::Comment),
            (b"\xef\xbb\xbf<s/>", XmlError::ByteOrderMark),
            (b"SSH-2.0-x", XmlError::NotXml { byte: b'S' }),
        ];
        for (stream, expected) in cases {
            assert_eq!(read_any_split(stream, Limits::default()).1, Some(expected));
        }
    }

    #[test]
    fn the_stanza_limit_is_exact_at_every_split() {
        let limits = Limits::default().with_stanza(40);
        let exact = format!("<s>  <a>{}</a><a>{}</a>", "x".repeat(33), "y".repeat(33));
        let (events, error) = read_any_split(exact.as_bytes(), limits);
        assert_eq!((events.len(), error), (3, None));
        // The malformed tail is behind the limit, so it is never looked at.
        let over = format!("<s><a>{}</a></wrong>", "x".repeat(34));
        let (events, error) = read_any_split(over.as_bytes(), limits);
        assert_eq!((events.len(), error), (1, Some(XmlError::StanzaTooLarge { limit: 40 })));
        let header = format!("<s a='{}'>", "x".repeat(40));
        let (events, error) = read_any_split(header.as_bytes(), limits);
        assert_eq!((events.len(), error), (0, Some(XmlError::StanzaTooLarge { limit: 40 })));
    }

    #[test]
    fn whitespace_keepalives_never_add_up() {
        let mut reader = StreamReader::new(Limits::default().with_stanza(64));
        reader.feed(b"<s>");
        assert!(matches!(reader.next_event(), Ok(Some(StreamEvent::Header(_)))));
        for _ in 0..1000 {
            reader.feed(b" \n");
            assert_eq!(reader.next_event(), Ok(None));
            assert_eq!(reader.unread(), 0);
        }
        reader.feed(b"<a/>");
        assert!(matches!(reader.next_event(), Ok(Some(StreamEvent::Element(_)))));
    }

    #[test]
    fn a_stanza_has_the_same_depth_in_both_framings() {
        let limits = Limits::default().with_depth(2);
        assert!(parse_document(b"<a><b/></a>", &limits).is_ok());
        assert_eq!(read_pieces([&b"<s><a><b/></a>"[..]], limits).1, None);
        let too_deep = Err(XmlError::TooDeep { limit: 2 });
        assert_eq!(parse_document(b"<a><b><c/></b></a>", &limits), too_deep);
        let (_, error) = read_pieces([&b"<s><a><b><c/></b></a>"[..]], limits);
        assert_eq!(error, Some(XmlError::TooDeep { limit: 2 }));
    }

    #[test]
    fn an_error_stays_and_frees_the_buffer() {
        let mut reader = StreamReader::new(Limits::default());
        reader.feed(b"<s><!--");
        assert!(matches!(reader.next_event(), Ok(Some(StreamEvent::Header(_)))));
        for _ in 0..3 {
            assert_eq!(reader.next_event(), Err(XmlError::Comment));
            reader.feed(b"<a/>");
            assert_eq!(reader.unread(), 0);
        }
    }

    #[test]
    fn a_backlog_is_the_callers_fault() {
        let mut reader = StreamReader::new(Limits::default().with_backlog(10));
        reader.feed(b"<s>");
        reader.feed(b"<a/><b/>");
        assert_eq!(reader.next_event(), Err(XmlError::Backlog { limit: 10 }));
    }

    #[test]
    fn idle_means_that_nothing_is_begun() {
        let mut reader = StreamReader::new(Limits::default());
        let mut after = |bytes: &[u8]| {
            reader.feed(bytes);
            while reader.next_event().unwrap().is_some() {}
            reader.is_idle()
        };
        assert!(after(b""));
        assert!(!after(b"<s"));
        assert!(after(b"> "));
        assert!(!after(b"<a><b/>"));
        assert!(after(b"</a>"));
    }

    /// Random damage to good streams: nothing panics, and the split never matters.
    #[test]
    fn damage_is_handled_alike_however_it_is_split() {
        let good =
            format!("{HEADER}<a b='&lt;x'>\u{e9}]]&gt;<![CDATA[]]]]><c/></a>\r\n</stream:stream>");
        let alphabet = b"<>&;'\"=/!?[]-: \r\n\tax:\0\xc3\xa9\xef\xbb\xff#";
        let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let limits = Limits::default().with_token(64).with_stanza(300);
        for _ in 0..2_000 {
            let mut stream = good.clone().into_bytes();
            for _ in 0..=next(4) {
                let at = next(stream.len());
                match next(3) {
                    0 => stream[at] = alphabet[next(alphabet.len())],
                    1 => stream.insert(at, alphabet[next(alphabet.len())]),
                    _ => drop(stream.remove(at)),
                }
            }
            let whole = read_pieces([&stream[..]], limits);
            assert_eq!(read_pieces(stream.chunks(1), limits), whole);
            let size = 1 + next(40);
            assert_eq!(read_pieces(stream.chunks(size), limits), whole);
            let _ = parse_document(&stream, &limits);
        }
    }
}
