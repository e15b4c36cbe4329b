//! One endpoint: reached, TLS agreed on with one version after the other, and the features read.
//! It is what a client does that asks what there is, and leaves.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use epode::{
    Builder, Direction, Element, Endpoint, Error, Explanation, Jid, Phase, ProxySettings,
    Reconnect, Report, TransportError,
    proto::{
        self, PeerFault,
        stream::Features,
        xml::namespaces::{STREAM, TLS},
    },
    rustls::{
        SupportedProtocolVersion,
        version::{TLS12, TLS13},
    },
    sasl::{BindingType, Secret, SecretKind},
};
use tokio::time::{Instant, timeout};

use super::{
    certificate::{Judge, Seen},
    facts::{
        CertificateFacts, ChoiceFacts, ClearFacts, EndpointFacts, OfferFacts, PassedFacts, Stage,
        TlsFacts, Trouble,
    },
};

/// An endpoint, and who named it.
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) origin: Option<String>,
}

impl Target {
    pub(super) fn given(endpoint: Endpoint) -> Self {
        Self { endpoint, origin: None }
    }
}

/// Looks at an endpoint, in this time.
pub(super) async fn look_at(
    domain: &str,
    target: Target,
    judge: &Judge,
    no_proxy: bool,
    limit: Duration,
) -> EndpointFacts {
    let Target { endpoint, origin } = target;
    let deadline = Instant::now() + limit;
    let visit = Visit { domain, endpoint: &endpoint, judge, no_proxy, deadline };
    let mut facts =
        EndpointFacts { endpoint: endpoint.to_string(), origin, ..EndpointFacts::default() };
    for version in [Version::Tls13, Version::Tls12] {
        let (attempt, extended_master_secret) = visit.speak(version).await;
        facts.before_tls = facts.before_tls.or(attempt.before_tls);
        facts.certificate = facts.certificate.or(attempt.certificate);
        let is_over = |it: &Trouble| matches!(it.stage, Stage::Connect | Stage::NoTls);
        if !visit.has_tls() || attempt.trouble.as_ref().is_some_and(is_over) {
            facts.trouble = attempt.trouble;
            break;
        }
        facts.tls.push(TlsFacts {
            version: version.name(),
            spoken: attempt.spoken,
            trouble: attempt.trouble,
            extended_master_secret,
            offer: attempt.offer,
        });
    }
    facts
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Tls12,
    Tls13,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &TLS12,
            Self::Tls13 => &TLS13,
        }
    }
}

struct Visit<'a> {
    domain: &'a str,
    endpoint: &'a Endpoint,
    judge: &'a Judge,
    no_proxy: bool,
    deadline: Instant,
}

/// What one connection showed.
#[derive(Default)]
struct Attempt {
    spoken: bool,
    trouble: Option<Trouble>,
    before_tls: Option<ClearFacts>,
    certificate: Option<CertificateFacts>,
    offer: Option<OfferFacts>,
}

impl Visit<'_> {
    /// Speaks this version, and tells whether there was extended master secret.
    async fn speak(&self, version: Version) -> (Attempt, Option<bool>) {
        let (attempt, error) = self.connect(version, true).await;
        if version == Version::Tls13 {
            return (attempt, None);
        }
        match error {
            Some(Error::Transport(TransportError::LegacyMasterSecret { .. })) => {
                (self.connect(version, false).await.0, Some(false))
            }
            _ => {
                let has_it = attempt.spoken.then_some(true);
                (attempt, has_it)
            }
        }
    }

    async fn connect(&self, version: Version, require_ems: bool) -> (Attempt, Option<Error>) {
        let (tls, seen) = match self.judge.watch(version.supported(), require_ems) {
            Ok(watched) => watched,
            Err(error) => return (Attempt::failed(Stage::Tls, error.to_string()), None),
        };
        let frames = Frames::default();
        let mut left = self.deadline.saturating_duration_since(Instant::now());
        if version == Version::Tls13 && self.has_tls() {
            left /= 2; // the other version comes next
        }
        let builder = match self.builder(left) {
            Ok(builder) => builder.tls(tls).transcript(frames.sink()),
            Err(reason) => return (Attempt::failed(Stage::Connect, reason), None),
        };
        // The library keeps the time itself, and says what took so long.
        match timeout(left + GRACE, builder.explain()).await {
            Ok(Ok(report)) => (self.explained(&report, &seen, &frames), None),
            Ok(Err(error)) => {
                (self.failed(stage_of(&error), &error.to_string(), &seen, &frames), Some(error))
            }
            Err(_) => (self.failed(Stage::Stream, "it took too long", &seen, &frames), None),
        }
    }

    /// An account that nobody has stands for all with a password; the server never hears of it.
    fn builder(&self, limit: Duration) -> Result<Builder, String> {
        let jid = Jid::new(Some("somebody"), self.domain, None).map_err(|it| it.to_string())?;
        let mut builder = Builder::new(jid)
            .secret(Secret::Ask(SecretKind::Password))
            .endpoint(&self.endpoint.to_string())
            .map_err(|error| error.to_string())?
            .reconnect(Reconnect::off())
            .timeout(limit);
        if self.no_proxy {
            builder = builder.proxies(ProxySettings::none());
        }
        Ok(builder)
    }

    fn explained(&self, report: &Report, seen: &Seen, frames: &Frames) -> Attempt {
        let explanation = &report.explanation;
        if !self.has_tls() {
            let what = if self.endpoint.is_bosh() { "BOSH" } else { "a WebSocket" };
            let message = format!("{what} without TLS, for anybody on the way to read");
            return Attempt {
                before_tls: Some(clear(&explanation.features)),
                ..Attempt::failed(Stage::NoTls, message)
            };
        }
        Attempt {
            spoken: true,
            trouble: None,
            before_tls: self.before_tls(frames),
            certificate: seen.certificate(),
            offer: Some(offer(explanation)),
        }
    }

    fn failed(&self, stage: Stage, message: &str, seen: &Seen, frames: &Frames) -> Attempt {
        let spoken = seen.is_signed();
        // Once TLS stands, or where there is none, whatever fails is what is said.
        let is_said = spoken || (stage == Stage::Tls && !self.has_tls());
        let stage = if is_said { Stage::Stream } else { stage };
        Attempt {
            spoken,
            before_tls: self.before_tls(frames),
            certificate: seen.certificate(),
            ..Attempt::failed(stage, message.to_owned())
        }
    }

    /// The features that came first, where they came without TLS.
    fn before_tls(&self, frames: &Frames) -> Option<ClearFacts> {
        let is_clear = !self.endpoint.is_secure();
        frames.first_features().filter(|_| is_clear).map(|features| clear(&features))
    }

    fn has_tls(&self) -> bool {
        self.endpoint.is_secure() || self.endpoint.is_stream()
    }
}

