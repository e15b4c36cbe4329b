//! One run of a transcript.
//!
//! Leaves out the transport: whoever has one passes on what comes out.

use std::sync::Arc;

use epode_proto::xml::{Element, Limits, XmlError, parse_document};
use thiserror::Error;

use super::conversation::{Conversation, Unknown};
use super::pattern::compare;
use super::steps::{Step, StepKind};
use super::text::Text;

/// Plays a transcript against a client: frames in, frames out.
///
/// Begin with [`opened`](Self::opened), once the transport is open, then pass every frame of the
/// client's to [`receive`](Self::receive).
#[derive(Clone, Debug)]
pub struct Player {
    steps: Arc<[Step]>,
    next: usize,
    conversation: Conversation,
}

/// What the server does with the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Sends a text frame, which need not be UTF-8.
    Frame(Vec<u8>),
    /// Sends a binary frame.
    Binary(Vec<u8>),
    /// Sends a ping frame.
    Ping,
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
    pub(super) fn new(steps: Arc<[Step]>, password: Option<&str>) -> Self {
        Self { steps, next: 0, conversation: Conversation::new(password) }
    }

    /// The transport is open: gives what the server sends before it has heard anything.
    pub fn opened(&mut self) -> Vec<Outgoing> {
        self.speak(self.next)
            .expect("a transcript needs no variable before the client's first frame")
    }

    /// Checks a frame of the client's against the next step, and gives what the server sends then.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] says where the client departed from the transcript; the run stays where it
    /// was.
    pub fn receive(&mut self, frame: &[u8]) -> Result<Vec<Outgoing>, Mismatch> {
        let steps = Arc::clone(&self.steps);
        let Some(step) = steps.get(self.next) else {
            return Err(Mismatch::AfterEnd { found: String::from_utf8_lossy(frame).into_owned() });
        };
        let line = step.line;
        let sent = parse_document(frame, &Limits::default());
        if let Ok(sent) = &sent {
            self.conversation.heard(sent);
        }
        match &step.kind {
            StepKind::ExpectAnything => {}
            StepKind::Expect(pattern) => {
                let sent = sent.map_err(|reason| Mismatch::NotXml { line, reason })?;
                compare(line, &self.pattern(line, pattern)?, &sent)?;
            }
            _ => return Err(Mismatch::NotOpened { line }),
        }
        self.speak(self.next + 1)
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

    fn pattern(&self, line: usize, pattern: &Text) -> Result<Element, Mismatch> {
        let expanded = self.expand(line, pattern)?;
        parse_document(&expanded, &Limits::default())
            .map_err(|reason| Mismatch::PatternNotXml { line, reason })
    }

    /// Plays steps from here until the client has to speak.
    fn speak(&mut self, mut next: usize) -> Result<Vec<Outgoing>, Mismatch> {
        let steps = Arc::clone(&self.steps);
        let mut out = Vec::new();
        for step in &steps[next..] {
            match &step.kind {
                StepKind::ExpectAnything | StepKind::Expect(_) => break,
                StepKind::Send(text) => {
                    let frame = self.expand(step.line, text)?;
                    self.conversation.said(&frame);
                    out.push(Outgoing::Frame(frame));
                }
                StepKind::SendBinary(text) => {
                    out.push(Outgoing::Binary(self.expand(step.line, text)?));
                }
                StepKind::Ping => out.push(Outgoing::Ping),
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
