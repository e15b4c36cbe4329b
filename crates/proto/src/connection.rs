//! The connection: one input in, actions out. What one state does with what it waits for is in
//! `negotiate`; here is what may happen in any of them.

use std::fmt;

use epode_sasl::{self as sasl, Pin};

use crate::{
    ApiMisuse, Element, Error, FastToken, Phase, Profile, ServerMemory, SessionState, Settings,
    Status, Time, UserAgent,
    action::{Action, Input},
    core::Core,
    error::{PeerFault, Wait},
    framing::{self, FrameError},
    negotiate::{
        ExpectClose, State, Unopened, namespace,
        transitions::{self, Stimulus},
    },
    session::{self, Online},
    stream::StreamError,
};

/// An XMPP client connection without I/O: [`handle`](Self::handle) one input, [`poll`](Self::poll)
/// until there is no action, wait for the next input, repeat.
///
/// It speaks over WebSockets (RFC 7395) and over TCP streams (RFC 6120), with STARTTLS.
///
/// ```
/// use epode_proto::{Action, Connection, Input, Settings, Time, sasl::{Channel, Secret}};
///
/// let settings = Settings::new("alice@example.org".parse()?, Secret::password("secret"));
/// let mut connection = Connection::new(settings);
/// connection.handle(Time::ZERO, Input::Opened(Channel::encrypted()))?;
/// while let Some(action) = connection.poll() {
///     match action {
///         Action::Report(status) => println!("{status}"), // CONNECTING 1
///         Action::Transmit(frame) => assert!(frame.as_bytes().starts_with(b"<open ")),
///         Action::WakeAt(time) => assert!(time > Time::ZERO),
///         other => panic!("not yet: {other:?}"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    pub(crate) core: Core,
    pub(crate) state: State,
}

impl Connection {
    /// A connection that waits for its transport; its first action reports
    /// [`Status::Connecting`].
    #[must_use]
    pub fn new(mut settings: Settings) -> Self {
        let credentials = settings.take_credentials();
        let mut core = Core::new(settings);
        core.push(Action::Report(Status::Connecting));
        Self { core, state: State::Unopened(Unopened { credentials }) }
    }

    /// Takes one input. What follows from it comes out of [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] means that the caller broke the rules, as with a second
    /// [`Input::Opened`]; nothing has changed then. What the server does wrong is no error here:
    /// it is news, and comes as a [`Status`].
    pub fn handle(&mut self, now: Time, input: Input<'_>) -> Result<(), ApiMisuse> {
        self.check(&input)?;
        self.core.set_now(now);
        if let Input::Received(bytes) = input {
            self.core.hear();
            if let State::Online(session) = &mut self.state {
                session.hear(&mut self.core);
            }
            let mut heard = self.core.feed(bytes);
            while let Some(frame) = heard {
                self.step(now, |connection, state| connection.frame(state, frame));
                heard = if self.is_reading() { self.core.next_frame() } else { None };
            }
        } else {
            self.step(now, |connection, state| connection.next_state(now, state, input));
        }
        Ok(())
    }

    /// Takes a stanza to send, and gives its number: [`Action::Sent`] and [`Action::Acknowledged`]
    /// tell by it what becomes of the stanza. In a session that goes on over several connections
    /// ([`Settings::session`]) it may be given before the login is done, and is sent then.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if it has a character that XML cannot carry, if it is no stanza (which no
    /// server would count), if there is no session, or no room in it
    /// ([`has_room`](Self::has_room)).
    pub fn send(&mut self, now: Time, stanza: Element) -> Result<u64, ApiMisuse> {
        self.handle(now, Input::Send(stanza))?;
        Ok(self.core.session.sent())
    }

