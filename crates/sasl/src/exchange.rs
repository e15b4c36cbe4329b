//! One login in progress, as values: what waits for the server, and what waits for an answer.

use crate::{
    Answer, BindingType, Channel, Context, Credentials, Error, Limits, Mechanism, MechanismName,
    Offer, PeerFault, Question, Rejection, Response, Selection, ServerProof, Step,
    scram::ScramKeys,
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
    name: MechanismName,
    mechanism: Box<dyn Mechanism>,
    credentials: Credentials,
    channel: Channel,
    offer: Offer,
    binding: Option<BindingType>,
    limits: Limits,
    rounds: u8,
}

impl Exchange {
    /// Begins the login that `selection` is the choice for.
    ///
    /// # Errors
    ///
    /// Whatever keeps the mechanism from beginning, as [`Error::UserName`].
    pub fn begin(
        selection: Selection,
        credentials: Credentials,
        channel: Channel,
    ) -> Result<Turn, Error> {
        let mut exchange = Self {
            name: selection.chosen.name().clone(),
            mechanism: selection.chosen.begin(),
            credentials,
            channel,
            offer: selection.offer,
            binding: selection.binding,
            limits: selection.limits,
            rounds: 0,
        };
        let step = exchange.step(|mechanism, cx| mechanism.start(cx))?;
        Ok(exchange.turn(step))
    }

    /// The mechanism in use.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        &self.name
    }

    /// Takes one challenge, decoded from base64.
    ///
    /// # Errors
    ///
    /// Whatever ends the login here; on the wire it is then to be aborted.
    pub fn challenge(mut self, challenge: &[u8]) -> Result<Turn, Error> {
        self.check_length(challenge)?;
        if self.rounds == self.limits.rounds {
            return Err(self.fault(PeerFault::TooManyRounds { limit: self.limits.rounds }));
        }
        self.rounds += 1;
        let step = self.step(|mechanism, cx| mechanism.challenge(cx, challenge))?;
        Ok(self.turn(step))
    }

    /// The server claims success. The only maker of [`Authenticated`].
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
        Ok(Authenticated { mechanism: self.name, proof, binding: self.binding, keys })
    }

    /// The server refused: the error that says why.
    #[must_use]
    pub fn failure(mut self, rejection: Rejection) -> Error {
        Error::Rejected(Box::new(self.mechanism.failed(rejection)))
    }

    fn check_length(&self, message: &[u8]) -> Result<(), Error> {
        let (limit, found) = (self.limits.message, message.len());
        if found > limit {
            return Err(self.fault(PeerFault::MessageTooLong { limit, found }));
        }
        Ok(())
    }

    fn fault(&self, fault: PeerFault) -> Error {
        Error::PeerMisbehaved { mechanism: self.name.clone(), fault }
    }

    fn step<T>(
        &mut self,
        step: impl FnOnce(&mut dyn Mechanism, &Context<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let cx = Context {
            credentials: &self.credentials,
            channel: &self.channel,
            offer: &self.offer,
            limits: &self.limits,
        };
        step(self.mechanism.as_mut(), &cx)
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
        let step = self.0.step(|mechanism, cx| mechanism.answer(cx, answer))?;
        Ok(self.0.turn(step))
    }

    /// The server refused while we were still thinking: the error that says why.
    #[must_use]
    pub fn failure(self, rejection: Rejection) -> Error {
        self.0.failure(rejection)
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

/// To hold one is to have logged in: nothing but [`Exchange::success`] makes it.
#[derive(Debug)]
pub struct Authenticated {
    mechanism: MechanismName,
    proof: ServerProof,
    binding: Option<BindingType>,
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

    /// What the login is bound to, if it is: nobody can stand in between.
    #[must_use]
    pub fn binding(&self) -> Option<BindingType> {
        self.binding
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
