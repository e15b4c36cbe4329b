//! A report for programs. Keys are added in later versions, none changes its meaning.

use epode_sasl::BindingType;
use serde::{Serialize, Serializer};

use super::{LoginReport, Outcome, Verdict};
use crate::{Authenticating, Explanation, Jid};

impl LoginReport {
    /// It in JSON, in one line: an object with the keys `offered`, `offered_sasl2`,
    /// `offered_tokens`, `offered_bindings`, `chosen`, `passed_over`, `encryption`, `bindings`,
    /// `weaker`, `attempts`, `stages`, `checks`, `flights`, `outcome`, `findings`, and, where they
    /// are known, `jid`, `condition`, `error` and `text`.
    ///
    /// ```
    /// use epode_proto::LoginReport;
    ///
    /// let json = LoginReport::default().to_json();
    /// assert!(json.contains(r#""outcome":"closed""#));
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Object::of(self)).expect("text and numbers can be written")
    }
}

/// As [`LoginReport::to_json`], for whoever adds something to it.
impl Serialize for LoginReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Object::of(self).serialize(serializer)
    }
}

#[derive(Serialize)]
struct Object<'a> {
    #[serde(flatten)]
    offer: Option<Offer<'a>>,
    attempts: Vec<Choice<'a>>,
    stages: Vec<StageObject>,
    checks: Vec<&'static str>,
    flights: u32,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    findings: Vec<FindingObject>,
}

#[derive(Serialize)]
struct Offer<'a> {
    offered: &'a [String],
    /// Null where the server does not offer SASL2.
    offered_sasl2: Option<&'a [String]>,
    /// Null where it does not offer logins by token.
    offered_tokens: Option<&'a [String]>,
    /// What the server says that it can be bound to (XEP-0440); null if it says nothing.
    offered_bindings: Option<&'a [String]>,
    chosen: Option<Choice<'a>>,
    passed_over: Vec<Passed>,
    /// As `TLS 1.3`; `none` without TLS.
    encryption: &'static str,
    /// What a login over this connection can be bound to.
    bindings: Vec<&'static str>,
    /// What is weaker than at an earlier login, which is then refused.
    weaker: Option<String>,
}

#[derive(Serialize)]
struct Choice<'a> {
    profile: String,
    mechanism: &'a str,
    priority: i32,
    /// True where the login goes in early data.
    #[serde(skip_serializing_if = "Option::is_none")]
    early_data: Option<bool>,
    binding: Option<&'static str>,
}

#[derive(Serialize)]
struct Passed {
    mechanism: String,
    offered: bool,
    reason: String,
}

#[derive(Serialize)]
struct StageObject {
    phase: String,
    /// Since the connection was begun.
    milliseconds: f64,
}

#[derive(Serialize)]
struct FindingObject {
    finding: &'static str,
    text: String,
}

impl<'a> Object<'a> {
    fn of(report: &'a LoginReport) -> Self {
        let error = report.error();
        let jid = report.connected().map(|connected| &connected.jid);
        Self {
            offer: report.explanation.as_deref().map(Offer::of),
            attempts: report.attempts.iter().map(Choice::of).collect(),
            stages: report.stages.iter().map(StageObject::of).collect(),
            checks: report.checks().into_iter().map(super::Check::name).collect(),
            flights: report.flights,
            outcome: match report.outcome {
                Outcome::Closed => "closed",
                Outcome::Connected(_) => "connected",
                Outcome::Failed(_) => "failed",
            },
            jid: jid.map(Jid::to_string),
            condition: error.map(crate::Error::condition),
            error: error.map(ToString::to_string),
            text: error.and_then(crate::Error::text).map(|text| text.text),
            findings: report
                .findings()
                .iter()
                .map(|found| FindingObject { finding: found.name(), text: found.to_string() })
                .collect(),
        }
    }
}

impl<'a> Offer<'a> {
    fn of(explanation: &'a Explanation) -> Self {
        let sasl2 = explanation.sasl2.as_ref();
        let tokens = sasl2.and_then(|sasl2| sasl2.fast.as_ref());
        let passed = explanation.verdicts().into_iter().filter(|verdict| !verdict.chosen);
        Self {
            offered: &explanation.offered,
            offered_sasl2: sasl2.map(|sasl2| sasl2.mechanisms.as_slice()),
            offered_tokens: tokens.map(|tokens| tokens.mechanisms.as_slice()),
            offered_bindings: explanation.offered_bindings.as_deref(),
            chosen: explanation.choice.as_ref().ok().map(Choice::of),
            passed_over: passed.map(Passed::of).collect(),
            encryption: explanation.encryption.name(),
            bindings: explanation.bindings.iter().copied().map(BindingType::name).collect(),
            weaker: explanation.weaker.as_ref().map(ToString::to_string),
        }
    }
}

impl<'a> Choice<'a> {
    fn of(choice: &'a Authenticating) -> Self {
        Self {
            profile: choice.profile.to_string(),
            mechanism: choice.mechanism.as_str(),
            priority: choice.priority,
            early_data: choice.early_data.then_some(true),
            binding: choice.binding.map(BindingType::name),
        }
    }
}

impl Passed {
    fn of(verdict: Verdict) -> Self {
        let Verdict { mechanism, offered, reason, .. } = verdict;
        Self { mechanism, offered, reason }
    }
}

impl StageObject {
    fn of(stage: &super::Stage) -> Self {
        let micros = (stage.at.as_secs_f64() * 1_000_000.0).round();
        Self { phase: format!("{:?}", stage.phase), milliseconds: micros / 1000.0 }
    }
}
