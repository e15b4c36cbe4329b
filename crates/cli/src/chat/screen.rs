//! How it is shown: line by line, and on a terminal with marks that change where they stand.
//! What it says is decided by the event.

use std::{collections::VecDeque, env, fmt::Write, io::IsTerminal};

use super::{Event, Mark};
use crate::{
    exit::Failure,
    output::{Colour, Output},
};

/// The standard output of a chat.
#[derive(Debug)]
pub(crate) struct Screen {
    output: Output,
    terminal: Option<Terminal>,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let is_dumb = env::var_os("TERM").is_none_or(|value| value == "dumb");
        let is_terminal = std::io::stdout().is_terminal() && size().is_some();
        let has_echo = std::io::stdin().is_terminal();
        let terminal = (!json && is_terminal && !is_dumb).then(|| Terminal::new(has_echo));
        Self { output: Output::new(json), terminal }
    }

    pub(crate) fn show(&mut self, event: &Event) -> Result<(), Failure> {
        if let Some((terminal, size)) = self.terminal.as_mut().zip(size()) {
            return self.output.text(&terminal.show(event, size));
        }
        let text = event.to_string();
        let is_said = matches!(event, Event::Message { .. } | Event::Own { .. });
        let text = if is_said { text } else { self.output.paint(Colour::Grey, &text) };
        self.output.line(&text)?;
        self.output.object(event)
    }

    /// All `marks` in their order; where a mark is changed, only the last can be seen.
    pub(crate) fn mark(&mut self, line: u64, marks: &[Mark]) -> Result<(), Failure> {
        let first = if self.terminal.is_some() { marks.len().saturating_sub(1) } else { 0 };
        marks[first..].iter().try_for_each(|mark| self.show(&Event::Mark { line, mark: *mark }))
    }
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

/// Where our messages stand on a terminal. Whenever that is not certain, a mark gets a new line.
#[derive(Debug)]
struct Terminal {
    /// Whether what is typed can be seen.
    has_echo: bool,
    size: Option<Size>,
    /// How many rows were printed.
    printed: u64,
    /// Our messages, each with the row where it begins.
    own: VecDeque<(u64, u64)>,
}

impl Terminal {
    fn new(has_echo: bool) -> Self {
        Self { has_echo, size: None, printed: 0, own: VecDeque::new() }
    }

    fn show(&mut self, event: &Event, size: Size) -> String {
        if self.size.replace(size) != Some(size) {
            self.own.clear(); // lines break elsewhere now
        }
        match event {
            Event::Mark { line, mark } => match self.up_to(*line, size.rows) {
                // Save the cursor, go there, write, and come back.
                Some(up) => format!("\x1b7\x1b[{up}A\x1b[{MARK_COLUMN}G{mark:<MARK_WIDTH$}\x1b8"),
                None => self.print(&event.to_string(), size),
            },
            Event::Own { time, line: Some(line), text } => {
                let mut shown = String::new();
                // In place of what was typed.
                if let Some(rows) = rows(text, size).filter(|_| self.has_echo) {
                    let _ = write!(shown, "\x1b[{rows}A\r\x1b[J"); // a string takes all
                }
                if self.own.len() == MOST_OWN {
                    self.own.pop_front();
                }
                self.own.push_back((*line, self.printed));
                let own = Event::Own { time: String::new(), line: Some(*line), text: text.clone() };
                let text = format!("{time} {:MARK_WIDTH$}{own}", "");
                shown + &self.print(&text, size)
            }
            _ => self.print(&event.to_string(), size),
        }
    }

    fn print(&mut self, text: &str, size: Size) -> String {
        for line in text.split('\n') {
            match rows(line, size) {
                Some(rows) => self.printed += rows as u64,
                None => self.own.clear(),
            }
        }
        format!("{text}\n")
    }

    /// How many rows above the cursor a message of ours begins, if it can still be seen.
    fn up_to(&self, line: u64, height: usize) -> Option<u64> {
        let (_, row) = self.own.iter().find(|(own, _)| *own == line)?;
        Some(self.printed - row).filter(|up| *up < height as u64)
    }
}

/// How many rows a line takes, where that does not depend on how wide its characters are.
fn rows(line: &str, size: Size) -> Option<usize> {
    if line.contains(char::is_control) {
        return None;
    }
    let ascii = line.chars().filter(char::is_ascii).count();
    let most = ascii + 2 * (line.chars().count() - ascii);
    let rows = |width: usize| width.div_ceil(size.columns.max(1)).max(1);
    (rows(ascii) == rows(most)).then(|| rows(most))
}

#[cfg(unix)]
fn size() -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let (columns, rows) = (size.ws_col.into(), size.ws_row.into());
    (columns > 0 && rows > 0).then_some(Size { columns, rows })
}

/// Without a way to ask, a terminal is used line by line.
#[cfg(not(unix))]
fn size() -> Option<Size> {
    None
}

/// After the time and a space.
const MARK_COLUMN: usize = "00:00:00Z ".len() + 1;
const MARK_WIDTH: usize = "server has it".len();
const MOST_OWN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 40, rows: 5 };

    fn own(line: u64, text: &str) -> Event {
        Event::Own { time: "12:00:00Z".to_owned(), line: Some(line), text: text.to_owned() }
    }

    fn message(text: &str) -> Event {
        let (time, from) = ("12:00:00Z".to_owned(), "bob@b".to_owned());
        Event::Message { time, from, sent: None, text: text.to_owned() }
    }

    fn mark(line: u64) -> Event {
        Event::Mark { line, mark: Mark::Sent }
    }

    #[test]
    fn marks_change_where_they_stand() {
        let mut terminal = Terminal::new(true);
        assert_eq!(
            terminal.show(&own(1, "hi"), SIZE),
            "\x1b[1A\r\x1b[J12:00:00Z               me [1]: hi\n"
        );
        assert_eq!(terminal.show(&mark(1), SIZE), "\x1b7\x1b[1A\x1b[11Gsent         \x1b8");
        terminal.show(&message(&"x".repeat(40)), SIZE); // two rows
        assert_eq!(terminal.show(&mark(1), SIZE), "\x1b7\x1b[3A\x1b[11Gsent         \x1b8");
        terminal.show(&message("a\nb"), SIZE); // two more: it is above the screen
        assert_eq!(terminal.show(&mark(1), SIZE), "[1] sent\n");
    }

    #[test]
    fn a_mark_gets_a_line_where_nobody_knows_its_place() {
        let wide = message(&"\u{4e16}".repeat(15));
        let smaller = Size { columns: 20, ..SIZE };
        let mut terminal = Terminal::new(false);
        assert_eq!(terminal.show(&mark(1), SIZE), "[1] sent\n", "never seen");
        assert!(!terminal.show(&own(1, "hi"), SIZE).contains('\x1b'), "there is no echo");
        terminal.show(&wide, SIZE);
        assert_eq!(terminal.show(&mark(1), SIZE), "[1] sent\n", "after wide characters");
        terminal.show(&own(2, "hi"), SIZE);
        assert_eq!(terminal.show(&mark(2), smaller), "[2] sent\n", "after a change of size");
    }
}
