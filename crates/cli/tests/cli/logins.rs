//! Logins of the command: exit codes, JSON, keys, transcripts, messages.

use std::process::Stdio;

use crate::support::{Folder, LIMIT, PASSWORD, Peer, Run, TOKEN, alice, command, epode};
use epode_testpeer::{Server, listen_script, script::Script};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Plays a transcript to one login with a time-out of one second.
async fn against(script: &str, args: &str) -> Run {
    let running = listen_script(&Script::parse(script).unwrap()).await.unwrap();
    let folder = Folder::new();
    let args = format!("login alice@localhost --via {} --password-env P {args}", running.ws_url());
    let env = [("P".to_owned(), PASSWORD.to_owned())];
    epode(args.split_whitespace().map(str::to_owned), &folder, &env, "").await
}

const HEADER: &str = "C: *\n\
    S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='x' version='1.0'/>\n";

const PLAIN_OFFERED: &str = "S: <features xmlns='http://etherx.jabber.org/streams'>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
    </mechanisms></features>\nC: *\n";

const BIND_OFFERED: &str = "S: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\nC: *\n\
    S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='x' version='1.0'/>\n\
    S: <features xmlns='http://etherx.jabber.org/streams'>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></features>\nC: *\n";

#[tokio::test]
async fn a_refused_login_is_3() {
    let script = format!(
        "{HEADER}{PLAIN_OFFERED}S: <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <account-disabled/><text xml:lang='en'>Gone.</text></failure>\n"
    );
    let run = against(&script, "").await;
    run.expect(3);
    assert!(run.stdout.contains("AUTHFAIL 4 account-disabled: "), "{run:?}");
    assert!(run.stderr.contains("Gone."), "{run:?}");
}

#[tokio::test]
async fn a_refused_resource_is_3() {
    let script = format!(
        "{HEADER}{PLAIN_OFFERED}{BIND_OFFERED}S: <iq xmlns='jabber:client' type='error' id='{{id}}'>\
         <error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\n"
    );
    let run = against(&script, "").await;
    assert_eq!(
        run.expect(3).statuses(),
        ["CONNECTING", "AUTHENTICATING", "AUTHFAIL", "DISCONNECTED"]
    );
    assert!(run.stdout.contains("AUTHFAIL 4 conflict: "), "{run:?}");
}

#[tokio::test]
async fn a_server_that_binds_somebody_else_is_3() {
    let script = format!(
        "{HEADER}{PLAIN_OFFERED}{BIND_OFFERED}S: <iq xmlns='jabber:client' type='result' id='{{id}}'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>mallory@localhost/x</jid></bind></iq>\n"
    );
    let run = against(&script, "").await;
    assert!(run.expect(3).stdout.contains("AUTHFAIL 4 protocol-violation: "), "{run:?}");
}

#[tokio::test]
async fn what_is_no_xmpp_is_4() {
    let run = against("C: *\nS: Welcome to the weather service\n", "").await;
    assert_eq!(run.expect(4).statuses(), ["CONNECTING", "CONNFAIL", "DISCONNECTED"]);
    assert!(run.stderr.contains("does this address speak XMPP?"), "{run:?}");
}

#[tokio::test]
async fn a_stream_error_is_4() {
    let script = format!(
        "{HEADER}S: <error xmlns='http://etherx.jabber.org/streams'>\
         <system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>\n"
    );
    let run = against(&script, "").await;
    assert!(run.expect(4).stdout.contains("CONNFAIL 2 system-shutdown: "), "{run:?}");
    assert!(run.stderr.contains("hint: the server is busy"), "{run:?}");
}

#[tokio::test]
async fn a_silent_server_is_5() {
    let run = against("C: *\n", "--timeout 1").await;
    assert_eq!(run.expect(5).statuses(), ["CONNECTING", "CONNTIMEOUT", "DISCONNECTED"]);
    assert!(run.stderr.contains("hint: --timeout SECONDS"), "{run:?}");
}

#[tokio::test]
async fn a_server_without_a_word_on_tcp_is_5() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = Peer::start().await;
    let args = "--password-file alice.password --timeout 1";
    let run =
        peer.epode(&format!("login alice@localhost --via ws://127.0.0.1:{port}/ {args}")).await;
    assert!(run.expect(5).stdout.contains("CONNTIMEOUT 10 timeout: "), "{run:?}");
}

#[tokio::test]
async fn the_port_of_another_protocol_is_asked_about() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} }); // it hangs up
    let peer = Peer::start().await;
    let login = format!("login alice@localhost --via xmpp://127.0.0.1:{port}");
    let run = peer.epode(&format!("{login} --password-file alice.password")).await;
    assert!(run.expect(4).stderr.contains("hint: is it the port of another protocol?"), "{run:?}");
}

