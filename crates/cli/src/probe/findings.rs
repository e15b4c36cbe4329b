//! What is to be said of what was seen: a pure function from facts to findings. Each finding has a
//! word that stays, for programs, and a remedy, for people.

use serde::Serialize;

use super::facts::{
    CertificateFacts, ClearFacts, EndpointFacts, Facts, OfferFacts, RecordFacts, Stage, TlsFacts,
};

/// Something to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    /// Where; none where it is about the domain.
    pub(crate) endpoint: Option<String>,
    pub(crate) message: String,
    pub(crate) remedy: &'static str,
}

/// How bad it is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Good to know.
    Note,
    /// Logins are less safe, or less likely to succeed, than they could be.
    Warning,
    /// Logins fail, or others can read or take them over.
    Error,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($code:ident = $severity:ident, $name:literal, $remedy:literal;)*) => {
        /// What there is to find.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Code { $($code),* }

        impl Code {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code),*];

            fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity),* }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$code => $name),* }
            }

            fn remedy(self) -> &'static str {
                match self { $(Self::$code => $remedy),* }
            }
        }
    };
}

codes! {
    NoServer = Error, "no-server",
        "publish SRV records for the domain, or give --via ENDPOINT";
    Unreachable = Error, "unreachable",
        "start what should listen there, open the firewall, or take the record out";
    NoTls = Error, "no-tls",
        "set up a certificate and offer TLS";
    TlsFailed = Error, "tls-failed",
        "check the port, the TLS versions and ciphers that the server allows there, and its log";
    StreamFailed = Error, "stream-failed",
        "check that the server answers for this domain there, and its log";
    PlainBeforeTls = Error, "plain-before-tls",
        "offer no mechanism before TLS";
    LegacyAuthBeforeTls = Error, "legacy-auth-before-tls",
        "turn the old login (XEP-0078) off";
    CertificateExpired = Error, "certificate-expired",
        "renew the certificate, and see why that did not happen by itself";
    CertificateNotYetValid = Error, "certificate-not-yet-valid",
        "check the clocks of server and issuer";
    CertificateWrongName = Error, "certificate-wrong-name",
        "get a certificate with this name among its DNS names";
    CertificateUntrusted = Error, "certificate-untrusted",
        "get one from a trusted authority and send its intermediate certificates, or give --ca";
    ListWithoutPlus = Error, "list-without-plus",
        "offer SCRAM's -PLUS mechanisms, or no list: clients take this for an attack";
    NoUsableMechanism = Error, "no-usable-mechanism",
        "offer SCRAM-SHA-256 and SCRAM-SHA-256-PLUS";
    StarttlsNotRequired = Warning, "starttls-not-required",
        "let the server require STARTTLS of clients";
    MechanismsBeforeTls = Warning, "mechanisms-before-tls",
        "offer no mechanism before TLS";
    LegacyAuth = Warning, "legacy-auth",
        "turn the old login (XEP-0078) off";
    LookupFailed = Warning, "lookup-failed",
        "check the name servers and the web server of the domain";
    RecordUnusable = Warning, "record-unusable",
        "correct the record or link, or take it out";
    RecordsDisagree = Warning, "records-disagree",
        "let host-meta and host-meta.json name the same places";
    MechanismsDiffer = Warning, "mechanisms-differ",
        "let all endpoints offer the same mechanisms";
    ListsDiffer = Warning, "lists-differ",
        "let SASL and SASL2 offer the same mechanisms";
    MechanismsPlainOnly = Warning, "mechanisms-plain-only",
        "offer SCRAM, which does not show the server the password";
    NoChannelBinding = Warning, "no-channel-binding",
        "offer SCRAM's -PLUS mechanisms";
    PlusWithoutList = Warning, "plus-without-list",
        "list the types of channel binding (XEP-0440)";
    NoCommonBinding = Warning, "no-common-binding",
        "support tls-exporter and tls-server-end-point";
    NoEndPointBinding = Warning, "no-end-point-binding",
        "support tls-server-end-point, the one that every client can provide";
    BindingImpossible = Warning, "binding-impossible",
        "list tls-unique on TLS 1.2 only: TLS 1.3 has none";
    Tls13Missing = Warning, "tls-1.3-missing",
        "allow TLS 1.3";
    NoExtendedMasterSecret = Warning, "no-extended-master-secret",
        "update the TLS library, or allow TLS 1.3 only";
    CertificateExpiresSoon = Warning, "certificate-expires-soon",
        "renew the certificate, and see why that did not happen by itself";
    NoSrvRecords = Note, "no-srv-records",
        "publish _xmpps-client._tcp and _xmpp-client._tcp";
    NoDirectTls = Note, "no-direct-tls",
        "offer TLS from the first byte (XEP-0368), which saves round trips";
}

