//! The lines of a transcript, grouped and read into headers and steps.
//!
//! Leaves out expansions, which `text` reads.

use epode_proto::xml::{Limits, parse_document};

use super::client_stream;
use super::text::{Text, count, hex};
use super::{Framing, ScriptError};

/// One step, with the line where it begins.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) kind: StepKind,
}

#[derive(Clone, Debug)]
pub(super) enum StepKind {
    /// The client must send something.
    ExpectAnything,
    /// The client must send this element.
    Expect(Text),
    /// The client must begin a stream with this header.
    ExpectHeader(Text),
    /// The client must end its stream.
    ExpectEnd,
    /// The server sends this.
    Send(Text),
    /// The server sends this as a binary frame.
    SendBinary(Text),
    /// The server sends a ping frame.
    Ping,
    /// Both sides do the handshake of TLS.
    Secure,
    /// The server drops the transport.
    Close,
}

type Headers = Vec<(String, String)>;

/// Reads all lines.
pub(super) fn parse(text: &str) -> Result<(Framing, Headers, Vec<Step>), ScriptError> {
    let mut framing = Framing::default();
    let mut headers = Headers::new();
    let mut steps: Vec<Step> = Vec::new();
    // A variable needs a frame of the client's to learn from.
    let mut client_spoke = false;
    for (line, text) in logical_lines(text)? {
        let kind = if let Some(pattern) = text.strip_prefix("C:") {
            client_spoke = true;
            expectation(line, framing, pattern.trim())?
        } else if let Some(frame) = text.strip_prefix("S:") {
            sending(line, framing, frame.strip_prefix(' ').unwrap_or(frame))?
        } else {
            let (key, value) = header(line, &text)?;
            if !steps.is_empty() {
                return Err(ScriptError::HeaderAfterStep { line, key });
            }
            if headers.iter().any(|(known, _)| *known == key) {
                return Err(ScriptError::DuplicateHeader { line, key });
            }
            if key == "framing" {
                framing = Framing::named(line, &value)?;
            }
            headers.push((key, value));
            continue;
        };
        if matches!(steps.last(), Some(Step { kind: StepKind::Close, .. })) {
            return Err(ScriptError::AfterClose { line });
        }
        let is_secure = |kind: &StepKind| matches!(kind, StepKind::Secure);
        if is_secure(&kind) && steps.iter().any(|step| is_secure(&step.kind)) {
            return Err(ScriptError::SecuredTwice { line });
        }
        if !client_spoke && let Some(variable) = kind.variable() {
            return Err(ScriptError::TooEarly { line, name: variable.name() });
        }
        steps.push(Step { line, kind });
    }
    if steps.is_empty() { Err(ScriptError::NoSteps) } else { Ok((framing, headers, steps)) }
}

impl StepKind {
    fn variable(&self) -> Option<super::text::Variable> {
        match self {
            Self::Expect(text)
            | Self::ExpectHeader(text)
            | Self::Send(text)
            | Self::SendBinary(text) => text.variable(),
            Self::ExpectAnything | Self::ExpectEnd | Self::Ping | Self::Secure | Self::Close => {
                None
            }
        }
    }
}

/// Lines without comments, each with its continuations and the number of its first line.
fn logical_lines(text: &str) -> Result<Vec<(usize, String)>, ScriptError> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, physical) in text.lines().enumerate() {
        let line = index + 1;
        if let Some(more) = physical.strip_prefix("  ") {
            if more.trim().is_empty() {
                continue;
            }
            let (_, so_far) = lines.last_mut().ok_or(ScriptError::NothingToContinue { line })?;
            if so_far.rfind('<') > so_far.rfind('>') {
                so_far.push(' ');
            }
            so_far.push_str(more);
        } else if !physical.trim().is_empty() && !physical.starts_with('#') {
            lines.push((line, physical.to_owned()));
        }
    }
    Ok(lines)
}

