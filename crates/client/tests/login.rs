//! Whole logins against the embedded server, in memory: no ports, and time stands still unless
//! everybody waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use epode::{
    AsyncMechanism, Builder, Client, Direction, Element, Error, GivenUp, SaslProfile, Session,
    StatusCode,
    proto::{self, Wait},
    sasl::{self, Channel, MechanismName, Policy, Secret, SecretKind, ServerProof},
};
use epode_testpeer::{LegacySession, Server, ServerBuilder, SessionChannel};

const PASSWORD: &str = "correct horse";
const TOKEN: &str = "wisdom-of-owls";

fn server() -> ServerBuilder {
    Server::builder("localhost").account("alice", PASSWORD).account("bob", PASSWORD)
}

fn client(jid: &str) -> Builder {
    let builder = Client::builder(jid).expect("the address is right");
    builder.endpoint("wss://localhost/xmpp-websocket").expect("the URL is right")
}

async fn connect(server: &Server, client: Builder) -> Result<Session, Error> {
    let stream = server.memory_link(SessionChannel::encrypted());
    client.over(stream, Channel::encrypted()).connect().await
}

fn only(name: MechanismName) -> Arc<Policy> {
    Arc::new(Policy::default().allow_only([name]))
}

#[tokio::test]
async fn the_strongest_mechanism_is_used_and_the_flow_is_told() {
    let server = server().build();
    let mut client = client("alice@localhost/home").password(PASSWORD);
    let mut events = client.watch();
    let session = connect(&server, client).await.unwrap();
    assert_eq!(session.jid().to_string(), "alice@localhost/home");
    assert_eq!(session.login().unwrap().mechanism, MechanismName::SCRAM_SHA_512);
    assert_eq!(session.login().unwrap().proof, ServerProof::Proven);
    assert!(session.login().unwrap().flights <= 5, "{} flights", session.login().unwrap().flights);
    session.disconnect().await.unwrap();
    let mut codes = Vec::new();
    while let Some(status) = events.next().await {
        codes.push(status.code());
    }
    use StatusCode::{Authenticating, Connected, Connecting, Disconnected, Disconnecting};
    assert_eq!(codes, [Connecting, Authenticating, Connected, Disconnecting, Disconnected]);
}

