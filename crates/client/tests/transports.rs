//! Whole logins against the embedded server on loopback ports, with real TLS: STARTTLS, direct TLS
//! and WebSocket, what each login is bound to, and what is refused.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

use std::sync::{Arc, Mutex};

use epode::{
    Builder, CertificateProblem, Client, Direction, Element, Error, Jid, MemoryPins, PinStore,
    PinStoreError, ProxySettings, SaslProfile, StatusCode, TransportError,
    proto::{self, PeerFault},
    sasl::{self, BindingType, Channel, MechanismName, Pin, Policy, ServerProof},
};
use epode_testpeer::{
    BindingList, CertificateSignature, ListenOptions, Running, Server, ServerBuilder,
    SessionChannel, StartTls, TlsVersions,
};
use tokio::io::duplex;

const PASSWORD: &str = "correct horse";

fn server() -> ServerBuilder {
    Server::builder("example.org").account("alice", PASSWORD)
}

/// The server's three ways in that TLS protects.
fn ways(running: &Running) -> [String; 3] {
    let (starttls, direct) = (running.starttls(), running.direct_tls());
    [format!("xmpp://{starttls}"), format!("xmpps://{direct}"), running.wss_url().to_owned()]
}

fn client(running: &Running, endpoint: &str) -> Builder {
    let builder = Client::builder("alice@example.org").unwrap().endpoint(endpoint).unwrap();
    let builder = builder.proxies(ProxySettings::none());
    builder.ca_pem(running.ca_pem()).unwrap().password(PASSWORD)
}

async fn listen(server: ServerBuilder) -> Running {
    server.build().listen(ListenOptions::default()).await.unwrap()
}

fn bound() -> Arc<Policy> {
    Arc::new(Policy::default().require_channel_binding())
}

#[tokio::test]
async fn every_way_with_tls_is_bound_to_its_channel() {
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let options = ListenOptions::default().with_tls_versions(versions);
        let running = server().build().listen(options).await.unwrap();
        for way in ways(&running) {
            let session = client(&running, &way).policy(bound()).connect().await.unwrap();
            let login = session.login().unwrap();
            assert_eq!(login.mechanism, MechanismName::SCRAM_SHA_512_PLUS, "{way}");
            assert_eq!(login.binding, Some(BindingType::TlsExporter), "{way} {versions:?}");
            assert_eq!(login.proof, ServerProof::Proven);
            assert_eq!(session.route().endpoint().unwrap().to_string(), way);
            session.disconnect().await.unwrap();
        }
        running.shutdown().await;
    }
}

#[tokio::test]
async fn the_end_point_is_used_where_the_server_lists_nothing_else() {
    for signature in [CertificateSignature::EcdsaSha256, CertificateSignature::EcdsaSha384] {
        let list = BindingList::these(["tls-unique", "tls-server-end-point"]);
        let options = ListenOptions::default().with_signature(signature);
        let running = server().binding_list(list).build().listen(options).await.unwrap();
        for way in ways(&running) {
            let session = client(&running, &way).policy(bound()).connect().await.unwrap();
            assert_eq!(
                session.login().unwrap().binding,
                Some(BindingType::TlsServerEndPoint),
                "{way}"
            );
            session.disconnect().await.unwrap();
        }
        running.shutdown().await;
    }
}

