//! A status as JSON. No status has room for a secret.

use epode_proto::{
    Status,
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
            }
            Status::Attached(jid) | Status::ComponentConnected(jid) => {
                news.jid = Some(jid.to_string())
            }
            _ => {
                if let Some(error) = status.error() {
                    news.condition = Some(error.condition().to_owned());
                    news.message = Some(error.to_string());
                    news.advice = Some(error.advice().to_string());
                }
            }
        }
        news
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
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
