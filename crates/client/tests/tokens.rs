//! Logins by token (XEP-0484) against the embedded server on loopback ports: how many flights they
//! take, and what becomes of tokens that come, go and are refused.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use epode::{
    AccountTokens, Builder, Client, Connected, Error, FastToken, Jid, MemoryTokens, ProxySettings,
    SaslProfile, StatusCode, TokenStore, TokenStoreError, UserAgent, UserAgentId,
    proto::{self, BoundBy, Profile},
    sasl::{self, BindingType, HashedToken, MechanismName},
};
use epode_testpeer::{ListenOptions, Running, Server, ServerBuilder};

const PASSWORD: &str = "correct horse";

fn server() -> ServerBuilder {
    Server::builder("example.org").account("alice", PASSWORD).token_rotation(101)
}

async fn listen(server: ServerBuilder) -> Running {
    server.build().listen(ListenOptions::default()).await.unwrap()
}

/// The ways in that TLS protects.
fn ways(running: &Running) -> [String; 4] {
    let (starttls, direct) = (running.starttls(), running.direct_tls());
    let (wss, bosh) = (running.wss_url(), running.secure_bosh_url());
    [format!("xmpp://{starttls}"), format!("xmpps://{direct}"), wss.to_owned(), bosh.to_owned()]
}

fn client(running: &Running, endpoint: &str, tokens: &Arc<MemoryTokens>) -> Builder {
    let builder = Client::builder("alice@example.org").unwrap().endpoint(endpoint).unwrap();
    let builder = builder.proxies(ProxySettings::none()).tokens(tokens.clone());
    builder.ca_pem(running.ca_pem()).unwrap()
}

async fn log_in(client: Builder) -> Result<Connected, Error> {
    let session = client.connect().await?;
    let login = session.login().unwrap();
    session.disconnect().await?;
    Ok(login)
}

fn alice() -> Jid {
    "alice@example.org".parse().unwrap()
}

/// What is kept: the id, and the tokens in the order in which they would be used.
fn kept(tokens: &MemoryTokens) -> (UserAgentId, Vec<FastToken>) {
    let mut found = None;
    let look = &mut |kept: &mut AccountTokens| {
        let mut copy = AccountTokens::from_json(&kept.to_json()).unwrap();
        let mut tokens = Vec::new();
        while let Some(token) = copy.take(0) {
            copy.refused(&token);
            tokens.push(token);
        }
        found = Some((kept.user_agent(), tokens));
    };
    tokens.update(&alice(), look).unwrap();
    found.unwrap()
}

fn by_token(login: &Connected) -> bool {
    login.mechanism.as_str().starts_with("HT-")
}

fn rejected(result: Result<Connected, Error>) -> String {
    match result {
        Err(Error::Connection(proto::Error::Login(sasl::Error::Rejected(rejection)))) => {
            rejection.condition.clone()
        }
        other => panic!("it is refused by the server: {other:?}"),
    }
}