/// All findings, worst first, in the order of the endpoints.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Findings::default();
    if let Some(records) = &facts.records {
        found.at = None;
        judge_records(records, &mut found);
    }
    for endpoint in &facts.endpoints {
        found.at = Some(endpoint.endpoint.clone());
        judge_endpoint(endpoint, &mut found);
    }
    found.at = None;
    compare_endpoints(&facts.endpoints, &mut found);
    found.all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found.all
}

#[derive(Default)]
struct Findings {
    at: Option<String>,
    all: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, code: Code, message: impl Into<String>) {
        let finding = Finding {
            severity: code.severity(),
            code: code.name(),
            endpoint: self.at.clone(),
            message: message.into(),
            remedy: code.remedy(),
        };
        self.push(finding);
    }

    /// What is true of both versions of TLS is said once.
    fn push(&mut self, finding: Finding) {
        if !self.all.contains(&finding) {
            self.all.push(finding);
        }
    }
}

fn judge_records(records: &RecordFacts, found: &mut Findings) {
    if records.ways.is_empty() {
        found.add(Code::NoServer, "no way into the server of the domain is published");
    }
    for failure in &records.failures {
        found.add(Code::LookupFailed, failure);
    }
    for unusable in &records.unusable {
        found.add(Code::RecordUnusable, unusable);
    }
    if let Some(disagreement) = &records.disagreement {
        found.add(Code::RecordsDisagree, disagreement);
    }
    let has = |kind| records.ways.iter().any(|way| way.kind == kind);
    if records.has_srv == Some(false) && !records.ways.is_empty() {
        found.add(Code::NoSrvRecords, "the domain has no SRV records that lead to a server");
    }
    if records.has_srv == Some(true) && has("starttls") && !has("direct-tls") {
        found.add(Code::NoDirectTls, "STARTTLS is published, and direct TLS is not");
    }
}

fn judge_endpoint(endpoint: &EndpointFacts, found: &mut Findings) {
    if let Some(trouble) = &endpoint.trouble {
        let code = match trouble.stage {
            Stage::Connect => Code::Unreachable,
            Stage::NoTls => Code::NoTls,
            Stage::Tls => Code::TlsFailed,
            Stage::Stream => Code::StreamFailed,
        };
        found.add(code, &trouble.message);
    }
    if let Some(clear) = &endpoint.before_tls {
        judge_clear(clear, found);
    }
    if let Some(certificate) = &endpoint.certificate {
        judge_certificate(certificate, found);
    }
    judge_versions(&endpoint.tls, found);
    judge_offers(endpoint, found);
}

/// What is true of one version of TLS alone is said of that.
fn judge_offers(endpoint: &EndpointFacts, found: &mut Findings) {
    let each = endpoint.tls.iter().filter_map(|tls| {
        let mut found = Findings { at: found.at.clone(), all: Vec::new() };
        judge_offer(tls, tls.offer.as_ref()?, &mut found);
        Some((tls.version, found.all))
    });
    let each: Vec<_> = each.collect();
    for (version, findings) in &each {
        for finding in findings {
            let mut finding = finding.clone();
            if !each.iter().all(|(_, others)| others.contains(&finding)) {
                finding.message = format!("with TLS {version}: {}", finding.message);
            }
            found.push(finding);
        }
    }
}

fn judge_clear(clear: &ClearFacts, found: &mut Findings) {
    if clear.starttls == Some("optional") {
        found.add(Code::StarttlsNotRequired, "STARTTLS is offered, and not required");
    }
    let readable: Vec<_> = clear.mechanisms.iter().filter(|it| is_readable(it)).collect();
    if !readable.is_empty() {
        let names = join(readable);
        let message = format!("{names} before TLS: who uses that shows everybody the secret");
        found.add(Code::PlainBeforeTls, message);
    } else if !clear.mechanisms.is_empty() {
        let names = join(&clear.mechanisms);
        found.add(Code::MechanismsBeforeTls, format!("{names} before TLS"));
    }
    if clear.legacy_auth {
        let message = "the login of before XMPP 1.0 is offered before TLS";
        found.add(Code::LegacyAuthBeforeTls, message);
    }
}

