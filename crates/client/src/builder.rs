//! What a client is told before it connects.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use epode_proto::{
    Connection, Explanation, Jid, JidError, Settings, Status, Timeouts,
    sasl::{Channel, MechanismFactory, Policy, Registry, Secret, SecretKind, scram::ScramKeys},
    xml,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    Direction, Error, Session, StatusEvents, Unbound,
    answers::Answers,
    driver::{Delivery, Dial, Driver, Handle, Parts, Reached, TranscriptSink},
    mechanism::{AsyncMechanism, Deferred, GivenUp, Responder},
    transport::{
        Endpoint, EndpointError, Link, ProxySettings, TlsError, TlsOptions, TransportOptions,
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
}

/// What a client is told before it connects. Everything has a safe default but the endpoint and
/// the secret.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use epode::Client;
///
/// let session = Client::builder("alice@example.org/phone")?
///     .endpoint("wss://example.org/xmpp-websocket")?
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
    endpoint: Option<Endpoint>,
    transport: TransportOptions,
    tls: TlsOptions,
    registry: Registry,
    answers: Answers,
    statuses: Vec<mpsc::Sender<Status>>,
    transcript: Option<TranscriptSink>,
}

impl Builder {
    /// A client of this account or domain.
    #[must_use]
    pub fn new(jid: Jid) -> Self {
        Self {
            settings: Settings::new(jid, Secret::None),
            endpoint: None,
            transport: TransportOptions::new(),
            tls: TlsOptions::new(),
            registry: Registry::default(),
            answers: Answers::default(),
            statuses: Vec::new(),
            transcript: None,
        }
    }

    /// Where the server is: `wss://` or `ws://`, with path, as
    /// `wss://example.org/xmpp-websocket`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] says what is wrong with it.
    pub fn endpoint(mut self, url: &str) -> Result<Self, EndpointError> {
        self.endpoint = Some(url.parse()?);
        Ok(self)
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

    /// Adds a mechanism of the application's own that takes its time, in place of one of the same
    /// name.
    #[must_use]
    pub fn mechanism(mut self, mechanism: impl AsyncMechanism) -> Self {
        let responder: Arc<dyn Responder> = Arc::new(mechanism);
        self.registry = self.registry.with(Arc::new(Deferred::new(Arc::clone(&responder))));
        self.answers.responders.retain(|known| known.mechanism() != responder.mechanism());
        self.answers.responders.push(responder);
        self
    }

    /// Adds a mechanism of the application's own that knows its answers at once, in place of one of
    /// the same name.
    #[must_use]
    pub fn mechanism_factory(mut self, factory: Arc<dyn MechanismFactory>) -> Self {
        self.answers.responders.retain(|known| known.mechanism() != *factory.name());
        self.registry = self.registry.with(factory);
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

    /// Connects, logs in and binds a resource.
    ///
    /// Must be called within a tokio runtime. To drop the future is to give up.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is no session; the connection is closed by then.
    pub async fn connect(self) -> Result<Session, Error> {
        let dial = self.dial()?;
        self.connect_by(dial).await
    }

    /// Connects over a stream of the caller's, on which a WebSocket is opened. `channel` is what
    /// the caller vouches for: say [`Channel::encrypted`] only of what is.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_over<S>(self, stream: S, channel: Channel) -> Result<Session, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let dial = self.dial_over(stream, channel)?;
        self.connect_by(dial).await
    }

    /// Connects and logs in, and leaves it to the caller when to bind a resource; until then
    /// other elements can be sent and received.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_unbound(mut self) -> Result<Unbound, Error> {
        self.settings = self.settings.explicit_binding(true);
        let dial = self.dial()?;
        self.unbound_by(dial).await
    }

    /// Asks the server what it offers, and tells what would be chosen and why. Nothing is logged
    /// in to, and no credentials are sent.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), as far as it gets.
    pub async fn explain(mut self) -> Result<Explanation, Error> {
        self.settings = self.settings.explain_only();
        let dial = self.dial()?;
        self.explain_by(dial).await
    }

    /// [`connect_unbound`](Self::connect_unbound) over a stream of the caller's.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_unbound_over<S>(
        mut self,
        stream: S,
        channel: Channel,
    ) -> Result<Unbound, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.settings = self.settings.explicit_binding(true);
        let dial = self.dial_over(stream, channel)?;
        self.unbound_by(dial).await
    }

    /// [`explain`](Self::explain) over a stream of the caller's.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), as far as it gets.
    pub async fn explain_over<S>(
        mut self,
        stream: S,
        channel: Channel,
    ) -> Result<Explanation, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.settings = self.settings.explain_only();
        let dial = self.dial_over(stream, channel)?;
        self.explain_by(dial).await
    }

    async fn unbound_by(self, dial: Dial) -> Result<Unbound, Error> {
        match self.start(dial).await? {
            (Reached::BindRequired(features), running) => Ok(Unbound::new(running, features)),
            _ => Err(Error::Ended),
        }
    }

    async fn explain_by(self, dial: Dial) -> Result<Explanation, Error> {
        match self.start(dial).await? {
            (Reached::Explained(explanation), running) => {
                let _ = running.task.await; // it is closing
                Ok(explanation)
            }
            _ => Err(Error::Ended),
        }
    }

    async fn connect_by(self, dial: Dial) -> Result<Session, Error> {
        match self.start(dial).await? {
            (Reached::Connected(login, keys), running) => Ok(Session::new(running, login, keys)),
            _ => Err(Error::Ended),
        }
    }

    fn dial(&self) -> Result<Dial, Error> {
        let (endpoint, transport) = self.route()?;
        Ok(Box::pin(async move { Link::connect(&endpoint, &transport).await }))
    }

    fn dial_over<S>(&self, stream: S, channel: Channel) -> Result<Dial, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (endpoint, transport) = self.route()?;
        Ok(Box::pin(async move { Link::over(stream, channel, &endpoint, &transport).await }))
    }

    fn route(&self) -> Result<(Endpoint, TransportOptions), Error> {
        let endpoint = self.endpoint.clone().ok_or(Error::NoEndpoint)?;
        Ok((endpoint, self.transport.clone().with_tls(self.tls.clone())))
    }

    async fn start(self, dial: Dial) -> Result<(Reached, Running), Error> {
        let (command_sender, commands) = mpsc::channel(COMMAND_BACKLOG);
        let (close_sender, close) = mpsc::channel(1);
        let end = Arc::new(OnceLock::new());
        let (inbox, inbox_receiver) = mpsc::channel(INBOX_BACKLOG);
        let (milestone, reached) = oneshot::channel();
        let settings = self.settings.registry(Arc::new(self.registry));
        let driver = Driver::new(Parts {
            connection: Connection::new(settings),
            answers: self.answers,
            commands,
            close,
            end: Arc::clone(&end),
            inbox,
            statuses: self.statuses,
            transcript: self.transcript,
            milestone,
        });
        let task = tokio::spawn(driver.run(dial));
        let handle = Handle { commands: command_sender, close: close_sender, end };
        let running = Running { handle, inbox: inbox_receiver, task };
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
}

/// The ends of a running driver that its session holds.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) inbox: mpsc::Receiver<Delivery>,
    pub(crate) task: JoinHandle<()>,
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