#[tokio::test]
async fn the_first_login_takes_three_flights_and_the_next_one_without_a_password() {
    let running = listen(server()).await;
    for way in ways(&running) {
        let tokens = Arc::default();
        let first = log_in(client(&running, &way, &tokens).password(PASSWORD)).await.unwrap();
        assert_eq!((first.profile, first.bound_by), (Profile::Sasl2, BoundBy::Login), "{way}");
        let starttls = if way.starts_with("xmpp://") { 2 } else { 0 };
        assert_eq!(first.flights, 3 + starttls, "{way}: {first:?}");
        let second = log_in(client(&running, &way, &tokens)).await.unwrap();
        assert!(by_token(&second), "{way}: {}", second.mechanism);
        assert!(second.binding.is_some(), "{way}");
        // Over BOSH, the offer comes along with the session.
        let offer = if way.starts_with("https://") { 1 } else { 0 };
        assert_eq!(second.flights, 1 + starttls + offer, "{way}");
        assert_eq!(second.bound_by, BoundBy::Login, "{way}");
        let third = log_in(client(&running, &way, &tokens)).await.unwrap();
        assert!(by_token(&third), "{way}: the count is a new one");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_server_that_has_changed_costs_one_more_connection_and_no_weaker_login() {
    let before = listen(server()).await;
    let plus = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
    for after in [
        server().without_sasl2(),
        server().without_fast(),
        server().without_bind2(),
        server().sasl2_mechanisms(plus).mechanisms(plus),
    ] {
        let after = listen(after).await;
        let tokens = Arc::default();
        log_in(client(&before, before.wss_url(), &tokens).password(PASSWORD)).await.unwrap();
        let mut changed = client(&after, after.wss_url(), &tokens).password(PASSWORD);
        let mut events = changed.watch();
        let login = log_in(changed).await.unwrap();
        assert!(!by_token(&login) && login.binding.is_some(), "{login:?}");
        let mut again = 0;
        while let Some(status) = events.next().await {
            again += u32::from(status.code() == StatusCode::Reconnecting);
        }
        assert!(again <= 1, "{again}");
        after.shutdown().await;
    }
    before.shutdown().await;
}

#[tokio::test]
async fn a_token_is_for_the_strongest_binding() {
    let running = listen(server()).await;
    let tokens = Arc::default();
    let way = running.wss_url();
    log_in(client(&running, way, &tokens).password(PASSWORD)).await.unwrap();
    let login = log_in(client(&running, way, &tokens)).await.unwrap();
    assert_eq!(login.mechanism.as_str(), "HT-SHA-512-EXPR");
    assert_eq!(login.binding, Some(BindingType::TlsExporter));
    running.shutdown().await;
}

#[tokio::test]
async fn a_new_token_takes_the_place_of_the_one_before_once_it_was_used() {
    let running = listen(server().token_rotation(0)).await;
    let tokens = Arc::default();
    let way = running.wss_url();
    log_in(client(&running, way, &tokens).password(PASSWORD)).await.unwrap();
    let (id, first) = kept(&tokens);
    assert_eq!(first.len(), 1);
    for _ in 0..3 {
        let (_, before) = kept(&tokens);
        assert!(by_token(&log_in(client(&running, way, &tokens)).await.unwrap()));
        let (same, after) = kept(&tokens);
        assert_eq!(same, id);
        assert_eq!(after.len(), 2, "the one before is good until the new one was used");
        assert_eq!(after[1].token(), before[0].token());
        assert_ne!(after[0].token(), before[0].token());
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_forgotten_and_the_full_login_goes_on_over_the_same_stream() {
    let running = listen(server()).await;
    let way = running.wss_url();
    let forged = || {
        let tokens = Arc::new(MemoryTokens::default());
        let mechanism: MechanismName = "HT-SHA-256-EXPR".parse().unwrap();
        let token = FastToken::new(HashedToken::new(mechanism, "forged"), u64::MAX, 0);
        tokens.update(&alice(), &mut |kept| kept.keep(token.duplicate())).unwrap();
        tokens
    };
    let tokens = forged();
    let login = log_in(client(&running, way, &tokens).password(PASSWORD)).await.unwrap();
    assert!(!by_token(&login));
    assert_eq!(login.flights, 4, "one more than without a token: {login:?}");
    assert_ne!(kept(&tokens).1[0].token().token(), "forged");
    assert!(by_token(&log_in(client(&running, way, &tokens)).await.unwrap()));

    let tokens = forged();
    assert_eq!(rejected(log_in(client(&running, way, &tokens)).await), "not-authorized");
    assert!(kept(&tokens).1.is_empty());
    running.shutdown().await;
}

#[tokio::test]
async fn a_token_that_the_server_says_has_expired_is_forgotten() {
    let begun = SystemTime::now();
    let later = Arc::new(AtomicU64::new(0));
    let seconds = Arc::clone(&later);
    let clock = move || begun + Duration::from_secs(seconds.load(Ordering::Relaxed));
    let running = listen(server().clock(clock)).await;
    let tokens = Arc::default();
    let way = running.wss_url();
    log_in(client(&running, way, &tokens).password(PASSWORD)).await.unwrap();
    later.store(15 * 86_400, Ordering::Relaxed);
    assert_eq!(rejected(log_in(client(&running, way, &tokens)).await), "credentials-expired");
    assert!(kept(&tokens).1.is_empty());
    running.shutdown().await;
}

#[tokio::test]
async fn after_a_logout_the_token_is_good_for_nothing() {
    let running = listen(server()).await;
    let tokens = Arc::default();
    let way = running.wss_url();
    assert!(!client(&running, way, &tokens).log_out().await.unwrap(), "there is no token yet");
    log_in(client(&running, way, &tokens).password(PASSWORD)).await.unwrap();
    let stolen = kept(&tokens).1.remove(0);
    assert!(client(&running, way, &tokens).log_out().await.unwrap());
    assert!(kept(&tokens).1.is_empty());

    tokens.update(&alice(), &mut |kept| kept.keep(stolen.duplicate())).unwrap();
    assert_eq!(rejected(log_in(client(&running, way, &tokens)).await), "not-authorized");
    tokens.update(&alice(), &mut |kept| kept.keep(stolen.duplicate())).unwrap();
    assert!(!client(&running, way, &tokens).log_out().await.unwrap(), "nothing is left to end");
    assert!(kept(&tokens).1.is_empty());
    running.shutdown().await;
}

#[tokio::test]
async fn who_says_so_logs_in_as_ever() {
    let running = listen(server()).await;
    let tokens = Arc::default();
    let way = running.wss_url();
    let old = client(&running, way, &tokens).sasl_profile(SaslProfile::Sasl1).password(PASSWORD);
    let login = log_in(old).await.unwrap();
    assert_eq!((login.profile, login.bound_by), (Profile::Sasl1, BoundBy::Request));
    assert!(kept(&tokens).1.is_empty());

    let agent = UserAgent::default().software("Reader");
    let new = client(&running, way, &tokens).user_agent(agent).bind_tag("reader").carbons(true);
    let login = log_in(new.password(PASSWORD)).await.unwrap();
    assert!(login.jid.resource().unwrap().starts_with("reader"), "{}", login.jid);
    assert!(login.carbons);
    running.shutdown().await;
}

#[tokio::test]
async fn a_store_that_fails_is_an_error_before_anything_is_sent() {
    struct Broken;

    impl TokenStore for Broken {
        fn update(
            &self,
            _: &Jid,
            _: &mut dyn FnMut(&mut AccountTokens),
        ) -> Result<(), TokenStoreError> {
            Err(TokenStoreError::because("the file is damaged"))
        }
    }

    let client = Client::builder("alice@example.org").unwrap().tokens(Arc::new(Broken));
    let error = client.password(PASSWORD).connect().await.unwrap_err();
    assert_eq!(error, Error::Tokens(TokenStoreError::because("the file is damaged")));
    assert_eq!(error.condition(), "token-store");
}
