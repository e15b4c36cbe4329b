//! What there is to show: a line for people, an object for programs.
//! The words of others are made harmless here.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use epode::{
    Element,
    stanza::{PresenceType, Show},
};
use serde::Serialize;

use crate::output::printable;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// Where the connection stands; if it is made anew, in how many seconds.
    Connection {
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        wait: Option<f64>,
        detail: Option<String>,
    },
    /// Where a contact stands.
    Presence { from: String, show: &'static str, text: Option<String> },
    /// A message to us; `sent` is there if it comes late.
    Message { time: String, from: String, sent: Option<String>, text: String },
    /// A message of our own. One without a number was sent by another client of ours.
    Own { time: String, line: Option<u64>, text: String },
    /// What has become of a message of our own.
    Mark { line: u64, mark: Mark },
}

/// What has become of a message of our own, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mark {
    /// It waits for a connection.
    Queued,
    /// It is on its way to the server.
    Sent,
    /// The server has it.
    Taken,
    /// The recipient's client has it.
    Delivered,
    /// It will not arrive, or nobody knows.
    Lost,
    /// The server or the recipient refuses it.
    Refused,
}

impl Mark {
    /// Those that come before another one in the course of things, and it.
    pub(crate) fn steps(after: Option<Self>, to: Self) -> impl Iterator<Item = Self> {
        let all =
            [Self::Queued, Self::Sent, Self::Taken, Self::Delivered, Self::Lost, Self::Refused];
        let is_step = move |mark: &Self| {
            let is_on_the_way = matches!(mark, Self::Sent | Self::Taken) && to == Self::Delivered
                || *mark == Self::Sent && to == Self::Taken;
            *mark == to || is_on_the_way
        };
        all.into_iter().filter(is_step).filter(move |mark| after.is_none_or(|after| after < *mark))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Taken => "server has it",
            Self::Delivered => "delivered",
            Self::Lost => "lost",
            Self::Refused => "refused",
        })
    }
}

/// One line, and more for a text that has more: those begin with a bar, so that nothing in a text
/// can pass for a line of ours.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { state, wait, detail } => {
                write!(f, "* {state}")?;
                if let Some(wait) = wait {
                    write!(f, " in {wait:.1} s")?;
                }
                tail(f, detail.as_deref())
            }
            Self::Presence { from, show, text } => {
                write!(f, "* {} is {show}", printable(from))?;
                tail(f, text.as_deref())
            }
            Self::Message { time, from, sent, text } => {
                write!(f, "{time} {}", printable(from))?;
                if let Some(sent) = sent {
                    write!(f, " (sent {})", printable(sent))?;
                }
                f.write_str(": ")?;
                lines(f, text)
            }
            Self::Own { time, line, text } => {
                match line {
                    Some(line) => write!(f, "{time} me [{line}]: ")?,
                    None => write!(f, "{time} me, elsewhere: ")?,
                }
                lines(f, text)
            }
            Self::Mark { line, mark } => write!(f, "[{line}] {mark}"),
        }
    }
}

fn tail(f: &mut fmt::Formatter<'_>, text: Option<&str>) -> fmt::Result {
    text.map_or(Ok(()), |text| write!(f, ": {}", printable(text)))
}

fn lines(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (index, line) in text.split('\n').enumerate() {
        let before = if index == 0 { "" } else { "\n  | " };
        write!(f, "{before}{}", printable(line))?;
    }
    Ok(())
}

/// What a presence shows, if it is one of those that tell.
pub(crate) fn show_of(presence: &Element) -> Option<&'static str> {
    match PresenceType::of(presence)? {
        PresenceType::Unavailable => Some("offline"),
        PresenceType::Available => Some(match Show::of(presence) {
            None => "online",
            Some(Show::Chat) => "online and eager to talk",
            Some(Show::Away) => "away",
            Some(Show::Xa) => "away for long",
            Some(Show::Dnd) => "busy",
        }),
        _ => None,
    }
}

/// The time of day: that of UTC, since a program cannot know the zone of who reads its output.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    clock(since.map_or(0, |since| since.as_secs()))
}

fn clock(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(from: &str, text: &str) -> String {
        let (time, from, text) = (clock(86_399), from.to_owned(), text.to_owned());
        Event::Message { time, from, sent: None, text }.to_string()
    }

    #[test]
    fn no_text_passes_for_a_line_of_ours() {
        assert_eq!(message("bob@b/c", "Hello"), "23:59:59Z bob@b/c: Hello");
        assert_eq!(
            message("bob@b/\u{202e}c", "a\n* online\r\n[1] delivered\u{1b}[2J"),
            "23:59:59Z bob@b/\\u{202e}c: a\n  | * online\\r\n  | [1] delivered\\u{1b}[2J"
        );
        let (from, text) = ("bob@b".to_owned(), Some("here\n* offline".to_owned()));
        let presence = Event::Presence { from, show: "away", text };
        assert_eq!(presence.to_string(), "* bob@b is away: here\\n* offline");
    }

    #[test]
    fn no_step_is_left_out() {
        use Mark::{Delivered, Lost, Queued, Refused, Sent, Taken};
        for (after, to, steps) in [
            (None, Delivered, &[Sent, Taken, Delivered][..]),
            (None, Queued, &[Queued]),
            (Some(Queued), Taken, &[Sent, Taken]),
            (Some(Sent), Lost, &[Lost]),
            (Some(Taken), Refused, &[Refused]),
            (Some(Delivered), Taken, &[]),
            (Some(Sent), Sent, &[]),
        ] {
            let found: Vec<_> = Mark::steps(after, to).collect();
            assert_eq!(found, steps, "{after:?} {to:?}");
        }
    }
}
