//! One run of a transcript.
//!
//! Leaves out the transport: whoever has one passes on what comes out.

use std::sync::Arc;

use epode_proto::xml::{Element, Limits, StreamEvent, XmlError, parse_document};
use thiserror::Error;

use super::Framing;
use super::client_stream::{self, ClientStream};
use super::conversation::{Conversation, Unknown};
use super::pattern::compare;
use super::steps::{Step, StepKind};
use super::text::Text;

/// Plays a transcript against a client: frames in, frames out; over TCP, bytes in pieces.
///
/// Begin with [`opened`](Self::opened), once the transport is open, then pass every frame of the
/// client's to [`receive`](Self::receive).
#[derive(Clone, Debug)]
pub struct Player {
    steps: Arc<[Step]>,
    next: usize,
    conversation: Conversation,
    /// What came over TCP and is not complete.
    stream: Option<ClientStream>,
}

/// What the server does with the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Sends a text frame, which need not be UTF-8; over TCP, these bytes.
    Frame(Vec<u8>),
    /// Sends a binary frame.
    Binary(Vec<u8>),
    /// Sends a ping frame.
    Ping,
    /// Does the handshake of TLS, with the client.
    Secure,
    /// Drops the transport, without a closing handshake.
    Close,
}

/// How the client departed from the transcript. Texts are shown as they were sent: play with
/// invented secrets only.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The client's frame is not one XML element.
    #[error("line {line}: the client sent no XML element: {reason}")]
    NotXml {
        /// The line of the step.
        line: usize,
        /// What the XML reader says.
        reason: XmlError,
    },
    /// The client sent something else than an element, or than the header or the end of a stream.
    #[error("line {line}: expected {expected}, found {found}")]
    OtherPart {
        /// The line of the step.
        line: usize,
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// The client sent bytes where the handshake of TLS is due.
    #[error("line {line}: the client sent {count} bytes ahead of the handshake of TLS")]
    BeforeHandshake {
        /// The line of the step before the client's bytes.
        line: usize,
        /// How many.
        count: usize,
    },
    /// An element has another name or namespace.
    #[error("line {line}: in {place}, expected {expected}, found {found}")]
    OtherElement {
        /// The line of the step.
        line: usize,
        /// The path of the parent.
        place: String,
        /// The expected name, with its namespace in braces.
        expected: String,
        /// The name found.
        found: String,
    },
    /// An attribute has another value.
    #[error("line {line}: {place} should be {expected:?}, and is {found:?}")]
    OtherValue {
        /// The line of the step.
        line: usize,
        /// The path of the attribute.
        place: String,
        /// The expected value.
        expected: String,
        /// The value found.
        found: String,
    },
    /// An attribute is not there.
    #[error("line {line}: {place} is missing")]
    MissingAttribute {
        /// The line of the step.
        line: usize,
        /// The path of the attribute.
        place: String,
    },
    /// An attribute is there and should not be.
    #[error("line {line}: {place} should not be there")]
    ExtraAttribute {
        /// The line of the step.
        line: usize,
        /// The path of the attribute.
        place: String,
    },
    /// The text is another one.
    #[error("line {line}: the text of {place} should be {expected:?}, and is {found:?}")]
    OtherText {
        /// The line of the step.
        line: usize,
        /// The path of the element.
        place: String,
        /// The expected text.
        expected: String,
        /// The text found.
        found: String,
    },
    /// A child element is not there.
    #[error("line {line}: {place} lacks its child {child}")]
    MissingChild {
        /// The line of the step.
        line: usize,
        /// The path of the parent.
        place: String,
        /// The child, with its namespace in braces.
        child: String,
    },
    /// A child element is there and should not be.
    #[error("line {line}: {place} should not have the child {child}")]
    ExtraChild {
        /// The line of the step.
        line: usize,
        /// The path of the parent.
        place: String,
        /// The child, with its namespace in braces.
        child: String,
    },
    /// A step needs a value that the conversation has not given.
    #[error("line {line}: `{{{name}}}` has no value: {reason}")]
    NoValue {
        /// The line of the step.
        line: usize,
        /// The expansion.
        name: &'static str,
        /// Why there is none.
        reason: Unknown,
    },
    /// A pattern is not XML once its variables have their values.
    #[error("line {line}: with the client's values the pattern is no XML element: {reason}")]
    PatternNotXml {
        /// The line of the step.
        line: usize,
        /// What the XML reader says.
        reason: XmlError,
    },
    /// The client sent a frame when nothing more was expected.
    #[error("after the end of the transcript the client sent {found:?}")]
    AfterEnd {
        /// The frame, as far as it is UTF-8.
        found: String,
    },
    /// A frame was passed on before [`Player::opened`] was called.
    #[error("line {line}: call `opened` before passing on the client's first frame")]
    NotOpened {
        /// The line of the step.
        line: usize,
    },
}