fn judge_certificate(certificate: &CertificateFacts, found: &mut Findings) {
    let CertificateFacts { expected, not_before, not_after, days_left, .. } = certificate;
    if certificate.is_early {
        found.add(Code::CertificateNotYetValid, format!("it is valid from {not_before}"));
    }
    if *days_left < 0 {
        found.add(Code::CertificateExpired, format!("it was valid until {not_after}"));
    } else if *days_left < FEW_DAYS {
        let message = format!("{days_left} days are left, until {not_after}");
        found.add(Code::CertificateExpiresSoon, message);
    }
    if !certificate.is_for_name {
        let names = match certificate.names.as_slice() {
            [] => "no DNS name".to_owned(),
            names => join(names),
        };
        found.add(Code::CertificateWrongName, format!("it is for {names}, not for {expected}"));
    }
    if !certificate.is_trusted {
        let problem = certificate.problem.as_deref().unwrap_or("it is not trusted");
        found.add(Code::CertificateUntrusted, problem);
    }
}

fn judge_versions(versions: &[TlsFacts], found: &mut Findings) {
    let spoken = |version| versions.iter().any(|tls| tls.version == version && tls.spoken);
    for tls in versions.iter().filter(|tls| tls.spoken) {
        if let Some(trouble) = &tls.trouble {
            found.add(Code::StreamFailed, &trouble.message);
        }
        if tls.extended_master_secret == Some(false) {
            let message = "TLS 1.2 without extended master secret (RFC 7627): whoever stands \
                           between can relay a login";
            found.add(Code::NoExtendedMasterSecret, message);
        }
    }
    if !versions.iter().any(|tls| tls.spoken) {
        // Where there are none at all, the endpoint's own trouble has been told.
        for trouble in versions.iter().filter_map(|tls| tls.trouble.as_ref()) {
            let code = match trouble.stage {
                Stage::Stream => Code::StreamFailed,
                _ => Code::TlsFailed,
            };
            found.add(code, &trouble.message);
        }
    } else if !spoken("1.3") {
        found.add(Code::Tls13Missing, "TLS 1.2 is spoken, and TLS 1.3 is not");
    }
}

fn judge_offer(tls: &TlsFacts, offer: &OfferFacts, found: &mut Findings) {
    judge_mechanisms(offer, found);
    let has_plus = offer.mechanisms.iter().any(|name| is_plus(name));
    let listed = offer.channel_bindings.as_deref();
    match (has_plus, listed) {
        (false, Some(types)) => {
            let message = format!("{} are listed, and no -PLUS mechanism is offered", join(types));
            found.add(Code::ListWithoutPlus, message);
        }
        (false, None) => {
            let message = "no login can be bound to the channel: a stolen certificate is enough \
                           to stand in between";
            found.add(Code::NoChannelBinding, message);
        }
        (true, None) => {
            let message = "-PLUS mechanisms are offered, and not what they can be bound to";
            found.add(Code::PlusWithoutList, message);
        }
        (true, Some(types)) => judge_types(tls, types, offer, found),
    }
}

fn judge_types(tls: &TlsFacts, types: &[String], offer: &OfferFacts, found: &mut Findings) {
    if tls.version == "1.3" && types.iter().any(|kind| kind == "tls-unique") {
        found.add(Code::BindingImpossible, "tls-unique is listed on TLS 1.3");
    }
    let possible = &offer.possible_bindings;
    if !types.iter().any(|kind| possible.contains(kind)) {
        let message = format!(
            "{} can be bound to, and epode has {}",
            join_or(types, "nothing"),
            join_or(possible, "nothing")
        );
        found.add(Code::NoCommonBinding, message);
    } else if !types.iter().any(|kind| kind == "tls-server-end-point") {
        let message = format!("{} are listed, and tls-server-end-point is not", join(types));
        found.add(Code::NoEndPointBinding, message);
    }
}