#[tokio::test]
async fn where_nothing_is_offered_without_tls_the_url_with_tls_is_named() {
    let script = format!("{HEADER}S: <features xmlns='http://etherx.jabber.org/streams'/>\nC: *\n");
    let run = against(&script, "").await;
    assert!(run.expect(3).stdout.contains("the server offers none"), "{run:?}");
    assert!(run.stderr.contains("hint: it may let nobody in without TLS"), "{run:?}");
}

#[tokio::test]
async fn a_mechanism_that_only_the_policy_forbids_is_6_and_one_that_cannot_be_used_is_3() {
    let peer = Peer::of(Server::builder("localhost").mechanisms(["ANONYMOUS"]).build()).await;
    let login = "login alice@localhost --via {ws} --password-file alice.password";
    let run = peer.epode(login).await;
    assert!(run.expect(3).stdout.contains("no-auth-mech"), "{run:?}");
    peer.epode("explain alice@localhost --via {ws}").await.expect(3);
    peer.epode("login localhost --via {ws} --without ANONYMOUS").await.expect(6);
    peer.epode("explain localhost --via {ws} --without ANONYMOUS").await.expect(6);
    peer.epode("explain localhost --via {ws} --require-channel-binding").await.expect(6);
}

#[tokio::test]
async fn json_has_the_five_members_on_every_line() {
    let peer = Peer::start().await;
    let login = "login alice@localhost/x --via {ws} --password-file alice.password --explicit-bind";
    let run = peer.epode(&format!("{login} --json")).await;
    let found = run.expect(0).objects();
    let line = |status: &str, code: u8, mechanism: Value, jid: Value| json!({"status": status, "code": code, "condition": null, "mechanism": mechanism, "jid": jid});
    let (scram, jid) = (json!("SCRAM-SHA-512"), json!("alice@localhost/x"));
    let mut connected = line("CONNECTED", 5, scram.clone(), jid.clone());
    connected["flights"] = json!(5);
    connected["encryption"] = json!("none");
    connected["binding"] = Value::Null;
    connected["route"] = found[3]["route"].clone();
    let attempt = &found[3]["route"]["attempts"][0];
    assert!(attempt["milliseconds"].as_f64().unwrap() > 0.0, "{attempt}");
    assert_eq!(
        found[3]["route"],
        json!({"looked_up": [], "attempts": [{
            "endpoint": peer.running.ws_url(), "origin": null,
            "milliseconds": attempt["milliseconds"], "error": null
        }]})
    );
    assert_eq!(
        found,
        [
            line("CONNECTING", 1, Value::Null, Value::Null),
            line("AUTHENTICATING", 3, scram.clone(), Value::Null),
            line("BINDREQUIRED", 11, scram.clone(), Value::Null),
            connected,
            line("DISCONNECTING", 7, scram.clone(), jid.clone()),
            line("DISCONNECTED", 6, scram, jid),
        ]
    );
    assert_eq!(run.stderr, "");
}

#[tokio::test]
async fn json_tells_why() {
    let script = format!(
        "{HEADER}{PLAIN_OFFERED}S: <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <temporary-auth-failure/><text xml:lang='de'>Sp\u{e4}ter\u{9b}1m!</text></failure>\n"
    );
    let run = against(&script, "--json").await;
    assert!(!run.expect(3).stdout.contains('\u{9b}'), "no control character reaches a terminal");
    let failed = &run.objects()[2];
    assert_eq!(failed["status"], "AUTHFAIL");
    assert_eq!(failed["code"], 4);
    assert_eq!(failed["condition"], "temporary-auth-failure");
    assert_eq!(failed["mechanism"], "PLAIN");
    assert_eq!(failed["jid"], Value::Null);
    assert_eq!(failed["text"], "Sp\u{e4}ter\u{9b}1m!");
    assert_eq!(failed["lang"], "de");
    assert_eq!(failed["advice"], "wait");
}

#[tokio::test]
async fn explicit_binding_shows_that_it_waits() {
    let peer = Peer::start().await;
    let login = "login alice@localhost --via {ws} --password-file alice.password --explicit-bind";
    let run = peer.epode(login).await;
    assert_eq!(
        run.expect(0).statuses(),
        [
            "CONNECTING",
            "AUTHENTICATING",
            "BINDREQUIRED",
            "CONNECTED",
            "#",
            "#",
            "#",
            "DISCONNECTING",
            "DISCONNECTED"
        ]
    );
    assert!(run.stdout.contains("\nBINDREQUIRED 11\n"), "{run:?}");
}

