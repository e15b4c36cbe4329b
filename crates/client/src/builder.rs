//! What a client is told before it connects.

mod sasl2;

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use epode_proto::{
    Connection, Jid, JidError, Liveness, LoginReport, Settings, Status, StreamManagement, Timeouts,
    UserAgent,
    bosh::{self, Attachment, RestoreError},
    sasl::{
        Channel, Deferred, MechanismFactory, OwnMechanism, Policy, Registry, Secret, SecretKind,
        scram::ScramKeys,
    },
    xml,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    Direction, Error, Reconnect, Report, Session, StatusEvents, Unbound,
    answers::Answers,
    component::ComponentBuilder,
    discovery::DiscoveryOptions,
    driver::{
        Closer, Driver, Handle, Mark, Parcel, Parts, Reached, ReportSink, TranscriptSink, unix_time,
    },
    handlers::Router,
    mechanism::{AsyncMechanism, GivenUp, Named, Responder},
    pins::{PinStore, Pinning},
    route::{Connector, Destination, Way},
    sessions::{SessionStore, StoredSession},
    tokens::{TokenKeeper, TokenStore},
    transport::{
        ByteStream, Endpoint, EndpointError, ProxySettings, TlsError, TlsOptions, TransportOptions,
    },
};

/// Where a client begins: see [`Client::builder`].
#[derive(Debug)]
pub struct Client;

impl Client {
    /// A client of the account `jid`, as `alice@example.org`; with a resource, as
    /// `alice@example.org/phone`, that resource is asked for. For a guest, the domain alone.
    ///
    /// # Errors
    ///
    /// [`JidError`] if `jid` is no address.
    pub fn builder(jid: &str) -> Result<Builder, JidError> {
        Ok(Builder::new(jid.parse()?))
    }

    /// An external component (XEP-0114) with this domain, as `bridge.example.org`, and the secret
    /// that it shares with its server.
    ///
    /// # Errors
    ///
    /// [`JidError`] if `domain` is no address; of another one than a domain its domain is taken.
    pub fn component(
        domain: &str,
        secret: impl Into<String>,
    ) -> Result<ComponentBuilder, JidError> {
        Ok(ComponentBuilder::new(domain.parse()?, secret))
    }
}

/// What a client is told before it connects. Everything has a safe default but the secret: the
/// server is looked up, and reached over TLS alone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use epode::Client;
///
/// let session = Client::builder("alice@example.org/phone")?
///     .password("secret")
///     .connect()
///     .await?;
/// println!("connected as {}", session.jid());
/// session.disconnect().await?;
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    settings: Settings,
    stream: Option<(Box<dyn ByteStream>, Channel)>,
    endpoint: Option<Endpoint>,
    discovery: DiscoveryOptions,
    transport: TransportOptions,
    tls: TlsOptions,
    registry: Registry,
    answers: Answers,
    pins: Option<Arc<dyn PinStore>>,
    sessions: Option<Arc<dyn SessionStore>>,
    tokens: Option<Arc<dyn TokenStore>>,
    user_agent: UserAgent,
    /// The login is the last by its token.
    logs_out: bool,
    early_data: bool,
    reconnect: Reconnect,
    management: Option<StreamManagement>,
    statuses: Vec<mpsc::Sender<Status>>,
    transcript: Option<TranscriptSink>,
    reports: Option<ReportSink>,
}

impl Builder {
    /// A client of this account or domain.
    #[must_use]
    pub fn new(jid: Jid) -> Self {
        Self::with(Settings::new(jid, Secret::None))
    }

    /// A client with these settings, and else the defaults.
    pub(crate) fn with(settings: Settings) -> Self {
        Self {
            settings,
            stream: None,
            endpoint: None,
            discovery: DiscoveryOptions::new(),
            transport: TransportOptions::new(),
            tls: TlsOptions::new(),
            registry: Registry::default(),
            answers: Answers::default(),
            pins: None,
            sessions: None,
            tokens: None,
            user_agent: UserAgent::default(),
            logs_out: false,
            early_data: false,
            reconnect: Reconnect::default(),
            management: Some(StreamManagement::default()),
            statuses: Vec::new(),
            transcript: None,
            reports: None,
        }
    }

    /// Where the server is, in place of what would be looked up: a TCP stream, `xmpp://host` with
    /// STARTTLS, `xmpps://host` inside TLS from the first byte; a WebSocket, as
    /// `wss://example.org/xmpp-websocket`; or BOSH, as `https://example.org/http-bind`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] says what is wrong with it.
    pub fn endpoint(mut self, url: &str) -> Result<Self, EndpointError> {
        self.endpoint = Some(url.parse()?);
        Ok(self)
    }

