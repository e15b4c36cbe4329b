//! The server: what it was told, and what all its sessions share.
//!
//! Leaves out sockets: [`Server::listen`] is in `listen`, [`Server::memory_link`] in `link`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use epode_proto::Jid;
use epode_proto::xml::{self, Element};

use crate::accounts::Accounts;
use crate::bosh::BoshFault;
use crate::builder::ServerBuilder;
use crate::components::Components;
use crate::fast::Tokens;
use crate::hub::{Hub, ResourceConflict};
use crate::offer::{BindingList, Offer};
use crate::resumption::Resumption;
use crate::sasl::hash::Hash;
use crate::sasl::hashed_token::HashedToken;
use crate::sasl::{NEED_ENCRYPTION, SaslOptions};
use crate::session::component::ComponentSession;
use crate::session::machine::Machine;
use crate::session::sasl2::{self, Sasl2Options, Terms};
use crate::session::tcp::TcpSession;
use crate::session::{Rosters, Session, SessionChannel};
use crate::transport::{BoshSessions, EarlyData, WebFiles};

/// A small XMPP server for one domain. Clones are the same server.
///
/// ```
/// use epode_testpeer::{Server, SessionChannel};
///
/// let server = Server::builder("localhost")
///     .account("alice", "secret")
///     .token("alice", "a-token")
///     .mechanisms(["SCRAM-SHA-256", "OAUTHBEARER"])
///     .build();
/// let mut session = server.session(SessionChannel::encrypted());
/// let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
/// assert!(session.receive(open)[1].contains("OAUTHBEARER"));
/// ```
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    hub: Arc<Hub>,
    bosh_sessions: Arc<BoshSessions>,
    resumption: Resumption,
    tokens: Tokens,
    rosters: Rosters,
    components: Components,
    sessions: AtomicUsize,
}

/// Everything that the builder was told.
pub(crate) struct Config {
    pub(crate) accounts: Accounts,
    pub(crate) starttls: StartTls,
    pub(crate) mechanisms: Vec<String>,
    /// In place of all others, since they were changed.
    pub(crate) changed_mechanisms: Mutex<Option<Vec<String>>>,
    /// In place of those, where the channel is not encrypted.
    pub(crate) plaintext_mechanisms: Option<Vec<String>>,
    pub(crate) too_weak: Vec<String>,
    pub(crate) encryption_required: bool,
    pub(crate) binding_list: BindingList,
    /// The types of channel binding of which the server has other data than the client.
    pub(crate) mismatched_bindings: Vec<String>,
    pub(crate) sasl: SaslOptions,
    pub(crate) sasl2: Sasl2Options,
    pub(crate) legacy_session: LegacySession,
    pub(crate) stream_management: bool,
    /// How long a session outlives its connection at the most.
    pub(crate) resumption: Duration,
    /// Where sessions are to be resumed.
    pub(crate) resumption_location: Option<String>,
    pub(crate) features: Vec<Element>,
    /// Requests outside of stanzas that have a fixed answer: name, namespace, answer.
    pub(crate) answers: Vec<(String, String, Element)>,
    pub(crate) conflict: ResourceConflict,
    /// How BOSH misbehaves, and from which request on.
    pub(crate) bosh_fault: Option<(BoshFault, u64)>,
    /// What browsers get.
    pub(crate) web_files: WebFiles,
    pub(crate) limits: Limits,
    pub(crate) early_data: EarlyData,
}

/// What the server does about STARTTLS (RFC 6120, section 5) where it listens with TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartTls {
    /// It is advertised, and a client may log in without it.
    #[default]
    Optional,
    /// It is advertised as required, with nothing beside it, and nobody logs in without it.
    Required,
    /// It is not advertised, and refused: so it looks to a client when somebody on the way takes
    /// it out.
    Absent,
    /// It is advertised, and refused.
    Refused,
    /// It is advertised, and this text follows `<proceed/>` before the handshake: so it looks when
    /// somebody on the way puts it there.
    Injecting(String),
}

/// Whether the server has the session request of RFC 3921, section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LegacySession {
    /// It is not advertised, and not understood.
    #[default]
    Absent,
    /// It is advertised with `<optional/>`, and does nothing.
    Optional,
    /// It is advertised without `<optional/>`, and no stanza is taken before it.
    Required,
}

/// How much a server takes from its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of one frame or stanza. Default 256 KiB. A request of BOSH may have twice as many.
    pub stanza: usize,
    /// The sessions at one time. Default 1024.
    pub sessions: usize,
    /// The stanzas that wait for a session that does not read. Default 256.
    pub mailbox: usize,
    /// The stanzas that a session has yet to acknowledge (XEP-0198), with those that are collected
    /// while it has no connection; one more ends it. Default 1024.
    pub unacknowledged: usize,
    /// The items of one roster. Default 1024.
    pub roster: usize,
    /// The failed logins in one stream; the last of them ends it. Default 3.
    pub attempts: u32,
    /// The time for the handshakes of TLS and WebSocket, and for the body of a request of BOSH.
    /// Default 10 seconds.
    pub handshake: Duration,
    /// The time until an address must be bound. Default 60 seconds.
    pub login: Duration,
    /// The time for writing one answer, and for the last words of a connection. Default 10
    /// seconds.
    pub write: Duration,
}

