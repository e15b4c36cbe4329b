//! The text of a frame with its expansions, parsed once and expanded at each run.
//!
//! Leaves out where the values of variables come from: that is `conversation`.

use base64ct::{Base64, Encoding};

use super::ScriptError;

/// A text whose expansions were checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Base64(Text),
    Repeat(usize, Text),
    Variable(Variable),
}

/// A value that the conversation gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Nonce,
    Proof,
    Verifier,
    Id,
}

impl Text {
    /// Reads a whole text. A closing brace that closes nothing stands for itself.
    pub(super) fn parse(line: usize, text: &str) -> Result<Self, ScriptError> {
        let mut reader = Reader { line, rest: text };
        let parsed = reader.pieces(None)?;
        match parsed.largest() {
            Some(size) if size <= LARGEST_FRAME => Ok(parsed),
            _ => Err(ScriptError::TooLarge { line, limit: LARGEST_FRAME }),
        }
    }

    /// These bytes, without expansion.
    pub(super) fn literal(bytes: Vec<u8>) -> Self {
        Self(vec![Piece::Literal(bytes)])
    }

    /// This text, so many times.
    pub(super) fn repeated(self, line: usize, count: usize) -> Result<Self, ScriptError> {
        let repeated = Self(vec![Piece::Repeat(count, self)]);
        match repeated.largest() {
            Some(size) if size <= LARGEST_FRAME => Ok(repeated),
            _ => Err(ScriptError::TooLarge { line, limit: LARGEST_FRAME }),
        }
    }

    /// A variable that the text needs, if it needs one.
    pub(super) fn variable(&self) -> Option<Variable> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Base64(inner) | Piece::Repeat(_, inner) => inner.variable(),
            Piece::Variable(variable) => Some(*variable),
        })
    }

    /// The bytes, once `value` gave each variable.
    pub(super) fn expand<E>(
        &self,
        value: &mut impl FnMut(Variable) -> Result<String, E>,
    ) -> Result<Vec<u8>, E> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Base64(inner) => {
                    out.extend_from_slice(Base64::encode_string(&inner.expand(value)?).as_bytes());
                }
                Piece::Repeat(count, inner) => out.extend(inner.expand(value)?.repeat(*count)),
                Piece::Variable(variable) => out.extend_from_slice(value(*variable)?.as_bytes()),
            }
        }
        Ok(out)
    }

    /// An upper bound of the size when expanded; `None` when it cannot be counted.
    fn largest(&self) -> Option<usize> {
        self.0.iter().try_fold(0_usize, |sum, piece| {
            let size = match piece {
                Piece::Literal(bytes) => bytes.len(),
                Piece::Base64(inner) => inner.largest()?.checked_mul(4)?.checked_add(8)? / 3,
                Piece::Repeat(count, inner) => inner.largest()?.checked_mul(*count)?,
                Piece::Variable(_) => LARGEST_VARIABLE,
            };
            sum.checked_add(size)
        })
    }
}

impl Variable {
    /// The name between braces.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nonce => "nonce",
            Self::Proof => "proof",
            Self::Verifier => "verifier",
            Self::Id => "id",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Nonce, Self::Proof, Self::Verifier, Self::Id].into_iter().find(|v| v.name() == name)
    }
}

struct Reader<'a> {
    line: usize,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Reads up to the end, or up to the brace that closes the expansion `inside`.
    fn pieces(&mut self, inside: Option<&str>) -> Result<Text, ScriptError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        // Braces that stand for themselves pair up, so that JSON can stand in an expansion.
        let mut open_braces = 0_usize;
        while let Some(next) = self.rest.chars().next() {
            if next == '{'
                && let Some(name) = expansion_name(self.rest)
            {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal).into_bytes()));
                }
                pieces.push(self.expansion(name)?);
                continue;
            }
            self.rest = &self.rest[next.len_utf8()..];
            match next {
                '{' => open_braces += 1,
                '}' if open_braces > 0 => open_braces -= 1,
                '}' if inside.is_some() => {
                    pieces.push(Piece::Literal(literal.into_bytes()));
                    return Ok(Text(pieces));
                }
                _ => {}
            }
            literal.push(next);
        }
        match inside {
            Some(name) => {
                Err(ScriptError::UnclosedExpansion { line: self.line, name: name.into() })
            }
            None => {
                pieces.push(Piece::Literal(literal.into_bytes()));
                Ok(Text(pieces))
            }
        }
    }

    /// Reads one expansion; `name` stands after the brace that the rest begins with.
    fn expansion(&mut self, name: &'a str) -> Result<Piece, ScriptError> {
        let line = self.line;
        let after = &self.rest[1 + name.len()..];
        self.rest = &after[1..];
        if after.starts_with('}') {
            let unknown = || ScriptError::UnknownExpansion { line, name: name.into() };
            return Variable::named(name).map(Piece::Variable).ok_or_else(unknown);
        }
        match name {
            "b64" => Ok(Piece::Base64(self.pieces(Some(name))?)),
            "hex" => Ok(Piece::Literal(hex(line, self.argument(name, '}')?)?)),
            "fill" => {
                let count = count(line, self.argument(name, '}')?)?;
                Ok(Piece::Repeat(count, Text::literal(b"x".to_vec())))
            }
            "repeat" => {
                let count = count(line, self.argument(name, ':')?)?;
                Ok(Piece::Repeat(count, self.pieces(Some(name))?))
            }
            _ => Err(ScriptError::UnknownExpansion { line, name: name.into() }),
        }
    }

    /// The plain text up to `end`, which is taken as well.
    fn argument(&mut self, name: &str, end: char) -> Result<&'a str, ScriptError> {
        let unclosed = || ScriptError::UnclosedExpansion { line: self.line, name: name.into() };
        let (argument, rest) = self.rest.split_once(end).ok_or_else(unclosed)?;
        self.rest = rest;
        Ok(argument)
    }
}

