//! What is reported of a login. That no secret is in it is checked with all else that can be shown, in
//! `negotiation.rs`.

mod support;

use epode_proto::{
    LoginReport, Status,
    report::{Outcome, differences},
};
use support::{Case, Driver, play};

#[test]
fn each_conversation_is_reported_once_and_as_it_went() {
    for case in Case::all() {
        let mut driver = Driver::new(&case, case.settings().report());
        let _ = play(&mut driver, &mut case.player());
        let is_component = case.name.starts_with("component-");
        assert_eq!(driver.reports.len(), usize::from(!is_component), "{}", case.name);
        let Some(report) = driver.reports.first() else { continue };
        let connected = driver.statuses.iter().find_map(|status| match status {
            Status::Connected(connected) => Some(connected),
            _ => None,
        });
        assert_eq!(report.connected(), connected, "{}", case.name);
        if connected.is_none() {
            let error = driver.errors().first().copied();
            assert_eq!(report.error(), error, "{}", case.name);
        }
        let tried = driver.names().iter().filter(|name| **name == "AUTHENTICATING").count();
        assert_eq!(report.attempts.len(), tried, "{}", case.name);
        assert!(report.stages.windows(2).all(|pair| pair[0].at <= pair[1].at), "{}", case.name);
    }
}

#[test]
fn a_login_is_told_in_lines() {
    let report = report_of("tcp-login-next-binding-at-the-end");
    let text: Vec<String> = report.to_string().lines().map(without_numbers).collect();
    assert_eq!(text, LINES);
}

#[test]
fn a_failure_says_what_to_do() {
    let report = report_of("failure-in-no-language [(none)]");
    let text = report.to_string();
    assert!(text.contains("\nresult: not-authorized: "), "{text}");
    assert!(text.ends_with("note: ask for the secret once more\n"), "{text}");
    let json = report.to_json();
    for part in [
        r#""outcome":"failed""#,
        r#""condition":"not-authorized""#,
        r#"{"finding":"advice","text":"ask for the secret once more"}"#,
    ] {
        assert!(json.contains(part), "{part} is not in {json}");
    }
}

#[test]
fn lists_that_differ_are_a_finding() {
    let case = Case::named("sasl2-explained");
    let mut driver = Driver::new(&case, case.settings());
    play(&mut driver, &mut case.player()).expect("it goes as it says");
    let report = LoginReport::of(driver.explained.expect("it was explained"));
    assert_eq!(report.outcome, Outcome::Closed);
    let findings: Vec<_> = report.findings().iter().map(|found| found.name()).collect();
    assert_eq!(findings, ["lists-differ"]);
}

#[test]
fn two_attempts_are_compared() {
    let one = report_of("login-scram-sha-1").to_json();
    let other = report_of("login-scram-sha-256").to_json();
    assert_eq!(differences(&one, &one), Ok(vec![]));
    let found = differences(&one, &other).expect("both are reports");
    let chosen = found.iter().find(|found| found.key == "chosen.mechanism");
    let words = "chosen.mechanism: \"SCRAM-SHA-1\" became \"SCRAM-SHA-256\"";
    assert_eq!(chosen.map(ToString::to_string).as_deref(), Some(words));
}

fn report_of(name: &str) -> LoginReport {
    let case = Case::named(name);
    let mut driver = Driver::new(&case, case.settings().report());
    play(&mut driver, &mut case.player()).expect("it goes as it says");
    driver.reports.remove(0)
}

/// Time is invented, and none passes.
fn without_numbers(line: &str) -> String {
    line.replace("0.000 ms ", "")
}

const LINES: [&str; 33] = [
    "encryption: TLS",
    "channel binding: tls-exporter; the server lists tls-server-end-point, tls-exporter",
    "MECHANISM             OFFERED  VERDICT",
    "SCRAM-SHA-256-PLUS    yes      chosen: of those usable it has the highest priority, 80",
    "SCRAM-SHA-256         yes      SCRAM-SHA-256-PLUS comes first",
    "PLAIN                 yes      SCRAM-SHA-256-PLUS comes first",
    "SCRAM-SHA-512-PLUS    no       not offered by the server",
    "SCRAM-SHA-384-PLUS    no       not offered by the server",
    "SCRAM-SHA-1-PLUS      no       not offered by the server",
    "SCRAM-SHA-512         no       not offered by the server",
    "SCRAM-SHA-384         no       not offered by the server",
    "SCRAM-SHA-1           no       not offered by the server",
    "OAUTHBEARER           no       not offered by the server",
    "X-OAUTH2              no       not offered by the server",
    "ANONYMOUS             no       not offered by the server",
    "EXTERNAL              no       not offered by the server",
    "tried: SCRAM-SHA-256-PLUS by SASL, bound to tls-exporter",
    "tried: SCRAM-SHA-256-PLUS by SASL, bound to tls-server-end-point",
    "waited: for the server's stream header",
    "waited: for the server's features",
    "waited: for the server's next step in the login",
    "waited: for the application's answer",
    "waited: for the server's next step in the login",
    "waited: for the application's answer",
    "waited: for the server's next step in the login",
    "waited: for the server's stream header",
    "waited: for the server's features",
    "waited: for the server's answer to the bind request",
    "checked: encrypted, with a certificate that was verified",
    "checked: the server proved that it knows the secret",
    "checked: bound to this connection by tls-server-end-point",
    "result: connected as alice@example.org/phone in 7 flights",
    "note: the server offers no SASL2 here, which saves round trips: see XEP-0388",
];
