//! What the command remembers of logins: the file, and what a weaker offer leads to.

use crate::support::{PASSWORD, Peer, Run};
use epode_testpeer::{ListenOptions, Server, TlsVersions};
use serde_json::{Value, json};

const LOGIN: &str = "login alice@localhost --via {xmpp} --ca ca.pem --password-file alice.password";

async fn peer(mechanisms: &[&str], versions: TlsVersions) -> Peer {
    let server = Server::builder("localhost").account("alice", PASSWORD);
    let server = server.mechanisms(mechanisms.iter().copied()).build();
    Peer::listening(server, ListenOptions::default().with_tls_versions(versions)).await
}

const STRONG: &[&str] = &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"];

impl Peer {
    /// This server to a person who has logged in to the other before.
    async fn after(&self, earlier: &Self, args: &str) -> Run {
        let words = args.split_whitespace().map(|word| self.fill(word));
        earlier.folder.put("ca.pem", self.running.ca_pem(), 0o644);
        crate::support::epode(words, &earlier.folder, &[], "").await
    }

    fn pins(&self) -> Value {
        self.pins_in("pins.json")
    }

    fn pins_in(&self, name: &str) -> Value {
        let path = self.pin_file().with_file_name(name);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn pin_file(&self) -> std::path::PathBuf {
        self.folder.state().join("epode").join("pins.json")
    }
}

#[tokio::test]
async fn a_login_is_remembered_for_its_owner_alone() {
    let peer = peer(STRONG, TlsVersions::Both).await;
    peer.epode(LOGIN).await.expect(0);
    let pin = json!({
        "version": 1, "mechanism": "SCRAM-SHA-256-PLUS", "rank": 80, "binding": "tls-exporter",
        "encryption": "TLS 1.3",
    });
    assert_eq!(peer.pins(), json!({"version": 1, "pins": {"alice@localhost": pin}}));
    #[cfg(unix)]
    for (path, mode) in
        [(peer.pin_file(), 0o600), (peer.pin_file().parent().unwrap().to_owned(), 0o700)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode, "{}", path.display());
    }
}

#[tokio::test]
async fn a_weaker_offer_is_refused_until_it_is_accepted() {
    for (mechanisms, versions, what) in [
        (&["SCRAM-SHA-256", "PLAIN"][..], TlsVersions::Both, "it was SCRAM-SHA-256-PLUS, and now"),
        (&["PLAIN"], TlsVersions::Both, "now would be PLAIN"),
        (STRONG, TlsVersions::Tls12, "it had TLS 1.3, and now has TLS 1.2"),
    ] {
        let strong = peer(STRONG, TlsVersions::Both).await;
        strong.epode(LOGIN).await.expect(0);
        let before = strong.pins();
        let weak = peer(mechanisms, versions).await;

        let run = weak.after(&strong, LOGIN).await;
        assert!(run.expect(6).stderr.contains(what), "{run:?}");
        assert!(run.stderr.contains("--accept-weaker logs in all the same"), "{run:?}");
        assert!(run.stdout.contains(" weaker-than-before: "), "{run:?}");
        assert!(!run.stdout.contains("AUTHENTICATING"), "nothing was sent: {run:?}");
        assert_eq!(strong.pins(), before);

        let explain = "explain alice@localhost --via {xmpp} --ca ca.pem";
        let run = weak.after(&strong, explain).await;
        assert!(run.expect(6).stdout.contains("\nIt would be refused: "), "{run:?}");
        let run = weak.after(&strong, &format!("{explain} --json")).await;
        assert!(run.expect(6).objects()[0]["weaker"].as_str().unwrap().contains(what), "{run:?}");
        weak.after(&strong, &format!("{explain} --no-pins")).await.expect(0);

        weak.after(&strong, &format!("{LOGIN} --no-pins")).await.expect(0);
        assert_eq!(strong.pins(), before);
        weak.after(&strong, &format!("{LOGIN} --accept-weaker")).await.expect(0);
        assert_ne!(strong.pins(), before);
        weak.after(&strong, LOGIN).await.expect(0);
    }
}

