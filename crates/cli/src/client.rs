//! A client as the flags describe it, and what its errors mean to the person who gave them.

use std::{path::Path, sync::Arc, time::Duration};

use epode::{
    Advice, Attachment, Builder, CertificateProblem, Direction, Endpoint, Error, FileTokens,
    GivenUp, Jid, ProxySettings, Reconnect, Route, Session, TlsOptions, TokenStore, TransportError,
    discovery::DiscoveryOptions,
    proto::{self, PeerFault, Wait},
    sasl::{self, NoMechanism, PassedOver, Policy, Secret, Skip},
};

use crate::{
    args::{ClientArgs, PolicyArgs},
    exit::{Exit, Failure},
    output::complain,
    pin_file::{PinFile, state_folder},
    secret_file::SecretFile,
    secrets::{Given, Source, warn_if_lax},
    session_file::{self, NEW_SESSION},
    shell_word::shell_word,
    status_lines::Seen,
};

/// The client that the flags describe, without its secret: what is wrong with the flags is seen
/// before anybody is asked for one.
pub(crate) fn builder(jid: &Jid, args: &ClientArgs) -> Result<Builder, Failure> {
    let endpoint = via(args)?;
    let mut builder =
        reaching(jid, args, endpoint.as_ref())?.policy(Arc::new(policy(&args.connection.policy)));
    if let Some(profile) = args.connection.policy.sasl {
        builder = builder.sasl_profile(profile.into());
    }
    if let Some(pins) = pins(args, endpoint.as_ref()) {
        builder = builder.pins(Arc::new(pins));
    }
    if let Some(authcid) = &args.secret.authcid {
        builder = builder.authcid(authcid);
    }
    Ok(builder)
}

/// Where tokens for quick logins are kept: in the folder of the pins.
pub(crate) fn tokens() -> Result<Arc<FileTokens>, Failure> {
    let folder = state_folder().ok_or_else(|| {
        Failure::usage("there is no place to keep tokens: the system names no folder for it")
            .hint("set XDG_STATE_HOME to a folder of yours")
    })?;
    Ok(Arc::new(FileTokens::new(folder.join("tokens"))))
}

/// Whether a token of the account is kept.
pub(crate) fn has_token(tokens: &FileTokens, jid: &Jid) -> Result<bool, Failure> {
    let mut is_kept = false;
    tokens
        .update(jid, &mut |kept| is_kept = kept.has_token())
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(is_kept)
}

/// The client that the flags describe, and the session in this file, for it to take over.
pub(crate) fn heir(
    jid: &Jid,
    args: &ClientArgs,
    path: &Path,
) -> Result<(Builder, Attachment), Failure> {
    require_bosh(args, "--attach")?;
    let builder = reaching(jid, args, via(args)?.as_ref())?;
    Ok((builder, session_file::read(path, jid)?))
}

/// Refuses any other transport; `purpose` says who needs BOSH.
pub(crate) fn require_bosh(args: &ClientArgs, purpose: &str) -> Result<(), Failure> {
    match via(args)? {
        Some(endpoint) if endpoint.is_bosh() => Ok(()),
        _ => Err(Failure::usage(format!("{purpose} needs BOSH, and --via names no URL of it"))
            .hint("name the server's BOSH URL, as --via https://example.org/http-bind")),
    }
}

/// A client that can find the server and connect to it, once: a command that does one thing is
/// better told that it failed.
fn reaching(jid: &Jid, args: &ClientArgs, endpoint: Option<&Endpoint>) -> Result<Builder, Failure> {
    let discovery = DiscoveryOptions::new().with_order(args.connection.server.order.into());
    let mut builder = Builder::new(jid.clone())
        .discovery(discovery)
        .tls(tls(args)?)
        .reconnect(Reconnect::off())
        .timeout(Duration::from_secs(args.connection.server.timeout));
    if let Some(endpoint) = endpoint {
        builder = builder
            .endpoint(&endpoint.to_string())
            .map_err(|error| Failure::usage(format!("--via: {error}")))?;
    }
    if args.connection.server.danger_allow_unencrypted {
        builder = builder.danger_allow_unencrypted_stream();
    }
    if args.connection.server.no_proxy {
        builder = builder.proxies(ProxySettings::none());
    }
    if args.connection.transcript {
        builder = builder.transcript(show_frame);
    }
    Ok(builder)
}