impl Player {
    pub(super) fn new(steps: Arc<[Step]>, framing: Framing, password: Option<&str>) -> Self {
        let stream = (framing == Framing::Tcp).then(ClientStream::default);
        Self { steps, next: 0, conversation: Conversation::new(password), stream }
    }

    /// The transport is open: gives what the server sends before it has heard anything.
    pub fn opened(&mut self) -> Vec<Outgoing> {
        self.speak(self.next)
            .expect("a transcript needs no variable before the client's first frame")
    }

    /// Checks a frame of the client's against the next step, and gives what the server sends then.
    /// Over TCP these are bytes as they came, with any number of elements in them.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] says where the client departed from the transcript; the run stays at that step.
    pub fn receive(&mut self, frame: &[u8]) -> Result<Vec<Outgoing>, Mismatch> {
        if let Some(stream) = &mut self.stream {
            stream.feed(frame);
            return self.receive_parts();
        }
        if self.finished() {
            return Err(Mismatch::AfterEnd { found: String::from_utf8_lossy(frame).into_owned() });
        }
        self.take(parse_document(frame, &Limits::default()).map(StreamEvent::Element))
    }

    /// Takes what is complete in the client's stream.
    fn receive_parts(&mut self) -> Result<Vec<Outgoing>, Mismatch> {
        let mut out = Vec::new();
        while let Some(stream) = &mut self.stream {
            let Some(step) = self.steps.get(self.next) else {
                let found = String::from_utf8_lossy(stream.pending()).trim().to_owned();
                return if found.is_empty() { Ok(out) } else { Err(Mismatch::AfterEnd { found }) };
            };
            if matches!(step.kind, StepKind::ExpectHeader(_)) {
                stream.restart();
            }
            let line = step.line;
            let sent = stream.next_event().map_err(|reason| Mismatch::NotXml { line, reason })?;
            let Some(sent) = sent else { break };
            let count = stream.pending().len();
            let said = self.take(Ok(sent))?;
            if count > 0 && said.contains(&Outgoing::Secure) {
                return Err(Mismatch::BeforeHandshake { line, count });
            }
            out.extend(said);
        }
        Ok(out)
    }

    /// Checks one thing that the client sent, and plays on.
    fn take(&mut self, sent: Result<StreamEvent, XmlError>) -> Result<Vec<Outgoing>, Mismatch> {
        let steps = Arc::clone(&self.steps);
        if let Ok(StreamEvent::Element(element)) = &sent {
            self.conversation.heard(element);
        }
        self.check(&steps[self.next], sent)?;
        self.speak(self.next + 1)
    }

    fn check(&self, step: &Step, sent: Result<StreamEvent, XmlError>) -> Result<(), Mismatch> {
        let line = step.line;
        let expected = match &step.kind {
            StepKind::ExpectAnything => return Ok(()),
            StepKind::Expect(_) => AN_ELEMENT,
            StepKind::ExpectHeader(_) => A_HEADER,
            StepKind::ExpectEnd => AN_END,
            _ => return Err(Mismatch::NotOpened { line }),
        };
        let sent = sent.map_err(|reason| Mismatch::NotXml { line, reason })?;
        let found = match (&step.kind, &sent) {
            (StepKind::Expect(pattern), StreamEvent::Element(element)) => {
                let read = |text: &[u8]| parse_document(text, &Limits::default());
                return compare(line, &self.pattern(line, pattern, read)?, element);
            }
            (StepKind::ExpectHeader(pattern), StreamEvent::Header(header)) => {
                let pattern = self.pattern(line, pattern, client_stream::header)?;
                return compare(line, &pattern, header);
            }
            (StepKind::ExpectEnd, StreamEvent::End) => return Ok(()),
            (_, StreamEvent::Element(_)) => AN_ELEMENT,
            (_, StreamEvent::Header(_)) => A_HEADER,
            (_, StreamEvent::End) => AN_END,
        };
        Err(Mismatch::OtherPart { line, expected, found })
    }