fn judge_mechanisms(offer: &OfferFacts, found: &mut Findings) {
    let mechanisms = &offer.mechanisms;
    if !mechanisms.is_empty() && mechanisms.iter().all(|name| is_readable(name)) {
        let message = format!("only {} can be used", join(mechanisms));
        found.add(Code::MechanismsPlainOnly, message);
    }
    if offer.choice.is_none() {
        let message =
            format!("with a password, epode can use none of {}", join_or(mechanisms, "none"));
        found.add(Code::NoUsableMechanism, message);
    }
    if offer.legacy_auth {
        found.add(Code::LegacyAuth, "the login of before XMPP 1.0 is offered");
    }
    if let Some(sasl2) = &offer.sasl2 {
        differ(Code::ListsDiffer, ("SASL", mechanisms), ("SASL2", sasl2), found);
    }
}

/// Whoever stands between clients and one endpoint could take something out there.
fn compare_endpoints(endpoints: &[EndpointFacts], found: &mut Findings) {
    let mut seen: Vec<Seen<'_>> = Vec::new();
    for endpoint in endpoints {
        for tls in &endpoint.tls {
            let Some(offer) = &tls.offer else { continue };
            let now = Seen { endpoint: &endpoint.endpoint, version: tls.version, offer };
            let same_version = seen.iter().find(|earlier| earlier.version == now.version);
            if let Some(earlier) = same_version.or_else(|| seen.first()) {
                // Whether a login can be bound may hang on the version of TLS, and has findings of
                // its own; EXTERNAL may hang on what the transport knows of certificates.
                let counts = |name: &&String| {
                    *name != "EXTERNAL" && (same_version.is_some() || !is_plus(name))
                };
                let names = |seen: &Seen<'_>| -> Vec<String> {
                    seen.offer.mechanisms.iter().filter(counts).cloned().collect()
                };
                let (left, right) = ((earlier.place(), names(earlier)), (now.place(), names(&now)));
                differ(Code::MechanismsDiffer, (&left.0, &left.1), (&right.0, &right.1), found);
            }
            seen.push(now);
        }
    }
}

/// One offer, and where it was seen.
struct Seen<'a> {
    endpoint: &'a str,
    version: &'static str,
    offer: &'a OfferFacts,
}

impl Seen<'_> {
    fn place(&self) -> String {
        format!("{} (TLS {})", self.endpoint, self.version)
    }
}

fn differ(code: Code, left: (&str, &[String]), right: (&str, &[String]), found: &mut Findings) {
    let only = |(place, names): (&str, &[String]), others: &[String]| {
        let more: Vec<_> = names.iter().filter(|name| !others.contains(name)).collect();
        (!more.is_empty()).then(|| format!("only {place} has {}", join(more)))
    };
    let parts: Vec<_> = [only(left, right.1), only(right, left.1)].into_iter().flatten().collect();
    if !parts.is_empty() {
        found.add(code, parts.join("; "));
    }
}

/// Whether the mechanism shows its secret to whoever reads along.
fn is_readable(mechanism: &str) -> bool {
    matches!(mechanism, "PLAIN" | "LOGIN" | "OAUTHBEARER" | "X-OAUTH2")
}

fn is_plus(mechanism: &str) -> bool {
    mechanism.ends_with("-PLUS")
}

fn join<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    names.join(", ")
}

fn join_or(names: &[String], none: &str) -> String {
    if names.is_empty() { none.to_owned() } else { join(names) }
}

