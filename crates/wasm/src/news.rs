//! A status as JSON. No status has room for a secret.

use epode_proto::{
    Error, Status,
    sasl::{PassedOver, ServerProof},
};
use serde::Serialize;

/// What JavaScript hears of a status.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct News {
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mechanism: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_proved: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flights: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_over: Option<Vec<Passed>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carbons: Option<bool>,
    /// Where the server sends us.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Which attempt to reconnect it is, and in how many milliseconds it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<f64>,
}

/// A mechanism that is not used.
#[derive(Serialize)]
struct Passed {
    mechanism: String,
    offered: bool,
    reason: String,
}

impl News {
    pub(crate) fn of(status: &Status) -> Self {
        let mut news = Self { code: status.code().number(), ..Self::default() };
        match status {
            Status::Authenticating(choice) => {
                news.mechanism = Some(choice.mechanism.to_string());
                news.passed_over = Some(choice.passed_over.iter().map(Passed::of).collect());
            }
            Status::Connected(login) => {
                news.jid = Some(login.jid.to_string());
                news.mechanism = Some(login.mechanism.to_string());
                news.server_proved = Some(login.proof == ServerProof::Proven);
                news.flights = Some(login.flights);
                (news.resumed, news.carbons) = (Some(login.resumed), Some(login.carbons));
            }
            Status::Attached(jid) | Status::ComponentConnected(jid) => {
                news.jid = Some(jid.to_string());
            }
            Status::Reconnecting(again) => {
                news.attempt = Some(again.attempt);
                news.wait = Some(again.wait.as_secs_f64() * 1000.0);
            }
            _ => {}
        }
        if let Some(error) = status.error() {
            news.condition = Some(error.condition().to_owned());
            news.message = Some(error.to_string());
            news.advice = Some(error.advice().to_string());
            news.place = place(error).map(str::to_owned);
        }
        news
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Where the server sends us.
fn place(error: &Error) -> Option<&str> {
    match error {
        Error::Redirected(uri) => Some(uri),
        Error::Stream(error) => error.see_other_host.as_deref(),
        _ => None,
    }
}

impl Passed {
    fn of(passed: &PassedOver) -> Self {
        Self {
            mechanism: passed.mechanism.to_string(),
            offered: passed.offered,
            reason: passed.reason.to_string(),
        }
    }
}