    /// Whether every step was played.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.next == self.steps.len()
    }

    /// The line of the step that the client has to play next.
    #[must_use]
    pub fn waits_at(&self) -> Option<usize> {
        self.steps.get(self.next).map(|step| step.line)
    }

    fn pattern(
        &self,
        line: usize,
        pattern: &Text,
        read: impl FnOnce(&[u8]) -> Result<Element, XmlError>,
    ) -> Result<Element, Mismatch> {
        let expanded = self.expand(line, pattern)?;
        read(&expanded).map_err(|reason| Mismatch::PatternNotXml { line, reason })
    }

    /// Plays steps from here until the client has to speak.
    fn speak(&mut self, mut next: usize) -> Result<Vec<Outgoing>, Mismatch> {
        let steps = Arc::clone(&self.steps);
        let mut out = Vec::new();
        for step in &steps[next..] {
            match &step.kind {
                StepKind::ExpectAnything
                | StepKind::Expect(_)
                | StepKind::ExpectHeader(_)
                | StepKind::ExpectEnd => break,
                StepKind::Send(text) => {
                    let frame = self.expand(step.line, text)?;
                    self.conversation.said(&frame);
                    out.push(Outgoing::Frame(frame));
                }
                StepKind::SendBinary(text) => {
                    out.push(Outgoing::Binary(self.expand(step.line, text)?));
                }
                StepKind::Ping => out.push(Outgoing::Ping),
                StepKind::Secure => out.push(Outgoing::Secure),
                StepKind::Close => out.push(Outgoing::Close),
            }
            next += 1;
        }
        self.next = next;
        Ok(out)
    }

    fn expand(&self, line: usize, text: &Text) -> Result<Vec<u8>, Mismatch> {
        text.expand(&mut |variable| {
            self.conversation.value(variable).map_err(|reason| Mismatch::NoValue {
                line,
                name: variable.name(),
                reason,
            })
        })
    }
}

const AN_ELEMENT: &str = "an element";
const A_HEADER: &str = "the header of a stream";
const AN_END: &str = "the end of a stream";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    /// The exchange of RFC 7677, section 3, where the transcript computes what the RFC prints.
    const RFC_7677: &str = "password: pencil
C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'
  mechanism='SCRAM-SHA-256'>{b64:n,,n=user,r={nonce}}</auth>
S: <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:r={nonce}
  %hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096}</challenge>
C: <response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:c=biws,r={nonce}
  %hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p={proof}}</response>
