//! What a domain publishes about its server, and the endpoints that follow from it.
//! Nothing is connected to but name servers and the domain's web server.

use std::time::Duration;

use epode::{
    Endpoint, TransportOptions,
    discovery::{
        Candidate, CandidateKind, Discovery, DiscoveryOptions, DomainError, Finding, Note, Origin,
        Question, discover,
    },
};

use super::{
    endpoint::Target,
    facts::{RecordFacts, WayFacts},
};

/// What was found.
pub(super) struct Records {
    pub(super) facts: RecordFacts,
    pub(super) targets: Vec<Target>,
}

pub(super) async fn look_up(
    domain: &str,
    transport: &TransportOptions,
    limit: Duration,
) -> Result<Records, DomainError> {
    let limit = limit.min(DiscoveryOptions::DEFAULT_TIMEOUT);
    let options = DiscoveryOptions::new().with_timeout(limit);
    Ok(describe(&discover(domain, transport, &options).await?))
}

fn describe(found: &Discovery) -> Records {
    let is_asked = |note: &Note| !matches!(note.finding, Finding::NotAsked { .. });
    let asked = found.notes.iter().any(|note| note.about == Question::SrvXmpp && is_asked(note));
    let is_srv = |origin| matches!(origin, Origin::SrvXmpp { .. } | Origin::SrvXmpps { .. });
    let mut facts = RecordFacts {
        has_srv: asked.then(|| found.candidates.iter().any(|candidate| is_srv(candidate.origin))),
        ..RecordFacts::default()
    };
    for note in &found.notes {
        let line = note.to_string();
        match &note.finding {
            Finding::Failed { .. } => facts.failures.push(line.clone()),
            Finding::Dropped { .. } if note.is_problem() => facts.unusable.push(line.clone()),
            Finding::Differs { .. } => facts.disagreement = Some(line.clone()),
            _ => {}
        }
        facts.looked_up.push(line);
    }
    let mut targets = Vec::new();
    for candidate in &found.candidates {
        let Candidate { kind, host, port, .. } = candidate;
        let Some(endpoint) = endpoint(kind, host, *port) else { continue };
        facts.ways.push(way(candidate, &endpoint));
        targets.push(Target { endpoint, origin: Some(candidate.origin.to_string()) });
    }
    Records { targets, facts }
}

fn way(candidate: &Candidate, endpoint: &Endpoint) -> WayFacts {
    let kind = match &candidate.kind {
        CandidateKind::DirectTls => "direct-tls",
        CandidateKind::StartTls => "starttls",
        CandidateKind::WebSocket(_) => "websocket",
        _ => "bosh",
    };
    WayFacts { kind, place: endpoint.to_string(), origin: candidate.origin.to_string() }
}

/// Where to connect; none for a way that is not known here.
fn endpoint(kind: &CandidateKind, host: &str, port: u16) -> Option<Endpoint> {
    let scheme = match kind {
        CandidateKind::DirectTls => "xmpps",
        CandidateKind::StartTls => "xmpp",
        CandidateKind::WebSocket(endpoint) => return Some(endpoint.clone()),
        CandidateKind::Bosh(url) => return url.to_string().parse().ok(),
        _ => return None,
    };
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    format!("{scheme}://{open}{host}{close}:{port}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use epode::discovery::{Lookup, LookupError, Resolver, SrvRecord};

    use super::*;

    /// Knows SRV records, and no addresses.
    #[derive(Debug)]
    struct Srv(&'static [(&'static str, u16, &'static str)]);

    impl Resolver for Srv {
        fn srv<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<SrvRecord>> {
            let known = self.0.iter().filter(|(service, ..)| name.starts_with(service));
            let records: Vec<_> =
                known.map(|(_, port, target)| SrvRecord::new(1, 2, *port, target)).collect();
            let found = if records.is_empty() { Err(LookupError::NoRecords) } else { Ok(records) };
            Box::pin(std::future::ready(found))
        }

        fn addresses<'a>(&'a self, _: &'a str) -> Lookup<'a, Vec<IpAddr>> {
            Box::pin(std::future::ready(Err(LookupError::NoRecords)))
        }
    }

    async fn records(srv: Srv) -> Records {
        let transport = TransportOptions::new()
            .with_proxies(epode::ProxySettings::none())
            .with_resolver(Arc::new(srv));
        look_up("example.org", &transport, Duration::from_secs(5)).await.unwrap()
    }

    fn endpoints(records: &Records) -> Vec<String> {
        records.targets.iter().map(|target| target.endpoint.to_string()).collect()
    }

    #[tokio::test]
    async fn records_become_endpoints() {
        let found = records(Srv(&[
            ("_xmpps-client.", 443, "tls.example.org."),
            ("_xmpp-client.", 5222, "tcp.example.org."),
        ]))
        .await;
        let mut places = endpoints(&found);
        places.sort();
        assert_eq!(places, ["xmpp://tcp.example.org", "xmpps://tls.example.org:443"]);
        assert_eq!(found.facts.has_srv, Some(true));
        assert_eq!(found.facts.ways.len(), 2);
        assert_eq!(found.facts.unusable, [""; 0]);
        // No web server has an address here.
        assert_eq!(found.facts.failures.len(), 2, "{:?}", found.facts.failures);
    }

    #[tokio::test]
    async fn the_domain_itself_stands_in_and_a_dot_is_no_problem() {
        let found = records(Srv(&[])).await;
        assert_eq!(endpoints(&found), ["xmpp://example.org"]);
        assert_eq!(found.facts.has_srv, Some(false));

        let found = records(Srv(&[("_xmpps-client.", 0, "."), ("_xmpp-client.", 0, ".")])).await;
        assert_eq!(endpoints(&found), [""; 0]);
        assert_eq!(found.facts.has_srv, Some(false));
        assert_eq!(found.facts.unusable, [""; 0]);
    }

    #[test]
    fn every_way_has_an_endpoint() {
        let place = |kind| endpoint(&kind, "2001:db8::1", 5280).map(|it| it.to_string());
        let web_socket = "wss://example.org/ws";
        let bosh = "https://example.org:5281/http-bind?a";
        for (kind, expected) in [
            (CandidateKind::DirectTls, "xmpps://[2001:db8::1]:5280"),
            (CandidateKind::StartTls, "xmpp://[2001:db8::1]:5280"),
            (CandidateKind::WebSocket(web_socket.parse().unwrap()), web_socket),
            (CandidateKind::Bosh(bosh.parse().unwrap()), bosh),
        ] {
            assert_eq!(place(kind).as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_told() {
        let found = records(Srv(&[("_xmpp-client.", 0, "tcp.example.org.")])).await;
        assert_eq!(found.facts.unusable.len(), 1, "{:?}", found.facts.unusable);
        assert!(found.facts.unusable[0].contains("the port is 0"));
    }
}