    /// How to look the server up where no [`endpoint`](Self::endpoint) is given.
    #[must_use]
    pub fn discovery(mut self, options: DiscoveryOptions) -> Self {
        self.discovery = options;
        self
    }

    /// Connects over a stream of the caller's: a TCP stream of XMPP, unless an
    /// [`endpoint`](Self::endpoint) says that a WebSocket is to be opened on it. `channel` is what
    /// the caller vouches for: say [`Channel::encrypted`] only of what is. Outside TLS, STARTTLS
    /// follows.
    #[must_use]
    pub fn over<S>(mut self, stream: S, channel: Channel) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.stream = Some((Box::new(stream), channel));
        self
    }

    /// Logs in with this password, by SCRAM or PLAIN.
    #[must_use]
    pub fn password(self, password: impl Into<String>) -> Self {
        self.secret(Secret::password(password))
    }

    /// Logs in with this OAuth 2.0 access token, by OAUTHBEARER or X-OAUTH2.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.secret(Secret::token(token))
    }

    /// Logs in with the keys of an earlier SCRAM login ([`Session::scram_keys`]): no password, no
    /// key derivation.
    #[must_use]
    pub fn keys(self, keys: ScramKeys) -> Self {
        self.secret(Secret::Keys(keys))
    }

    /// Logs in with this secret.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.settings = self.settings.secret(secret);
        self
    }

    /// Gets secrets from `source` once they are needed: a prompt, a key ring, a token endpoint.
    /// Without another secret, a password is asked for; with [`keys`](Self::keys) that no longer
    /// fit, a password too. Use [`secret`](Self::secret) with [`Secret::Ask`] to ask for a token.
    ///
    /// ```
    /// use epode::{Client, GivenUp, sasl::{Secret, SecretKind}};
    ///
    /// let client = Client::builder("alice@example.org")?.ask(async |kind| match kind {
    ///     SecretKind::Password => Ok(Secret::password("from a prompt")),
    ///     SecretKind::Token => Err(GivenUp::because("there is no token")),
    /// });
    /// # Ok::<(), epode::JidError>(())
    /// ```
    #[must_use]
    pub fn ask<F, R>(mut self, source: F) -> Self
    where
        F: Fn(SecretKind) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Secret, GivenUp>> + Send + 'static,
    {
        self.answers.secrets = Some(Arc::new(move |kind| Box::pin(source(kind)) as Pin<Box<_>>));
        self.settings = self.settings.someone_to_ask();
        if !self.settings.has_secret() {
            return self.secret(Secret::Ask(SecretKind::Password));
        }
        self
    }

    /// Whose secret it is, where that is not the address's local part. Unless it is the address
    /// itself, the server is asked to let it act as the address.
    #[must_use]
    pub fn authcid(mut self, authcid: impl Into<String>) -> Self {
        self.settings = self.settings.authcid(authcid);
        self
    }

    /// Shows this certificate chain to the server, which makes EXTERNAL possible: it is used unless
    /// a secret makes something stronger possible too, or a policy says otherwise. Both are PEM;
    /// the key is PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is no usable certificate or key in them.
    pub fn client_certificate(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        self.tls = self.tls.with_client_certificate_pem(chain.as_ref(), key.as_ref())?;
        Ok(self)
    }

    /// Trusts the certificates in this PEM text, too.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is none in it.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        self.tls = self.tls.with_ca_pem(pem.as_ref())?;
        Ok(self)
    }

    /// Replaces all that was set for TLS.
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Replaces the proxies that the environment names.
    #[must_use]
    pub fn proxies(mut self, proxies: ProxySettings) -> Self {
        self.transport = self.transport.with_proxies(proxies);
        self
    }

    /// Replaces the transport's options. What was set with [`proxies`](Self::proxies) and
    /// [`timeout`](Self::timeout) is replaced too; what TLS needs is set on the builder.
    #[must_use]
    pub fn transport(mut self, transport: TransportOptions) -> Self {
        self.transport = transport;
        self
    }

    /// What is permitted. Share one among all connections of a program.
    #[must_use]
    pub fn policy(mut self, policy: Arc<Policy>) -> Self {
        self.settings = self.settings.policy(policy);
        self
    }

    /// Remembers in `pins` what the account's logins were like at their strongest, and refuses a
    /// server that offers less the next time, before anything secret is sent. The next time is also
    /// when a session comes back whose connection was lost: `pins` is asked again then.
    #[must_use]
    pub fn pins(mut self, pins: Arc<dyn PinStore>) -> Self {
        self.pins = Some(pins);
        self
    }

    /// Keeps in `sessions` what it takes to go on with the session, so that a process that is
    /// started again misses nothing and says nothing twice. A session that was closed is removed.
    ///
    /// With stream management, [`connect`](Self::connect) goes on with the session by itself. A
    /// stanza counts as received once it was handled: when the next is asked for
    /// ([`Session::receive`]), or when its handler is done. Over BOSH,
    /// [`restore`](Self::restore) goes on with it.
    #[must_use]
    pub fn sessions(mut self, sessions: Arc<dyn SessionStore>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// How the session comes back when its connection is lost; by the defaults of [`Reconnect`]
    /// otherwise. The keys of a login with SCRAM and the password are kept for that, and wiped with
    /// the session. One over a stream of the caller's ([`over`](Self::over)), and one that was taken
    /// over, cannot come back.
    #[must_use]
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.reconnect = policy;
        self
    }

    /// What is wanted of stream management (XEP-0198), where the server offers it: with it nothing
    /// is lost or said twice when a connection is lost. By the defaults of [`StreamManagement`]
    /// otherwise; nothing of it with `None`.
    #[must_use]
    pub fn stream_management(mut self, wanted: Option<StreamManagement>) -> Self {
        self.management = wanted;
        self
    }

    /// How long the server may be silent; by the defaults of [`Liveness`] otherwise.
    #[must_use]
    pub fn liveness(mut self, liveness: Liveness) -> Self {
        self.settings = self.settings.liveness(liveness);
        self
    }

    /// Adds a mechanism of the application's own that takes its time, in place of one of the same
    /// name.
    #[must_use]
    pub fn mechanism(mut self, mechanism: impl AsyncMechanism) -> Self {
        let responder: Arc<dyn Responder> = Arc::new(Named::new(mechanism));
        let own: Arc<dyn OwnMechanism> = Arc::<dyn Responder>::clone(&responder);
        self.registry = self.registry.with(Arc::new(Deferred::new(own)));
        self.answers.responders.retain(|known| known.name() != responder.name());
        self.answers.responders.push(responder);
        self
    }

    /// Adds a mechanism of the application's own that knows its answers at once, in place of one of
    /// the same name.
    #[must_use]
    pub fn mechanism_factory(mut self, factory: Arc<dyn MechanismFactory>) -> Self {
        self.answers.responders.retain(|known| known.name() != factory.name());
        self.registry = self.registry.with(factory);
        self
    }

    /// Goes on over an `xmpp://` connection that the server does not offer to encrypt. For test
    /// networks only; passwords and tokens then need
    /// [`Policy::danger_allow_plaintext`](epode_proto::sasl::Policy::danger_allow_plaintext) too.
    #[must_use]
    pub fn danger_allow_unencrypted_stream(mut self) -> Self {
        self.settings = self.settings.danger_allow_unencrypted_stream();
        self
    }

    /// Gives the whole login this long, from the name lookup to the bound resource. Without it,
    /// each wait for the server has a limit of its own, and a person may take five minutes.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.transport = self.transport.with_timeout(limit);
        let timeouts = Timeouts::default().reply(limit).answer(limit).total(limit);
        self.settings = self.settings.timeouts(timeouts);
        self
    }

    /// How much XML is taken from the server at once.
    #[must_use]
    pub fn limits(mut self, limits: xml::Limits) -> Self {
        self.settings = self.settings.limits(limits);
        self
    }

    /// The language in which the server should word its texts (BCP 47); `en` otherwise.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.settings = self.settings.language(language);
        self
    }

    /// Reports each status as it comes. What is not read is dropped after 32.
    ///
    /// ```
    /// let mut client = epode::Client::builder("alice@example.org")?;
    /// let mut events = client.watch();
    /// let watching = async move {
    ///     while let Some(status) = events.next().await {
    ///         println!("{status}"); // CONNECTING 1 …
    ///     }
    /// };
    /// # Ok::<(), epode::JidError>(())
    /// ```
    pub fn watch(&mut self) -> StatusEvents {
        let (sender, receiver) = mpsc::channel(STATUS_BACKLOG);
        self.statuses.push(sender);
        StatusEvents::new(receiver)
    }

    /// Shows each frame to `sink`, without its secrets ([`epode_proto::redacted`]).
    #[must_use]
    pub fn transcript(mut self, sink: impl FnMut(Direction, &str) + Send + 'static) -> Self {
        self.transcript = Some(Box::new(sink));
        self
    }

    /// Gives a report of each login to `sink`, once it is done or has failed and before the status
    /// says so: what was offered and chosen, what was checked, how long each step took. No secret is
    /// in it.
    ///
    /// ```
    /// let client = epode::Client::builder("alice@example.org")?
    ///     .report(|report| eprintln!("{report}"));
    /// # let _ = client;
    /// # Ok::<(), epode::JidError>(())
    /// ```
    #[must_use]
    pub fn report(mut self, sink: impl FnMut(&LoginReport) + Send + 'static) -> Self {
        self.settings = self.settings.report();
        self.reports = Some(Box::new(sink));
        self
    }

    /// Connects, logs in and binds a resource.
    ///
    /// Must be called within a tokio runtime. To drop the future is to give up.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is no session; the connection is closed by then.
    pub async fn connect(mut self) -> Result<Session, Error> {
        let stored = self.sessions.as_ref().map(|store| store.load()).transpose()?.flatten();
        if let Some(StoredSession::Managed(mut session)) = stored
            && session.check(self.settings.jid()).is_ok()
        {
            session.expire(unix_time());
            self.settings = self.settings.session(session);
        }
        match self.start(None).await? {
            (Reached::Online, running) => Ok(Session::new(running)),
            _ => Err(Error::Ended),
        }
    }

    /// Connects and logs in, and leaves it to the caller when to bind a resource; until then
    /// other elements can be sent and received.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_unbound(mut self) -> Result<Unbound, Error> {
        self.settings = self.settings.explicit_binding(true);
        match self.start(None).await? {
            (Reached::BindRequired(features), running) => Ok(Unbound::new(running, features)),
            _ => Err(Error::Ended),
        }
    }

    /// Takes over a BOSH session that another program has logged in (*prebind*), at the
    /// [`endpoint`](Self::endpoint) where it is. It must be one of this client's account; nothing
    /// secret of the account is needed.
    ///
    /// Reports `ATTACHED` once the server has answered for the session, or `ATTACHFAIL`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use epode::{Attachment, Client};
    ///
    /// let attachment = Attachment::new("alice@example.org/web".parse()?, "8e1f…", 1_573_741_821)?;
    /// let session = Client::builder("alice@example.org")?
    ///     .endpoint("https://example.org/http-bind")?
    ///     .attach(&attachment)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Restore`] if it is another account's or has expired, [`Error::NotBosh`] without an
    /// `https://` or `http://` endpoint; [`Error::Connection`] with
    /// [`epode_proto::Error::Bosh`] if the server does not know it; as [`connect`](Self::connect).
    pub async fn attach(mut self, attachment: &Attachment) -> Result<Session, Error> {
        attachment.check(self.settings.jid(), unix_time())?;
        self.tokens = None; // nobody logs in
        let endpoint = self.endpoint.take().filter(Endpoint::is_bosh).ok_or(Error::NotBosh)?;
        let options = self.bosh_options();
        let session = Box::new(bosh::Session::attach(options, attachment));
        let jid = attachment.jid().clone();
        match self.start(Some(Destination::Session { jid, session, endpoint })).await? {
            (Reached::Online, running) => Ok(Session::new(running)),
            _ => Err(Error::Ended),
        }
    }

    /// Goes on with the session that the store keeps ([`sessions`](Self::sessions)): one of BOSH as
    /// [`attach`](Self::attach) does, any other as [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`Error::Restore`] says why there is nothing to go on with; as [`attach`](Self::attach).
    pub async fn restore(self) -> Result<Session, Error> {
        let stored = self.sessions.as_ref().map(|store| store.load()).transpose()?.flatten();
        let attachment = match stored.ok_or(RestoreError::Nothing)? {
            StoredSession::Bosh(attachment) => attachment,
            StoredSession::Managed(_) => return self.connect().await,
        };
        let store = self.sessions.clone();
        let error = match self.attach(&attachment).await {
            Err(Error::Connection(epode_proto::Error::Bosh(end))) if end.is_of_unknown() => end,
            other => return other,
        };
        tracing::debug!(%error, "the stored session is not there any more");
        store.map_or(Ok(()), |store| store.remove())?;
        Err(RestoreError::Forgotten.into())
    }

    /// Asks the server what it offers, and tells what would be chosen and why. Nothing is logged
    /// in to, and no credentials are sent.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), as far as it gets.
    pub async fn explain(mut self) -> Result<Report, Error> {
        self.settings = self.settings.explain_only();
        self.tokens = None;
        match self.start(None).await? {
            (Reached::Explained(explanation), running) => {
                let route = running.handle.standing().route.clone();
                let _ = running.task.await; // it is closing
                Ok(Report { route, explanation: *explanation })
            }
            _ => Err(Error::Ended),
        }
    }

    #[cfg(test)]
    pub(crate) fn endpoint_url(&self) -> String {
        self.endpoint.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn bosh_options(&self) -> bosh::Options {
        self.transport.bosh().clone().xml_limits(self.settings.xml_limits())
    }

    /// Connects: there, or to where the builder was told to.
    async fn start(self, there: Option<Destination>) -> Result<(Reached, Running), Error> {
        // Whoever waits for a login should not hold room for what it was made of.
        let (running, reached) = self.launch(there)?;
        match reached.await {
            Ok(Ok(reached)) => Ok((reached, running)),
            Ok(Err(error)) => {
                // The transport may still be closing; it is over for the caller when it is done.
                let _ = running.task.await;
                Err(error)
            }
            Err(_) => Err(running.handle.ended()),
        }
    }

    /// Gives the session's task what it needs, and tells where it is heard how far that came.
    fn launch(
        self,
        there: Option<Destination>,
    ) -> Result<(Running, oneshot::Receiver<Result<Reached, Error>>), Error> {
        let (this, tokens) = self.with_tokens()?;
        this.run(there, tokens)
    }

    fn run(
        self,
        there: Option<Destination>,
        tokens: Option<TokenKeeper>,
    ) -> Result<(Running, oneshot::Receiver<Result<Reached, Error>>), Error> {
        let bosh = self.bosh_options();
        let (command_sender, commands) = mpsc::channel(COMMAND_BACKLOG);
        let (closer, close) = Closer::new();
        let end = Arc::new(OnceLock::new());
        let (inbox, inbox_receiver) = mpsc::channel(INBOX_BACKLOG);
        let (milestone, reached) = oneshot::channel();
        let (router, handlers) = Router::new(HANDLER_LIMIT);
        let standing = Arc::default();
        let destination = match (there, self.stream, self.endpoint) {
            (Some(there), ..) => there,
            (None, Some((stream, channel)), endpoint) => {
                Destination::Stream { stream, channel, endpoint }
            }
            (None, None, Some(endpoint)) => Destination::Way(Way::Endpoint(endpoint)),
            (None, None, None) => Destination::Way(Way::Domain(self.discovery)),
        };
        let connector = Connector {
            domain: self.settings.jid().domain().to_owned(),
            transport: self.transport.with_tls(self.tls).with_bosh(bosh),
            early: false,
        };
        let pinning = self.pins.map(|store| Pinning::new(store, self.settings.jid()));
        let pin = pinning.as_ref().map_or(Ok(None), Pinning::load)?;
        let keeps = self.sessions.is_some();
        let management = self.management.map(|it| if keeps { it.when_handled() } else { it });
        let mut settings = self
            .settings
            .registry(Arc::new(self.registry))
            .stream_management(management)
            .unix_zero(unix_time());
        if self.reconnect != Reconnect::off() && matches!(destination, Destination::Way(_)) {
            settings = settings.renewable();
        }
        if let Some(pin) = pin {
            settings = settings.pin(pin);
        }
        let driver = Driver::new(Parts {
            connection: Connection::new(settings),
            answers: self.answers,
            commands,
            close,
            end: Arc::clone(&end),
            inbox,
            router,
            statuses: self.statuses,
            transcript: self.transcript,
            reports: self.reports,
            connector,
            reconnect: self.reconnect,
            pinning,
            tokens,
            standing: Arc::clone(&standing),
            sessions: self.sessions,
            milestone,
        });
        let task = tokio::spawn(driver.run(destination));
        let handle =
            Handle { commands: command_sender, close: Arc::new(closer), end, standing, handlers };
        let running = Running { handle, inbox: inbox_receiver, task, reading: None };
        Ok((running, reached))
    }
}

/// The ends of a running driver that its session holds.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) inbox: mpsc::Receiver<Parcel>,
    pub(crate) task: JoinHandle<()>,
    /// Of the stanza that the application has now.
    pub(crate) reading: Option<Mark>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

const STATUS_BACKLOG: usize = 32;
const COMMAND_BACKLOG: usize = 64;
const INBOX_BACKLOG: usize = 256;
const HANDLER_LIMIT: usize = 100_000;