    /// Whether the session takes another stanza, or has as many that wait for the server as it may
    /// have ([`StreamManagement::queue`](crate::StreamManagement::queue)).
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.core.has_room()
    }

    /// Whether it takes stanzas: once binding is due, and in a session that goes on over several
    /// connections also between them.
    #[must_use]
    pub fn takes_stanzas(&self) -> bool {
        let goes_on = self.core.session.jid().is_some();
        match self.state {
            State::BindCall(_) | State::Online(_) => true,
            State::Closed => goes_on && self.core.settings().renewable,
            State::Close(_) => false,
            _ => goes_on,
        }
    }

    /// Whether both sides count stanzas (XEP-0198) on this connection.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        matches!(&self.state, State::Online(session) if session.is_managed())
    }

    /// Begins anew after the end, with the same settings ([`Settings::renewable`]), and goes on with
    /// the same session; the driver's zero of time is now. Its first action reports
    /// [`Status::Connecting`].
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] before the end.
    pub fn renew(&mut self, unix_zero: u64) -> Result<(), ApiMisuse> {
        if !matches!(self.state, State::Closed) {
            return Err(ApiMisuse("the connection is not over"));
        }
        let credentials = self.core.renew(unix_zero);
        self.core.push(Action::Report(Status::Connecting));
        self.state = State::Unopened(Unopened { credentials });
        Ok(())
    }

    /// Hands in the token for the next login, whose count was raised and saved, or none: what
    /// [`Settings::fast`] does for the first. For whoever [renews](Self::renew) the connection.
    pub fn set_token(&mut self, token: Option<FastToken>) {
        self.core.set_token(token);
    }

    /// Hands in the pin that the next login must be no weaker than, or none: what
    /// [`Settings::pin`] does for the first.
    pub fn set_pin(&mut self, pin: Option<Pin>) {
        self.core.set_pin(pin);
    }

    /// Hands in what is remembered of the server, or nothing, for the next connection: what
    /// [`Settings::memory`] does for the first.
    pub fn set_memory(&mut self, memory: Option<ServerMemory>) {
        self.core.set_memory(memory);
    }

    /// Whether the next login may go in early data ([`Fast::danger_early_data`](crate::Fast::danger_early_data)):
    /// there is a token, and the server takes it there, as far as is remembered.
    #[must_use]
    pub fn may_begin_early(&self) -> bool {
        matches!(self.state, State::Unopened(_)) && self.core.may_begin_early()
    }

    /// Hands in what the server learns of this program, for the next connection: what
    /// [`Settings::user_agent`] does for the first.
    pub fn set_user_agent(&mut self, user_agent: UserAgent) {
        self.core.set_user_agent(user_agent);
    }

    /// Whether it may go on without TLS
    /// ([`Settings::danger_allow_unencrypted_stream`]).
    #[must_use]
    pub fn may_be_unencrypted(&self) -> bool {
        self.core.settings().unencrypted_allowed
    }

    /// What both sides have sent each other.
    #[must_use]
    pub fn session(&self) -> &SessionState {
        &self.core.session
    }

    /// What is left once it is over, for the next connection.
    #[must_use]
    pub fn into_session(self) -> SessionState {
        self.core.session
    }

    /// No frame is taken once the connection is over, nor while the stream is being encrypted.
    fn is_reading(&self) -> bool {
        !matches!(self.state, State::Closed | State::Secured(_))
    }

    fn step(
        &mut self,
        now: Time,
        step: impl FnOnce(&mut Self, State) -> (Stimulus, Result<State, Error>),
    ) {
        let before = self.state.phase();
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (stimulus, next) = step(self, state);
        self.state = next.unwrap_or_else(|error| self.fail(before, stimulus, error));
        let after = self.state.phase();
        if before != after {
            self.core.record(|report| report.enter(after, now));
        }
        if after == Phase::Online {
            self.core.finish_report();
        }
        debug_assert!(
            transitions::is_allowed(before, stimulus, after),
            "{before:?}, {stimulus:?} and {after:?} are not in the table"
        );
        // A login may wait in one phase several times over; nothing else prolongs a wait.
        let waits_anew = matches!(
            (stimulus, after),
            (Stimulus::Challenge | Stimulus::Failure, Phase::SaslReply)
                | (Stimulus::Answered | Stimulus::Failure, Phase::Answer)
                | (Stimulus::Continue, Phase::TaskReply)
        );
        if before != after || waits_anew {
            self.core.set_deadline(now, after);
        }
        if let State::Online(session) = &self.state {
            self.core.wake(session.wake());
        }
    }

    /// The next thing that it wants, if any.
    #[must_use]
    pub fn poll(&mut self) -> Option<Action> {
        self.core.pop()
    }

    /// Where it stands, for drawings and for people who debug.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// What the server offered last, as at [`Status::BindRequired`] for instance.
    #[must_use]
    pub fn features(&self) -> Option<&Element> {
        self.core.features()
    }

    /// The rules of the interface.
    fn check(&self, input: &Input<'_>) -> Result<(), ApiMisuse> {
        let misuse = match (input, &self.state) {
            (
                Input::Opened(_)
                | Input::OpenedBosh(_)
                | Input::OpenedTcp(_)
                | Input::OpenedEarly(_)
                | Input::NotOpened(_)
                | Input::Attached(_)
                | Input::Joined { .. }
                | Input::TakenOver
                | Input::NotAttached(_),
                state,
            ) if !matches!(state, State::Unopened(_)) => Some("the transport is open already"),
            (
                Input::Opened(_)
                | Input::OpenedBosh(_)
                | Input::OpenedEarly(_)
                | Input::Attached(_)
                | Input::Joined { .. }
                | Input::TakenOver,
                _,
            ) if self.core.settings().is_component => Some("a component speaks over a TCP stream"),
            (Input::TakenOver, _) => self.hindrance_to_take_over(),
            (Input::Received(_), State::Unopened(_)) => Some("the transport is not open yet"),
            (Input::Received(_), State::Secured(_)) => Some("the stream is being encrypted"),
            (Input::Secured(_), State::Secured(_)) => None,
            (Input::SecuredEarly(_), State::Secured(state)) if state.is_early() => None,
            (Input::Secured(_) | Input::SecuredEarly(_), _) => Some("encryption is not due"),
            (Input::Answered(id, _), State::Answer(state)) if state.id == *id => None,
            (Input::Answered(id, _), State::Task(state))
                if state.id == *id && state.wants_keys() =>
            {
                None
            }
            (Input::AnsweredTask(id, _), State::Task(state))
                if state.id == *id && !state.wants_keys() =>
            {
                None
            }
            (Input::AnsweredTask(..), _) => Some("no task waits for this answer"),
            (Input::Answered(..), _) => Some("nobody waits for this answer"),
            (Input::Bind, State::BindCall(_)) => None,
            (Input::Bind, _) => Some("binding is not due"),
            (Input::Send(element), state) if self.takes_stanzas() => {
                let counts = !matches!(state, State::BindCall(_));
                let lacks_address =
                    self.core.settings().is_component && element.attr("to").is_none();
                match (element.check().is_ok(), self.core.has_room()) {
                    (false, _) => Some("the stanza has a character that XML cannot carry"),
                    _ if counts && !session::is_stanza(element) => {
                        Some("only message, presence and iq are sent in a session")
                    }
                    _ if lacks_address => Some("a stanza of a component says to whom it goes"),
                    (true, false) => Some("too many stanzas wait for the server"),
                    (true, true) => None,
                }
            }
            (Input::HandedOver, State::Online(_)) => None,
            (Input::Send(_) | Input::HandedOver, _) => Some("not connected"),
            _ => None,
        };
        misuse.map_or(Ok(()), |words| Err(ApiMisuse(words)))
    }

    fn next_state(
        &mut self,
        now: Time,
        state: State,
        input: Input<'_>,
    ) -> (Stimulus, Result<State, Error>) {
        match (input, state) {
            (Input::Opened(channel), State::Unopened(state)) => {
                (Stimulus::Opened, state.opened(&mut self.core, channel))
            }
            (Input::OpenedBosh(channel), State::Unopened(state)) => {
                (Stimulus::Opened, state.opened_bosh(&mut self.core, channel))
            }
            (Input::OpenedTcp(channel), State::Unopened(state)) => {
                (Stimulus::Opened, state.opened_tcp(&mut self.core, channel))
            }
            (Input::OpenedEarly(channel), State::Unopened(state)) => {
                (Stimulus::Opened, Ok(state.opened_early(&mut self.core, channel)))
            }
            (Input::Secured(channel), State::Secured(state)) => {
                (Stimulus::Secured, state.secured(&mut self.core, channel))
            }
            (Input::SecuredEarly(channel), State::Secured(state)) => {
                (Stimulus::Secured, state.secured_early(&mut self.core, channel))
            }
            (Input::Attached(jid), State::Unopened(_)) => {
                self.core.push(Action::Report(Status::Attached(jid)));
                (Stimulus::Attached, Ok(State::Online(Online::attached(&self.core))))
            }
            (Input::Joined { jid, is_watched }, State::Unopened(_)) => {
                (Stimulus::Attached, Ok(self.join(jid, is_watched)))
            }
            (Input::TakenOver, State::Unopened(_)) => (Stimulus::Attached, Ok(self.take_over())),
            (Input::NotAttached(error), _) => {
                self.core.push(Action::Report(Status::AttachFail(error.clone())));
                (Stimulus::Lost, Ok(self.finish(State::Close(ExpectClose::because(error)))))
            }
            (Input::NotOpened(error), _) => (Stimulus::Lost, Err(error)),
            (Input::Lost(_), state @ (State::Close(_) | State::Closed)) => {
                (Stimulus::Lost, Ok(self.finish(state)))
            }
            (Input::Lost(error), _) => (Stimulus::Lost, Err(error)),
            (Input::HandedOver, State::Online(_)) => {
                (Stimulus::CloseCalled, Ok(self.finish(State::Close(ExpectClose::asked_for()))))
            }
            (Input::Tick, state) => {
                self.core.disarm();
                (Stimulus::Deadline, self.tick(now, state))
            }
            (Input::NotReading, State::Online(mut session)) => {
                session.excuse(&self.core);
                (Stimulus::Sent, Ok(State::Online(session)))
            }
            (Input::Answered(_, answer), State::Answer(state)) => {
                (Stimulus::Answered, state.answered(&mut self.core, answer))
            }
            (Input::Answered(_, answer), State::Task(state)) => {
                (Stimulus::Answered, state.answered(&mut self.core, answer))
            }
            (Input::AnsweredTask(_, answer), State::Task(state)) => {
                (Stimulus::TaskAnswered, state.task_answered(&mut self.core, answer))
            }
            (Input::Bind, State::BindCall(state)) => {
                (Stimulus::BindCalled, Ok(state.bind(&mut self.core)))
            }
            (Input::Send(element), state) => (Stimulus::Sent, Ok(self.take_stanza(state, element))),
            (Input::Handled(count), State::Online(mut session)) => {
                session.handled(&mut self.core, count);
                (Stimulus::Sent, Ok(State::Online(session)))
            }
            (Input::Handled(count), state) => {
                session::handled(&mut self.core, count);
                (Stimulus::Sent, Ok(state))
            }
            (Input::SetActive(active), mut state) => {
                let changed = self.core.set_inactive(!active);
                if let (State::Online(session), true) = (&mut state, changed) {
                    session.send_activity(&mut self.core);
                }
                (Stimulus::Sent, Ok(state))
            }
            (Input::Close, state) => (Stimulus::CloseCalled, Ok(self.close(state))),
            (_, state) => (Stimulus::Sent, Ok(state)), // refused by `check` before
        }
    }

    fn frame(
        &mut self,
        state: State,
        frame: Result<framing::Frame, FrameError>,
    ) -> (Stimulus, Result<State, Error>) {
        if matches!(state, State::Closed) {
            return (Stimulus::Element, Ok(state));
        }
        match frame {
            // It is ending anyway, and nothing more can be read of it.
            Err(_) if matches!(state, State::Close(_)) => {
                (Stimulus::Element, Ok(self.finish(state)))
            }
            Err(error) => (Stimulus::Element, Err(Error::PeerMisbehaved(error.into()))),
            Ok(framing::Frame::Close { see_other_uri }) => {
                (Stimulus::PeerClosed, self.peer_closed(state, see_other_uri))
            }
            Ok(framing::Frame::Open(header)) => match state {
                State::Header(state) => (Stimulus::Header, state.handle(&mut self.core, &header)),
                State::ComponentHeader(state) => {
                    (Stimulus::Header, Ok(state.handle(&mut self.core, &header)))
                }
                State::Close(_) => (Stimulus::Header, Ok(state)),
                _ => {
                    let fault = PeerFault::UnexpectedHeader(state.phase().wait());
                    (Stimulus::Header, Err(Error::PeerMisbehaved(fault)))
                }
            },
            Ok(framing::Frame::Element(element)) => {
                let stimulus = Stimulus::of(&element);
                (stimulus, self.element(state, element))
            }
        }
    }

    /// An error of the stream is one only at the top level; whatever stands inside a stanza is
    /// the stanza's.
    fn element(&mut self, state: State, element: Element) -> Result<State, Error> {
        let is_closing = matches!(state, State::Close(_));
        if let Some(error) = StreamError::parse(&element).filter(|_| !is_closing) {
            return Err(match state {
                State::Handshake(_) => Error::Component(error),
                _ => Error::Stream(error),
            });
        }
        match state {
            State::Features(state) => state.handle(&mut self.core, element),
            State::Handshake(state) => state.handle(&mut self.core, &element),
            State::Proceed(state) => state.handle(&mut self.core, &element),
            State::SaslReply(state) => state.handle(&mut self.core, element),
            State::Answer(state) => state.handle(&mut self.core, &element),
            State::Task(state) => state.handle(&element),
            State::TaskReply(state) => state.handle(&mut self.core, &element),
            State::Resumed(state) => state.handle(&mut self.core, &element),
            State::BindCall(state) => state.handle(&mut self.core, element),
            State::Bound(state) => state.handle(&mut self.core, element),
            State::Session(state) => state.handle(&mut self.core, element),
            State::Online(mut session) => {
                session.handle(&mut self.core, element)?;
                Ok(State::Online(session))
            }
            State::Close(state) => Ok(state.handle(&mut self.core, element)),
            state => Err(Error::unexpected(&element, state.phase().wait())),
        }
    }

    fn peer_closed(&mut self, state: State, elsewhere: Option<String>) -> Result<State, Error> {
        let refusal = match &state {
            State::Close(_) => return Ok(self.finish(state)),
            State::SaslReply(state) => state.exchange.earlier_refusal(),
            State::Answer(state) => state.pending.earlier_refusal(),
            _ => None,
        };
        Err(match (elsewhere, refusal) {
            (Some(uri), _) => {
                Error::Redirected(uri.chars().filter(|c| !c.is_control()).take(512).collect())
            }
            (None, Some(refusal)) => Error::Login(refusal),
            (None, None) => Error::ConnectionClosed,
        })
    }

    fn take_stanza(&mut self, mut state: State, stanza: Element) -> State {
        match &mut state {
            State::BindCall(_) => self.core.send(&stanza), // there is no session to count it
            State::Online(session) => {
                self.core.queue(stanza);
                session.flush(&mut self.core);
            }
            _ => drop(self.core.queue(stanza)),
        }
        state
    }

    fn tick(&mut self, now: Time, state: State) -> Result<State, Error> {
        if let State::Online(mut session) = state {
            session.tick(&mut self.core)?;
            return Ok(State::Online(session));
        }
        let Some(wait) = self.core.take_due(now) else { return Ok(state) };
        match state {
            State::Close(_) => Ok(self.finish(state)),
            _ => Err(Error::TimedOut(wait)),
        }
    }

    /// The application has had enough.
    fn close(&mut self, state: State) -> State {
        match state {
            State::Close(_) | State::Closed => state,
            // There is no stream to close, or none until the handshake is done.
            State::Unopened(_) | State::Secured(_) => {
                self.core.push(Action::Report(Status::Disconnecting));
                self.finish(State::Close(ExpectClose::asked_for()))
            }
            State::Online(session) => {
                self.core.push(Action::Report(Status::Disconnecting));
                session.close(&mut self.core);
                self.core.close_stream();
                State::Close(ExpectClose::of_session())
            }
            _ => {
                self.core.push(Action::Report(Status::Disconnecting));
                self.core.close_stream();
                State::Close(ExpectClose::asked_for())
            }
        }
    }

    /// Something ended the connection: says what, and closes as far as there is something to
    /// close. The stage that was reached decides by which status it is told.
    fn fail(&mut self, phase: Phase, stimulus: Stimulus, error: Error) -> State {
        let error = error.in_language(self.core.language());
        if let Some(status) = status_for(phase, &error) {
            self.core.push(Action::Report(status));
        }
        // A login that the server takes for over, one way or the other, cannot be aborted.
        let login = [Phase::SaslReply, Phase::Answer, Phase::Task, Phase::TaskReply];
        let is_under_way = login.contains(&phase)
            && !matches!(stimulus, Stimulus::Success | Stimulus::Failure | Stimulus::PeerClosed);
        let is_ours = match &error {
            Error::Login(login) => !is_servers_word(login),
            Error::TasksDemanded { .. } | Error::Upgrade(_) => true,
            _ => false,
        };
        if is_under_way && is_ours {
            self.core.send(&Element::new("abort", namespace(self.core.profile)));
        }
        // A stream that is closed cannot be resumed.
        let is_gone = matches!(
            error,
            Error::ConnectionLost(_)
                | Error::Bosh(_)
                | Error::Unreachable(_)
                | Error::TimedOut(Wait::SignOfLife | Wait::Resumed)
        );
        // After a fault it is closed, and resumed the server would only do the same again.
        let has_session = matches!(phase, Phase::Online | Phase::Resumed | Phase::BoundFeatures)
            || (self.core.profile == Profile::Sasl2 && stimulus == Stimulus::Success);
        if has_session && matches!(error, Error::PeerMisbehaved(_)) {
            self.core.session.stream = None;
        }
        let never_was = matches!(phase, Phase::Unopened | Phase::Secured);
        if !is_gone && !never_was {
            self.core.close_stream();
        }
        // Whoever keeps to the protocol is given time to close its side.
        let is_polite = matches!(
            error,
            Error::Login(_)
                | Error::Weaker(_)
                | Error::TasksDemanded { .. }
                | Error::Upgrade(_)
                | Error::Bind(_)
                | Error::Session(_)
        );
        let waits = is_polite && stimulus != Stimulus::PeerClosed;
        let state = State::Close(ExpectClose::because(error));
        if waits { state } else { self.finish(state) }
    }

    fn finish(&mut self, state: State) -> State {
        if let State::Close(ExpectClose { reason, .. }) = state {
            self.core.push(Action::Report(Status::Disconnected(reason)));
            self.core.finish_report();
            self.core.push(Action::Disconnect);
        }
        State::Closed
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

fn status_for(phase: Phase, error: &Error) -> Option<Status> {
    let error = error.clone();
    let is_opening = matches!(
        phase,
        Phase::Unopened
            | Phase::LoginHeader
            | Phase::LoginFeatures
            | Phase::ComponentHeader
            | Phase::Proceed
            | Phase::Secured
    );
    match &error {
        Error::TimedOut(_) => Some(Status::ConnTimeout(error)),
        Error::Login(_) | Error::Weaker(_) | Error::Bind(_) | Error::Session(_) => {
            Some(Status::AuthFail(error))
        }
        Error::Component(_) | Error::TasksDemanded { .. } | Error::Upgrade(_) => {
            Some(Status::AuthFail(error))
        }
        Error::ServerChanged => Some(Status::ConnFail(error)),
        Error::Unreachable(_)
        | Error::ConnectionLost(_)
        | Error::Bosh(_)
        | Error::ConnectionClosed
        | Error::Redirected(_) => (phase != Phase::Online).then_some(Status::ConnFail(error)),
        _ if is_opening => Some(Status::ConnFail(error)),
        Error::PeerMisbehaved(_) if phase != Phase::Online => Some(Status::AuthFail(error)),
        _ => Some(Status::Error(error)),
    }
}

/// Whether the server itself ended the login, if only with `e=` in a SCRAM message.
fn is_servers_word(error: &sasl::Error) -> bool {
    matches!(error, sasl::Error::Rejected(_) | sasl::Error::BindingRefused { .. })
}
