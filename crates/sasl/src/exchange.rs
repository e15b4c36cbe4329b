//! One login in progress, as values: what waits for the server, and what waits for an answer.

use zeroize::Zeroizing;

use crate::{
    Answer, BindingType, Channel, Context, Continued, Credentials, Encryption, Error, Mechanism,
    MechanismName, PeerFault, Pin, Question, Rejection, Response, Secret, Selection, ServerProof,
    Step, scram::ScramKeys,
};

/// A login that waits for the server. Every step consumes it, so an error leaves nothing behind
/// that could be used by mistake, and nothing of one login reaches the next.
///
/// ```
/// use epode_sasl::{Channel, Credentials, Exchange, MechanismName, Policy, Registry, Turn};
///
/// let alice = Credentials::password("alice", "secret");
/// let channel = Channel::encrypted();
/// let offered = [MechanismName::PLAIN];
/// let selection =
///     Policy::default().select(&Registry::default(), &alice, &channel, &offered).unwrap();
/// let Turn::Server(login, Some(first)) = Exchange::begin(selection, alice, channel)? else {
///     unreachable!("PLAIN speaks first and asks nothing");
/// };
/// assert_eq!(first.as_bytes(), b"\0alice\0secret");
/// let authenticated = login.success(None)?;
/// assert_eq!(authenticated.mechanism(), &MechanismName::PLAIN);
/// # Ok::<(), epode_sasl::Error>(())
/// ```
#[derive(Debug)]
pub struct Exchange {
    selection: Selection,
    mechanism: Box<dyn Mechanism>,
    credentials: Credentials,
    rounds: u8,
    /// What the server said when it refused to be bound otherwise, before.
    refusal: Option<Box<Rejection>>,
    /// The password that was asked for: nobody is asked twice, for a login that begins anew or for a
    /// task.
    password: Option<Zeroizing<String>>,
}

impl Exchange {
    /// Begins the login that `selection` is the choice for, over the channel that it was made for.
    ///
    /// # Errors
    ///
    /// Whatever keeps the mechanism from beginning, as [`Error::UserName`];
    /// [`Error::ApiMisuse`] for another channel: a choice made inside TLS holds nowhere else.
    pub fn begin(
        selection: Selection,
        credentials: Credentials,
        channel: Channel,
    ) -> Result<Turn, Error> {
        if channel != selection.channel {
            return Err(Error::ApiMisuse("the mechanism was chosen for another channel"));
        }
        Self::start(selection, credentials, None)
    }

    fn start(
        selection: Selection,
        credentials: Credentials,
        refusal: Option<Box<Rejection>>,
    ) -> Result<Turn, Error> {
        let mut exchange = Self {
            mechanism: selection.chosen.begin(),
            selection,
            credentials,
            rounds: 0,
            refusal,
            password: None,
        };
        let step = exchange.step(|mechanism, cx| mechanism.start(cx))?;
        Ok(exchange.turn(step))
    }