impl Attempt {
    fn failed(stage: Stage, message: String) -> Self {
        Self { trouble: Some(Trouble { stage, message }), ..Self::default() }
    }
}

/// The elements that the server sent.
#[derive(Clone, Default)]
struct Frames(Arc<Mutex<Vec<String>>>);

impl Frames {
    fn sink(&self) -> impl FnMut(Direction, &str) + Send + 'static {
        let frames = Arc::clone(&self.0);
        move |direction, frame| {
            let mut frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
            if direction == Direction::Received && frames.len() < MAX_FRAMES {
                frames.push(frame.to_owned());
            }
        }
    }

    fn first_features(&self) -> Option<Element> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elements = frames.iter().filter_map(|frame| Element::parse(frame).ok());
        elements.into_iter().find(|element| element.is("features", STREAM))
    }
}

fn stage_of(error: &Error) -> Stage {
    match error {
        Error::Transport(
            TransportError::Unresolved { .. }
            | TransportError::Refused { .. }
            | TransportError::Unreachable { .. }
            | TransportError::TimedOut { phase: Phase::Resolve | Phase::Dial | Phase::Proxy, .. }
            | TransportError::ProxySetting(_)
            | TransportError::ProxyLogin { .. }
            | TransportError::ProxyStatus { .. }
            | TransportError::ProxyRefused { .. }
            | TransportError::ProxyGarbled { .. }
            | TransportError::ProxyTooLong { .. }
            | TransportError::ProxyIntruded { .. },
        ) => Stage::Connect,
        Error::Transport(
            TransportError::HttpStatus { .. }
            | TransportError::Redirected { .. }
            | TransportError::NotWebSocket { .. }
            | TransportError::NoSubprotocol { .. }
            | TransportError::WrongSubprotocol { .. }
            | TransportError::NotHttp { .. }
            | TransportError::Bosh(_),
        ) => Stage::Stream,
        Error::Transport(_) => Stage::Tls,
        Error::Connection(proto::Error::PeerMisbehaved(
            PeerFault::StartTlsNotOffered | PeerFault::StartTlsRefused,
        )) => Stage::NoTls,
        _ => Stage::Stream,
    }
}

fn clear(features: &Element) -> ClearFacts {
    let starttls = features.child("starttls", TLS).map(|starttls| {
        if starttls.child("required", TLS).is_some() { "required" } else { "optional" }
    });
    let mechanisms = Features::parse(features.clone()).map(|it| it.mechanisms).unwrap_or_default();
    ClearFacts { starttls, mechanisms, legacy_auth: has_legacy_auth(features) }
}

fn offer(explanation: &Explanation) -> OfferFacts {
    let features = &explanation.features;
    let name = |kind: BindingType| kind.name().to_owned();
    let passed_over = match &explanation.choice {
        Ok(choice) => &*choice.passed_over,
        Err(none) => &none.passed_over,
    };
    OfferFacts {
        mechanisms: explanation.offered.clone(),
        channel_bindings: explanation.offered_bindings.clone(),
        possible_bindings: explanation.bindings.iter().copied().map(name).collect(),
        sasl2: sasl2(features),
        legacy_auth: has_legacy_auth(features),
        choice: explanation.choice.as_ref().ok().map(|choice| ChoiceFacts {
            mechanism: choice.mechanism.to_string(),
            priority: choice.priority,
            binding: choice.binding.map(name),
        }),
        passed_over: passed_over
            .iter()
            .map(|passed| PassedFacts {
                mechanism: passed.mechanism.to_string(),
                offered: passed.offered,
                reason: passed.reason.to_string(),
            })
            .collect(),
    }
}

fn sasl2(features: &Element) -> Option<Vec<String>> {
    let list = features.child("authentication", SASL2)?;
    let names = list.children().filter(|child| child.is("mechanism", SASL2));
    let names = names.map(|name| name.text().trim().chars().take(MAX_NAME).collect());
    Some(names.take(MAX_NAMES).collect())
}

fn has_legacy_auth(features: &Element) -> bool {
    features.child("auth", LEGACY_AUTH).is_some()
}

/// XEP-0388.
const SASL2: &str = "urn:xmpp:sasl:2";
/// XEP-0078.
const LEGACY_AUTH: &str = "http://jabber.org/features/iq-auth";

/// What closing may take.
const GRACE: Duration = Duration::from_secs(5);
/// A visit takes a handful.
const MAX_FRAMES: usize = 16;
const MAX_NAMES: usize = 64;
const MAX_NAME: usize = 64;
