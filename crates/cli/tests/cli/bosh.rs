//! BOSH: logins, and sessions that one process logs in and another takes over.

use crate::support::{Folder, PASSWORD, Peer, Run, epode};
use epode_testpeer::{BoshFault, Server};
use serde_json::{Value, json};

const LOGIN: &str = "login alice@localhost --password-file alice.password";
const PREBIND: &str = "prebind alice@localhost --password-file alice.password";

#[tokio::test]
async fn a_login_is_as_over_a_web_socket() {
    let peer = Peer::start().await;
    let run = peer.epode(&format!("{LOGIN} --via {{http}} --transcript")).await;
    let expected = [
        "CONNECTING",
        "AUTHENTICATING",
        "CONNECTED",
        "#",
        "#",
        "#",
        "DISCONNECTING",
        "DISCONNECTED",
    ];
    assert_eq!(run.expect(0).statuses(), expected);
    assert!(run.stdout.contains("\nAUTHENTICATING 3 SCRAM-SHA-512\n"), "{run:?}");
    assert!(run.stdout.contains("\n# encryption: none\n"), "{run:?}");
    assert!(run.stderr.starts_with("C: <open "), "{run:?}");

    let run = peer.epode(&format!("{LOGIN} --via {{https}} --ca ca.pem")).await;
    let by = "\nAUTHENTICATING 3 SCRAM-SHA-512-PLUS by tls-server-end-point\n";
    assert!(run.expect(0).stdout.contains(by), "{run:?}");
    assert!(run.stdout.contains("\n# channel binding: tls-server-end-point\n"), "{run:?}");
    assert_eq!(run.stderr, "");

    let external = "login alice@localhost --cert alice.crt --key alice.key";
    let run = peer.epode(&format!("{external} --via {{https}} --ca ca.pem --json")).await;
    let objects = run.expect(0).objects();
    assert_eq!(objects[2]["mechanism"], "EXTERNAL");
    assert_eq!(objects[2]["encryption"], "TLS 1.3");

    let explain = "explain alice@localhost --via {https} --ca ca.pem";
    let binding =
        "\nchannel binding: tls-server-end-point; the server lists tls-server-end-point\n";
    let run = peer.epode(explain).await;
    assert!(run.expect(0).stdout.contains(binding), "{run:?}");
}