#[tokio::test]
async fn keys_are_saved_for_their_owner_and_used_instead_of_the_password() {
    let peer = Peer::start().await;
    peer.folder.put("alice.keys", "old and readable by all", 0o644);
    let login = "login alice@localhost --via {ws}";
    let save = "--password-file alice.password --save-keys alice.keys";
    assert_eq!(peer.epode(&format!("{login} {save}")).await.expect(0).stderr, "");
    #[cfg(unix)]
    assert_eq!(peer.folder.mode("alice.keys"), 0o600);
    let saved: Value = serde_json::from_str(&peer.folder.read("alice.keys")).unwrap();
    assert_eq!(saved["jid"], "alice@localhost");
    assert_eq!(saved["keys"]["name"], "SHA-512");
    assert_eq!(saved["keys"]["iter"], 4096);

    let run = peer.epode(&format!("{login} --keys alice.keys --transcript")).await;
    assert!(run.expect(0).stdout.contains("AUTHENTICATING 3 SCRAM-SHA-512"), "{run:?}");
    let key = saved["keys"]["ck"].as_str().unwrap();
    assert!(!format!("{run:?}").contains(key));

    peer.folder.put("bare.keys", &saved["keys"].to_string(), 0o600);
    peer.epode(&format!("{login} --keys bare.keys")).await.expect(0);
    let again = "--keys alice.keys --save-keys alice.keys";
    peer.epode(&format!("{login} {again}")).await.expect(0);
    assert_eq!(serde_json::from_str::<Value>(&peer.folder.read("alice.keys")).unwrap(), saved);

    let run = peer.epode("login bob@localhost --via {ws} --keys alice.keys").await;
    assert!(run.expect(2).stderr.contains("belong to alice@localhost"), "{run:?}");
    assert_eq!(run.stdout, "", "nothing was connected to");
}

