//! The statuses of a connection as they come: a line each for people, an object each for programs.
//! How the server was reached stands beside CONNECTED, in lines that begin with `#`.

use std::time::Duration;

use epode::{Authenticating, Connected, Jid, Route, Status, StatusCode, StatusEvents, proto};
use serde::Serialize;
use tokio::sync::oneshot;

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
    /// How the server was reached, once it was connected to.
    pub(crate) route: Option<Route>,
    /// The reason that the last line gave.
    told: Option<proto::Error>,
}

/// Prints each status behind `indent`, until the last. CONNECTED waits for the route, which whoever
/// connects knows as soon as it is connected; to drop the sender is to do without.
pub(crate) async fn show(
    mut events: StatusEvents,
    output: Output,
    indent: &str,
    route: oneshot::Receiver<Route>,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let mut route = Some(route);
    let mut printed = Ok(());
    // Read to the end, whatever becomes of the output: the connection is to end in good order.
    while let Some(status) = events.next().await {
        seen.note(&status);
        if matches!(status, Status::Connected(_))
            && let Some(route) = route.take()
        {
            seen.route = route.await.ok();
        }
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
    pub(crate) fn note(&mut self, status: &Status) {
        match status {
            Status::Authenticating(choice) => self.choice = Some(choice.clone()),
            Status::Connected(connected) => self.jid = Some(connected.jid.clone()),
            Status::Attached(jid) => self.jid = Some(jid.clone()),
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
        output.line(&format!("{indent}{name}{}", printable(&detail)))?;
        match status {
            Status::Connected(connected) => self.print_details(connected, output, indent),
            _ => Ok(()),
        }
    }

    fn print_details(
        &self,
        connected: &Connected,
        output: Output,
        indent: &str,
    ) -> Result<(), Failure> {
        let Some(route) = &self.route else { return Ok(()) };
        let binding = connected.binding.map_or("none", |kind| kind.name());
        let attempts = route.attempts.iter().map(ToString::to_string);
        let encryption = format!("encryption: {}", connected.encryption.name());
        let binding = format!("channel binding: {binding}");
        let by_token = connected.mechanism.as_str().starts_with("HT-");
        let token =
            by_token.then(|| "by the token of an earlier login: no password was used".to_owned());
        let early = connected.early_data;
        let early =
            early.then(|| "in early data of TLS: without a round trip of its own".to_owned());
        for detail in attempts.chain([encryption, binding]).chain(token).chain(early) {
            let line = format!("# {}", printable(&detail));
            output.line(&format!("{indent}{}", output.paint(Colour::Grey, &line)))?;
        }
        Ok(())
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
    /// There, and true, when connected in early data.
    #[serde(skip_serializing_if = "Option::is_none")]
    early_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<&'static str>,
    /// There when connected, and null if the login is bound to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<Option<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteObject>,
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
        let connected = match status {
            Status::Connected(connected) => Some(connected),
            _ => None,
        };
        Self {
            status: status.code().name(),
            code: status.code().number(),
            condition: error.map(proto::Error::condition),
            mechanism: seen.choice.as_ref().map(|choice| choice.mechanism.as_str()),
            jid: seen.jid.as_ref().map(Jid::to_string),
            flights: connected.map(|connected| connected.flights),
            early_data: connected.filter(|connected| connected.early_data).map(|_| true),
            encryption: connected.map(|connected| connected.encryption.name()),
            binding: connected.map(|connected| connected.binding.map(|kind| kind.name())),
            route: connected.and(seen.route.as_ref()).map(RouteObject::of),
            error: error.map(proto::Error::to_string),
            text,
            lang,
            advice: error.map(|error| error.advice().to_string()),
        }
    }
}

/// How a server was reached, for programs.
#[derive(Serialize)]
pub(crate) struct RouteObject {
    /// What was looked up, a line for each question.
    looked_up: Vec<String>,
    attempts: Vec<AttemptObject>,
}

#[derive(Serialize)]
struct AttemptObject {
    endpoint: String,
    /// Who named the endpoint; null where it was given.
    origin: Option<String>,
    milliseconds: f64,
    error: Option<String>,
}

impl RouteObject {
    pub(crate) fn of(route: &Route) -> Self {
        let attempts = route.attempts.iter().map(|attempt| AttemptObject {
            endpoint: attempt.endpoint.to_string(),
            origin: attempt.origin.map(|origin| origin.to_string()),
            milliseconds: milliseconds(attempt.took),
            error: attempt.failure.as_ref().map(ToString::to_string),
        });
        let looked_up = route.notes.iter().map(ToString::to_string).collect();
        Self { looked_up, attempts: attempts.collect() }
    }
}

/// Milliseconds with three digits after the point.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn colour(code: StatusCode) -> Colour {
    match code {
        StatusCode::Connected | StatusCode::Attached => Colour::Green,
        StatusCode::BindRequired | StatusCode::Redirect | StatusCode::Reconnecting => {
            Colour::Yellow
        }
        StatusCode::Error
        | StatusCode::ConnFail
        | StatusCode::AuthFail
        | StatusCode::ConnTimeout
        | StatusCode::AttachFail => Colour::Red,
        _ => Colour::Grey,
    }
}
