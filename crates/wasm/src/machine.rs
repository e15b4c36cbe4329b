//! The machine as a class of JavaScript. Every input has a method, and time is its argument.
//! What it asks during a login, and the answers to that, are in `questions.rs`.

use std::sync::Arc;

use epode_proto::{
    Action, Attempts, Connection, Element, Error, Input, Jid, Phase, SessionMark, Time, UserAgent,
};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{
    action::{Kind, Payload},
    bosh::Bosh,
    mechanisms::Listed,
    moment::{millis, time},
    options::{Options, Protection, SecretKind},
    questions::Asked,
    session,
};

/// A connection without I/O: one input in, then `poll` until there is no action.
///
/// Moments are milliseconds since a zero that JavaScript chose. An input that is out of place
/// throws a text, and changes nothing.
#[wasm_bindgen]
pub struct Machine {
    pub(crate) connection: Connection,
    listed: Vec<Arc<Listed>>,
    pub(crate) asked: Option<Asked>,
    /// What comes, comes in frames, which JavaScript has then.
    has_frames: bool,
    payload: Payload,
    pub(crate) now: Time,
    /// How often it was made anew since it was good.
    pub(crate) attempts: Attempts,
    pub(crate) is_renewable: bool,
    pub(crate) was_online: bool,
    /// Why the last connection ended.
    pub(crate) end: Option<Error>,
    pub(crate) user_agent: UserAgent,
    /// Tokens have been handed in before.
    pub(crate) is_equipped: bool,
    /// What of the session is kept.
    pub(crate) kept: Option<SessionMark>,
    pub(crate) session_problem: Option<String>,
}

#[wasm_bindgen]
impl Machine {
    /// A connection that waits for its WebSocket; it goes on with a session of an earlier one, if
    /// there is one and it is this account's.
    ///
    /// # Errors
    ///
    /// A text that says which of the options is wrong.
    #[wasm_bindgen(constructor)]
    pub fn new(
        options: &str,
        kind: SecretKind,
        secret: String,
        session: Option<String>,
    ) -> Result<Self, String> {
        let secret = kind.secret(secret)?;
        let options = Options::parse(options)?;
        let (attempts, is_renewable) = (Attempts::new(options.reconnect()), options.is_renewable());
        let (user_agent, unix) = (options.user_agent()?, options.unix_zero());
        let (mut settings, listed) = options.settings(secret)?;
        let session = session.map(|text| session::read(&text, settings.jid(), unix)).transpose();
        let session_problem = session.as_ref().err().cloned();
        if let Ok(Some(session)) = session {
            settings = settings.session(session);
        }
        Ok(Self {
            connection: Connection::new(settings),
            listed,
            asked: None,
            has_frames: true,
            payload: Payload::default(),
            now: Time::ZERO,
            attempts,
            is_renewable,
            was_online: false,
            end: None,
            user_agent,
            is_equipped: false,
            kept: None,
            session_problem,
        })
    }

    /// Whether the next frame may lead to the choice of a mechanism: `judge` each before.
    #[must_use]
    pub fn is_choosing(&self) -> bool {
        self.connection.phase() == Phase::LoginFeatures
    }

    /// What JavaScript's test says of a mechanism now, and its priority.
    pub fn judge(&self, mechanism: &str, usable: bool, priority: i32) {
        if let Some(listed) = self.listed.iter().find(|listed| listed.is(mechanism)) {
            listed.judge(usable, priority);
        }
    }

    /// What a mechanism of JavaScript's says of the success that the next frame claims: why it is
    /// none, if so.
    pub fn judge_success(&self, mechanism: &str, refusal: Option<String>) {
        if let Some(listed) = self.listed.iter().find(|listed| listed.is(mechanism)) {
            listed.judge_success(refusal);
        }
    }

