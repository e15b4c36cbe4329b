//! What a server offers, seen from outside: its records, each way in, its certificates, and what is
//! to be said of them. No credentials are known here, and nobody logs in.

mod certificate;
mod endpoint;
mod facts;
mod findings;
mod json;
mod records;
mod text;

use std::{sync::Arc, time::Duration};

use epode::{Endpoint, ProxySettings, TlsOptions, TransportOptions, discovery::DomainError};
use tokio::task::JoinSet;

use self::{certificate::Judge, endpoint::Target, facts::EndpointFacts};
pub(crate) use self::{
    certificate::JudgeError,
    facts::Facts,
    findings::{Severity, judge},
    json::Object,
    text::show,
};

/// What to look at, and how.
pub(crate) struct Probe {
    pub(crate) domain: String,
    /// In place of what would be looked up, unless it is empty.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) tls: TlsOptions,
    /// The certificates that are trusted besides those of the system, in PEM.
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) no_proxy: bool,
    /// For each endpoint; the records have no more, nor more than ten seconds.
    pub(crate) timeout: Duration,
}

/// Why nothing was looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Domain(#[from] DomainError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

impl Probe {
    /// Looks at everything, all endpoints at the same time. `tell` hears what is being done.
    pub(crate) async fn run(self, tell: impl Fn(&str)) -> Result<Facts, ProbeError> {
        let judge = Arc::new(Judge::new(&self.tls, self.ca.as_deref())?);
        let mut transport = TransportOptions::new().with_tls(self.tls.clone());
        if self.no_proxy {
            transport = transport.with_proxies(ProxySettings::none());
        }
        let mut records = None;
        let mut targets: Vec<_> = self.endpoints.into_iter().map(Target::given).collect();
        if targets.is_empty() {
            tell(&format!("looking up {}", self.domain));
            let found = records::look_up(&self.domain, &transport, self.timeout).await?;
            targets = found.targets;
            records = Some(found.facts);
        }
        let mut running = JoinSet::new();
        for (index, target) in targets.into_iter().enumerate() {
            tell(&format!("asking {}", target.endpoint));
            let (domain, judge) = (self.domain.clone(), Arc::clone(&judge));
            let (timeout, no_proxy) = (self.timeout, self.no_proxy);
            running.spawn(async move {
                (index, endpoint::look_at(&domain, target, &judge, no_proxy, timeout).await)
            });
        }
        let mut endpoints: Vec<(usize, EndpointFacts)> = Vec::new();
        while let Some(done) = running.join_next().await {
            let (index, facts) = done.expect("no task of a probe panics or is stopped");
            tell(&format!("done with {}", facts.endpoint));
            endpoints.push((index, facts));
        }
        endpoints.sort_by_key(|(index, _)| *index);
        let endpoints = endpoints.into_iter().map(|(_, facts)| facts).collect();
        Ok(Facts { domain: self.domain, records, endpoints })
    }
}