fn header(line: usize, text: &str) -> Result<(String, String), ScriptError> {
    let (key, value) = text.split_once(':').ok_or(ScriptError::UnknownLine { line })?;
    let is_key_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if key.is_empty() || !key.bytes().all(is_key_byte) {
        return Err(ScriptError::UnknownLine { line });
    }
    Ok((key.to_owned(), value.trim().to_owned()))
}

fn expectation(line: usize, framing: Framing, pattern: &str) -> Result<StepKind, ScriptError> {
    match pattern {
        "" => Err(ScriptError::EmptyPattern { line }),
        "*" => Ok(StepKind::ExpectAnything),
        STREAM_END if framing == Framing::Tcp => Ok(StepKind::ExpectEnd),
        _ => {
            let text = Text::parse(line, pattern)?;
            // Any value does for a variable here: only the XML around it is checked.
            let sample = text
                .expand(&mut |_| Ok::<_, ScriptError>("x".to_owned()))
                .expect("the sample value is always there");
            if framing == Framing::Tcp && client_stream::header(&sample).is_ok() {
                return Ok(StepKind::ExpectHeader(text));
            }
            parse_document(&sample, &Limits::default())
                .map_err(|reason| ScriptError::PatternNotXml { line, reason })?;
            Ok(StepKind::Expect(text))
        }
    }
}

fn sending(line: usize, framing: Framing, frame: &str) -> Result<StepKind, ScriptError> {
    let Some(directive) = frame.strip_prefix('!') else {
        return Ok(StepKind::Send(Text::parse(line, frame)?));
    };
    let (word, argument) = directive.split_once(' ').unwrap_or((directive, ""));
    let only_in = match word {
        "binary" | "ping" => Some(Framing::WebSocket),
        "secure" => Some(Framing::Tcp),
        _ => None,
    };
    if only_in.is_some_and(|only| only != framing) {
        let (word, framing) = (word.to_owned(), framing.name());
        return Err(ScriptError::OtherFraming { line, word, framing });
    }
    match word {
        "hex" => Ok(StepKind::Send(Text::literal(hex(line, argument)?))),
        "repeat" => {
            let (times, text) = argument.split_once(' ').unwrap_or((argument, ""));
            let times = count(line, times)?;
            Ok(StepKind::Send(Text::parse(line, text)?.repeated(line, times)?))
        }
        "binary" => Ok(StepKind::SendBinary(Text::parse(line, argument)?)),
        "ping" => Ok(StepKind::Ping),
        "secure" => Ok(StepKind::Secure),
        "close" => Ok(StepKind::Close),
        _ => Err(ScriptError::UnknownDirective { line, word: word.to_owned() }),
    }
}