/// As long as most tools wait before they renew for the last time.
const FEW_DAYS: i64 = 14;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::facts::{ChoiceFacts, Trouble, WayFacts},
        *,
    };

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn good_offer() -> OfferFacts {
        OfferFacts {
            mechanisms: strings(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]),
            channel_bindings: Some(strings(&["tls-exporter", "tls-server-end-point"])),
            possible_bindings: strings(&["tls-exporter", "tls-server-end-point"]),
            choice: Some(ChoiceFacts {
                mechanism: "SCRAM-SHA-256-PLUS".to_owned(),
                priority: 80,
                binding: Some("tls-exporter".to_owned()),
            }),
            ..OfferFacts::default()
        }
    }

    fn good_tls(version: &'static str) -> TlsFacts {
        TlsFacts {
            version,
            spoken: true,
            trouble: None,
            extended_master_secret: (version == "1.2").then_some(true),
            offer: Some(good_offer()),
        }
    }

    fn good() -> Facts {
        let way = |kind, place: &str| WayFacts {
            kind,
            place: place.to_owned(),
            origin: "SRV".to_owned(),
        };
        Facts {
            domain: "example.org".to_owned(),
            records: Some(RecordFacts {
                has_srv: Some(true),
                ways: vec![way("direct-tls", "xmpps://a"), way("starttls", "xmpp://a")],
                ..RecordFacts::default()
            }),
            endpoints: vec![EndpointFacts {
                endpoint: "xmpp://a".to_owned(),
                before_tls: Some(ClearFacts {
                    starttls: Some("required"),
                    ..ClearFacts::default()
                }),
                tls: vec![good_tls("1.3"), good_tls("1.2")],
                certificate: Some(CertificateFacts {
                    days_left: 60,
                    is_for_name: true,
                    is_trusted: true,
                    ..CertificateFacts::default()
                }),
                ..EndpointFacts::default()
            }],
        }
    }

    type Change = fn(&mut Facts);

    fn records(facts: &mut Facts) -> &mut RecordFacts {
        facts.records.as_mut().unwrap()
    }

    fn end(facts: &mut Facts) -> &mut EndpointFacts {
        &mut facts.endpoints[0]
    }

    fn clear(facts: &mut Facts) -> &mut ClearFacts {
        end(facts).before_tls.as_mut().unwrap()
    }

    fn certificate(facts: &mut Facts) -> &mut CertificateFacts {
        end(facts).certificate.as_mut().unwrap()
    }

    fn offers(facts: &mut Facts, change: impl Fn(&mut OfferFacts)) {
        end(facts).tls.iter_mut().for_each(|tls| change(tls.offer.as_mut().unwrap()));
    }

    fn take_plus(tls: &mut TlsFacts) {
        let offer = tls.offer.as_mut().unwrap();
        offer.mechanisms.retain(|name| !is_plus(name));
        offer.channel_bindings = None;
    }

    fn trouble(stage: Stage) -> Option<Trouble> {
        Some(Trouble { stage, message: "so it is".to_owned() })
    }

    /// One change to a server without fault, and what is then to be said.
    const TABLE: &[(Change, &[&str])] = &[
        (|_| {}, &[]),
        (|it| it.records = None, &[]),
        (
            |it| {
                records(it).ways.clear();
                records(it).has_srv = Some(false);
            },
            &["no-server"],
        ),
        (|it| records(it).has_srv = Some(false), &["no-srv-records"]),
        (
            |it| {
                records(it).ways.remove(0);
            },
            &["no-direct-tls"],
        ),
        (|it| records(it).ways[0].kind = "bosh", &["no-direct-tls"]),
        (|it| records(it).failures = strings(&["host-meta: failed"]), &["lookup-failed"]),
        (|it| records(it).unusable = strings(&["the port is 0"]), &["record-unusable"]),
        (|it| records(it).disagreement = Some("x".to_owned()), &["records-disagree"]),
        (
            |it| {
                end(it).trouble = trouble(Stage::Connect);
                end(it).tls.clear();
            },
            &["unreachable"],
        ),
        (|it| end(it).trouble = trouble(Stage::NoTls), &["no-tls"]),
        (|it| end(it).tls[0].trouble = trouble(Stage::Stream), &["stream-failed"]),
        (
            |it| {
                end(it).tls.iter_mut().for_each(|tls| {
                    (tls.spoken, tls.offer, tls.trouble) = (false, None, trouble(Stage::Tls));
                })
            },
            &["tls-failed"],
        ),
        (
            |it| {
                end(it).tls.iter_mut().for_each(|tls| {
                    (tls.spoken, tls.offer, tls.trouble) = (false, None, trouble(Stage::Stream));
                })
            },
            &["stream-failed"],
        ),
        (
            |it| {
                let tls = &mut end(it).tls[0];
                (tls.spoken, tls.offer, tls.trouble) = (false, None, trouble(Stage::Tls));
            },
            &["tls-1.3-missing"],
        ),
        (
            |it| {
                let tls = &mut end(it).tls[1];
                (tls.spoken, tls.offer, tls.trouble) = (false, None, trouble(Stage::Tls));
            },
            &[],
        ),
        (|it| end(it).tls[1].extended_master_secret = Some(false), &["no-extended-master-secret"]),
        (|it| clear(it).mechanisms = strings(&["PLAIN", "SCRAM-SHA-1"]), &["plain-before-tls"]),
        (|it| clear(it).mechanisms = strings(&["SCRAM-SHA-1"]), &["mechanisms-before-tls"]),
        (|it| clear(it).starttls = Some("optional"), &["starttls-not-required"]),
        (|it| clear(it).legacy_auth = true, &["legacy-auth-before-tls"]),
        (|it| certificate(it).days_left = -1, &["certificate-expired"]),
        (|it| certificate(it).days_left = 13, &["certificate-expires-soon"]),
        (|it| certificate(it).days_left = 14, &[]),
        (|it| certificate(it).is_early = true, &["certificate-not-yet-valid"]),
        (|it| certificate(it).is_for_name = false, &["certificate-wrong-name"]),
        (|it| certificate(it).is_trusted = false, &["certificate-untrusted"]),
        (|it| offers(it, |offer| offer.legacy_auth = true), &["legacy-auth"]),
        (|it| offers(it, |offer| offer.choice = None), &["no-usable-mechanism"]),
        (
            |it| {
                offers(it, |offer| {
                    (offer.mechanisms, offer.channel_bindings) = (strings(&["PLAIN"]), None);
                })
            },
            &["mechanisms-plain-only", "no-channel-binding"],
        ),
        (
            |it| {
                offers(it, |offer| {
                    offer.mechanisms.remove(0);
                })
            },
            &["list-without-plus"],
        ),
        (|it| offers(it, |offer| offer.channel_bindings = None), &["plus-without-list"]),
        (
            |it| offers(it, |offer| offer.channel_bindings = Some(strings(&["tls-exporter"]))),
            &["no-end-point-binding"],
        ),
        (
            |it| {
                end(it).tls[1].offer.as_mut().unwrap().channel_bindings =
                    Some(strings(&["tls-unique"]))
            },
            &["no-common-binding"],
        ),
        (
            |it| {
                offers(it, |offer| {
                    offer.channel_bindings.as_mut().unwrap().push("tls-unique".to_owned())
                })
            },
            &["binding-impossible"],
        ),
        (|it| offers(it, |offer| offer.sasl2 = Some(offer.mechanisms.clone())), &[]),
        (|it| offers(it, |offer| offer.sasl2 = Some(strings(&["PLAIN"]))), &["lists-differ"]),
        (
            |it| end(it).tls[1].offer.as_mut().unwrap().mechanisms.push("PLAIN".to_owned()),
            &["mechanisms-differ"],
        ),
        (|it| end(it).tls[1].offer.as_mut().unwrap().mechanisms.push("EXTERNAL".to_owned()), &[]),
        (|it| take_plus(&mut end(it).tls[1]), &["no-channel-binding"]),
        (
            |it| {
                let mut other = end(it).clone();
                take_plus(&mut other.tls[1]);
                it.endpoints.push(other);
            },
            &["mechanisms-differ", "no-channel-binding"],
        ),
    ];

    #[test]
    fn each_fact_has_its_finding() {
        let mut seen = BTreeSet::new();
        for (index, (change, expected)) in TABLE.iter().enumerate() {
            let mut facts = good();
            change(&mut facts);
            let found = judge(&facts);
            let codes: BTreeSet<_> = found.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, expected.iter().copied().collect(), "row {index}: {found:?}");
            assert_eq!(codes.len(), found.len(), "row {index}: {found:?}");
            seen.extend(codes);
        }
        let all: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(seen, all, "every code has a row");
    }

    #[test]
    fn what_is_true_of_one_version_is_said_of_that() {
        let mut facts = good();
        take_plus(&mut end(&mut facts).tls[1]);
        assert!(judge(&facts)[0].message.starts_with("with TLS 1.2: no login can be bound"));
        take_plus(&mut end(&mut facts).tls[0]);
        let found = judge(&facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("no login can be bound"));
    }

    #[test]
    fn the_worst_comes_first() {
        let mut facts = good();
        records(&mut facts).has_srv = Some(false);
        certificate(&mut facts).days_left = 3;
        clear(&mut facts).mechanisms = strings(&["PLAIN"]);
        let severities: Vec<_> = judge(&facts).iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning, Severity::Note]);
    }

    #[test]
    fn the_page_has_every_code_and_no_other() {
        let page = include_str!("../../../../docs/probe.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let severities = ["error", "warning", "note"];
        let rows = rows.filter_map(|row| {
            let (code, rest) = row.split_once("` | ")?;
            let (severity, _) = rest.split_once(" |")?;
            severities.contains(&severity).then_some((code, severity))
        });
        let known = Code::ALL.iter().map(|code| (code.name(), code.severity().name()));
        assert_eq!(rows.collect::<BTreeSet<_>>(), known.collect());
    }
}
