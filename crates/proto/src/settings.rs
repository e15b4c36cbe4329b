//! What one connection is told before it begins.

use std::{sync::Arc, time::Duration};

use epode_sasl::{Credentials, Pin, Policy, Registry, Secret, Selection, Weaker, scram::ScramKeys};

use crate::{Fast, Jid, Liveness, ServerMemory, SessionState, StreamManagement, UserAgent, xml};

/// What one connection is told before it begins: who logs in, by what, and within which bounds.
///
/// ```
/// use epode_proto::{Settings, sasl::Secret};
///
/// let settings = Settings::new("alice@example.org/balcony".parse()?, Secret::password("secret"));
/// assert_eq!(settings.credentials().authcid(), Some("alice"));
/// # Ok::<(), epode_proto::JidError>(())
/// ```
#[derive(Debug)]
pub struct Settings {
    jid: Jid,
    /// The resource of the JID is the application's choice, not that of an earlier session.
    wants_resource: bool,
    secret: Secret,
    /// Keys of the password, from the last login, where both are needed again.
    keys: Option<ScramKeys>,
    authcid: Option<String>,
    someone_to_ask: bool,
    pub(crate) pin: Option<Pin>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) explicit_binding: bool,
    pub(crate) explain_only: bool,
    pub(crate) wants_report: bool,
    pub(crate) unencrypted_allowed: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: xml::Limits,
    pub(crate) language: String,
    pub(crate) stream_management: Option<StreamManagement>,
    pub(crate) liveness: Liveness,
    pub(crate) session: Option<Box<SessionState>>,
    pub(crate) unix_zero: u64,
    pub(crate) renewable: bool,
    pub(crate) is_component: bool,
    pub(crate) sasl_profile: SaslProfile,
    pub(crate) user_agent: UserAgent,
    pub(crate) bind_tag: Option<String>,
    pub(crate) carbons: bool,
    pub(crate) fast: Fast,
    pub(crate) memory: Option<ServerMemory>,
    pub(crate) answers_tasks: bool,
    pub(crate) upgrades: bool,
}

impl Settings {
    /// The account, or the bare domain for a guest, with the resource to ask for if it has one;
    /// and the secret.
    #[must_use]
    pub fn new(jid: Jid, secret: Secret) -> Self {
        Self {
            wants_resource: jid.resource().is_some(),
            jid,
            secret,
            keys: None,
            authcid: None,
            someone_to_ask: false,
            pin: None,
            policy: Arc::default(),
            registry: Arc::default(),
            explicit_binding: false,
            explain_only: false,
            wants_report: false,
            unencrypted_allowed: false,
            timeouts: Timeouts::default(),
            limits: xml::Limits::default(),
            language: "en".to_owned(),
            stream_management: Some(StreamManagement::default()),
            liveness: Liveness::default(),
            session: None,
            unix_zero: 0,
            renewable: false,
            is_component: false,
            sasl_profile: SaslProfile::default(),
            user_agent: UserAgent::default(),
            bind_tag: None,
            carbons: false,
            fast: Fast::default(),
            memory: None,
            answers_tasks: false,
            upgrades: false,
        }
    }

    /// An external component (XEP-0114), by its domain, and the secret that it shares with its
    /// server. It speaks over a TCP stream ([`Input::OpenedTcp`](crate::Input::OpenedTcp)); what is
    /// about SASL, binding and stream management does not concern it.
    ///
    /// ```
    /// use epode_proto::{Connection, Settings};
    ///
    /// let settings = Settings::component("bridge.example.org".parse()?, "secret");
    /// assert!(!format!("{settings:?}").contains("secret\""));
    /// let connection = Connection::new(settings);
    /// # Ok::<(), epode_proto::JidError>(())
    /// ```
    #[must_use]
    pub fn component(domain: Jid, secret: impl Into<String>) -> Self {
        let domain = Jid::new(None, domain.domain(), None);
        let domain = domain.expect("the domain of an address is an address");
        let settings = Self::new(domain, Secret::password(secret));
        Self { is_component: true, stream_management: None, ..settings }
    }

    /// Whose secret it is, where that is not the JID's local part. The login then asks to act as
    /// the JID, unless this is the JID or its local part.
    #[must_use]
    pub fn authcid(mut self, authcid: impl Into<String>) -> Self {
        self.authcid = Some(authcid.into());
        self
    }