/// What `prebind` printed, and its `sid`, which nobody else may print.
fn session(run: &Run) -> (Value, String) {
    assert_eq!(run.expect(0).stderr, "");
    let [session] = &run.objects()[..] else { panic!("{run:?}") };
    (session.clone(), session["sid"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_one_process_logs_in_another_takes_over() {
    let peer = Peer::start().await;
    for via in ["{http}", "{https} --ca ca.pem"] {
        let (session, sid) = session(&peer.epode(&format!("{PREBIND} --via {via}")).await);
        let login =
            peer.fill(&format!("login alice@localhost --via {via} --attach - --transcript"));
        let words = login.split_whitespace().map(str::to_owned);
        let run = epode(words, &peer.folder, &[], &session.to_string()).await;
        let jid = session["jid"].as_str().unwrap();
        let lines = format!("CONNECTING 1\nATTACHED 8 {jid}\nDISCONNECTING 7\nDISCONNECTED 6\n");
        assert_eq!(run.expect(0).stdout, lines);
        assert!(run.stderr.starts_with("C: <close "), "{run:?}");
        assert!(!run.stderr.contains(&sid), "{run:?}");
    }
}

#[tokio::test]
async fn a_session_is_saved_for_its_owner_alone() {
    let peer = Peer::start().await;
    let prebind = format!("{PREBIND} --via {{http}} --out alice.session");
    let run = peer.epode(&prebind).await;
    let saved: Value = serde_json::from_str(&peer.folder.read("alice.session")).unwrap();
    let (jid, sid) = (saved["jid"].as_str().unwrap(), saved["sid"].as_str().unwrap());
    let said = format!("saved the session of {jid} to alice.session\n");
    assert_eq!((run.expect(0).stdout.as_str(), run.stderr.as_str()), (said.as_str(), ""));
    #[cfg(unix)]
    assert_eq!(peer.folder.mode("alice.session"), 0o600);
    let run = peer.epode("login alice@localhost --via {http} --attach alice.session --json").await;
    let attached = json!({
        "status": "ATTACHED", "code": 8, "condition": null, "mechanism": null, "jid": jid,
    });
    assert_eq!(run.expect(0).objects()[1], attached);
    assert!(!format!("{run:?}").contains(sid));

    let run = peer.epode(&format!("{prebind} --json --transcript")).await;
    let saved: Value = serde_json::from_str(&peer.folder.read("alice.session")).unwrap();
    let said = json!({"saved": "alice.session", "jid": saved["jid"]});
    assert_eq!(run.expect(0).objects(), [said]);
    assert!(run.stderr.starts_with("C: <open "), "{run:?}");
    assert!(!format!("{run:?}").contains(saved["sid"].as_str().unwrap()), "{run:?}");
    let run = peer
        .epode("send --as alice@localhost --via {http} --attach alice.session alice@localhost hi")
        .await;
    assert_eq!(run.expect(0).stdout, "sent to alice@localhost\n");
}

#[tokio::test]
async fn a_guest_leaves_a_session_too() {
    let peer = Peer::start().await;
    peer.epode("prebind localhost --via {http} --out guest.session").await.expect(0);
    peer.epode("login localhost --via {http} --attach guest.session").await.expect(0);
}

#[tokio::test]
async fn a_session_that_the_server_does_not_know_is_4() {
    let peer = Peer::start().await;
    let unknown = r#"{"jid":"alice@localhost/x","sid":"hunter2","rid":5}"#;
    peer.folder.put("alice.session", unknown, 0o600);
    let attach = "--via {http} --attach alice.session";
    let run = peer.epode(&format!("login alice@localhost {attach}")).await;
    let reason = "the server ended the BOSH session: item-not-found";
    let stdout = format!(
        "CONNECTING 1\nATTACHFAIL 12 item-not-found: {reason}\nDISCONNECTED 6 item-not-found\n"
    );
    assert_eq!(run.expect(4).stdout, stdout);
    let stderr = format!(
        "error: {reason}\n\
         hint: it may be over, or somebody else's by now: 'epode prebind' makes a new one\n"
    );
    assert_eq!(run.stderr, stderr);
    let send = format!("send --as alice@localhost {attach} bob@localhost hi");
    let run = peer.epode(&send).await;
    assert_eq!((run.expect(4).stdout.as_str(), &run.stderr), ("", &stderr));
}

#[tokio::test]
async fn a_refused_login_leaves_no_session() {
    let peer = Peer::start().await;
    peer.folder.put("wrong.password", "wrong\n", 0o600);
    let prebind = "prebind alice@localhost --via {http} --password-file wrong.password";
    for out in ["", " --out alice.session"] {
        let run = peer.epode(&format!("{prebind}{out}")).await;
        let stderr = "error: the server refused the login: not-authorized\n\
                      hint: check the account and the password in wrong.password\n";
        assert_eq!((run.expect(3).stdout.as_str(), run.stderr.as_str()), ("", stderr));
    }
    assert!(!peer.folder.names().contains(&"alice.session".to_owned()));
}

#[tokio::test]
async fn a_server_that_fails_in_the_login_is_4() {
    let server = Server::builder("localhost")
        .account("alice", PASSWORD)
        .bosh_fault(BoshFault::NotFound, 3)
        .build();
    let peer = Peer::of(server).await;
    let run = peer.epode(&format!("{LOGIN} --via {{http}}")).await;
    assert!(run.expect(4).stdout.ends_with("\nDISCONNECTED 6 item-not-found\n"), "{run:?}");
    let run = peer.epode(&format!("{PREBIND} --via {{http}}")).await;
    let stderr = "error: the answer to a BOSH request has HTTP status 404: \
                  is this the address of BOSH?\n";
    assert_eq!((run.expect(4).stdout.as_str(), run.stderr.as_str()), ("", stderr));
}

#[tokio::test]
async fn the_manual_tells_of_it() {
    let folder = Folder::new();
    for (page, part) in
        [("prebind", "\\-\\-out"), ("login", "\\-\\-attach"), ("send", "\\-\\-attach")]
    {
        let words = ["man", page].map(str::to_owned);
        let run = epode(words, &folder, &[], "").await;
        assert!(run.expect(0).stdout.contains(part), "{page}");
        assert!(run.stdout.contains("BOSH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let run = epode(["completions", shell].map(str::to_owned), &folder, &[], "").await;
        assert!(run.expect(0).stdout.contains("prebind"), "{shell}");
        assert!(run.stdout.contains("websocket"), "{shell}");
    }
}
