//! The lines of a transcript, grouped and read into headers and steps.
//!
//! Leaves out expansions, which `text` reads.

use epode_proto::xml::{Limits, parse_document};

use super::ScriptError;
use super::text::{Text, count, hex};

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
    /// The server sends this.
    Send(Text),
    /// The server sends this as a binary frame.
    SendBinary(Text),
    /// The server sends a ping frame.
    Ping,
    /// The server drops the transport.
    Close,
}

type Headers = Vec<(String, String)>;

/// Reads all lines.
pub(super) fn parse(text: &str) -> Result<(Headers, Vec<Step>), ScriptError> {
    let mut headers = Headers::new();
    let mut steps: Vec<Step> = Vec::new();
    // A variable needs a frame of the client's to learn from.
    let mut client_spoke = false;
    for (line, text) in logical_lines(text)? {
        let kind = if let Some(pattern) = text.strip_prefix("C:") {
            client_spoke = true;
            expectation(line, pattern.trim())?
        } else if let Some(frame) = text.strip_prefix("S:") {
            sending(line, frame.strip_prefix(' ').unwrap_or(frame))?
        } else {
            let (key, value) = header(line, &text)?;
            if !steps.is_empty() {
                return Err(ScriptError::HeaderAfterStep { line, key });
            }
            if headers.iter().any(|(known, _)| *known == key) {
                return Err(ScriptError::DuplicateHeader { line, key });
            }
            headers.push((key, value));
            continue;
        };
        if matches!(steps.last(), Some(Step { kind: StepKind::Close, .. })) {
            return Err(ScriptError::AfterClose { line });
        }
        if !client_spoke && let Some(variable) = kind.variable() {
            return Err(ScriptError::TooEarly { line, name: variable.name() });
        }
        steps.push(Step { line, kind });
    }
    if steps.is_empty() { Err(ScriptError::NoSteps) } else { Ok((headers, steps)) }
}

impl StepKind {
    fn variable(&self) -> Option<super::text::Variable> {
        match self {
            Self::Expect(text) | Self::Send(text) | Self::SendBinary(text) => text.variable(),
            Self::ExpectAnything | Self::Ping | Self::Close => None,
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

fn expectation(line: usize, pattern: &str) -> Result<StepKind, ScriptError> {
    match pattern {
        "" => Err(ScriptError::EmptyPattern { line }),
        "*" => Ok(StepKind::ExpectAnything),
        _ => {
            let text = Text::parse(line, pattern)?;
            // Any value does for a variable here: only the XML around it is checked.
            let sample = text
                .expand(&mut |_| Ok::<_, ScriptError>("x".to_owned()))
                .expect("the sample value is always there");
            parse_document(&sample, &Limits::default())
                .map_err(|reason| ScriptError::PatternNotXml { line, reason })?;
            Ok(StepKind::Expect(text))
        }
    }
}

fn sending(line: usize, frame: &str) -> Result<StepKind, ScriptError> {
    let Some(directive) = frame.strip_prefix('!') else {
        return Ok(StepKind::Send(Text::parse(line, frame)?));
    };
    let (word, argument) = directive.split_once(' ').unwrap_or((directive, ""));
    match word {
        "hex" => Ok(StepKind::Send(Text::literal(hex(line, argument)?))),
        "repeat" => {
            let (times, text) = argument.split_once(' ').unwrap_or((argument, ""));
            let times = count(line, times)?;
            Ok(StepKind::Send(Text::parse(line, text)?.repeated(line, times)?))
        }
        "binary" => Ok(StepKind::SendBinary(Text::parse(line, argument)?)),
        "ping" => Ok(StepKind::Ping),
        "close" => Ok(StepKind::Close),
        _ => Err(ScriptError::UnknownDirective { line, word: word.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_steps_comments_and_continuations() {
        let text = "# what it is\nabout: x: y\npassword:pencil\n\nC: <open xmlns='u'\n  \
                    to='a'><b/>\n  </open>\n# between\nS: !ping\nS:  two\nS: !close\n";
        let (headers, steps) = parse(text).unwrap();
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