/// How a client ends its stream over TCP.
const STREAM_END: &str = "</stream:stream>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_steps_of_a_tcp_stream() {
        let text = "framing: tcp\nC: <?xml version='1.0'?><stream:stream\n  \
                    xmlns:stream='s' xmlns='c'>\nS: !secure\nC: <a xmlns='u'/>\n\
                    C: </stream:stream>\n";
        let (framing, _, steps) = parse(text).unwrap();
        assert_eq!(framing, Framing::Tcp);
        assert!(matches!(steps[0].kind, StepKind::ExpectHeader(_)));
        assert!(matches!(steps[1].kind, StepKind::Secure));
        assert!(matches!(steps[2].kind, StepKind::Expect(_)));
        assert!(matches!(steps[3].kind, StepKind::ExpectEnd));
    }

    #[test]
    fn what_a_framing_does_not_have_is_named() {
        let fault = |text| parse(text).unwrap_err();
        let other = |line, word: &str, framing| ScriptError::OtherFraming {
            line,
            word: word.into(),
            framing,
        };
        assert_eq!(fault("S: !secure\n"), other(1, "secure", "websocket"));
        assert_eq!(fault("framing: websocket\nS: !secure\n"), other(2, "secure", "websocket"));
        assert_eq!(fault("framing: tcp\nS: !ping\n"), other(2, "ping", "tcp"));
        assert_eq!(fault("framing: tcp\nS: !binary x\n"), other(2, "binary", "tcp"));
        let unknown = ScriptError::UnknownFraming { line: 2, framing: "bosh".into() };
        assert_eq!(fault("a: b\nframing: bosh\nC: *\n"), unknown);
        let twice = "framing: tcp\nS: !secure\nC: *\nS: !secure\n";
        assert_eq!(fault(twice), ScriptError::SecuredTwice { line: 4 });
        assert!(matches!(fault("C: </stream:stream>\n"), ScriptError::PatternNotXml { .. }));
        assert!(matches!(fault("C: <a xmlns='u'>\n"), ScriptError::PatternNotXml { .. }));
    }

    #[test]
    fn reads_headers_steps_comments_and_continuations() {
        let text = "# what it is\nabout: x: y\npassword:pencil\n\nC: <open xmlns='u'\n  \
                    to='a'><b/>\n  </open>\n# between\nS: !ping\nS:  two\nS: !close\n";
        let (framing, headers, steps) = parse(text).unwrap();
        assert_eq!(framing, Framing::WebSocket);
        assert_eq!(headers[0], ("about".to_owned(), "x: y".to_owned()));
        assert_eq!(headers[1], ("password".to_owned(), "pencil".to_owned()));
        assert_eq!(steps.iter().map(|step| step.line).collect::<Vec<_>>(), [5, 9, 10, 11]);
        assert_eq!(literal(&steps[0]), "<open xmlns='u' to='a'><b/></open>");
        assert!(matches!(steps[1].kind, StepKind::Ping));
        assert_eq!(literal(&steps[2]), " two");
        assert!(matches!(steps[3].kind, StepKind::Close));
    }

    #[test]
    fn a_faulty_line_is_named() {
        let fault = |text| parse(text).unwrap_err();
        assert_eq!(fault(""), ScriptError::NoSteps);
        assert_eq!(fault("a: b\n"), ScriptError::NoSteps);
        assert_eq!(fault("\nhello\n"), ScriptError::UnknownLine { line: 2 });
        assert_eq!(fault("Key: v\n"), ScriptError::UnknownLine { line: 1 });
        assert_eq!(
            fault("C: *\nkey: v\n"),
            ScriptError::HeaderAfterStep { line: 2, key: "key".into() }
        );
        assert_eq!(
            fault("key: v\nkey: w\nC: *\n"),
            ScriptError::DuplicateHeader { line: 2, key: "key".into() }
        );
        assert_eq!(fault("  <a/>\n"), ScriptError::NothingToContinue { line: 1 });
        assert_eq!(
            fault("S: !shout\n"),
            ScriptError::UnknownDirective { line: 1, word: "shout".into() }
        );
        assert_eq!(fault("C:\n"), ScriptError::EmptyPattern { line: 1 });
        assert_eq!(
            fault("S: !repeat many x\n"),
            ScriptError::BadCount { line: 1, count: "many".into() }
        );
        assert_eq!(fault("S: !hex 0\n"), ScriptError::BadHex { line: 1 });
        assert_eq!(fault("S: {id}\nC: *\n"), ScriptError::TooEarly { line: 1, name: "id" });
        assert_eq!(fault("S: !close\nC: *\n"), ScriptError::AfterClose { line: 2 });
        assert!(matches!(fault("C: <a>\n"), ScriptError::PatternNotXml { line: 1, .. }));
    }

    fn literal(step: &Step) -> String {
        let (StepKind::Expect(text) | StepKind::Send(text)) = &step.kind else {
            panic!("a step with a text, not {step:?}")
        };
        String::from_utf8(text.expand(&mut |_| Err("no variables")).unwrap()).unwrap()
    }
}