    /// The mechanism in use.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        self.selection.mechanism()
    }

    /// Takes one challenge, decoded from base64.
    ///
    /// # Errors
    ///
    /// Whatever ends the login here; on the wire it is then to be aborted.
    pub fn challenge(mut self, challenge: &[u8]) -> Result<Turn, Error> {
        self.check_length(challenge)?;
        let limit = self.selection.limits.rounds;
        if self.rounds == limit {
            return Err(self.fault(PeerFault::TooManyRounds { limit }));
        }
        self.rounds += 1;
        let step = self.step(|mechanism, cx| mechanism.challenge(cx, challenge))?;
        Ok(self.turn(step))
    }

    /// The server claims success. With [`proceed`](Self::proceed) the only way to
    /// [`Authenticated`].
    ///
    /// It ends the login; a second success does not compile:
    ///
    /// ```compile_fail,E0382
    /// # fn twice(login: epode_sasl::Exchange) -> Result<(), epode_sasl::Error> {
    /// login.success(None)?;
    /// login.success(None)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::PeerMisbehaved`] where the claim is not to be believed: the server may be an
    /// impostor, and the connection is to be closed.
    pub fn success(mut self, last: Option<&[u8]>) -> Result<Authenticated, Error> {
        self.check_length(last.unwrap_or_default())?;
        let proof = self.step(|mechanism, cx| mechanism.verify(cx, last))?;
        let keys = self.mechanism.take_keys();
        let by_token = matches!(self.credentials.secret(), Secret::HashedToken(_));
        let pin = (!by_token).then(|| Pin::of(&self.selection));
        let Selection { chosen, binding, refused, channel, .. } = self.selection;
        let (mechanism, encryption) = (chosen.name().clone(), Encryption::of(&channel));
        let early = channel.is_early();
        Ok(Authenticated { mechanism, encryption, early, binding, refused, proof, pin, keys })
    }

    /// The server claims that the mechanism has succeeded, and has tasks before the login does
    /// (SASL2, `<continue/>`): as [`success`](Self::success), but that success is still to come.
    ///
    /// # Errors
    ///
    /// As for [`success`](Self::success).
    pub fn proceed(mut self, last: Option<&[u8]>) -> Result<Continued, Error> {
        let given = match self.credentials.secret() {
            Secret::Password(password) => Some(password.clone()),
            _ => None,
        };
        let password = given.or_else(|| self.password.take());
        let password = password.filter(|_| self.selection.binding.is_some());
        let limits = self.selection.limits.clone();
        Ok(Continued::new(self.success(last)?, password, limits))
    }

    /// The server refused. Nearly always that is the end of the login. Where the server refused
    /// the binding to the channel, and both sides know another, it can begin anew:
    ///
    /// ```
    /// # use epode_sasl::{Binding, BindingType, Channel, Credentials, Exchange, Offer, Policy};
    /// # use epode_sasl::{Registry, Rejection, Turn};
    /// let alice = Credentials::password("alice", "secret");
    /// let channel = BindingType::ALL.into_iter().fold(Channel::encrypted(), |channel, kind| {
    ///     channel.with_binding(Binding::new(kind, "what the TLS library says"))
    /// });
    /// let offer = Offer::new(["SCRAM-SHA-256-PLUS"])
    ///     .with_channel_bindings(["tls-exporter", "tls-server-end-point"]);
    /// let selection = Policy::default().select(&Registry::default(), &alice, &channel, offer)?;
    /// let Turn::Server(login, Some(_)) = Exchange::begin(selection, alice, channel)? else {
    ///     unreachable!("SCRAM speaks first");
    /// };
    /// let retry = login.failure(Rejection::new("channel-binding-not-supported"))?;
    /// assert_eq!(retry.selection().binding(), Some(BindingType::TlsServerEndPoint));
    /// let Turn::Server(login, Some(first)) = retry.begin()? else { unreachable!("as before") };
    /// assert!(first.as_bytes().starts_with(b"p=tls-server-end-point,,n=alice,"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`], or [`Error::BindingRefused`] where no other binding is left. It is
    /// the end: a wrong password is not tried twice, and what was to be bound is never tried
    /// without a binding.
    pub fn failure(mut self, rejection: Rejection) -> Result<Retry, Error> {
        let refusal = Box::new(self.mechanism.failed(rejection));
        if self.selection.binding.is_none() || !refusal.is_of_binding() {
            return Err(Error::Rejected(refusal));
        }
        let Self { mut selection, mut credentials, password, .. } = self;
        if let Some(password) = password {
            credentials.set_password(password);
        }
        selection.bind_otherwise(&credentials);
        if selection.binding.is_none() {
            return Err(Error::BindingRefused { refused: selection.refused, rejection: refusal });
        }
        Ok(Retry { selection, credentials, refusal })
    }

    /// What the login began anew for, as long as the server has said nothing since. Servers may
    /// close the stream along with a refusal; this is then the reason.
    #[must_use]
    pub fn earlier_refusal(&self) -> Option<Error> {
        let rejection = self.refusal.clone().filter(|_| self.rounds == 0)?;
        Some(Error::BindingRefused { refused: self.selection.refused.clone(), rejection })
    }

    /// Gives the login up, and what it takes to begin another one over the same channel.
    #[must_use]
    pub fn abandon(self) -> (Credentials, Channel) {
        let Self { selection, mut credentials, password, .. } = self;
        if let Some(password) = password {
            credentials.set_password(password);
        }
        (credentials, selection.channel)
    }

    fn check_length(&self, message: &[u8]) -> Result<(), Error> {
        let (limit, found) = (self.selection.limits.message, message.len());
        if found > limit {
            return Err(self.fault(PeerFault::MessageTooLong { limit, found }));
        }
        Ok(())
    }

    fn fault(&self, fault: PeerFault) -> Error {
        Error::PeerMisbehaved { mechanism: self.mechanism().clone(), fault }
    }

    fn step<T>(
        &mut self,
        step: impl FnOnce(&mut dyn Mechanism, &Context<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        step(self.mechanism.as_mut(), &self.selection.context(&self.credentials))
    }

    fn turn(self, step: Step) -> Turn {
        match step {
            Step::Send(response) => Turn::Server(self, Some(response)),
            Step::Wait => Turn::Server(self, None),
            Step::Ask(question) => Turn::Question(Pending(self), question),
        }
    }
}

