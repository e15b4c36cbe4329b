//! What was seen of a server, as it is: no judgement, and no words for people. The names of the
//! fields are those of the JSON, which docs/probe.md explains.

use serde::Serialize;

/// All that was seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) domain: String,
    /// None where endpoints were given.
    pub(crate) records: Option<RecordFacts>,
    pub(crate) endpoints: Vec<EndpointFacts>,
}

/// What DNS and the domain's web server say.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RecordFacts {
    /// A line for each question and its answer.
    pub(crate) looked_up: Vec<String>,
    /// What could not be looked up.
    pub(crate) failures: Vec<String>,
    /// What is published and cannot be used.
    pub(crate) unusable: Vec<String>,
    /// Where host-meta and host-meta.json say different things.
    pub(crate) disagreement: Option<String>,
    /// Whether there is an SRV record that leads somewhere; none where DNS was not asked.
    pub(crate) has_srv: Option<bool>,
    pub(crate) ways: Vec<WayFacts>,
}

/// A way into the server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WayFacts {
    /// `starttls`, `direct-tls`, `websocket` or `bosh`.
    pub(crate) kind: &'static str,
    pub(crate) place: String,
    pub(crate) origin: String,
}

/// What was seen at one endpoint.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct EndpointFacts {
    pub(crate) endpoint: String,
    /// Who named it; none where it was given.
    pub(crate) origin: Option<String>,
    /// Why nothing was seen behind TLS.
    pub(crate) trouble: Option<Trouble>,
    pub(crate) before_tls: Option<ClearFacts>,
    pub(crate) tls: Vec<TlsFacts>,
    pub(crate) certificate: Option<CertificateFacts>,
}

/// How far it came, and what ended it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    pub(crate) stage: Stage,
    pub(crate) message: String,
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// To reach it at all.
    Connect,
    /// To find TLS there.
    NoTls,
    /// To agree on TLS.
    Tls,
    /// To speak XMPP.
    Stream,
}

/// What is offered to everybody on the way.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ClearFacts {
    /// `required` or `optional`; none if it is not offered.
    pub(crate) starttls: Option<&'static str>,
    pub(crate) mechanisms: Vec<String>,
    pub(crate) legacy_auth: bool,
}

/// What was seen with one version of TLS.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TlsFacts {
    /// `1.2` or `1.3`.
    pub(crate) version: &'static str,
    /// Whether the server speaks it.
    pub(crate) spoken: bool,
    pub(crate) trouble: Option<Trouble>,
    /// Only TLS 1.2 can lack it; none where it is not spoken.
    pub(crate) extended_master_secret: Option<bool>,
    pub(crate) offer: Option<OfferFacts>,
}

/// What is offered behind TLS.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct OfferFacts {
    pub(crate) mechanisms: Vec<String>,
    /// The types of channel binding that are listed (XEP-0440); none without a list.
    pub(crate) channel_bindings: Option<Vec<String>>,
    /// What epode could bind a login to here.
    pub(crate) possible_bindings: Vec<String>,
    /// The mechanisms of SASL2 (XEP-0388); none if it is not offered.
    pub(crate) sasl2: Option<Vec<String>>,
    pub(crate) legacy_auth: bool,
    /// What epode would use for an account with a password.
    pub(crate) choice: Option<ChoiceFacts>,
    pub(crate) passed_over: Vec<PassedFacts>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChoiceFacts {
    pub(crate) mechanism: String,
    pub(crate) priority: i32,
    pub(crate) binding: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PassedFacts {
    pub(crate) mechanism: String,
    pub(crate) offered: bool,
    pub(crate) reason: String,
}

/// What the server's certificate says, and whether it is believed.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct CertificateFacts {
    /// The name that it has to be for.
    pub(crate) expected: String,
    pub(crate) names: Vec<String>,
    pub(crate) issuer: String,
    /// As `2026-11-24T00:00:00Z`.
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    /// Whole days that are left; below zero when it has expired.
    pub(crate) days_left: i64,
    /// Whether its time has not begun.
    pub(crate) is_early: bool,
    pub(crate) is_for_name: bool,
    pub(crate) is_trusted: bool,
    /// Why it is not trusted, or not readable.
    pub(crate) problem: Option<String>,
}
