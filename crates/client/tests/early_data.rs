//! Logins in the early data of TLS 1.3 (XEP-0484, section 3.4) against the embedded server, through a
//! wire that shows what goes over it, holds it back, and says it again.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod wire;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use epode::{
    AccountTokens, Builder, Client, Connected, Direction, Error, Jid, LoginReport, MemoryTokens,
    ProxySettings, Reconnect, Session, Status, TlsOptions, TokenStore, TokenStoreError,
    proto::report::Finding, sasl::BindingType,
};
use epode_testpeer::{
    EarlyData, ListenOptions, Running, Sasl2Fault, SaslCondition, Server, ServerBuilder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::{Mode, Wire, has_early_data};

const PASSWORD: &str = "correct horse";

fn server(early_data: EarlyData) -> ServerBuilder {
    let server = Server::builder("example.org").account("alice", PASSWORD).token_rotation(101);
    server.early_data(early_data)
}

/// A server, the wire to its port of direct TLS, and what a client keeps from one login to the next.
struct Peer {
    server: Server,
    running: Running,
    wire: Wire,
    tls: TlsOptions,
    tokens: Arc<Store>,
    said: Arc<Mutex<Vec<String>>>,
}

/// A store that may stop keeping anything.
#[derive(Default)]
struct Store {
    kept: MemoryTokens,
    is_full: AtomicBool,
}

impl TokenStore for Store {
    fn update(
        &self,
        account: &Jid,
        change: &mut dyn FnMut(&mut AccountTokens),
    ) -> Result<(), TokenStoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(TokenStoreError::because("the disk is full"));
        }
        self.kept.update(account, change)
    }
}

impl Peer {
    async fn start(builder: ServerBuilder) -> Self {
        let server = builder.build();
        let running = server.listen(ListenOptions::default()).await.unwrap();
        let wire = Wire::to(running.direct_tls()).await;
        let tls = TlsOptions::new().with_ca_pem(running.ca_pem().as_bytes()).unwrap();
        let (tokens, said) = Default::default();
        Self { server, running, wire, tls, tokens, said }
    }

    /// One that has logged in with the password, and has a token, a session of TLS and what the server
    /// offers from that.
    async fn known(builder: ServerBuilder) -> Self {
        let peer = Self::start(builder).await;
        let first = log_in(peer.client().password(PASSWORD)).await.unwrap();
        assert!(!first.early_data && !has_early_data(&peer.wire.last()));
        assert_eq!((first.flights, first.binding), (3, Some(BindingType::TlsExporter)));
        peer
    }

    /// A client without a password.
    fn client(&self) -> Builder {
        self.client_at(&format!("xmpps://{}", self.wire.address()))
    }

    fn client_at(&self, endpoint: &str) -> Builder {
        let said = Arc::clone(&self.said);
        Client::builder("alice@example.org")
            .unwrap()
            .endpoint(endpoint)
            .unwrap()
            .proxies(ProxySettings::none())
            .tls(self.tls.clone())
            .tokens(self.tokens.clone())
            .reconnect(Reconnect::default().first(Duration::ZERO))
            .transcript(move |direction, frame| {
                if direction == Direction::Sent {
                    said.lock().unwrap().push(frame.to_owned());
                }
            })
            .danger_early_data(true)
    }

    /// How often the kept token was used, as far as is kept.
    fn kept_count(&self) -> u64 {
        let mut count = 0;
        let look = &mut |kept: &mut AccountTokens| {
            let mut copy = AccountTokens::from_json(&kept.to_json()).unwrap();
            count = copy.take(0).map_or(0, |token| token.count() - 1);
        };
        self.tokens.kept.update(&"alice@example.org".parse().unwrap(), look).unwrap();
        count
    }

    /// The counts that were sent, in their order.
    fn sent_counts(&self) -> Vec<u64> {
        let said = self.said.lock().unwrap();
        let count = |frame: &String| {
            let digits =
                frame.split_once("<fast")?.1.split_once("count='")?.1.split('\'').next()?;
            Some(digits.parse().unwrap())
        };
        said.iter().filter_map(count).collect()
    }

    /// Says what was recorded to the server, once more and to the end; how many sessions there are then.
    async fn replay(&self, flight: &[u8]) -> usize {
        let mut stream = TcpStream::connect(self.running.direct_tls()).await.unwrap();
        stream.write_all(flight).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        self.server.resources("alice").len()
    }