/// A login that waits for the application: it can only be answered. A challenge or a success
/// that overtakes the answer has nowhere to go:
///
/// ```compile_fail,E0599
/// # fn too_soon(login: epode_sasl::Pending) {
/// login.success(None);
/// # }
/// ```
#[derive(Debug)]
pub struct Pending(Exchange);

impl Pending {
    /// The mechanism in use.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        self.0.mechanism()
    }

    /// Gives the answer to the question.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] or [`Error::StaleKeys`] after a refusal, [`Error::ApiMisuse`] for an
    /// answer of another kind, and whatever else ends the login here.
    pub fn answer(mut self, answer: Answer) -> Result<Turn, Error> {
        if let Answer::Refuse(why) = answer {
            return Err(self.0.mechanism.refused(&why));
        }
        if let Answer::Secret(Secret::Password(password)) = &answer
            && self.0.selection.binding.is_some()
        {
            self.0.password = Some(password.clone());
        }
        let step = self.0.step(|mechanism, cx| mechanism.answer(cx, answer))?;
        Ok(self.0.turn(step))
    }

    /// The server refused while we were still thinking.
    ///
    /// # Errors
    ///
    /// As for [`Exchange::failure`].
    pub fn failure(self, rejection: Rejection) -> Result<Retry, Error> {
        self.0.failure(rejection)
    }

    /// As [`Exchange::abandon`].
    #[must_use]
    pub fn abandon(self) -> (Credentials, Channel) {
        self.0.abandon()
    }

    /// As [`Exchange::earlier_refusal`].
    #[must_use]
    pub fn earlier_refusal(&self) -> Option<Error> {
        self.0.earlier_refusal()
    }
}

/// A login that can begin anew on the same stream, by the same mechanism, bound to another thing.
#[derive(Debug)]
pub struct Retry {
    selection: Selection,
    credentials: Credentials,
    refusal: Box<Rejection>,
}

impl Retry {
    /// The choice: the same mechanism, another binding.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Who logs in.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Begins anew.
    ///
    /// # Errors
    ///
    /// Whatever keeps the mechanism from beginning.
    pub fn begin(self) -> Result<Turn, Error> {
        Exchange::start(self.selection, self.credentials, Some(self.refusal))
    }
}

/// Whose move it is.
#[derive(Debug)]
pub enum Turn {
    /// The server's, after this response has been sent, if there is one. An empty response is to
    /// be sent too; none is not.
    Server(Exchange, Option<Response>),
    /// The application's.
    Question(Pending, Question),
}

/// To hold one is to have logged in: nothing but [`Exchange::success`] makes it, or
/// [`Continued::success`] after tasks.
#[derive(Debug)]
pub struct Authenticated {
    mechanism: MechanismName,
    encryption: Encryption,
    early: bool,
    binding: Option<BindingType>,
    refused: Vec<BindingType>,
    proof: ServerProof,
    pin: Option<Pin>,
    keys: Option<ScramKeys>,
}

impl Authenticated {
    /// The mechanism that was used.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        &self.mechanism
    }

    /// Whether the server proved itself too.
    #[must_use]
    pub fn proof(&self) -> ServerProof {
        self.proof
    }

    /// How the channel is encrypted.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Whether the login was made in early data ([`Channel::in_early_data`]).
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// What the login is bound to, if it is: nobody can stand in between.
    #[must_use]
    pub fn binding(&self) -> Option<BindingType> {
        self.binding
    }

    /// What the server refused to be bound to, before.
    #[must_use]
    pub fn refused(&self) -> &[BindingType] {
        &self.refused
    }

    /// What is to be remembered of it, so that the next login is no weaker. Of a login by a
    /// [`HashedToken`](crate::HashedToken) nothing is: it says nothing of the full login, which
    /// may be due next time.
    #[must_use]
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// Keys to keep for the next login, after SCRAM.
    #[must_use]
    pub fn keys(&self) -> Option<&ScramKeys> {
        self.keys.as_ref()
    }

    /// Takes the keys out.
    #[must_use]
    pub fn into_keys(self) -> Option<ScramKeys> {
        self.keys
    }
}