#[tokio::test]
async fn keys_that_no_longer_fit_are_not_overwritten_and_lead_to_no_weaker_login() {
    let peer = Peer::start().await;
    let login = "login alice@localhost --via {ws}";
    let save = "--password-file alice.password --save-keys alice.keys";
    peer.epode(&format!("{login} {save}")).await.expect(0);
    let saved = peer.folder.read("alice.keys");

    let newer = Peer::start().await; // the same account, another salt
    newer.folder.put("alice.keys", &saved, 0o600);
    let run = newer.epode(&format!("{login} --keys alice.keys --save-keys alice.keys")).await;
    assert!(run.expect(3).stdout.contains("AUTHFAIL 4 stale-keys: "), "{run:?}");
    assert_eq!(newer.folder.read("alice.keys"), saved);
    let both = "--keys alice.keys --password-file alice.password --save-keys alice.keys";
    newer.epode(&format!("{login} {both}")).await.expect(0);
    assert_ne!(newer.folder.read("alice.keys"), saved);
    newer.epode(&format!("{login} --keys alice.keys")).await.expect(0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_not_followed_when_keys_are_saved() {
    let peer = Peer::start().await;
    peer.folder.put("precious", "untouched", 0o600);
    std::os::unix::fs::symlink("precious", peer.folder.path().join("alice.keys")).unwrap();
    let save = "--password-file alice.password --save-keys alice.keys";
    let run = peer.epode(&format!("login alice@localhost --via {{ws}} {save}")).await;
    assert!(run.expect(2).stderr.contains("it is no regular file"), "{run:?}");
    assert_eq!(run.stdout, "", "seen before anything was connected to");
    assert_eq!(peer.folder.read("precious"), "untouched");
}

#[tokio::test]
async fn derived_keys_log_in() {
    let peer = Peer::start().await;
    let login = "login alice@localhost --via {ws}";
    let save = "--password-file alice.password --save-keys first.keys --mechanism SCRAM-SHA-256";
    peer.epode(&format!("{login} {save}")).await.expect(0);
    let saved: Value = serde_json::from_str(&peer.folder.read("first.keys")).unwrap();
    let salt = saved["keys"]["salt"].as_str().unwrap();
    let derive = "keys derive --hash SHA-256 --iterations 4096 --jid alice@localhost";
    let rest = "--password-file alice.password --out second.keys";
    peer.epode(&format!("{derive} --salt {salt} {rest}")).await.expect(0);
    assert_eq!(peer.folder.read("second.keys"), peer.folder.read("first.keys"));
    #[cfg(unix)]
    assert_eq!(peer.folder.mode("second.keys"), 0o600);
    peer.epode(&format!("{login} --keys second.keys")).await.expect(0);
}

#[tokio::test]
async fn transcripts_show_every_frame_and_no_secret() {
    let peer = Peer::start().await;
    // `Run::new` looks for the secrets in every output.
    for args in [
        "--password-file alice.password",
        "--password-file alice.password --mechanism PLAIN",
        "--token-file alice.token",
        "--token-file alice.token --mechanism X-OAUTH2",
    ] {
        let login = "login alice@localhost --via {ws} --transcript";
        let run = peer.epode(&format!("{login} {args}")).await;
        let frames: Vec<_> = run.expect(0).stderr.lines().collect();
        assert!(frames[0].starts_with("C: <open "), "{run:?}");
        assert!(frames.iter().all(|line| line.starts_with("C: <") || line.starts_with("S: <")));
        let auth = frames.iter().find(|line| line.starts_with("C: <auth ")).unwrap();
        assert!(auth.contains(">[redacted]</auth>"), "{auth}");
    }
}

#[tokio::test]
async fn plain_over_what_others_can_hear_needs_the_word_danger() {
    // Through a proxy nothing counts as this machine's loopback, wherever it leads.
    let peer = Peer::of(
        Server::builder("localhost").account("alice", PASSWORD).mechanisms(["PLAIN"]).build(),
    )
    .await;
    let login = "login alice@localhost --via {ws} --password-file alice.password";
    peer.epode(login).await.expect(0);
    let proxy = proxy_to(peer.running.ws_url()).await;
    let env = [("http_proxy".to_owned(), format!("http://{proxy}"))];
    let args = |more: &str| {
        let via = "--via ws://chat.example.invalid/xmpp-websocket --password-file alice.password";
        let args = format!("login alice@localhost {via} {more}");
        args.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = epode(args(""), &peer.folder, &env, "").await;
    assert!(run.expect(6).stdout.contains("PLAIN (it needs an encrypted connection)"), "{run:?}");
    assert!(run.stderr.contains("hint: use the server's wss:// or https:// URL; "), "{run:?}");
    let run = epode(args("--danger-allow-plaintext"), &peer.folder, &env, "").await;
    assert!(run.expect(0).stdout.contains("AUTHENTICATING 3 PLAIN"), "{run:?}");
    let run = epode(args("--no-proxy"), &peer.folder, &env, "").await;
    assert!(run.expect(4).stderr.contains("chat.example.invalid"), "{run:?}");
}

/// An HTTP proxy that takes every CONNECT to the one server there is.
async fn proxy_to(url: &str) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let target = url.split('/').nth(2).unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(client.read_u8().await.unwrap());
                }
                assert!(request.starts_with(b"CONNECT chat.example.invalid:80 "));
                let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_message_arrives() {
    let server =
        Server::builder("localhost").account("alice", PASSWORD).account("bob", "builder").build();
    let peer = Peer::of(server).await;
    let bob = epode::Client::builder("bob@localhost/desk").unwrap();
    let bob = bob.endpoint(peer.running.ws_url()).unwrap().password("builder");
    let mut bob = bob.connect().await.unwrap();

    let send = "send --as alice@localhost/x --via {ws} --password-file alice.password --json";
    let run = peer.epode(&format!("{send} bob@localhost/desk Hi!")).await;
    let sent = &run.expect(0).objects()[0];
    let message = timeout(LIMIT, bob.receive()).await.unwrap().unwrap();
    assert_eq!(message.attr("from"), Some("alice@localhost/x"));
    assert_eq!(message.attr("type"), Some("chat"));
    assert_eq!(message.child("body", "jabber:client").unwrap().text(), "Hi!");
    let id = message.attr("id").unwrap();
    let expected = json!({
        "sent": true, "to": "bob@localhost/desk", "from": "alice@localhost/x", "id": id
    });
    assert_eq!(*sent, expected);
    bob.disconnect().await.unwrap();
}

#[tokio::test]
async fn who_stops_reading_does_not_stop_the_login() {
    let peer = Peer::start().await;
    let url = peer.running.ws_url();
    let args = ["login", "alice@localhost", "--password-file", "alice.password", "--via", url];
    let mut child = command(&peer.folder).args(args).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take()); // like `head -0`
    let run = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(Run::new(&run).expect(0).stderr, "");
}

#[tokio::test]
async fn the_secrets_are_the_servers() {
    // What `Run::new` looks for is what logs in: the check is worth something.
    let peer = Peer::of(alice()).await;
    let text = format!("{}{}", peer.folder.read("alice.password"), peer.folder.read("alice.token"));
    assert_eq!(text, format!("{PASSWORD}\n{TOKEN}\n"));
    peer.epode("login alice@localhost --via {ws} --password-file alice.password").await.expect(0);
    peer.epode("login alice@localhost --via {ws} --token-file alice.token").await.expect(0);
}