    async fn stop(self) {
        self.running.shutdown().await;
    }
}

async fn log_in(client: Builder) -> Result<Connected, Error> {
    let session = client.connect().await?;
    let login = session.login().unwrap();
    session.disconnect().await?;
    Ok(login)
}

fn by_token(login: &Connected) -> bool {
    login.mechanism.as_str().starts_with("HT-")
}

/// Connects, and tells the beginnings of logins on the way.
async fn watched(mut client: Builder) -> (Result<Session, Error>, Vec<String>) {
    let mut events = client.watch();
    let session = client.connect().await;
    let mut begun = Vec::new();
    while let Ok(Some(status)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        if matches!(status, Status::Authenticating(_) | Status::Reconnecting(_)) {
            begun.push(status.to_string());
        }
    }
    (session, begun)
}

#[tokio::test]
async fn a_login_in_early_data_takes_no_flight_of_its_own() {
    let peer = Peer::known(server(EarlyData::Taken)).await;
    for _ in 0..3 {
        let report = Arc::new(Mutex::new(LoginReport::default()));
        let sink = Arc::clone(&report);
        let client = peer.client().report(move |report| *sink.lock().unwrap() = report.clone());
        let login = log_in(client).await.unwrap();
        assert!(login.early_data && by_token(&login), "{login:?}");
        assert_eq!((login.flights, login.binding), (0, Some(BindingType::TlsServerEndPoint)));
        assert!(has_early_data(&peer.wire.last()));
        let report = report.lock().unwrap();
        assert!(report.findings().contains(&Finding::EarlyData), "{report}");
        assert!(report.to_string().contains("HT-SHA-512-ENDP by SASL2 in early data"), "{report}");
        assert!(report.to_json().contains(r#""early_data":true"#));
    }
    assert_eq!(peer.sent_counts(), [1, 2, 3]);
    peer.stop().await;
}

#[tokio::test]
async fn the_session_is_there_before_the_server_has_the_end_of_the_handshake() {
    let peer = Peer::known(server(EarlyData::Taken)).await;
    peer.wire.set(Mode::HoldBack);
    let session = peer.client().connect().await.unwrap();
    assert!(session.login().unwrap().early_data);
    assert_eq!(peer.server.resources("alice").len(), 1);
    peer.wire.set(Mode::Pass);
    session.disconnect().await.unwrap();
    peer.stop().await;
}

#[tokio::test]
async fn nothing_goes_early_unless_everything_is_there_for_it() {
    let peer = Peer::known(server(EarlyData::Taken)).await;
    let login = log_in(peer.client().danger_early_data(false)).await.unwrap();
    assert!(by_token(&login) && !login.early_data, "without the switch");
    assert_eq!(login.flights, 1);
    assert!(!has_early_data(&peer.wire.last()));

    let unknown =
        peer.client().tls(peer.tls.clone().with_ca_pem(peer.running.ca_pem().as_bytes()).unwrap());
    let login = log_in(unknown).await.unwrap();
    assert!(by_token(&login) && !login.early_data, "without a session of TLS");
    assert!(!has_early_data(&peer.wire.last()));

    let starttls = format!("xmpp://{}", peer.running.starttls());
    for way in [starttls.as_str(), peer.running.wss_url(), peer.running.secure_bosh_url()] {
        let login = log_in(peer.client_at(way)).await.unwrap();
        assert!(by_token(&login) && !login.early_data, "{way}");
    }

    let forget = &mut |kept: &mut AccountTokens| kept.forget();
    peer.tokens.kept.update(&"alice@example.org".parse().unwrap(), forget).unwrap();
    let login = log_in(peer.client().password(PASSWORD)).await.unwrap();
    assert!(!by_token(&login) && !login.early_data, "without a token");
    assert!(!has_early_data(&peer.wire.last()), "no password goes there, and no SCRAM");
    assert!(log_in(peer.client()).await.unwrap().early_data, "there is a token again");
    peer.stop().await;

    let silent = Peer::start(server(EarlyData::Absent)).await;
    for secret in [Some(PASSWORD), None] {
        let client = secret.into_iter().fold(silent.client(), Builder::password);
        assert!(!log_in(client).await.unwrap().early_data, "the server does not want it");
        assert!(!has_early_data(&silent.wire.last()));
    }
    silent.stop().await;
}

#[tokio::test]
async fn a_token_that_is_bound_to_the_connection_does_not_go_early() {
    let peer = Peer::start(server(EarlyData::Taken)).await;
    log_in(peer.client().danger_early_data(false).password(PASSWORD)).await.unwrap();
    let login = log_in(peer.client()).await.unwrap();
    assert_eq!(login.binding, Some(BindingType::TlsExporter));
    assert!(!login.early_data && !has_early_data(&peer.wire.last()));
    assert_eq!((login.flights, peer.sent_counts()), (1, vec![2]), "the first was not sent");
    peer.stop().await;
}

#[tokio::test]
async fn early_data_that_is_refused_is_not_sent_again_with_the_same_count() {
    let peer = Peer::known(server(EarlyData::Refused)).await;
    let (session, begun) = watched(peer.client()).await;
    let session = session.unwrap();
    let login = session.login().unwrap();
    assert!(by_token(&login) && !login.early_data);
    assert_eq!(login.flights, 1);
    let by = "HT-SHA-512-ENDP by tls-server-end-point";
    let expected = ["in early data", ""].map(|how| format!("AUTHENTICATING 3 {by} {how}"));
    assert_eq!(begun, expected.map(|line| line.trim_end().to_owned()));
    assert_eq!(peer.sent_counts(), [1, 2]);
    assert!(has_early_data(&peer.wire.last()));
    session.disconnect().await.unwrap();
    peer.stop().await;
}

#[tokio::test]
async fn a_count_that_cannot_be_saved_is_not_sent() {
    let peer = Peer::known(server(EarlyData::Refused)).await;
    let (tokens, said) = (Arc::clone(&peer.tokens), Arc::clone(&peer.said));
    // It fails from the moment when the login is sent in early data.
    let client = peer.client().password(PASSWORD).transcript(move |_, frame| {
        tokens.is_full.store(true, Ordering::Relaxed);
        said.lock().unwrap().push(frame.to_owned());
    });
    let login = log_in(client).await;
    let login = login.unwrap();
    assert!(!by_token(&login) && !login.early_data, "{login:?}");
    assert_eq!(peer.sent_counts(), [1]);
    let error = log_in(peer.client()).await.unwrap_err();
    assert_eq!(error.condition(), "token-store");
    assert_eq!(peer.sent_counts(), [1]);
    peer.stop().await;
}

#[tokio::test]
async fn a_first_flight_that_is_said_again_is_refused() {
    let peer = Peer::known(server(EarlyData::Replayable)).await;
    peer.wire.set(Mode::Withhold);
    let flight = tokio::select! {
        flight = peer.wire.withheld() => flight,
        login = log_in(peer.client()) => panic!("the server has not heard it: {login:?}"),
    };
    assert!(has_early_data(&flight));
    assert_eq!(peer.server.resources("alice").len(), 0);
    // Whoever holds a login back can deliver it, and learns nothing by that; but once only.
    assert_eq!(peer.replay(&flight).await, 1);
    assert_eq!(peer.replay(&flight).await, 1);
    peer.wire.set(Mode::Pass);
    let login = log_in(peer.client()).await.unwrap();
    assert!(login.early_data, "the count is a new one: {login:?}");
    assert_eq!(peer.sent_counts(), [1, 2]);
    for flight in [flight, peer.wire.last()] {
        assert!(has_early_data(&flight));
        assert_eq!(peer.replay(&flight).await, 0, "the client has taken its place back");
    }
    peer.stop().await;
}

#[tokio::test]
async fn a_ticket_that_is_used_once_keeps_replays_out_by_itself() {
    let peer = Peer::known(server(EarlyData::Taken)).await;
    peer.wire.set(Mode::Withhold);
    let flight = tokio::select! {
        flight = peer.wire.withheld() => flight,
        login = log_in(peer.client()) => panic!("the server has not heard it: {login:?}"),
    };
    assert_eq!(peer.replay(&flight).await, 1);
    assert_eq!(peer.replay(&flight).await, 1);
    peer.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_lost_with_its_early_data_is_made_once_more_without() {
    let peer = Peer::known(server(EarlyData::Taken)).await;
    peer.wire.set(Mode::CutOnce);
    let (session, begun) = watched(peer.client()).await;
    let session = session.unwrap();
    let login = session.login().unwrap();
    assert!(by_token(&login) && !login.early_data);
    assert_eq!(begun.len(), 3, "{begun:?}");
    assert!(begun[0].ends_with("in early data") && begun[1].starts_with("RECONNECTING"));
    assert!(!has_early_data(&peer.wire.last()));
    assert_eq!(peer.sent_counts(), [1, 2]);
    session.disconnect().await.unwrap();
    assert!(log_in(peer.client()).await.unwrap().early_data, "that was one connection");
    peer.stop().await;
}

#[tokio::test]
async fn a_server_that_has_changed_gets_another_count() {
    for builder in [server(EarlyData::Taken), server(EarlyData::Taken).config_version()] {
        let peer = Peer::known(builder).await;
        peer.server.change_mechanisms(["SCRAM-SHA-256-PLUS"]);
        let (session, begun) = watched(peer.client()).await;
        let session = session.unwrap();
        let early =
            [peer.wire.before_last(), peer.wire.last()].map(|flight| has_early_data(&flight));
        assert_eq!(early, [true, false], "{begun:?} {:?}", peer.sent_counts());
        assert!(begun[1].starts_with("RECONNECTING") && begun.len() == 3, "{begun:?}");
        let login = session.login().unwrap();
        assert!(by_token(&login) && !login.early_data);
        assert_eq!(peer.sent_counts(), [1, 2]);
        session.disconnect().await.unwrap();
        peer.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_takes_early_data_and_refuses_the_token_has_the_full_login_next() {
    let fault = Sasl2Fault::TokenRefused(SaslCondition::NotAuthorized);
    let peer = Peer::known(server(EarlyData::Taken).sasl2_fault(fault)).await;
    let login = log_in(peer.client().password(PASSWORD)).await.unwrap();
    assert!(has_early_data(&peer.wire.last()));
    assert!(!login.early_data && !by_token(&login));
    // Bound to the connection whose handshake was not over when the features came.
    assert_eq!((login.flights, login.binding), (2, Some(BindingType::TlsExporter)));
    peer.stop().await;

    let fault = Sasl2Fault::TokenRefused(SaslCondition::TemporaryAuthFailure);
    let peer = Peer::known(server(EarlyData::Taken).sasl2_fault(fault)).await;
    let error = log_in(peer.client().reconnect(Reconnect::off())).await.unwrap_err();
    assert_eq!(error.condition(), "temporary-auth-failure");
    peer.stop().await;
}

#[tokio::test]
async fn a_server_without_the_token_is_not_believed() {
    for fault in [Sasl2Fault::NoResponder, Sasl2Fault::WrongResponder] {
        let peer = Peer::known(server(EarlyData::Taken).sasl2_fault(fault)).await;
        let error = log_in(peer.client().reconnect(Reconnect::off())).await.unwrap_err();
        assert!(has_early_data(&peer.wire.last()));
        assert_eq!(error.condition(), "server-not-proven", "{error}");
        peer.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_was_lost_comes_back_in_early_data() {
    let peer = Peer::known(server(EarlyData::Taken)).await;
    let mut client = peer.client();
    let mut events = client.watch();
    let session = client.connect().await.unwrap();
    peer.wire.cut();
    let mut logins = Vec::new();
    while logins.len() < 2 {
        if let Status::Connected(login) = events.next().await.unwrap() {
            logins.push(login);
        }
    }
    assert!(logins[1].early_data && logins[1].resumed, "{logins:?}");
    assert_eq!(logins[1].flights, 0);
    session.disconnect().await.unwrap();
    peer.stop().await;
}

#[tokio::test]
async fn no_count_is_sent_twice_however_a_login_ends() {
    let peer = Peer::known(server(EarlyData::Replayable)).await;
    for mode in [Mode::Withhold, Mode::CutOnce, Mode::Pass, Mode::Withhold, Mode::CutOnce] {
        peer.wire.set(mode);
        if mode == Mode::Withhold {
            tokio::select! {
                _ = peer.wire.withheld() => {} // and the client is killed
                login = log_in(peer.client()) => panic!("the server has not heard it: {login:?}"),
            }
        } else {
            assert!(by_token(&log_in(peer.client()).await.unwrap()));
        }
        let sent = peer.sent_counts();
        assert!(sent.is_sorted_by(|one, next| one < next), "{sent:?}");
        assert!(*sent.last().unwrap() <= peer.kept_count(), "saved before it is sent");
    }
    peer.stop().await;
}