/// A place among the sessions that a server may have, given up when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Inner>);

impl Server {
    /// Begins a server for this domain.
    ///
    /// # Panics
    ///
    /// If the domain is not the domain of an XMPP address.
    pub fn builder(domain: &str) -> ServerBuilder {
        ServerBuilder::new(domain)
    }

    /// The domain that the server answers for.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.config().accounts.domain()
    }

    /// Offers these mechanisms from the next stream on, by both profiles and on every channel, as when
    /// somebody changes the configuration of a server that runs. What is given stays as it is.
    ///
    /// ```
    /// # use epode_testpeer::{Server, SessionChannel};
    /// let server = Server::builder("localhost").account("alice", "secret").build();
    /// server.change_mechanisms(["PLAIN"]);
    /// # let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
    /// # let features = &server.session(SessionChannel::encrypted()).receive(open)[1];
    /// # assert!(features.contains("PLAIN") && !features.contains("SCRAM-"));
    /// ```
    pub fn change_mechanisms<I>(&self, names: I)
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let names = names.into_iter().map(Into::into).collect();
        *self.config().lock_mechanisms() = Some(names);
    }

    /// The resources of an account that are bound now, those of sessions that wait to be resumed
    /// included: whether somebody has got in.
    #[must_use]
    pub fn resources(&self, user: &str) -> Vec<String> {
        self.hub().resources(user)
    }

    /// Begins the conversation with a client whose frames somebody else carries.
    ///
    /// When the server has all the sessions that it may have, the conversation ends with
    /// `resource-constraint` as soon as it begins.
    #[must_use]
    pub fn session(&self, channel: SessionChannel) -> Session {
        Session::new(self.machine(channel), self.xml_limits())
    }

    pub(crate) fn tcp_session(&self, channel: SessionChannel) -> TcpSession {
        TcpSession::new(self.machine(channel), self.xml_limits())
    }

    pub(crate) fn component_session(&self) -> ComponentSession {
        ComponentSession::new(self, self.xml_limits())
    }

    pub(crate) fn new(config: Config, components: Components) -> Self {
        let (hub, bosh_sessions, resumption, tokens, rosters, sessions) = Default::default();
        let shared =
            Inner { config, hub, bosh_sessions, resumption, tokens, rosters, components, sessions };
        Self(Arc::new(shared))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    pub(crate) fn bosh_sessions(&self) -> &Arc<BoshSessions> {
        &self.0.bosh_sessions
    }

    pub(crate) fn resumption(&self) -> &Resumption {
        &self.0.resumption
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn components(&self) -> &Components {
        &self.0.components
    }

    pub(crate) fn rosters(&self) -> &Rosters {
        &self.0.rosters
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config().limits
    }

    pub(crate) fn machine(&self, channel: SessionChannel) -> Machine {
        Machine::new(self.clone(), channel, self.slot())
    }

    fn slot(&self) -> Option<Slot> {
        let limit = self.limits().sessions;
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        let took = self.0.sessions.try_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        took.is_ok().then(|| Slot(Arc::clone(&self.0)))
    }

    fn xml_limits(&self) -> xml::Limits {
        xml::Limits::default().with_stanza(self.limits().stanza)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Config {
    /// What is offered on this channel.
    pub(crate) fn offer(&self, channel: &SessionChannel) -> Offer {
        self.offer_of(&self.mechanisms_on(channel), channel)
    }

    /// What SASL2 offers on this channel in a stream from this address, if it does.
    pub(crate) fn sasl2_terms(
        &self,
        channel: &SessionChannel,
        from: Option<&str>,
    ) -> Option<Terms> {
        let is_safe = channel.is_encrypted() || self.sasl2.unencrypted;
        // A feature of the server owner's making stands in its place.
        let is_replaced = self.features.iter().any(|it| it.is("authentication", sasl2::NAMESPACE));
        if !self.sasl2.enabled || !is_safe || is_replaced || self.requires_starttls(channel) {
            return None;
        }
        let mut offer = self.offer_of(&self.sasl2_mechanisms_on(channel), channel);
        let from = from.and_then(|from| from.parse::<Jid>().ok());
        let from = from.and_then(|from| Accounts::canonical(from.local()?));
        let lacks =
            |hash: Hash| from.as_deref().is_some_and(|user| self.accounts.lacks(user, hash));
        let is_offered = |hash: &Hash| offer.mechanisms().iter().any(|it| it == hash.mechanism());
        let upgrades = [Hash::Sha512, Hash::Sha256].into_iter().filter(is_offered);
        let upgrades = upgrades.filter(|hash| lacks(*hash)).collect();
        offer.retain(|name| !Hash::of_mechanism(name).is_some_and(lacks));
        (!offer.mechanisms().is_empty())
            .then(|| Terms::new(offer, self.fast_offer(channel), from, upgrades))
    }

    /// The mechanisms for tokens on this channel, and what they can be bound to.
    fn fast_offer(&self, channel: &SessionChannel) -> Option<Offer> {
        let fits = |name: &&String| {
            let kind = HashedToken::named(name).and_then(HashedToken::binding);
            kind.is_none_or(|kind| channel.bindings().iter().any(|it| it.kind() == kind))
        };
        let mechanisms: Vec<_> = self.sasl2.fast.mechanisms.iter().filter(fits).cloned().collect();
        if mechanisms.is_empty() {
            return None;
        }
        let mut offer = Offer::new(mechanisms, &BindingList::Absent, channel);
        offer.mismatch(&self.mismatched_bindings);
        Some(offer)
    }

    fn offer_of(&self, mechanisms: &[String], channel: &SessionChannel) -> Offer {
        let fits = |name: &&String| {
            let has_certificate = !channel.certificate().is_empty();
            let has_binding = !channel.bindings().is_empty();
            (*name != "EXTERNAL" || has_certificate)
                && (!Hash::is_plus(name) || has_binding)
                && !self.needs_encryption(name, channel)
        };
        let mechanisms = mechanisms.iter().filter(fits).cloned().collect();
        let mut offer = Offer::new(mechanisms, &self.binding_list, channel);
        offer.mismatch(&self.mismatched_bindings);
        offer
    }

    /// Whether the mechanism is kept back because the channel is not encrypted.
    pub(crate) fn needs_encryption(&self, mechanism: &str, channel: &SessionChannel) -> bool {
        let shows_secret = self.encryption_required && NEED_ENCRYPTION.contains(&mechanism);
        !channel.is_encrypted()
            && (shows_secret || self.requires_starttls(channel))
            && self.mechanisms.iter().any(|name| name == mechanism)
    }

    /// Whether nothing but STARTTLS is taken on this channel.
    pub(crate) fn requires_starttls(&self, channel: &SessionChannel) -> bool {
        channel.can_secure() && self.starttls == StartTls::Required
    }

    /// Whether stream management is offered on this channel.
    pub(crate) fn manages_streams(&self, channel: &SessionChannel) -> bool {
        self.stream_management && !channel.is_bosh()
    }

    /// What goes out after `<proceed/>` and should not.
    pub(crate) fn injected(&self) -> &str {
        match &self.starttls {
            StartTls::Injecting(text) => text,
            _ => "",
        }
    }

    /// How BOSH misbehaves at this request, and how many requests it has done so with, this one
    /// included.
    pub(crate) fn bosh_fault(&self, request: u64) -> Option<(&BoshFault, u64)> {
        let (fault, first) = self.bosh_fault.as_ref().filter(|(_, first)| *first <= request)?;
        Some((fault, request - first + 1))
    }

    fn mechanisms_on(&self, channel: &SessionChannel) -> Vec<String> {
        if let Some(changed) = &*self.lock_mechanisms() {
            return changed.clone();
        }
        match &self.plaintext_mechanisms {
            Some(mechanisms) if !channel.is_encrypted() => mechanisms.clone(),
            _ => self.mechanisms.clone(),
        }
    }

    /// The mechanisms of SASL2, before it is known who logs in.
    fn sasl2_mechanisms_on(&self, channel: &SessionChannel) -> Vec<String> {
        let has_changed = self.lock_mechanisms().is_some();
        let own = self.sasl2.mechanisms.clone().filter(|_| !has_changed);
        own.unwrap_or_else(|| self.mechanisms_on(channel))
    }

    fn lock_mechanisms(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        // It is replaced as a whole.
        self.changed_mechanisms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fixed answer to a stream element, if there is one.
    pub(crate) fn answer_to(&self, request: &Element) -> Option<&Element> {
        let mut answers = self.answers.iter();
        answers.find(|(name, namespace, _)| request.is(name, namespace)).map(|(_, _, it)| it)
    }
}

impl std::fmt::Debug for Config {
    /// Without the accounts, which hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("domain", &self.accounts.domain())
            .field("mechanisms", &self.mechanisms)
            .finish_non_exhaustive()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza: 256 * 1024,
            sessions: 1024,
            mailbox: 256,
            unacknowledged: 1024,
            roster: 1024,
            attempts: 3,
            handshake: Duration::from_secs(10),
            login: Duration::from_secs(60),
            write: Duration::from_secs(10),
        }
    }
}