#[tokio::test]
async fn every_mechanism_without_a_certificate_logs_in() {
    let server = server().token("alice", TOKEN).build();
    let names = [
        MechanismName::SCRAM_SHA_512,
        MechanismName::SCRAM_SHA_384,
        MechanismName::SCRAM_SHA_256,
        MechanismName::SCRAM_SHA_1,
        MechanismName::PLAIN,
        MechanismName::OAUTHBEARER,
        MechanismName::X_OAUTH2,
        MechanismName::ANONYMOUS,
    ];
    for name in names {
        let client = match name.as_str() {
            "ANONYMOUS" => client("localhost"),
            "OAUTHBEARER" | "X-OAUTH2" => client("alice@localhost").token(TOKEN),
            _ => client("alice@localhost").password(PASSWORD),
        };
        let session = connect(&server, client.policy(only(name.clone()))).await;
        let session = session.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(session.login().unwrap().mechanism, name);
        session.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_in_the_servers_words_and_closes_the_connection() {
    let server = server().build();
    let mut client = client("alice@localhost").password("wrong");
    let mut events = client.watch();
    let error = connect(&server, client).await.unwrap_err();
    assert_eq!(error.condition(), "not-authorized");
    assert_eq!(error.advice(), epode::Advice::AskAgain);
    let mut codes = Vec::new();
    while let Some(status) = events.next().await {
        codes.push(status.code());
    }
    use StatusCode::{AuthFail, Authenticating, Connecting, Disconnected};
    assert_eq!(codes, [Connecting, Authenticating, AuthFail, Disconnected]);
}

#[tokio::test]
async fn saved_keys_log_in_and_stale_ones_say_so() {
    let server = server().build();
    let session = connect(&server, client("alice@localhost").password(PASSWORD)).await.unwrap();
    let keys = session.scram_keys().unwrap().clone();
    session.disconnect().await.unwrap();
    let session = connect(&server, client("alice@localhost").keys(keys.clone())).await.unwrap();
    assert_eq!(session.login().unwrap().mechanism, MechanismName::SCRAM_SHA_512);
    session.disconnect().await.unwrap();

    let changed = self::server().iterations(5000).build();
    let error = connect(&changed, client("alice@localhost").keys(keys.clone())).await.unwrap_err();
    assert_eq!(error.condition(), "stale-keys");

    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let client = client("alice@localhost").keys(keys).ask(move |kind| {
        assert_eq!(kind, SecretKind::Password);
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(Secret::password(PASSWORD)) }
    });
    let session = connect(&changed, client).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(session.scram_keys().unwrap().iterations().get(), 5000);
}

#[tokio::test]
async fn stanzas_pass_between_two_sessions() {
    let server = server().build();
    let alice = connect(&server, client("alice@localhost/a").password(PASSWORD)).await.unwrap();
    let mut bob = connect(&server, client("bob@localhost/b").password(PASSWORD)).await.unwrap();
    let body = "1 < 2 & \"so on\"";
    let message = Element::new("message", "jabber:client")
        .with_attr("to", bob.jid().to_string())
        .with_child(Element::new("body", "jabber:client").with_text(body));
    alice.outbox().send(message).await.unwrap();
    let received = bob.receive().await.unwrap();
    assert_eq!(received.child("body", "jabber:client").unwrap().text(), body);
    assert_eq!(received.attr("from"), Some("alice@localhost/a"));
    drop(alice);
    assert_eq!(bob.disconnect().await, Ok(()));
}

#[tokio::test]
async fn binding_waits_for_the_application_when_told_to() {
    let server = server().legacy_session(LegacySession::Required).build();
    let stream = server.memory_link(SessionChannel::encrypted());
    let mut client = client("alice@localhost/later").password(PASSWORD);
    let mut events = client.watch();
    let unbound = client.over(stream, Channel::encrypted()).connect_unbound().await.unwrap();
    let session = unbound.bind().await.unwrap();
    assert_eq!(session.jid().resource(), Some("later"));
    session.disconnect().await.unwrap();
    let mut names = Vec::new();
    while let Some(status) = events.next().await {
        names.push(status.code().number());
    }
    assert_eq!(names, [1, 3, 11, 5, 7, 6]);
}

#[tokio::test]
async fn an_offer_is_explained_without_a_login() {
    let server = server().mechanisms(["SCRAM-SHA-1", "PLAIN"]).build();
    let stream = server.memory_link(SessionChannel::encrypted());
    let client = client("alice@localhost").secret(Secret::Ask(SecretKind::Password));
    let explanation =
        client.over(stream, Channel::encrypted()).explain().await.unwrap().explanation;
    let mut offered = explanation.offered.clone();
    offered.sort();
    assert_eq!(offered, ["PLAIN", "SCRAM-SHA-1"]);
    assert_eq!(explanation.choice.unwrap().mechanism, MechanismName::SCRAM_SHA_1);
}

/// Answers after a while, or gives up.
struct Slow {
    answer: Result<&'static str, &'static str>,
    ended: Arc<AtomicUsize>,
}

impl AsyncMechanism for Slow {
    fn name(&self) -> MechanismName {
        "X-SLOW".parse().unwrap()
    }

    fn priority(&self) -> i32 {
        100
    }

    async fn respond(&self, challenge: Option<&[u8]>) -> Result<Vec<u8>, GivenUp> {
        assert_eq!(challenge, None);
        tokio::task::yield_now().await;
        self.answer.map(|text| text.as_bytes().to_vec()).map_err(GivenUp::because)
    }

    fn failure(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_mechanism_of_the_applications_own_may_take_its_time() {
    let server = server()
        .custom_mechanism("X-SLOW", |response| {
            (response == b"open sesame").then(|| "alice".to_owned())
        })
        .build();
    let ended = Arc::new(AtomicUsize::new(0));
    let slow = |answer| Slow { answer, ended: Arc::clone(&ended) };

    let good = client("alice@localhost").mechanism(slow(Ok("open sesame")));
    let session = connect(&server, good).await.unwrap();
    assert_eq!(session.login().unwrap().mechanism.as_str(), "X-SLOW");
    assert_eq!(ended.load(Ordering::Relaxed), 0);

    let wrong = client("alice@localhost").mechanism(slow(Ok("open wheat")));
    let error = connect(&server, wrong).await.unwrap_err();
    assert_eq!(error.condition(), "not-authorized");
    assert_eq!(ended.load(Ordering::Relaxed), 1);

    let mut given_up = client("alice@localhost").mechanism(slow(Err("the endpoint is down")));
    let mut events = given_up.watch();
    let error = connect(&server, given_up).await.unwrap_err();
    let refused = sasl::Error::Refused("the endpoint is down".to_owned());
    assert_eq!(error, Error::Connection(proto::Error::Login(refused)));
    let mut codes = Vec::new();
    while let Some(status) = events.next().await {
        codes.push(status.code().number());
    }
    assert_eq!(codes, [1, 3, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_ends_with_the_deadline() {
    let server = server().build();
    let client = client("alice@localhost").ask(|_| std::future::pending());
    let mut client = client.timeout(Duration::from_secs(5));
    let mut events = client.watch();
    let error = connect(&server, client).await.unwrap_err();
    assert_eq!(error, Error::Connection(proto::Error::TimedOut(Wait::Answer)));
    let mut codes = Vec::new();
    while let Some(status) = events.next().await {
        codes.push(status.code().number());
    }
    assert_eq!(codes, [1, 3, 10, 6]);
}

#[tokio::test]
async fn a_transcript_shows_every_frame_and_no_secret() {
    let server = server().build();
    let shown = Arc::new(std::sync::Mutex::new(String::new()));
    let sink = Arc::clone(&shown);
    let client = client("alice@localhost").password(PASSWORD).policy(only(MechanismName::PLAIN));
    let client = client.stream_management(None).sasl_profile(SaslProfile::Sasl1);
    let client = client.transcript(move |direction, frame| {
        let arrow = if direction == Direction::Sent { "C: " } else { "S: " };
        let mut text = sink.lock().unwrap();
        text.push_str(arrow);
        text.push_str(frame);
        text.push('\n');
    });
    connect(&server, client).await.unwrap().disconnect().await.unwrap();
    let text = shown.lock().unwrap().clone();
    assert!(text.contains("mechanism='PLAIN'>[redacted]</auth>"), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("C: ")).count(), 5, "{text}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_changes_nothing() {
    let server = server().build();
    let session = connect(&server, client("alice@localhost").password(PASSWORD)).await.unwrap();
    let control = Element::new("message", "jabber:client").with_text("\u{1}");
    assert_eq!(session.send(control).await.unwrap_err().condition(), "not-sent");
    let ping = Element::new("iq", "jabber:client").with_attr("type", "get").with_attr("id", "1");
    session.send(ping.with_child(Element::new("ping", "urn:xmpp:ping"))).await.unwrap();
    let mut session = session;
    assert_eq!(session.receive().await.unwrap().attr("type"), Some("result"));
    let outbox = session.outbox();
    session.disconnect().await.unwrap();
    let late = outbox.send(Element::new("message", "jabber:client")).await;
    assert_eq!(late.map(drop), Err(Error::Ended));
}

#[tokio::test]
async fn a_domain_that_can_have_no_server_is_refused() {
    let address = format!("alice@{}org", "a.".repeat(150));
    let client = Client::builder(&address).unwrap().password(PASSWORD);
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, Error::Domain(_)), "{error}");
    assert_eq!(error.condition(), "invalid-domain");
}
