//! `login --fast` and `logout`: the token that one command leaves to the next.

use std::fs;

use epode_testpeer::{EarlyData, Server};

use crate::support::{PASSWORD, Peer, Run};

const FIRST: &str =
    "login alice@localhost --via {xmpp} --ca ca.pem --fast --password-file alice.password";
const NEXT: &str = "login alice@localhost --via {xmpp} --ca ca.pem --fast";
const LOGOUT: &str = "logout alice@localhost --via {xmpp} --ca ca.pem";
const NO_PASSWORD: &str = "# by the token of an earlier login: no password was used";

impl Peer {
    fn tokens(&self) -> std::path::PathBuf {
        self.folder.state().join("epode").join("tokens")
    }
}

fn used_token(run: &Run) -> bool {
    run.stdout.contains(NO_PASSWORD) && run.stdout.contains("AUTHENTICATING 3 HT-")
}

#[tokio::test]
async fn the_second_login_needs_no_password_until_the_logout() {
    let peer = Peer::start().await;
    assert!(!used_token(peer.epode(FIRST).await.expect(0)));
    for _ in 0..2 {
        let run = peer.epode(NEXT).await;
        assert!(used_token(run.expect(0)), "{run:?}");
    }
    let run = peer.epode(LOGOUT).await;
    let words = "logged out: the server takes the token no more, and it is deleted\n";
    assert_eq!(run.expect(0).stdout, words);
    let run = peer.epode(LOGOUT).await;
    let words = "there is no token of this account, so nothing was done\n";
    assert_eq!(run.expect(0).stdout, words);
    let run = peer.epode(NEXT).await;
    assert!(run.expect(2).stderr.contains("no secret was given"), "{run:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_is_its_owners_alone_and_damage_is_told() {
    use std::os::unix::fs::PermissionsExt;

    let peer = Peer::start().await;
    peer.epode(FIRST).await.expect(0);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&peer.tokens()), 0o700);
    let files = fs::read_dir(peer.tokens()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    assert_eq!((files.len(), mode(&files[0])), (1, 0o600));

    fs::write(&files[0], "{").unwrap();
    let run = peer.epode(NEXT).await;
    run.expect(2);
    assert!(run.stderr.contains(&files[0].display().to_string()), "{run:?}");
    assert!(run.stderr.contains("Remove it, and log in with the password"), "{run:?}");
}

#[tokio::test]
async fn a_server_without_tokens_is_logged_in_to_all_the_same() {
    let server = Server::builder("localhost").account("alice", PASSWORD).without_fast().build();
    let peer = Peer::of(server).await;
    let run = peer.epode(FIRST).await;
    assert!(run.expect(0).stderr.contains("the server gave no token"), "{run:?}");
}

#[tokio::test]
async fn the_profile_of_sasl_can_be_chosen() {
    let server = Server::builder("localhost").account("alice", PASSWORD).without_sasl2().build();
    let (old, new) = (Peer::of(server).await, Peer::start().await);
    let login = |number: u8| format!("{FIRST} --sasl {number}").replace(" --fast", "");
    old.epode(&login(1)).await.expect(0);
    new.epode(&login(1)).await.expect(0);
    new.epode(&login(2)).await.expect(0);
    let run = old.epode(&login(2)).await;
    assert_ne!(run.code, Some(0), "{run:?}");
}

#[tokio::test]
async fn the_second_of_two_logins_goes_in_early_data() {
    const EARLY: &str = "# in early data of TLS: without a round trip of its own";
    let server = |early_data| {
        Server::builder("localhost").account("alice", PASSWORD).early_data(early_data).build()
    };
    let login = FIRST.replace("{xmpp}", "{xmpps}") + " --danger-early-data --report";
    let peer = Peer::of(server(EarlyData::Taken)).await;
    let run = peer.epode(&login).await;
    assert_eq!(run.expect(0).stdout.matches("CONNECTED 5").count(), 2, "{run:?}");
    assert_eq!(run.stdout.matches(EARLY).count(), 1, "{run:?}");
    assert!(
        run.stdout.contains("by SASL2 in early data, bound to tls-server-end-point"),
        "{run:?}"
    );
    assert!(run.stdout.contains("in 0 flights"), "{run:?}");
    assert!(run.stdout.contains("note: the login went in early data of TLS"), "{run:?}");
    assert_eq!(run.stderr, "");

    for (peer, login) in [
        (Peer::of(server(EarlyData::Absent)).await, login.clone()),
        (peer, login.replace("{xmpps}", "{xmpp}")),
    ] {
        let run = peer.epode(&login).await;
        assert!(!run.expect(0).stdout.contains(EARLY), "{run:?}");
        assert!(run.stderr.contains("did not go in early data"), "{run:?}");
    }
    let run = Peer::start().await.epode(&login.replace(" --fast", "")).await;
    assert!(run.expect(2).stderr.contains("--fast"), "{run:?}");
}
