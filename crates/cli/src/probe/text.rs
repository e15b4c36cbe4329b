//! The report for people: what was looked up, a part for each endpoint, and what is to be said.

use super::{
    facts::{
        CertificateFacts, ClearFacts, EndpointFacts, Facts, OfferFacts, RecordFacts, TlsFacts,
    },
    findings::{Finding, Severity},
};
use crate::{
    exit::Failure,
    output::{Colour, Output, printable},
};

/// Prints it.
pub(crate) fn show(facts: &Facts, findings: &[Finding], output: Output) -> Result<(), Failure> {
    if let Some(records) = &facts.records {
        heading(&format!("Records of {}", facts.domain), output)?;
        show_records(records, output)?;
        output.line("")?;
    }
    for endpoint in &facts.endpoints {
        heading(&endpoint.endpoint, output)?;
        show_endpoint(endpoint, output)?;
        output.line("")?;
    }
    heading("Findings", output)?;
    if findings.is_empty() {
        return output.line(&output.paint(Colour::Green, "nothing to complain about"));
    }
    findings.iter().try_for_each(|finding| show_finding(finding, output))
}

fn heading(text: &str, output: Output) -> Result<(), Failure> {
    output.line(&output.paint(Colour::Grey, &printable(text)))
}

fn show_records(records: &RecordFacts, output: Output) -> Result<(), Failure> {
    for line in &records.looked_up {
        row("", line, output)?;
    }
    for way in &records.ways {
        row(way.kind, &format!("{} ({})", way.place, way.origin), output)?;
    }
    Ok(())
}

fn show_endpoint(endpoint: &EndpointFacts, output: Output) -> Result<(), Failure> {
    if let Some(origin) = &endpoint.origin {
        row("named by", origin, output)?;
    }
    if let Some(trouble) = &endpoint.trouble {
        row("trouble", &trouble.message, output)?;
    }
    if let Some(clear) = &endpoint.before_tls {
        row("before TLS", &clear_words(clear), output)?;
    }
    if let Some(certificate) = &endpoint.certificate {
        show_certificate(certificate, output)?;
    }
    endpoint.tls.iter().try_for_each(|tls| show_tls(tls, output))
}

fn clear_words(clear: &ClearFacts) -> String {
    let starttls = match clear.starttls {
        Some(how) => format!("STARTTLS ({how})"),
        None => "no STARTTLS".to_owned(),
    };
    let mechanisms = match clear.mechanisms.as_slice() {
        [] => "no mechanisms".to_owned(),
        names => names.join(" "),
    };
    let legacy = if clear.legacy_auth { "; the login of before XMPP 1.0" } else { "" };
    format!("{starttls}; {mechanisms}{legacy}")
}

fn show_certificate(certificate: &CertificateFacts, output: Output) -> Result<(), Failure> {
    let CertificateFacts { expected, not_before, not_after, days_left, .. } = certificate;
    row("certificate", &format!("for {}", certificate.names.join(" ")), output)?;
    let is_for_name = if certificate.is_for_name { "valid" } else { "not valid" };
    row("", &format!("{is_for_name} for {expected}"), output)?;
    let left = if *days_left < 0 { "over".to_owned() } else { format!("{days_left} days left") };
    row("", &format!("from {not_before} to {not_after}, {left}"), output)?;
    let trusted = match (&certificate.problem, certificate.is_trusted) {
        (_, true) => "trusted".to_owned(),
        (Some(problem), false) => format!("not trusted: {problem}"),
        (None, false) => "not trusted".to_owned(),
    };
    row("", &format!("issued by {}, {trusted}", certificate.issuer), output)
}

fn show_tls(tls: &TlsFacts, output: Output) -> Result<(), Failure> {
    let label = format!("TLS {}", tls.version);
    let words = match (&tls.trouble, tls.spoken) {
        (None, _) => "spoken".to_owned(),
        (Some(trouble), true) => format!("spoken; {}", trouble.message),
        (Some(trouble), false) => format!("not spoken: {}", trouble.message),
    };
    let ems = match tls.extended_master_secret {
        Some(true) => ", with extended master secret",
        Some(false) => ", without extended master secret",
        None => "",
    };
    row(&label, &format!("{words}{ems}"), output)?;
    tls.offer.as_ref().map_or(Ok(()), |offer| show_offer(offer, output))
}

fn show_offer(offer: &OfferFacts, output: Output) -> Result<(), Failure> {
    row("  mechanisms", &offer.mechanisms.join(" "), output)?;
    let listed = match &offer.channel_bindings {
        None => "no list".to_owned(),
        Some(types) => types.join(" "),
    };
    let possible = match offer.possible_bindings.as_slice() {
        [] => "nothing".to_owned(),
        types => types.join(" "),
    };
    row("  bindings", &format!("{listed}; epode has {possible}"), output)?;
    if let Some(names) = &offer.sasl2 {
        row("  SASL2", &names.join(" "), output)?;
    }
    if offer.legacy_auth {
        row("  legacy", "the login of before XMPP 1.0", output)?;
    }
    let choice = match &offer.choice {
        None => "nothing, for an account with a password".to_owned(),
        Some(choice) => match &choice.binding {
            Some(binding) => format!("{} by {binding}", choice.mechanism),
            None => choice.mechanism.clone(),
        },
    };
    row("  epode uses", &choice, output)?;
    let refused = offer.passed_over.iter().filter(|passed| passed.offered);
    for passed in refused {
        row("  not", &format!("{}: {}", passed.mechanism, passed.reason), output)?;
    }
    Ok(())
}

fn show_finding(finding: &Finding, output: Output) -> Result<(), Failure> {
    let colour = match finding.severity {
        Severity::Error => Colour::Red,
        Severity::Warning => Colour::Yellow,
        Severity::Note => Colour::Grey,
    };
    let severity = output.paint(colour, finding.severity.name());
    let place = finding.endpoint.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    let line = format!("{}{place}: {}", finding.code, finding.message);
    output.line(&format!("{severity}: {}", printable(&line)))?;
    output.line(&format!("  {}", finding.remedy))
}

fn row(label: &str, words: &str, output: Output) -> Result<(), Failure> {
    output.line(printable(&format!("  {label:<14}{words}")).trim_end())
}