S: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:v={verifier}}</success>
";

    fn sasl(element: &str, message: &str) -> Vec<u8> {
        use base64ct::{Base64, Encoding};
        let name = element.split(' ').next().unwrap();
        let message = Base64::encode_string(message.as_bytes());
        format!("<{element} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{message}</{name}>")
            .into_bytes()
    }

    fn player(text: &str) -> Player {
        let mut player = Script::parse(text).unwrap().player();
        assert_eq!(player.opened(), []);
        player
    }

    #[test]
    fn computes_the_scram_values_of_rfc_7677() {
        let mut player = player(RFC_7677);
        let first = sasl("auth mechanism='SCRAM-SHA-256'", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let challenge = sasl("challenge", server_first);
        assert_eq!(player.receive(&first), Ok(vec![Outgoing::Frame(challenge)]));
        let last = sasl(
            "response",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        );
        let success = sasl("success", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(player.receive(&last), Ok(vec![Outgoing::Frame(success)]));
        assert!(player.finished());
    }

    #[test]
    fn a_wrong_proof_is_a_mismatch_and_can_be_put_right() {
        let mut player = player(RFC_7677);
        let first = sasl("auth mechanism='SCRAM-SHA-256'", "n,,n=user,r=abc");
        player.receive(&first).unwrap();
        let last = sasl(
            "response",
            "c=biws,r=abc%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        );
        let mismatch = player.receive(&last).unwrap_err();
        assert!(matches!(mismatch, Mismatch::OtherText { line: 6, .. }), "{mismatch:?}");
        assert_eq!(player.waits_at(), Some(6));
        assert!(!player.finished());
    }

    #[test]
    fn a_value_that_nothing_gave_is_named() {
        let no_value = |name, reason| Err(Mismatch::NoValue { line: 2, name, reason });
        assert_eq!(
            player("C: *\nS: {nonce}\n").receive(b"<a xmlns='u'/>"),
            no_value("nonce", Unknown::ClientFirst)
        );
        assert_eq!(
            player("C: *\nS: {verifier}\n").receive(b"<a xmlns='u'/>"),
            no_value("verifier", Unknown::Mechanism)
        );
        assert_eq!(
            player("C: *\nS: {id}\n").receive(b"<a xmlns='u'/>"),
            no_value("id", Unknown::Id)
        );
        let first = sasl("auth mechanism='SCRAM-SHA-1'", "n,,n=user,r=abc");
        assert_eq!(
            player("C: *\nS: {proof}\n").receive(&first),
            no_value("proof", Unknown::ServerFirst)
        );
    }

    #[test]
    fn repeats_the_id_of_a_request() {
        let mut player = player("C: <iq xmlns='u' id='*'/>\nS: <iq id='{id}'/>\n");
        let reply = Outgoing::Frame(b"<iq id='a&apos;&amp;b'/>".to_vec());
        assert_eq!(player.receive(b"<iq xmlns='u' id=\"a'&amp;b\"/>"), Ok(vec![reply]));
    }

    #[test]
    fn speaks_first_in_every_way() {
        let text = "S: !hex ff 00\nS: !repeat 2 <a>\nS: !binary {fill:2}\nS: !ping\nS: !close\n";
        let mut player = Script::parse(text).unwrap().player();
        assert_eq!(
            player.opened(),
            [
                Outgoing::Frame(vec![0xff, 0]),
                Outgoing::Frame(b"<a><a>".to_vec()),
                Outgoing::Binary(b"xx".to_vec()),
                Outgoing::Ping,
                Outgoing::Close
            ]
        );
        assert!(player.finished());
    }

    #[test]
    fn frames_out_of_turn_are_mismatches() {
        let mut player = Script::parse("S: a\nC: *\n").unwrap().player();
        assert_eq!(player.receive(b"x"), Err(Mismatch::NotOpened { line: 1 }));
        player.opened();
        assert_eq!(player.receive(b"x"), Ok(vec![]));
        assert_eq!(player.receive(b"y"), Err(Mismatch::AfterEnd { found: "y".into() }));
    }

    #[test]
    fn what_is_no_xml_is_said_to_be_none() {
        let mut player = player("C: <a xmlns='u'/>\n");
        assert_eq!(
            player.receive(b"<a xmlns='u'>"),
            Err(Mismatch::NotXml { line: 1, reason: XmlError::Truncated })
        );
    }

    /// A login after STARTTLS, as a client has to write it.
    const STARTTLS: &str = "framing: tcp
C: <?xml version='1.0'?><stream:stream xmlns:stream='s' xmlns='c' to='*'>
S: <stream:stream xmlns:stream='s' xmlns='c'>
S: <stream:features/>
C: <starttls xmlns='t'/>
S: <proceed xmlns='t'/>
S: !secure
C: <stream:stream xmlns:stream='s' xmlns='c' to='*'>
S: <stream:stream xmlns:stream='s' xmlns='c'>
C: <iq xmlns='c' id='*'><q/></iq>
S: <iq id='{id}'/>
C: </stream:stream>
S: </stream:stream>
S: !close
";
    const HEADER: &str = "<stream:stream xmlns:stream='s' xmlns='c' to='a'>";
    const COMMAND: &str = "<starttls xmlns='t'/>";

    /// What comes of these pieces, or the first mismatch.
    fn play(text: &str, pieces: &[&str]) -> Result<Vec<Outgoing>, Mismatch> {
        let mut player = player(text);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(player.receive(piece.as_bytes())?);
        }
        Ok(out)
    }

    #[test]
    fn plays_a_stream_in_any_pieces() {
        let after = format!("{HEADER}<iq id='7'><q/></iq> </stream:stream>");
        for size in [1, 5, 1000] {
            let mut player = player(STARTTLS);
            let mut out = Vec::new();
            for text in [&format!("{HEADER}\n{COMMAND}"), &after] {
                for piece in text.as_bytes().chunks(size) {
                    out.extend(player.receive(piece).unwrap());
                }
            }
            assert!(player.finished());
            assert_eq!(out.len(), 8);
            assert_eq!(out[2], Outgoing::Frame(b"<proceed xmlns='t'/>".to_vec()));
            assert_eq!(out[3], Outgoing::Secure);
            assert_eq!(out[5], Outgoing::Frame(b"<iq id='7'/>".to_vec()));
            assert_eq!(out[7], Outgoing::Close);
        }
    }

    #[test]
    fn nothing_may_come_ahead_of_the_handshake() {
        for (more, count) in [("\n", 1), (HEADER, HEADER.len())] {
            let piece = format!("{COMMAND}{more}");
            let expected = Err(Mismatch::BeforeHandshake { line: 5, count });
            assert_eq!(play(STARTTLS, &[HEADER, &piece]), expected);
        }
        assert_eq!(play(STARTTLS, &[HEADER, COMMAND, HEADER]).unwrap().len(), 5);
    }

    #[test]
    fn parts_of_a_stream_are_told_apart() {
        let other = |line, expected, found| Err(Mismatch::OtherPart { line, expected, found });
        assert_eq!(play(STARTTLS, &[HEADER, "</stream:stream>"]), other(5, AN_ELEMENT, AN_END));
        let twice = "framing: tcp\nC: <s xmlns='u'>\nC: <s xmlns='u'>\n";
        assert_eq!(play(twice, &["<s xmlns='u'>", "<s xmlns='u'>"]), Ok(vec![]));
        let end = "framing: tcp\nC: *\nC: </stream:stream>\n";
        assert_eq!(play(end, &["<s xmlns='u'>", "<a/>"]), other(3, AN_END, AN_ELEMENT));
        let element = "framing: tcp\nC: <a xmlns='u'/>\n";
        assert_eq!(play(element, &["<a xmlns='u'>"]), other(2, AN_ELEMENT, A_HEADER));
    }

    #[test]
    fn a_stream_is_compared_as_frames_are() {
        let header = "framing: tcp\nC: <s xmlns='u' to='a'>\n";
        assert_eq!(
            play(header, &["<s xmlns='u' to='b'>"]),
            Err(Mismatch::OtherValue {
                line: 2,
                place: "/s@to".into(),
                expected: "a".into(),
                found: "b".into()
            })
        );
        assert_eq!(
            play(header, &["<!-- -->"]),
            Err(Mismatch::NotXml { line: 2, reason: XmlError::Comment })
        );
        let after = Err(Mismatch::AfterEnd { found: "<a/>".into() });
        assert_eq!(play(header, &["<s xmlns='u' to='a'>\n", " "]), Ok(vec![]));
        assert_eq!(play(header, &["<s xmlns='u' to='a'><a/>"]), after);
        let mut unopened = Script::parse("framing: tcp\nS: !secure\nC: *\n").unwrap().player();
        assert_eq!(unopened.receive(b"<s xmlns='u'>"), Err(Mismatch::NotOpened { line: 2 }));
        assert_eq!(unopened.opened(), [Outgoing::Secure]);
    }

    #[test]
    fn computes_the_values_of_a_login_with_channel_binding() {
        let text = "password: pencil
C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'
  mechanism='SCRAM-SHA-1-PLUS'>{b64:p=tls-exporter,,n=user,r={nonce}}</auth>
S: <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:r={nonce}a09117a6-ac50-4f2f-
  93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=}</challenge>
C: <response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{b64:c={b64:p=tls-exporter,,THIS IS FAKE
   CB DATA},r={nonce}a09117a6-ac50-4f2f-93f1-93799c2bddf6,
  x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p={proof}}</response>
";
        // The messages of XEP-0474, section 6.3.
        let first = "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6";
        let last = "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
                    r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
                    x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=";
        let mut player = player(text);
        player.receive(&sasl("auth mechanism='SCRAM-SHA-1-PLUS'", first)).unwrap();
        player.receive(&sasl("response", last)).unwrap();
        assert!(player.finished());
    }

    #[test]
    fn a_pattern_is_checked_again_with_its_values() {
        let mut player = player("C: <a xmlns='u' id='*'/>\nC: <a xmlns='u'><{id}/></a>\n");
        player.receive(b"<a xmlns='u' id='1'/>").unwrap();
        assert_eq!(
            player.receive(b"<a xmlns='u'/>"),
            Err(Mismatch::PatternNotXml { line: 2, reason: XmlError::MalformedName })
        );
    }
}
