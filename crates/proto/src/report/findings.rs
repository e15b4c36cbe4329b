//! What a login made sure of, and what its owner or the server's could improve.

use std::fmt;

use epode_sasl::{BindingType, Encryption, ServerProof};

use super::LoginReport;
use crate::{Advice, BoundBy, Explanation, Profile};

/// A thing that a login made sure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The connection is encrypted, and its certificate was verified.
    Encryption,
    /// The server proved that it knows the account's secret.
    ServerProof,
    /// The login is bound to this connection: nobody stands in between.
    ChannelBinding(BindingType),
    /// It is no weaker than the account's logins before.
    NoWeaker,
}

impl Check {
    /// One word for it, stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Encryption => "encryption",
            Self::ServerProof => "server-proof",
            Self::ChannelBinding(_) => "channel-binding",
            Self::NoWeaker => "no-weaker",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encryption => f.write_str("encrypted, with a certificate that was verified"),
            Self::ServerProof => f.write_str("the server proved that it knows the secret"),
            Self::ChannelBinding(kind) => write!(f, "bound to this connection by {}", kind.name()),
            Self::NoWeaker => f.write_str("no weaker than the account's logins before"),
        }
    }
}

/// A thing that could be better, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The connection is not encrypted.
    NotEncrypted,
    /// The lists of mechanisms of both profiles differ.
    ListsDiffer,
    /// The login is not bound to the connection, though the connection has what it takes.
    NotBound,
    /// The server did not prove itself.
    NoServerProof,
    /// The older profile of SASL was used: the server does not offer SASL2 here.
    OlderProfile,
    /// A resource was asked for by a request of its own, though the server binds within the login.
    BoundLate,
    /// The login went in the early data of TLS.
    EarlyData,
    /// The login failed, and this is what to do next.
    Advice(Advice),
}

impl Finding {
    /// One word for it, stable.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotEncrypted => "not-encrypted",
            Self::ListsDiffer => "lists-differ",
            Self::NotBound => "not-bound",
            Self::NoServerProof => "no-server-proof",
            Self::OlderProfile => "older-profile",
            Self::BoundLate => "bound-late",
            Self::EarlyData => "early-data",
            Self::Advice(_) => "advice",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEncrypted => "the connection is not encrypted: use wss, https or STARTTLS",
            Self::ListsDiffer => {
                "SASL2 offers other mechanisms than the older profile: the server's owner may want \
                 it so, or somebody has changed a list on the way"
            }
            Self::NotBound => {
                "the login is not bound to the connection: the server would have to offer a \
                 mechanism with -PLUS, and tls-exporter or tls-server-end-point"
            }
            Self::NoServerProof => {
                "the server did not prove that it knows the secret: SCRAM would make it"
            }
            Self::OlderProfile => {
                "the server offers no SASL2 here, which saves round trips: see XEP-0388"
            }
            Self::BoundLate => {
                "the resource was asked for after the login, which takes a round trip more: without \
                 a resource in the address it is bound within the login"
            }
            Self::EarlyData => {
                "the login went in early data of TLS: whoever comes by the key of the server's tickets \
                 can read who logs in, and the count of the token alone keeps others from saying it again"
            }
            Self::Advice(Advice::Retry) => "connect once more",
            Self::Advice(Advice::AskAgain) => "ask for the secret once more",
            Self::Advice(Advice::Wait) => "wait before the next attempt",
            Self::Advice(Advice::Stop) => "do not try before something has changed",
        })
    }
}

impl LoginReport {
    /// What the login made sure of, if it succeeded.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        let Some(connected) = self.connected() else { return Vec::new() };
        let encrypted = connected.encryption != Encryption::None;
        let proven = connected.proof == ServerProof::Proven;
        let checks = [
            encrypted.then_some(Check::Encryption),
            proven.then_some(Check::ServerProof),
            connected.binding.map(Check::ChannelBinding),
            self.explanation.as_ref().filter(|it| it.is_pinned).map(|_| Check::NoWeaker),
        ];
        checks.into_iter().flatten().collect()
    }

    /// What could be better, and what to do about it.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(explanation) = &self.explanation {
            of_offer(explanation, &mut findings);
        }
        if let Some(connected) = self.connected() {
            let late = connected.bound_by == BoundBy::Request && self.could_bind_within();
            let is_proven = connected.proof == ServerProof::Proven;
            findings.extend((!is_proven).then_some(Finding::NoServerProof));
            findings.extend(late.then_some(Finding::BoundLate));
            findings.extend(connected.early_data.then_some(Finding::EarlyData));
        }
        findings.extend(self.error().map(|error| Finding::Advice(error.advice())));
        findings
    }

    fn could_bind_within(&self) -> bool {
        let sasl2 = self.explanation.as_ref().and_then(|it| it.sasl2.as_ref());
        sasl2.is_some_and(|sasl2| sasl2.bind2.is_some())
    }
}

fn of_offer(explanation: &Explanation, findings: &mut Vec<Finding>) {
    let choice = explanation.choice.as_ref().ok();
    let is_encrypted = explanation.encryption != Encryption::None;
    let is_bound = choice.is_none_or(|choice| choice.binding.is_some());
    let is_older = choice.is_some_and(|choice| choice.profile == Profile::Sasl1);
    let found = [
        (!is_encrypted, Finding::NotEncrypted),
        (explanation.lists_differ(), Finding::ListsDiffer),
        (!explanation.bindings.is_empty() && !is_bound, Finding::NotBound),
        (is_encrypted && is_older && explanation.sasl2.is_none(), Finding::OlderProfile),
    ];
    findings.extend(found.into_iter().filter_map(|(is_so, finding)| is_so.then_some(finding)));
}