/// The word after an opening brace, if it looks like the name of an expansion.
fn expansion_name(text: &str) -> Option<&str> {
    let inner = &text[1..];
    let end = inner.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())?;
    let ends_well = inner[end..].starts_with([':', '}']);
    (ends_well && inner.starts_with(|c: char| c.is_ascii_lowercase())).then(|| &inner[..end])
}

/// A whole number.
pub(super) fn count(line: usize, text: &str) -> Result<usize, ScriptError> {
    text.parse().map_err(|_| ScriptError::BadCount { line, count: text.into() })
}

/// Bytes in hexadecimal; white space between them does not count.
pub(super) fn hex(line: usize, text: &str) -> Result<Vec<u8>, ScriptError> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => {
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(ScriptError::BadHex { line }),
    }
}

/// No script needs more than a few times the largest stanza that a client takes.
const LARGEST_FRAME: usize = 16 * 1024 * 1024;

/// What a variable may bring; `conversation` keeps to it.
pub(super) const LARGEST_VARIABLE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let parsed = Text::parse(1, text).unwrap();
        let value = |variable: Variable| Ok::<_, ()>(format!("<{}>", variable.name()));
        String::from_utf8(parsed.expand(&mut { value }).unwrap()).unwrap()
    }

    #[test]
    fn expansions_nest() {
        assert_eq!(expand("a{b64:r={nonce},s={b64:{hex:00ff}}}z"), {
            let inner = "r=<nonce>,s=AP8=";
            format!("a{}z", Base64::encode_string(inner.as_bytes()))
        });
    }

    #[test]
    fn json_keeps_its_braces() {
        let json = r#"{"status":"invalid_token","more":{}}"#;
        assert_eq!(expand(json), json);
        assert_eq!(expand(&format!("{{b64:{json}}}")), Base64::encode_string(json.as_bytes()));
    }

    #[test]
    fn fills_and_repeats() {
        assert_eq!(expand("{fill:3}-{repeat:2:<a>{fill:1}}"), "xxx-<a>x<a>x");
        assert_eq!(expand("{fill:0}"), "");
    }

    #[test]
    fn a_brace_without_a_name_stands_for_itself() {
        assert_eq!(expand("{ nonce } {} {Nonce} }"), "{ nonce } {} {Nonce} }");
    }

    #[test]
    fn slips_are_refused() {
        let parse = |text| Text::parse(7, text).unwrap_err();
        assert_eq!(
            parse("{nonse}"),
            ScriptError::UnknownExpansion { line: 7, name: "nonse".into() }
        );
        assert_eq!(
            parse("{rot13:x}"),
            ScriptError::UnknownExpansion { line: 7, name: "rot13".into() }
        );
        assert_eq!(
            parse("{b64:a{nonce}"),
            ScriptError::UnclosedExpansion { line: 7, name: "b64".into() }
        );
        assert_eq!(parse("{fill:-1}"), ScriptError::BadCount { line: 7, count: "-1".into() });
        assert_eq!(parse("{hex:0}"), ScriptError::BadHex { line: 7 });
        assert_eq!(parse("{hex:0g}"), ScriptError::BadHex { line: 7 });
        let too_large = ScriptError::TooLarge { line: 7, limit: LARGEST_FRAME };
        assert_eq!(parse("{fill:16777217}"), too_large);
        assert_eq!(parse("{repeat:99999999999:{repeat:99999999999:ab}}"), too_large);
    }
}
