//! What is printed and how: results on the standard output, the rest on the standard error,
//! colour on terminals only. What other people wrote never reaches a terminal as it stands.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;

use crate::exit::Failure;

/// The standard output, as lines for people or as JSON lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

/// The four colours in use; what they mean is also said in words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Green,
    Yellow,
    Red,
    Grey,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, colour: !json && has_colour(&io::stdout()) }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints one line for people; where JSON is wanted, nothing.
    pub(crate) fn line(self, line: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.text(&format!("{line}\n")) }
    }

    /// Prints one JSON object on a line of its own; where it is not wanted, nothing.
    pub(crate) fn object(self, object: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let json = serde_json::to_string(object).expect("strings and numbers always serialise");
        self.text(&format!("{}\n", printable_json(&json)))
    }

    /// Prints the text as it stands.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        match written {
            // Whoever read has read enough. The work goes on, and the exit code tells its end.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| {
                Failure::internal(format!("cannot write to the standard output: {error}"))
            }),
        }
    }

    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        if self.colour { painted(colour, text) } else { text.to_owned() }
    }
}

/// Says something on the standard error, after a word that tells what it is.
pub(crate) fn complain(kind: &str, message: &str) {
    let mut stderr = io::stderr().lock();
    let colour = match kind {
        "error" => Colour::Red,
        "hint" | "warning" => Colour::Yellow,
        _ => Colour::Grey,
    };
    let kind = if has_colour(&stderr) { painted(colour, kind) } else { kind.to_owned() };
    let _ = writeln!(stderr, "{kind}: {}", printable(message)); // nobody is left to tell
}

/// One line without characters that control the terminal, or hide or reorder others.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_default().to_string())
}

/// The same for JSON, where such characters stand in strings only.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    let unit = |unit: &u16| format!("\\u{unit:04x}");
    escaped(json, |c| c.encode_utf16(&mut [0; 2]).iter().map(unit).collect())
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                    | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                    | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
            )
    };
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if is_harmful(c) { escape(c) } else { c.into() };
    Cow::Owned(text.chars().map(escaped).collect())
}

fn painted(colour: Colour, text: &str) -> String {
    let code = match colour {
        Colour::Green => "32",
        Colour::Yellow => "33",
        Colour::Red => "31",
        Colour::Grey => "90",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A terminal whose owner has not asked for the lack of colour (no-color.org).
fn has_colour(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::{printable, printable_json};

    #[test]
    fn nothing_that_others_wrote_commands_the_terminal() {
        assert_eq!(printable("hällo <a b='c'/>"), "hällo <a b='c'/>");
        assert_eq!(printable("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(printable_json("{\"a\":\"\u{9b}31m\"}"), r#"{"a":"\u009b31m"}"#);
        assert_eq!(printable_json("\u{e0041}\u{feff}"), r"\udb40\udc41\ufeff");
        assert_eq!(printable("\u{9b}31m\u{202e}txt"), "\\u{9b}31m\\u{202e}txt");
    }
}