    /// Replaces the secret.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = secret;
        self
    }

    /// Whether there is a secret, or one to ask for.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        !matches!(self.secret, Secret::None)
    }

    /// Says that the driver can ask somebody for a secret while the login waits.
    #[must_use]
    pub fn someone_to_ask(mut self) -> Self {
        self.someone_to_ask = true;
        self
    }

    /// What earlier logins of this account had ([`Connected::pin`](crate::Connected::pin)). If
    /// the server's offer would make this one weaker, it ends with
    /// [`Error::Weaker`](crate::Error::Weaker), before anything of it is sent.
    #[must_use]
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// What is permitted; [`Policy::default`] otherwise.
    #[must_use]
    pub fn policy(mut self, policy: Arc<Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// The mechanisms that are known; the nine of [`Registry::default`] otherwise.
    #[must_use]
    pub fn registry(mut self, registry: Arc<Registry>) -> Self {
        self.registry = registry;
        self
    }

    /// Stops before binding a resource and reports
    /// [`Status::BindRequired`](crate::Status::BindRequired).
    #[must_use]
    pub fn explicit_binding(mut self, explicit: bool) -> Self {
        self.explicit_binding = explicit;
        self
    }

    /// Does not log in: tells what would be chosen ([`Action::Explain`](crate::Action::Explain)),
    /// and closes. No credentials are sent.
    #[must_use]
    pub fn explain_only(mut self) -> Self {
        self.explain_only = true;
        self
    }

    /// Tells in the end what was offered, chosen, checked and found of the login
    /// ([`Action::Reported`](crate::Action::Reported)).
    #[must_use]
    pub fn report(mut self) -> Self {
        self.wants_report = true;
        self
    }

    /// Goes on over a TCP stream that the server does not offer to encrypt, and as a component over
    /// one that is neither encrypted nor within this machine. For test networks only: whoever is on the way reads and changes everything, and can take the offer away.
    #[must_use]
    pub fn danger_allow_unencrypted_stream(mut self) -> Self {
        self.unencrypted_allowed = true;
        self
    }

    /// How long each wait may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How much XML is taken from the server at once.
    #[must_use]
    pub fn limits(mut self, limits: xml::Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The language in which the server should word its texts (BCP 47); `en` otherwise.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = language.into();
        self
    }

    /// What is wanted of stream management (XEP-0198), where the server offers it; the defaults of
    /// [`StreamManagement`] otherwise, and nothing of it with `None`.
    #[must_use]
    pub fn stream_management(mut self, wanted: Option<StreamManagement>) -> Self {
        self.stream_management = wanted;
        self
    }

    /// How long a session may be quiet; the defaults of [`Liveness`] otherwise.
    #[must_use]
    pub fn liveness(mut self, liveness: Liveness) -> Self {
        self.liveness = liveness;
        self
    }

    /// Goes on with the session of an earlier connection: by resuming it if the server knows it
    /// still, and else by sending in a new one what was not acknowledged. Its address is asked for
    /// again.
    #[must_use]
    pub fn session(mut self, session: SessionState) -> Self {
        if let Some(jid) = session.jid() {
            self.ask_for(jid);
        }
        self.session = Some(Box::new(session));
        self
    }

    /// Keeps what it takes to log in again ([`Connection::renew`](crate::Connection::renew)): the
    /// secret, and the keys of a login with SCRAM. With keys only SCRAM is used, and nothing is derived
    /// while they fit; a password that was given is for the case that the server has salted anew.
    /// All of it is wiped on drop.
    #[must_use]
    pub fn renewable(mut self) -> Self {
        self.renewable = true;
        self
    }

    /// The driver's zero of time in seconds since 1970. With it, messages that are sent late say
    /// when they were written (XEP-0203), and it is known when a session expires.
    #[must_use]
    pub fn unix_zero(mut self, seconds: u64) -> Self {
        self.unix_zero = seconds;
        self
    }

    /// Which profile of SASL may be used; [`SaslProfile::Either`] otherwise.
    #[must_use]
    pub fn sasl_profile(mut self, profile: SaslProfile) -> Self {
        self.sasl_profile = profile;
        self
    }

    /// What the server learns of this program and the device that it runs on (XEP-0388, section
    /// 2.3); nothing otherwise. It tells nobody else.
    #[must_use]
    pub fn user_agent(mut self, user_agent: UserAgent) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// With what the resource should begin that the server makes up (XEP-0386, section 3.2.1), such
    /// as the program's name: everybody who sees the address sees it. Whoever asks for a resource
    /// in the JID gets that one, by a request of its own.
    #[must_use]
    pub fn bind_tag(mut self, tag: impl Into<String>) -> Self {
        self.bind_tag = Some(tag.into());
        self
    }

    /// Asks within the login for copies of what other clients of the account send and receive
    /// (XEP-0280), where the server offers that
    /// ([`Connected::carbons`](crate::Connected::carbons)).
    #[must_use]
    pub fn carbons(mut self, carbons: bool) -> Self {
        self.carbons = carbons;
        self
    }

    /// What is wanted of tokens for quick logins (XEP-0484); nothing otherwise.
    #[must_use]
    pub fn fast(mut self, fast: Fast) -> Self {
        self.fast = fast;
        self
    }

    /// What an earlier connection learnt of this server
    /// ([`Action::Remember`](crate::Action::Remember)): the login then begins along with the stream,
    /// without waiting for the server's offer, over an encrypted connection and by a mechanism that
    /// shows nobody the secret. If the server has changed, it ends with
    /// [`Error::ServerChanged`](crate::Error::ServerChanged), or begins anew (XEP-0509).
    #[must_use]
    pub fn memory(mut self, memory: ServerMemory) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Says that somebody answers what tasks ask ([`Action::AskTask`](crate::Action::AskTask)): a
    /// second factor, a new password. Otherwise a server that demands any ends the login.
    #[must_use]
    pub fn answers_tasks(mut self) -> Self {
        self.answers_tasks = true;
        self
    }

    /// Gives the server keys of the password by a better hash, where it asks for them and the login
    /// is bound to the channel (XEP-0480). They are as good as the password for whoever has the
    /// server's store.
    #[must_use]
    pub fn upgrades(mut self, upgrades: bool) -> Self {
        self.upgrades = upgrades;
        self
    }

    /// How much XML is taken from the server at once.
    #[must_use]
    pub fn xml_limits(&self) -> xml::Limits {
        self.limits
    }

    /// The account or domain.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// What the SASL layer makes of account, authcid and secret. Takes the secret out, unless it
    /// will be needed again.
    pub(crate) fn take_credentials(&mut self) -> Credentials {
        let secret =
            if self.renewable { self.secret.duplicate() } else { std::mem::take(&mut self.secret) };
        match (&self.keys, secret) {
            (Some(keys), Secret::Password(password)) => {
                self.describe(Secret::Keys(keys.clone())).with_password_of_keys(password)
            }
            (_, secret) => self.describe(secret),
        }
    }

    /// What the next login begins with in place of the secret.
    pub(crate) fn keep_keys(&mut self, keys: &ScramKeys) {
        match self.secret {
            _ if !self.renewable => {}
            Secret::Password(_) => self.keys = Some(keys.clone()),
            _ => self.secret = Secret::Keys(keys.clone()),
        }
    }

    /// A component does not log in.
    pub(crate) fn makes_report(&self) -> bool {
        self.wants_report && !self.is_component
    }

    /// Whether a resource may be bound within the login: not where the application chose one, nor
    /// where it is to say when.
    pub(crate) fn binds_within_login(&self) -> bool {
        !self.wants_resource && !self.explicit_binding
    }

    /// The resource that was bound is asked for again.
    pub(crate) fn ask_for(&mut self, bound: &Jid) {
        if let Some(resource) = bound.resource()
            && let Ok(jid) = self.jid.with_resource(resource)
        {
            self.jid = jid;
        }
    }

    /// The credentials without their secret: for showing what would be tried.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.describe(Secret::None)
    }

    /// Refuses a choice that is weaker than the pin.
    pub(crate) fn check_pin(&self, choice: &Selection, who: &Credentials) -> Result<(), Weaker> {
        let pin = self.pin.as_ref();
        pin.map_or(Ok(()), |pin| pin.check(choice, &self.policy, &self.registry, who))
    }

    pub(crate) fn describe(&self, secret: Secret) -> Credentials {
        let bare = self.jid.bare().to_string();
        let local = self.jid.local();
        let authcid = self.authcid.as_deref().or(local);
        let is_own = authcid.is_none() || authcid == local || authcid == Some(bare.as_str());
        let mut credentials = match authcid {
            Some(authcid) => Credentials::new(authcid, secret),
            None => Credentials::guest(secret),
        };
        if !is_own && local.is_some() {
            credentials = credentials.with_authzid(&bare);
        }
        if local.is_some() {
            credentials = credentials.with_account(bare);
        }
        if self.someone_to_ask { credentials.with_someone_to_ask() } else { credentials }
    }
}