#[tokio::test]
async fn a_server_that_lists_no_bindings_is_logged_in_to_unless_one_is_required() {
    let running = listen(server().binding_list(BindingList::Absent)).await;
    for way in ways(&running) {
        let session = client(&running, &way).connect().await.unwrap();
        assert_eq!(session.login().unwrap().mechanism, MechanismName::SCRAM_SHA_512, "{way}");
        assert_eq!(session.login().unwrap().binding, None);
        session.disconnect().await.unwrap();

        let error = client(&running, &way).policy(bound()).connect().await.unwrap_err();
        assert_eq!(error.condition(), "no-auth-mech", "{way}: {error}");
        let proto::Error::Login(sasl::Error::NoMechanism(none)) = connection(error) else {
            panic!("{way}")
        };
        assert!(none.is_policy());
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_list_from_which_every_known_binding_is_gone_is_not_believed() {
    let running = listen(server().binding_list(BindingList::these(["tls-unique"]))).await;
    for way in ways(&running) {
        let error = client(&running, &way).connect().await.unwrap_err();
        let fault = sasl::PeerFault::BindingsRemoved;
        let mechanism = MechanismName::SCRAM_SHA_512;
        let expected = proto::Error::Login(sasl::Error::PeerMisbehaved { mechanism, fault });
        assert_eq!(connection(error), expected, "{way}");
    }
    running.shutdown().await;
}

fn connection(error: Error) -> proto::Error {
    match error {
        Error::Connection(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_client_certificate_logs_in_over_every_way_with_tls() {
    let running = listen(server().certificate_account("alice")).await;
    let certificate = running.client_certificate_pem().unwrap();
    let key = running.client_key_pem().unwrap();
    for way in ways(&running) {
        let builder = Client::builder("alice@example.org").unwrap().endpoint(&way).unwrap();
        let builder = builder.proxies(ProxySettings::none()).ca_pem(running.ca_pem()).unwrap();
        let session =
            builder.client_certificate(certificate, key).unwrap().connect().await.unwrap();
        assert_eq!(session.login().unwrap().mechanism, MechanismName::EXTERNAL, "{way}");
        session.disconnect().await.unwrap();

        let without = Client::builder("alice@example.org").unwrap().endpoint(&way).unwrap();
        let without = without.proxies(ProxySettings::none()).ca_pem(running.ca_pem()).unwrap();
        let error = without.connect().await.unwrap_err();
        assert_eq!(error.condition(), "no-auth-mech", "{way}: {error}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let running = listen(Server::builder("example.net").account("alice", PASSWORD)).await;
    // With STARTTLS the server says first that it is not example.org.
    let [starttls, direct, _] = ways(&running);
    let error = client(&running, &starttls).connect().await.unwrap_err();
    assert_eq!(error.condition(), "protocol-violation", "{error}");

    let error = client(&running, &direct).connect().await.unwrap_err();
    let Error::Transport(TransportError::Certificate { problem, .. }) = error else {
        panic!("{error}")
    };
    let CertificateProblem::WrongName { expected, presented } = problem else {
        panic!("{problem}")
    };
    assert_eq!(expected, "example.org");
    assert!(presented.contains(&"example.net".to_owned()), "{presented:?}");
    running.shutdown().await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_before_anything_is_said() {
    let (running, other) = (listen(server()).await, listen(server()).await);
    for way in ways(&running) {
        let mut client = client(&other, &way);
        let mut events = client.watch();
        let error = client.connect().await.unwrap_err();
        let problem = CertificateProblem::UnknownIssuer;
        assert!(
            matches!(&error, Error::Transport(TransportError::Certificate { problem: found, .. })
                if *found == problem),
            "{way}: {error}"
        );
        let mut statuses = Vec::new();
        while let Some(status) = events.next().await {
            let condition = status.error().map(|error| error.condition().to_owned());
            statuses.push((status.code(), condition));
        }
        use StatusCode::{ConnFail, Connecting, Disconnected};
        let failed = Some("connection-failed".to_owned()); // nothing was there to be lost
        let expected = [(Connecting, None), (ConnFail, failed.clone()), (Disconnected, failed)];
        assert_eq!(statuses, expected, "{way}");
    }
}

#[tokio::test]
async fn without_starttls_nothing_goes_on_unless_it_may() {
    let running = listen(server().starttls(StartTls::Absent)).await;
    let way = &ways(&running)[0];
    let error = client(&running, way).connect().await.unwrap_err();
    assert_eq!(connection(error), proto::Error::PeerMisbehaved(PeerFault::StartTlsNotOffered));

    let open = client(&running, way).danger_allow_unencrypted_stream();
    let session = open.connect().await.unwrap();
    assert_eq!(session.login().unwrap().mechanism, MechanismName::SCRAM_SHA_512);
    assert_eq!(session.login().unwrap().binding, None);
    session.disconnect().await.unwrap();

    let bound = client(&running, way).danger_allow_unencrypted_stream().policy(bound());
    let error = bound.connect().await.unwrap_err();
    assert_eq!(error.condition(), "no-auth-mech");
    running.shutdown().await;
}

#[tokio::test]
async fn what_comes_between_proceed_and_tls_is_refused() {
    let injected = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                    <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    let running = listen(server().starttls(StartTls::Injecting(injected.to_owned()))).await;
    let error = client(&running, &ways(&running)[0]).connect().await.unwrap_err();
    // In one read with <proceed/> the machine sees it, later the TLS library.
    match error {
        Error::Connection(proto::Error::PeerMisbehaved(_))
        | Error::Transport(TransportError::NotTls { .. }) => {}
        other => panic!("{other}"),
    }
    running.shutdown().await;
}

#[tokio::test]
async fn stanzas_of_any_size_go_both_ways_over_tcp() {
    let running = listen(server()).await;
    for way in &ways(&running)[..2] {
        let mut session = client(&running, way).connect().await.unwrap();
        let body = "x".repeat(100_000);
        let to = session.jid().to_string();
        let message = Element::new("message", "jabber:client")
            .with_attr("to", &to)
            .with_child(Element::new("body", "jabber:client").with_text(&body));
        for _ in 0..3 {
            session.send(message.clone()).await.unwrap();
        }
        for _ in 0..3 {
            let received = session.receive().await.unwrap();
            assert_eq!(received.child("body", "jabber:client").unwrap().text(), body);
        }
        session.disconnect().await.unwrap();
    }
    running.shutdown().await;
}

#[tokio::test]
async fn the_transcript_of_a_stream_shows_each_frame_and_no_secret() {
    let running = listen(server().mechanisms(["PLAIN"])).await;
    let frames = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&frames);
    let client = client(&running, &ways(&running)[0]).sasl_profile(SaslProfile::Sasl1);
    let client = client.transcript(move |direction, frame| {
        sink.lock().unwrap().push((direction, frame.to_owned()));
    });
    client.connect().await.unwrap().disconnect().await.unwrap();
    let frames = frames.lock().unwrap();
    let starts = |direction, start: &str| {
        frames.iter().filter(|(way, frame)| *way == direction && frame.starts_with(start)).count()
    };
    for (direction, count) in [(Direction::Sent, 3), (Direction::Received, 3)] {
        assert_eq!(starts(direction, "<stream:stream"), count, "{frames:?}");
        assert_eq!(starts(direction, "</stream:stream>"), 1, "{frames:?}");
    }
    assert_eq!(starts(Direction::Sent, "<starttls"), 1, "{frames:?}");
    assert_eq!(starts(Direction::Received, "<proceed"), 1);
    // PLAIN's message: NUL, alice, NUL, the password.
    let all = format!("{frames:?}");
    assert!(!all.contains("AGFsaWNl") && !all.contains(PASSWORD), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_the_callers_carries_xmpp_as_it_is() {
    let (near, far) = duplex(64 * 1024);
    let server = server().build();
    let serving =
        tokio::spawn(async move { server.serve_tcp(far, SessionChannel::encrypted()).await });
    let client = Client::builder("alice@example.org").unwrap().password(PASSWORD);
    let session = client.over(near, Channel::encrypted()).connect().await.unwrap();
    assert_eq!(session.login().unwrap().mechanism, MechanismName::SCRAM_SHA_512);
    assert_eq!(session.route(), epode::Route::default());
    session.disconnect().await.unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_pinned_account_refuses_a_server_that_offers_less() {
    let pins = Arc::new(MemoryPins::default());
    let pinned = |running: &Running| {
        let store: Arc<dyn PinStore> = pins.clone();
        client(running, &ways(running)[1]).pins(store)
    };
    let account = "alice@example.org".parse().unwrap();
    let strong = listen(server()).await;
    pinned(&strong).connect().await.unwrap().disconnect().await.unwrap();
    let pin = pins.load(&account).unwrap().unwrap();
    assert_eq!(pin.mechanism(), &MechanismName::SCRAM_SHA_512_PLUS);
    assert_eq!(pin.binding(), Some(BindingType::TlsExporter));

    let weak = listen(server().mechanisms(["SCRAM-SHA-1", "PLAIN"])).await;
    let error = pinned(&weak).connect().await.unwrap_err();
    assert_eq!(error.condition(), "weaker-than-before", "{error}");
    assert_eq!(pins.load(&account).unwrap(), Some(pin));
    client(&weak, &ways(&weak)[1]).connect().await.unwrap().disconnect().await.unwrap();
    pinned(&strong).connect().await.unwrap().disconnect().await.unwrap();
}

/// Knows nothing, and keeps nothing.
#[derive(Clone, Copy)]
struct Broken {
    loads: bool,
}

impl PinStore for Broken {
    fn load(&self, _: &Jid) -> Result<Option<Pin>, PinStoreError> {
        let broken = PinStoreError::because("the file is damaged");
        if self.loads { Ok(None) } else { Err(broken) }
    }

    fn save(&self, _: &Jid, _: &Pin) -> Result<(), PinStoreError> {
        Err(PinStoreError::because("the disk is full"))
    }
}

#[tokio::test]
async fn a_store_that_fails_ends_the_login() {
    let running = listen(server()).await;
    for (loads, reason) in [(false, "the file is damaged"), (true, "the disk is full")] {
        let client = client(&running, &ways(&running)[0]).pins(Arc::new(Broken { loads }));
        let error = client.connect().await.unwrap_err();
        assert_eq!(error, Error::Pins(PinStoreError::because(reason)));
    }
}

#[tokio::test]
async fn a_certificate_for_another_account_names_whom_it_is_to_act_as() {
    let server = server().certificate_account("alice").certificate_account("operator");
    let running = listen(server).await;
    let certificates = running.client_certificates();
    let operator = certificates.iter().find(|shown| shown.user() == "operator").unwrap();
    let frames = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&frames);
    let builder = Client::builder("alice@example.org").unwrap();
    let builder = builder.endpoint(&ways(&running)[1]).unwrap().proxies(ProxySettings::none());
    let error = builder
        .ca_pem(running.ca_pem())
        .unwrap()
        .client_certificate(operator.certificate_pem(), operator.key_pem())
        .unwrap()
        .transcript(move |_, frame| sink.lock().unwrap().push(frame.to_owned()))
        .connect()
        .await
        .unwrap_err();
    // The server does not let the operator act for others; it has been asked to.
    assert_eq!(error.condition(), "invalid-authzid", "{frames:?}");
}