/// Where no login can be bound to more than the server's certificate, that is no alarm.
#[tokio::test]
async fn who_wants_bosh_has_pins_apart() {
    let bosh = LOGIN.replace("{xmpp}", "{https}");
    let strong = peer(STRONG, TlsVersions::Both).await;
    for login in [LOGIN, &bosh, LOGIN, &bosh] {
        strong.epode(login).await.expect(0);
    }
    let binding = |pins: Value| pins["pins"]["alice@localhost"]["binding"].clone();
    assert_eq!(binding(strong.pins()), "tls-exporter");
    assert_eq!(binding(strong.pins_in("bosh-pins.json")), "tls-server-end-point");

    let weak = peer(&["SCRAM-SHA-256", "PLAIN"], TlsVersions::Both).await;
    let run = weak.after(&strong, &bosh).await;
    assert!(run.expect(6).stderr.contains("it was SCRAM-SHA-256-PLUS, and now"), "{run:?}");
}

#[tokio::test]
async fn what_this_side_wants_weaker_is_no_alarm() {
    let peer = peer(STRONG, TlsVersions::Both).await;
    peer.epode(LOGIN).await.expect(0);
    let before = peer.pins();
    peer.epode(&format!("{LOGIN} --mechanism PLAIN")).await.expect(0);
    peer.epode("login alice@localhost --via {ws} --password-file alice.password").await.expect(0);
    assert_eq!(peer.pins(), before);
}

#[tokio::test]
async fn a_file_of_ones_own_is_used_and_never_repaired() {
    let peer = peer(STRONG, TlsVersions::Both).await;
    let login = format!("{LOGIN} --pins my.pins");
    peer.epode(&login).await.expect(0);
    assert!(!peer.pin_file().exists());
    let whole = peer.folder.read("my.pins");
    for damaged in [&whole[..whole.len() / 2], "", "{}", &whole.replace("tls-exporter", "tls-x")] {
        peer.folder.put("my.pins", damaged, 0o600);
        for flag in ["", "--accept-weaker"] {
            let run = peer.epode(&format!("{login} {flag}")).await;
            assert!(run.expect(2).stderr.contains("error: the store of pins: my.pins "), "{run:?}");
            assert!(run.stderr.contains("remove it: the next login then begins"), "{run:?}");
            assert!(!run.stdout.contains("AUTHENTICATING"), "{run:?}");
        }
        assert_eq!(peer.folder.read("my.pins"), damaged);
    }
    #[cfg(unix)]
    {
        peer.folder.put("my.pins", &whole, 0o666);
        let run = peer.epode(&login).await;
        assert!(run.expect(2).stderr.contains("chmod 600 my.pins"), "{run:?}");
    }
    peer.folder.put("my.pins", &"x".repeat(65 * 1024), 0o600);
    let run = peer.epode(&login).await;
    assert!(run.expect(2).stderr.contains("my.pins is longer than 65536 bytes"), "{run:?}");
}

#[tokio::test]
async fn without_a_place_for_pins_it_is_said() {
    let peer = peer(STRONG, TlsVersions::Both).await;
    let env = [("XDG_STATE_HOME".to_owned(), "not/absolute".to_owned())];
    let words = |args: &str| args.split_whitespace().map(|it| peer.fill(it)).collect::<Vec<_>>();
    let run = crate::support::epode(words(LOGIN), &peer.folder, &env, "").await;
    let warning = "warning: nothing is remembered of this login";
    assert!(run.expect(0).stderr.starts_with(warning), "{run:?}");
    let silent = words(&format!("{LOGIN} --no-pins"));
    let run = crate::support::epode(silent, &peer.folder, &env, "").await;
    assert_eq!(run.expect(0).stderr, "");
}