/// Which profile of SASL may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SaslProfile {
    /// SASL2 (XEP-0388) where the server offers it over a connection that nobody else hears, and
    /// the login is no weaker by it; else that of RFC 6120.
    #[default]
    Either,
    /// That of RFC 6120 alone.
    Sasl1,
    /// SASL2 alone, and no login where the server does not offer it.
    Sasl2,
}

/// How long each wait of the negotiation may take.
///
/// ```
/// use epode_proto::Timeouts;
/// use std::time::Duration;
///
/// let hasty = Timeouts::default().answer(Duration::from_secs(20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) reply: Duration,
    pub(crate) answer: Duration,
    pub(crate) close: Duration,
    pub(crate) total: Option<Duration>,
}

impl Timeouts {
    /// For each thing that the server is to send during negotiation, and for its word on whether it
    /// counts stanzas after that; 20 seconds by default.
    #[must_use]
    pub fn reply(mut self, limit: Duration) -> Self {
        self.reply = limit;
        self
    }

    /// For each question to the application, and for its call to bind; 5 minutes by default,
    /// since a person may have to be asked.
    #[must_use]
    pub fn answer(mut self, limit: Duration) -> Self {
        self.answer = limit;
        self
    }

    /// For all of it together, until the resource is bound, counted from the driver's zero of time;
    /// unlimited by default.
    #[must_use]
    pub fn total(mut self, limit: Duration) -> Self {
        self.total = Some(limit);
        self
    }

    /// For the server to close its side after we closed ours; 2 seconds by default.
    #[must_use]
    pub fn close(mut self, limit: Duration) -> Self {
        self.close = limit;
        self
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            reply: Duration::from_secs(20),
            answer: Duration::from_secs(300),
            close: Duration::from_secs(2),
            total: None,
        }
    }
}
