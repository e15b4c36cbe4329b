//! The statuses of a connection as they come: a line each for people, an object each for programs.

use epode::{Authenticating, Jid, Status, StatusCode, StatusEvents, proto};
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Colour, Output, printable},
};

/// What was seen of a connection.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The choice of a mechanism, once there was one.
    pub(crate) choice: Option<Authenticating>,
    pub(crate) auth_failed: bool,
    /// The address, once it was bound.
    jid: Option<Jid>,
    /// The reason that the last line gave.
    told: Option<proto::Error>,
}

/// Prints each status behind `indent`, until the last.
pub(crate) async fn show(
    mut events: StatusEvents,
    output: Output,
    indent: &str,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let mut printed = Ok(());
    // Read to the end, whatever becomes of the output: the connection is to end in good order.
    while let Some(status) = events.next().await {
        seen.note(&status);
        if printed.is_ok() {
            printed = seen.print(&status, output, indent);
        }
    }
    printed.map(|()| seen)
}

/// Prints nothing.
pub(crate) async fn watch(mut events: StatusEvents) -> Seen {
    let mut seen = Seen::default();
    while let Some(status) = events.next().await {
        seen.note(&status);
    }
    seen
}

impl Seen {
    fn note(&mut self, status: &Status) {
        match status {
            Status::Authenticating(choice) => self.choice = Some(choice.clone()),
            Status::Connected(connected) => self.jid = Some(connected.jid.clone()),
            Status::AuthFail(_) => self.auth_failed = true,
            _ => {}
        }
    }

    fn print(&mut self, status: &Status, output: Output, indent: &str) -> Result<(), Failure> {
        if output.is_json() {
            return output.object(&Object::of(status, self));
        }
        let code = status.code();
        let name = output.paint(colour(code), code.name());
        let detail = match status.error() {
            // The line above has the whole of it.
            Some(error) if self.told.as_ref() == Some(error) => {
                format!(" {} {}", code.number(), error.condition())
            }
            _ => status.to_string().split_off(code.name().len()),
        };
        self.told = status.error().cloned();
        output.line(&format!("{indent}{name}{}", printable(&detail)))
    }
}

/// A status for programs. The first five are always there, as far as they are known by then.
#[derive(Serialize)]
struct Object<'a> {
    status: &'static str,
    code: u8,
    condition: Option<&'a str>,
    mechanism: Option<&'a str>,
    jid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flights: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl<'a> Object<'a> {
    fn of(status: &'a Status, seen: &'a Seen) -> Self {
        let error = status.error();
        let (text, lang) = error
            .and_then(proto::Error::text)
            .map_or((None, None), |text| (Some(text.text), text.lang));
        Self {
            status: status.code().name(),
            code: status.code().number(),
            condition: error.map(proto::Error::condition),
            mechanism: seen.choice.as_ref().map(|choice| choice.mechanism.as_str()),
            jid: seen.jid.as_ref().map(Jid::to_string),
            flights: match status {
                Status::Connected(connected) => Some(connected.flights),
                _ => None,
            },
            error: error.map(proto::Error::to_string),
            text,
            lang,
            advice: error.map(|error| error.advice().to_string()),
        }
    }
}

fn colour(code: StatusCode) -> Colour {
    match code {
        StatusCode::Connected => Colour::Green,
        StatusCode::BindRequired => Colour::Yellow,
        StatusCode::Error
        | StatusCode::ConnFail
        | StatusCode::AuthFail
        | StatusCode::ConnTimeout => Colour::Red,
        _ => Colour::Grey,
    }
}