    /// The server has accepted the login.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        matches!(
            self.connection.phase(),
            Phase::BindHeader
                | Phase::BindFeatures
                | Phase::Resumed
                | Phase::BoundFeatures
                | Phase::BindCall
                | Phase::Bound
                | Phase::Session
                | Phase::Online
        )
    }

    /// Stanzas can be sent.
    #[must_use]
    pub fn takes_stanzas(&self) -> bool {
        self.connection.takes_stanzas()
    }

    /// The last features that the server sent, as XML.
    #[must_use]
    pub fn features(&self) -> Option<String> {
        self.connection.features().map(Element::to_xml)
    }

    /// The WebSocket is open.
    ///
    /// # Errors
    ///
    /// A text, if it was open already.
    pub fn opened(&mut self, now: f64, protection: Protection) -> Result<(), String> {
        self.handle(now, Input::Opened(protection.channel()))
    }

    /// A BOSH session can be begun.
    ///
    /// # Errors
    ///
    /// A text, if there was another transport already.
    pub fn opened_bosh(&mut self, now: f64, protection: Protection) -> Result<(), String> {
        self.handle(now, Input::OpenedBosh(protection.channel()))
    }

    /// A byte stream is open, to the server of a component.
    ///
    /// # Errors
    ///
    /// A text, if there was another transport already.
    pub fn opened_tcp(&mut self, now: f64, protection: Protection) -> Result<(), String> {
        self.has_frames = false;
        self.handle(now, Input::OpenedTcp(protection.channel()))
    }

    /// Any bytes of the stream came.
    ///
    /// # Errors
    ///
    /// A text, before it is open.
    pub fn received_bytes(&mut self, now: f64, bytes: &[u8]) -> Result<(), String> {
        self.handle(now, Input::Received(bytes))
    }

    /// A session of this address, which is logged in, was taken over.
    ///
    /// # Errors
    ///
    /// A text, if that is no address, or there was another transport already.
    pub fn attached(&mut self, now: f64, jid: &str) -> Result<(), String> {
        let jid: Jid = jid.parse().map_err(|error| format!("the JID: {error}"))?;
        self.handle(now, Input::Attached(jid))
    }

    /// There is no session to be taken over.
    ///
    /// # Errors
    ///
    /// A text, if there was a transport already.
    pub fn not_attached(&mut self, now: f64, why: String) -> Result<(), String> {
        self.handle(now, Input::NotAttached(Error::Unreachable(why)))
    }

    /// The BOSH session is over: the one that carried the frames, or one that was to be taken over.
    ///
    /// # Errors
    ///
    /// A text, if it is not.
    pub fn bosh_ended(&mut self, now: f64, session: &Bosh) -> Result<(), String> {
        let end = session.end().ok_or("the BOSH session is not over")?;
        let error = Error::Bosh(end.clone());
        let is_lost = self.connection.phase() != Phase::Unopened;
        self.handle(now, if is_lost { Input::Lost(error) } else { Input::NotAttached(error) })
    }

    /// There is no WebSocket to be had.
    ///
    /// # Errors
    ///
    /// A text, if there was one.
    pub fn not_opened(&mut self, now: f64, why: String) -> Result<(), String> {
        self.handle(now, Input::NotOpened(Error::Unreachable(why)))
    }

    /// The WebSocket is closed.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn lost(&mut self, now: f64, how: String) -> Result<(), String> {
        self.handle(now, Input::Lost(Error::ConnectionLost(how)))
    }

    /// A frame came.
    ///
    /// # Errors
    ///
    /// A text, before the WebSocket is open.
    pub fn received(&mut self, now: f64, frame: &str) -> Result<(), String> {
        self.handle(now, Input::Received(frame.as_bytes()))
    }

    /// The moment has come that `WakeAt` named.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn tick(&mut self, now: f64) -> Result<(), String> {
        self.handle(now, Input::Tick)
    }

    /// A stanza is to be sent. Gives its number, by which `Acknowledged` and the like tell what
    /// becomes of it; none before there is a session.
    ///
    /// # Errors
    ///
    /// A text, if it is not well-formed, no stanza, or there is no session.
    pub fn send(&mut self, now: f64, stanza: &str) -> Result<Option<f64>, String> {
        let element = Element::parse(stanza).map_err(|error| error.to_string())?;
        let is_counted = self.connection.phase() != Phase::BindCall;
        self.handle(now, Input::Send(element))?;
        Ok(is_counted.then(|| self.connection.session().sent() as f64))
    }

    /// The resource is to be bound.
    ///
    /// # Errors
    ///
    /// A text, if that is not due.
    pub fn bind(&mut self, now: f64) -> Result<(), String> {
        self.handle(now, Input::Bind)
    }

    /// The connection is to be closed.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn close(&mut self, now: f64) -> Result<(), String> {
        self.handle(now, Input::Close)
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Kind> {
        loop {
            let action = self.connection.poll()?;
            if let Some((kind, payload)) = self.translate(action) {
                self.payload = payload;
                return Some(kind);
            }
        }
    }

    /// Who or what the action is about.
    #[must_use]
    pub fn subject(&mut self) -> String {
        std::mem::take(&mut self.payload.subject)
    }

    /// The text of the action, once.
    #[must_use]
    pub fn text(&mut self) -> String {
        std::mem::take(&mut *self.payload.text)
    }

    /// The bytes of the action, once, if it has any.
    #[must_use]
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        self.payload.bytes.take().map(|mut bytes| std::mem::take(&mut *bytes))
    }

    /// The number of the action.
    #[must_use]
    pub fn number(&self) -> f64 {
        self.payload.number
    }
}

impl Machine {
    pub(crate) fn handle(&mut self, now: f64, input: Input<'_>) -> Result<(), String> {
        let now = time(now);
        self.connection.handle(now, input).map_err(|misuse| misuse.to_string())?;
        self.now = now;
        Ok(())
    }

    fn translate(&mut self, action: Action) -> Option<(Kind, Payload)> {
        Some(match action {
            Action::Transmit(frame) => {
                (Kind::Transmit, Payload::text(String::from_utf8_lossy(frame.as_bytes())))
            }
            Action::Ask(id, question) => return self.ask(id, question),
            Action::Report(status) => (Kind::Report, Payload::text(self.news(&status)?.json())),
            Action::Reported(report) => (Kind::Explain, Payload::text(report.to_json())),
            Action::Keep(keys) => (Kind::Keep, Payload::text(keys.to_json().as_str())),
            Action::KeepToken(token) => (Kind::KeepToken, Payload::text(token.to_json().as_str())),
            Action::ForgetToken => (Kind::ForgetToken, Payload::default()),
            Action::Remember(server) => (Kind::Remember, Payload::text(server.to_json())),
            Action::Deliver(_) if self.has_frames => (Kind::Deliver, Payload::default()),
            Action::Deliver(stanza) => (Kind::Deliver, Payload::text(stanza.to_xml())),
            Action::Acknowledged(number) => (Kind::Acknowledged, Payload::number(number as f64)),
            Action::Unmanaged(number) => (Kind::Unmanaged, Payload::number(number as f64)),
            Action::Dropped(number) => (Kind::Dropped, Payload::number(number as f64)),
            Action::WakeAt(at) => (Kind::WakeAt, Payload::number(millis(at))),
            Action::Disconnect => (Kind::Disconnect, Payload::default()),
            // Of what is on its way, and of what needs another transport.
            _ => return None,
        })
    }
}
