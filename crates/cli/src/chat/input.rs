//! What is typed, line by line.
//! Reading blocks, so it has a thread of its own, which ends with the process.

use std::{
    io::{self, BufRead, Read},
    thread,
};

use tokio::sync::mpsc;

use crate::exit::Failure;

/// What came from the standard input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Line(String),
    /// A line that cannot be sent, and why.
    Unusable(&'static str),
}

/// The lines of the standard input, until its end. The next is read once there is room for it.
pub(crate) fn read_lines() -> Result<mpsc::Receiver<Typed>, Failure> {
    let (sender, lines) = mpsc::channel(1);
    let read = move || {
        let mut input = io::stdin().lock();
        while let Ok(Some(typed)) = next(&mut input) {
            if sender.blocking_send(typed).is_err() {
                return;
            }
        }
    };
    let started = thread::Builder::new().name("input".to_owned()).spawn(read);
    started.map_err(|error| Failure::internal(format!("no thread for the input: {error}")))?;
    Ok(lines)
}

fn next(input: &mut impl BufRead) -> io::Result<Option<Typed>> {
    let mut line = Vec::new();
    let length = input.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    if length > LONGEST && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        return Ok(Some(Typed::Unusable("it is too long")));
    }
    let end = line.strip_suffix(b"\n").map_or(line.len(), <[u8]>::len);
    line.truncate(end);
    if line.ends_with(b"\r") {
        line.pop();
    }
    let text = String::from_utf8(line);
    Ok(Some(text.map_or(Typed::Unusable("it is not UTF-8"), Typed::Line)))
}

/// Servers take stanzas of 256 KiB or so.
const LONGEST: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_one_by_one() {
        let long = "x".repeat(LONGEST + 1);
        let text = [b"a\n\nb\r\n\xff\n", long.as_bytes(), b"\nc"].concat();
        let mut input = &text[..];
        let line = |text: &str| Typed::Line(text.to_owned());
        for expected in [
            line("a"),
            line(""),
            line("b"),
            Typed::Unusable("it is not UTF-8"),
            Typed::Unusable("it is too long"),
            line("c"),
        ] {
            assert_eq!(next(&mut input).unwrap(), Some(expected));
        }
        assert_eq!(next(&mut input).unwrap(), None);
    }
}
