//! `login --report`: what people and programs are told of a login, and what has changed since the
//! last one.

use crate::support::Peer;

const LOGIN: &str = "login alice@localhost --via {ws} --password-file alice.password";

#[tokio::test]
async fn a_login_is_reported_in_lines() {
    let run = Peer::start().await.epode(&format!("{LOGIN} --report")).await;
    let lines: Vec<_> = run.expect(0).stdout.lines().collect();
    for line in [
        "encryption: none",
        "tried: SCRAM-SHA-512 by SASL, bound to none",
        "checked: the server proved that it knows the secret",
        "note: the connection is not encrypted: use wss, https or STARTTLS",
    ] {
        assert!(lines.contains(&line), "{line:?} is not in {run:?}");
    }
    let last = lines.iter().rfind(|line| line.starts_with("result: "));
    assert!(last.is_some_and(|line| line.ends_with(" in 5 flights")), "{run:?}");
}

#[tokio::test]
async fn a_failure_is_reported_too() {
    let peer = Peer::start().await;
    peer.folder.put("wrong.password", "not it\n", 0o600);
    let login = "login alice@localhost --via {ws} --password-file wrong.password --report --json";
    let run = peer.epode(login).await;
    let objects = run.expect(3).objects();
    let report = &objects.last().expect("it is the last line")["report"];
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["condition"], "not-authorized");
    assert_eq!(report["chosen"]["mechanism"], "SCRAM-SHA-512");
    assert_eq!(report["jid"], "alice@localhost");
}

#[tokio::test]
async fn what_has_changed_is_told() {
    let peer = Peer::start().await;
    let login = format!("{LOGIN} --report-file last.json");
    let first = peer.epode(&login).await;
    assert!(!first.expect(0).stdout.contains("changed since"), "{first:?}");
    let second = peer.epode(&format!("{login} --mechanism SCRAM-SHA-256")).await;
    let change = "changed since the last time: chosen.mechanism: \"SCRAM-SHA-512\" became \
                  \"SCRAM-SHA-256\"";
    assert!(second.expect(0).stdout.lines().any(|line| line == change), "{second:?}");
    let third = peer.epode(&format!("{login} --mechanism SCRAM-SHA-256 --json")).await;
    let objects = third.expect(0).objects();
    let last = objects.last().expect("it is the last line");
    // The server makes up another resource each time.
    let changes = last["changes"].as_array().expect("there was a report before");
    assert!(changes.iter().all(|change| change.as_str().unwrap().starts_with("jid: ")), "{last}");
}

#[tokio::test]
async fn a_file_that_is_no_report_is_not_overwritten() {
    let peer = Peer::start().await;
    let run = peer.epode(&format!("{LOGIN} --report-file alice.token")).await;
    let words = "alice.token: this is no report of a login in JSON";
    assert!(run.expect(2).stderr.contains(words), "{run:?}");
    peer.epode("login alice@localhost --via {ws} --token-file alice.token").await.expect(0);
}