/// Gives the client its secret.
pub(crate) fn entrust(builder: Builder, given: Given) -> Builder {
    let builder = builder.secret(given.secret);
    match given.password {
        // Asked for once, should the keys no longer fit.
        Some(password) => builder.ask(move |_| {
            let secret = Secret::Password(password.clone());
            async { Ok::<_, GivenUp>(secret) }
        }),
        None => builder,
    }
}

/// Takes the session over; where there is none, logs in.
pub(crate) async fn connect(
    builder: Builder,
    session: Option<&Attachment>,
    explicit_bind: bool,
) -> Result<Session, Error> {
    match session {
        Some(session) => builder.attach(session).await,
        None if explicit_bind => builder.connect_unbound().await?.bind().await,
        None => builder.connect().await,
    }
}

/// What an error means here: an exit code, the words, and what to do.
pub(crate) fn failure(error: &Error, seen: &Seen, source: &Source, args: &ClientArgs) -> Failure {
    let exit = exit_of(error, seen);
    let failure = match error {
        Error::Connection(proto::Error::Login(sasl::Error::Password(reason)))
            if source.is_password() =>
        {
            Failure::new(exit, format!("{source} cannot be used: {reason}"))
        }
        Error::Connection(proto::Error::Login(
            sasl::Error::EmptyToken | sasl::Error::Unsendable(_),
        )) => Failure::new(exit, format!("{source} cannot be used: {error}")),
        _ => Failure::new(exit, error.to_string()),
    };
    match hint(error, seen, source, args) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Where to connect, if the flags say so.
fn via(args: &ClientArgs) -> Result<Option<Endpoint>, Failure> {
    let Some(url) = &args.connection.server.via else { return Ok(None) };
    let endpoint: Endpoint =
        url.parse().map_err(|error| Failure::usage(format!("--via: {error}")))?;
    if args.secret.cert.is_some() && is_unprotected(&endpoint) {
        let (scheme, secure) = if endpoint.is_bosh() { ("http", "https") } else { ("ws", "wss") };
        let message = format!("--cert needs TLS, and the --via URL begins with {scheme}://");
        return Err(Failure::usage(message).hint(format!("name the server's {secure}:// URL")));
    }
    Ok(Some(endpoint))
}

/// A stream of TCP changes to TLS; a WebSocket or BOSH never does.
fn is_unprotected(endpoint: &Endpoint) -> bool {
    !endpoint.is_secure() && !endpoint.is_stream()
}

fn policy(args: &PolicyArgs) -> Policy {
    let mut policy = Policy::default();
    if !args.allowed.is_empty() {
        policy = policy.allow_only(args.allowed.iter().cloned());
    }
    policy = args.denied.iter().cloned().fold(policy, Policy::deny);
    if args.require_channel_binding {
        policy = policy.require_channel_binding();
    }
    if args.danger_allow_plaintext { policy.danger_allow_plaintext() } else { policy }
}

/// Whom to trust, and what to show.
pub(crate) fn tls(args: &ClientArgs) -> Result<TlsOptions, Failure> {
    let mut tls = trusting(args.connection.server.ca.as_deref())?;
    if let Some(path) = &args.secret.cert {
        tls = show_certificate(tls, path, args.secret.key.as_deref().unwrap_or(path))?;
    }
    if !args.connection.server.danger_allow_legacy_tls {
        return Ok(tls);
    }
    tls.danger_allow_legacy_master_secret().map_err(|error| Failure::internal(error.to_string()))
}

/// Where to remember logins. Not where the flags name a WebSocket or BOSH without TLS: that it is
/// weaker is then no surprise.
fn pins(args: &ClientArgs, endpoint: Option<&Endpoint>) -> Option<PinFile> {
    if args.connection.policy.no_pins || endpoint.is_some_and(is_unprotected) {
        return None;
    }
    let for_bosh = endpoint.is_some_and(Endpoint::is_bosh);
    let path = args.connection.policy.pins.clone().or_else(|| PinFile::default_path(for_bosh));
    if path.is_none() {
        let warning = "nothing is remembered of this login: the system names no folder for it; \
                       --pins FILE does, --no-pins is silent about it";
        complain("warning", warning);
    }
    Some(PinFile::new(path?, args.connection.policy.accept_weaker))
}

/// TLS as `--ca` has it.
pub(crate) fn trusting(ca: Option<&Path>) -> Result<TlsOptions, Failure> {
    let tls = TlsOptions::new();
    let Some(path) = ca else { return Ok(tls) };
    tls.with_ca_pem(read(path)?.bytes())
        .map_err(|error| Failure::usage(format!("--ca {}: {error}", path.display())))
}

fn show_certificate(tls: TlsOptions, path: &Path, key_path: &Path) -> Result<TlsOptions, Failure> {
    let (chain, key) = (read(path)?, read(key_path)?);
    warn_if_lax(key_path, &key);
    tls.with_client_certificate_pem(chain.bytes(), key.bytes()).map_err(|error| {
        let mut files = format!("--cert {}", path.display());
        if key_path != path {
            files = format!("{files}, --key {}", key_path.display());
        }
        Failure::usage(format!("{files}: {error}"))
    })
}

fn read(path: &Path) -> Result<SecretFile, Failure> {
    SecretFile::read(path).map_err(|error| Failure::usage(error.to_string()))
}

/// In the form that `serve --script` reads.
fn show_frame(direction: Direction, frame: &str) {
    let side = match direction {
        Direction::Sent => "C",
        Direction::Received => "S",
    };
    complain(side, frame);
}

fn exit_of(error: &Error, seen: &Seen) -> Exit {
    match error {
        Error::Domain(_) | Error::Pins(_) | Error::Tokens(_) | Error::NotBosh => Exit::Usage,
        Error::Connection(proto::Error::Weaker(_)) => Exit::Policy,
        Error::Transport(error) => exit_of_transport(error),
        Error::NoRoute { route, .. } => exit_of_route(route),
        Error::Connection(proto::Error::TimedOut(_)) => Exit::TimedOut,
        Error::Connection(proto::Error::Login(error)) => match error {
            sasl::Error::NoMechanism(none) if none.is_policy() => Exit::Policy,
            sasl::Error::UserName(_)
            | sasl::Error::Password(_)
            | sasl::Error::EmptyToken
            | sasl::Error::Unsendable(_) => Exit::Usage,
            sasl::Error::NoRandomness | sasl::Error::ApiMisuse(_) => Exit::Internal,
            _ => Exit::Authentication,
        },
        Error::NotSent(_) => Exit::Internal,
        _ if seen.auth_failed => Exit::Authentication,
        _ => Exit::Connection,
    }
}

fn exit_of_transport(error: &TransportError) -> Exit {
    match error {
        TransportError::ProxySetting(_) => Exit::Usage,
        TransportError::TimedOut { .. } => Exit::TimedOut,
        _ => Exit::Connection,
    }
}

/// What all attempts came to, if they came to the same.
fn exit_of_route(route: &Route) -> Exit {
    let mut exits = failures(route).map(exit_of_transport);
    match exits.next() {
        Some(first) if exits.all(|exit| exit == first) => first,
        _ => Exit::Connection,
    }
}

fn failures(route: &Route) -> impl Iterator<Item = &TransportError> {
    route.attempts.iter().filter_map(|attempt| attempt.failure.as_ref())
}

fn hint(error: &Error, seen: &Seen, source: &Source, args: &ClientArgs) -> Option<String> {
    match error {
        Error::Connection(proto::Error::Login(sasl::Error::NoMechanism(none))) => {
            Some(hint_for_choice(none, args))
        }
        Error::Transport(error) => hint_for_transport(error, args),
        Error::Connection(proto::Error::Weaker(_)) => Some(
            "ask who runs the server; --accept-weaker logs in all the same, and remembers what is \
             offered now"
                .to_owned(),
        ),
        Error::NoRoute { route, .. } if route.attempts.is_empty() => {
            Some("--via ENDPOINT names the server, where its domain does not".to_owned())
        }
        Error::NoRoute { route, .. } => {
            failures(route).find_map(|error| hint_for_transport(error, args))
        }
        Error::Connection(proto::Error::Bosh(_)) if matches!(source, Source::Session) => {
            Some(format!("it may be over, or somebody else's by now: {NEW_SESSION}"))
        }
        Error::Connection(proto::Error::PeerMisbehaved(
            PeerFault::StartTlsNotOffered | PeerFault::StartTlsRefused,
        )) => Some("ask who runs it; --danger-allow-unencrypted is for test networks".to_owned()),
        Error::Connection(proto::Error::Login(sasl::Error::Rejected(_)))
            if error.advice() == Advice::AskAgain =>
        {
            Some(match source {
                Source::Keys(path) => format!(
                    "the password may have changed: log in with it, and --save-keys {}",
                    shell_word(&path.display().to_string())
                ),
                Source::TokenFile(_) => {
                    "get a new token, and check that it is for this account".to_owned()
                }
                Source::Nothing => "check that the account may log in this way".to_owned(),
                _ => format!("check the account and {source}"),
            })
        }
        Error::Connection(
            proto::Error::TimedOut(Wait::Header)
            | proto::Error::ConnectionLost(_)
            | proto::Error::ConnectionClosed,
        ) if seen.choice.is_none() && is_via(args, Endpoint::is_stream) => {
            Some(OTHER_PORT.to_owned())
        }
        // A single answer has a limit of its own in the library, which no flag lifts.
        Error::Connection(proto::Error::TimedOut(_))
            if args.connection.server.timeout > ANSWER_SECONDS =>
        {
            Some("the server is slow or stuck: try again later".to_owned())
        }
        Error::Connection(proto::Error::TimedOut(_)) => Some(more_time(args)),
        _ if error.advice() == Advice::Wait => {
            Some("the server is busy or wants a pause: try again in a few minutes".to_owned())
        }
        _ => None,
    }
}

fn hint_for_transport(error: &TransportError, args: &ClientArgs) -> Option<String> {
    match error {
        TransportError::TimedOut { .. } => Some(more_time(args)),
        TransportError::LegacyMasterSecret { .. } => {
            Some("--danger-allow-legacy-tls connects to it all the same".to_owned())
        }
        TransportError::Certificate { problem: CertificateProblem::UnknownIssuer, .. } => {
            Some("--ca FILE names it".to_owned())
        }
        _ => None,
    }
}

fn more_time(args: &ClientArgs) -> String {
    let seconds = args.connection.server.timeout;
    format!("--timeout SECONDS gives it more time than the {seconds} it had")
}

fn is_via(args: &ClientArgs, matches: fn(&Endpoint) -> bool) -> bool {
    via(args).is_ok_and(|endpoint| endpoint.as_ref().is_some_and(matches))
}

/// The remedy that takes least, of those that would do.
fn hint_for_choice(none: &NoMechanism, args: &ClientArgs) -> String {
    let policy = &args.connection.policy;
    let any = |wanted: &dyn Fn(&PassedOver) -> bool| {
        none.passed_over.iter().any(|passed| passed.offered && wanted(passed))
    };
    let needs_secret = |passed: &PassedOver| {
        matches!(passed.reason, Skip::NeedsSecret(_) | Skip::KeysOfAnotherHash(_))
    };
    let is_named = |passed: &PassedOver| policy.allowed.contains(&passed.mechanism);
    if !any(&|_| true) && is_via(args, is_unprotected) {
        "it may let nobody in without TLS: use its wss:// or https:// URL"
    } else if any(&|passed| passed.reason == Skip::NeedsEncryption) {
        "use the server's wss:// or https:// URL; --danger-allow-plaintext is for test networks"
    } else if any(&|passed| is_named(passed) && needs_secret(passed)) {
        "give a secret of the right kind: see --password-file, --token-file and --keys"
    } else if any(&|passed| passed.reason == Skip::NeedsChannelBinding) {
        "without --require-channel-binding, a login need not be bound to the channel"
    } else if any(&|passed| passed.reason.is_policy()) {
        "allow one of them: see --mechanism and --without"
    } else if any(&needs_secret) {
        "give a secret of the right kind: see --password-file, --token-file and --keys"
    } else {
        "'epode explain', with the same flags, shows each mechanism and what it needs"
    }
    .to_owned()
}

/// Whoever speaks something else hangs up, or waits for ever.
const OTHER_PORT: &str = "is it the port of another protocol? xmpp:// begins without TLS, as a rule at \
                          port 5222, xmpps:// inside TLS, at 5223";

/// How long one answer of the server may take, by the library's default.
const ANSWER_SECONDS: u64 = 20;
