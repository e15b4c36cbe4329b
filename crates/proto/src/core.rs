//! What all states of a connection share: the settings, the way out, and the deadline.
//! What is said and when is the states' business.

use std::collections::VecDeque;

use epode_sasl::{Credentials, Pin, Question, scram::ScramKeys};

use crate::{
    Element, FastToken, Jid, LoginReport, Phase, Profile, ServerMemory, SessionState, Settings,
    StreamManagement, TaskOffer, Time, UserAgent,
    action::{Action, Frame, QuestionId},
    error::{Error, Wait},
    framing::{self, FrameError, tcp, websocket},
    negotiate::offer::LoginOffer,
    session::{is_offered, resume},
    stream::{is_language, lists},
    xml::namespaces::{BIND2, COMPONENT, CSI, SASL, SASL2, STREAM},
};

/// What all states share.
pub(crate) struct Core {
    settings: Settings,
    wire: Wire,
    actions: VecDeque<Action>,
    questions: u64,
    deadline: Option<Deadline>,
    flights: u32,
    /// The language of the server's texts, from its stream header.
    language: Option<String>,
    /// What the server offered last.
    features: Option<Element>,
    /// The server has spoken since we last did.
    heard: bool,
    now: Time,
    /// What both sides have sent each other, over this connection and those before it.
    pub(crate) session: SessionState,
    /// The number of the last stanza that came with a session which was handed in.
    handed_in: u64,
    /// What is said reaches the server alone.
    is_private: bool,
    /// By which profile of SASL the login is made.
    pub(crate) profile: Profile,
    /// Nobody is there to see what arrives.
    inactive: bool,
    /// When the driver will say that it is time.
    armed: Option<Time>,
    /// What is to be told of this login, while it lasts and if somebody asked.
    report: Option<Box<LoginReport>>,
}

/// How frames lie on the wire.
enum Wire {
    WebSocket,
    /// Frames of a WebSocket in requests of HTTP, whose session outlives its connections by itself.
    Bosh,
    Tcp(Box<tcp::Decoder>),
}

struct Deadline {
    at: Time,
    wait: Wait,
}

impl Core {
    pub(crate) fn new(mut settings: Settings) -> Self {
        let session = settings.session.take().map_or_else(SessionState::default, |it| *it);
        let report = settings.makes_report().then(Box::default);
        Self {
            settings,
            report,
            wire: Wire::WebSocket,
            actions: VecDeque::new(),
            questions: 0,
            deadline: None,
            flights: 0,
            language: None,
            features: None,
            heard: true,
            now: Time::ZERO,
            session,
            handed_in: 0,
            is_private: false,
            profile: Profile::Sasl1,
            inactive: false,
            armed: None,
        }
    }

    /// Begins anew, with the same settings and the same session.
    pub(crate) fn renew(&mut self, unix_zero: u64) -> Credentials {
        self.wire = Wire::WebSocket;
        self.actions.clear();
        (self.deadline, self.armed) = (None, None);
        (self.flights, self.heard, self.now) = (0, true, Time::ZERO);
        (self.language, self.features) = (None, None);
        (self.is_private, self.profile) = (false, Profile::Sasl1);
        self.report = self.settings.makes_report().then(Box::default);
        self.settings.unix_zero = unix_zero;
        self.session.expire(unix_zero);
        if let Some(jid) = self.session.jid() {
            self.settings.ask_for(jid);
        }
        self.settings.take_credentials()
    }

    /// The login gave keys, for the application and for ourselves.
    pub(crate) fn keep_keys(&mut self, keys: &ScramKeys) {
        self.settings.keep_keys(keys);
        self.push(Action::Keep(keys.clone()));
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Takes the token out that was handed in: no count is sent twice.
    pub(crate) fn take_token(&mut self) -> Option<FastToken> {
        self.settings.fast.token.take()
    }

    pub(crate) fn set_token(&mut self, token: Option<FastToken>) {
        self.settings.fast.token = token;
    }

    /// Seconds since 1970, or 0 where the driver has no calendar.
    pub(crate) fn unix(&self) -> u64 {
        let zero = self.settings.unix_zero;
        if zero == 0 { 0 } else { zero + self.now.since_zero().as_secs() }
    }

    /// The session is alive at this moment.
    pub(crate) fn touch(&mut self) {
        self.session.alive = Some(self.unix()).filter(|unix| *unix > 0);
    }

    pub(crate) fn is_inactive(&self) -> bool {
        self.inactive
    }

    pub(crate) fn set_inactive(&mut self, inactive: bool) -> bool {
        std::mem::replace(&mut self.inactive, inactive) != inactive
    }

    /// Whether the stream is one that stream management can manage, and the server offers to.
    pub(crate) fn can_manage(&self) -> bool {
        self.may_manage() && self.features.as_ref().is_some_and(is_offered)
    }

    /// Whether the server wants to know if somebody is there (XEP-0352). Where a session is resumed
    /// within the login, no other features follow than those that offered the login.
    pub(crate) fn offers_activity(&self) -> bool {
        let offers = |features: &Element| {
            let binding = features.child("authentication", SASL2);
            let binding = binding.and_then(|it| it.child("inline", SASL2)?.child("bind", BIND2));
            features.child("csi", CSI).is_some()
                || binding.is_some_and(|binding| lists(binding, CSI))
        };
        self.features.as_ref().is_some_and(offers)
    }

    /// Whether the wire is one where the server may count stanzas.
    pub(crate) fn may_manage(&self) -> bool {
        !matches!(self.wire, Wire::Bosh)
    }

    /// Takes a stanza of the session, and gives its number. It goes out in its turn. A component
    /// says of each from whom it is (XEP-0114, section 3); of a client's the server knows, and
    /// refuses what is not so (RFC 6120, section 8.1.2.1), as an address of the session before.
    pub(crate) fn queue(&mut self, mut stanza: Element) -> u64 {
        if !self.settings.is_component {
            stanza.remove_attr("from");
        } else if stanza.attr("from").is_none() {
            stanza.set_attr("from", self.domain());
        }
        let at = self.unix();
        self.session.outbound.push(stanza, at)
    }

    /// Whether the session takes another stanza.
    pub(crate) fn has_room(&self) -> bool {
        let limits = self.settings.stream_management.unwrap_or_default();
        let (stanzas, bytes) = self.session.outbound.size();
        stanzas < limits.queue && bytes < limits.queue_bytes
    }

    /// Sends the next stanza of the session, if one waits.
    pub(crate) fn send_next(&mut self) -> Option<u64> {
        let next = self.session.outbound.next()?;
        let (number, frame) = (next.number, self.wire.encode(&next.stanza));
        self.transmit(frame);
        Some(number)
    }

    /// Whether there is a session that was lost, and it may be resumed on this stream.
    pub(crate) fn resumable(&self) -> bool {
        self.settings.stream_management.is_some()
            && self.may_manage()
            && self.session.stream.is_some()
    }

    /// What asks to go on with the session that was lost.
    pub(crate) fn resume_request(&mut self) -> Element {
        let stream = self.session.stream.as_ref().expect("it is resumable");
        let resume = resume(stream, self.session.inbound.handled);
        self.session.inbound.resume(); // by the count that is said now: it may go on meanwhile
        resume
    }

    /// Asks to go on with a session that was lost, if it may and the server can.
    pub(crate) fn resume(&mut self) -> bool {
        let may = self.resumable() && self.can_manage();
        if may {
            let resume = self.resume_request();
            self.send(&resume);
        }
        may
    }

    /// A space between stanzas, where there is something between them.
    pub(crate) fn send_whitespace(&mut self) {
        if matches!(self.wire, Wire::Tcp(_)) {
            self.push(Action::Transmit(Frame::new(" ")));
        }
    }

    /// Asks the driver to call at this moment, unless it will call before.
    pub(crate) fn wake(&mut self, at: Option<Time>) {
        let Some(at) = at else { return };
        if self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            self.push(Action::WakeAt(at));
        }
    }

    /// The driver has called.
    pub(crate) fn disarm(&mut self) {
        self.armed = None;
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn domain(&self) -> &str {
        self.settings.jid().domain()
    }

    pub(crate) fn domain_jid(&self) -> Jid {
        let domain = self.domain();
        Jid::new(None, domain, None).expect("the domain of an address is an address")
    }

    /// How many times we spoke after having listened.
    pub(crate) fn flights(&self) -> u32 {
        self.flights
    }

    /// What was said so far went along with the handshake of TLS, and waited for nothing.
    pub(crate) fn forget_flights(&mut self) {
        (self.flights, self.heard) = (0, true);
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if self.actions.is_empty() {
            self.actions = VecDeque::new(); // a quiet connection holds no room for them
        }
        action
    }

    pub(crate) fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    pub(crate) fn set_language(&mut self, language: Option<&str>) {
        self.language = language.filter(|tag| is_language(tag)).map(Into::into);
    }

    pub(crate) fn features(&self) -> Option<&Element> {
        self.features.as_ref()
    }

    pub(crate) fn set_features(&mut self, features: Element) {
        self.features = Some(features);
    }

    /// The server has spoken.
    pub(crate) fn hear(&mut self) {
        self.heard = true;
    }

    pub(crate) fn push(&mut self, action: Action) {
        if let (Some(report), Action::Report(status)) = (&mut self.report, &action) {
            report.note(status);
        }
        self.actions.push_back(action);
    }

    /// What the report says from now on; nothing is done where nobody asked for one.
    pub(crate) fn record(&mut self, write: impl FnOnce(&mut LoginReport)) {
        if let Some(report) = &mut self.report {
            write(report);
        }
    }

    /// The login is over, one way or the other: gives the report to who asked for it, before the
    /// status that says so. Whoever hears of that has the report at hand.
    pub(crate) fn finish_report(&mut self) {
        if let Some(mut report) = self.report.take() {
            report.flights = self.flights;
            let is_status = |action: &Action| matches!(action, Action::Report(_));
            let place = self.actions.iter().rposition(is_status).unwrap_or(self.actions.len());
            self.actions.insert(place, Action::Reported(report));
        }
    }

    /// Whether the application says of what it was given when it has handled it.
    pub(crate) fn when_handled(&self) -> bool {
        self.settings.stream_management.is_some_and(|wanted| wanted.when_handled)
    }

    /// Gives an element that the server does not count to the application, if it can be one of its
    /// own.
    pub(crate) fn deliver(&mut self, element: Element, wait: Wait) -> Result<(), Error> {
        refuse_negotiation(&element, wait)?;
        if self.when_handled() {
            self.session.inbound.deliver_uncounted();
        } else {
            self.session.inbound.handle_uncounted();
        }
        self.push(Action::Deliver(element));
        Ok(())
    }

    pub(crate) fn transmit(&mut self, frame: Frame) {
        if std::mem::replace(&mut self.heard, false) {
            self.flights = self.flights.saturating_add(1);
        }
        self.push(Action::Transmit(frame));
    }

    pub(crate) fn send(&mut self, element: &Element) {
        self.transmit(self.wire.encode(element));
    }

    pub(crate) fn close_stream(&mut self) {
        self.transmit(Frame::new(match self.wire {
            Wire::WebSocket | Wire::Bosh => websocket::close().to_xml(),
            Wire::Tcp(_) => tcp::CLOSE.to_owned(),
        }));
    }

    /// Whoever is on the way learns nothing about the account from a header: it is named only where
    /// nobody else hears it (RFC 6120, section 4.7.1; XEP-0388, section 2.1).
    pub(crate) fn open_stream(&mut self) {
        let (domain, language) = (self.domain(), &self.settings.language);
        let jid = self.settings.jid();
        let account = jid.local().filter(|_| self.is_private).map(|_| jid.bare().to_string());
        let from = account.as_deref();
        self.transmit(Frame::new(match self.wire {
            Wire::WebSocket | Wire::Bosh => websocket::open(domain, from, language).to_xml(),
            Wire::Tcp(_) if self.settings.is_component => tcp::open_component(domain),
            Wire::Tcp(_) => tcp::open(domain, from, language),
        }));
    }

    /// Whether what is said from now on reaches the server alone.
    pub(crate) fn set_private(&mut self, is_private: bool) {
        self.is_private = is_private;
    }

    /// From now on bytes are a stream (RFC 6120), not messages of a WebSocket (RFC 7395).
    pub(crate) fn use_tcp(&mut self) {
        let limits = self.settings.limits;
        self.wire = Wire::Tcp(Box::new(if self.settings.is_component {
            tcp::Decoder::of_component(limits)
        } else {
            tcp::Decoder::new(limits)
        }));
    }

    /// From now on frames travel by BOSH (XEP-0206).
    pub(crate) fn use_bosh(&mut self) {
        self.wire = Wire::Bosh;
    }

    /// Refuses what arrived together with the element that leads to another step: whoever could
    /// write into the connection might have sent it.
    pub(crate) fn nothing_follows(&self) -> Result<(), FrameError> {
        match &self.wire {
            Wire::Tcp(decoder) if !decoder.is_idle() => Err(FrameError::BytesBeforeRestart),
            _ => Ok(()),
        }
    }

    /// Opens the stream anew on the same connection. Nothing may have come after the element that
    /// led to it: who could write into the connection before might have sent it.
    pub(crate) fn restart_stream(&mut self) -> Result<(), FrameError> {
        self.begin_stream()?;
        self.open_stream();
        Ok(())
    }

    /// Makes ready for another stream on the same connection, as [`restart_stream`] does.
    ///
    /// [`restart_stream`]: Self::restart_stream
    pub(crate) fn begin_stream(&mut self) -> Result<(), FrameError> {
        match &mut self.wire {
            Wire::Tcp(decoder) => decoder.restart(),
            Wire::WebSocket | Wire::Bosh => Ok(()),
        }
    }

    /// Takes apart what the server sent: one frame of a WebSocket, any number of a stream.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<Result<framing::Frame, FrameError>> {
        match &mut self.wire {
            Wire::WebSocket | Wire::Bosh => Some(websocket::decode(bytes, &self.settings.limits)),
            Wire::Tcp(decoder) => {
                decoder.feed(bytes);
                self.next_frame()
            }
        }
    }

    /// What is left of what was fed.
    pub(crate) fn next_frame(&mut self) -> Option<Result<framing::Frame, FrameError>> {
        match &mut self.wire {
            Wire::WebSocket | Wire::Bosh => None,
            Wire::Tcp(decoder) => decoder.next_frame().transpose(),
        }
    }

    pub(crate) fn ask_task(&mut self, offer: TaskOffer) -> QuestionId {
        self.questions += 1;
        let id = QuestionId(self.questions);
        self.push(Action::AskTask(id, offer));
        id
    }

    /// Takes out what is known of the server, where a login may begin before the server says what it
    /// offers. What turns out to be wrong is not believed again.
    pub(crate) fn take_memory(&mut self) -> Option<ServerMemory> {
        let may = !matches!(self.wire, Wire::Bosh) && !self.settings.explain_only;
        let memory = self.settings.memory.take_if(|_| may)?;
        Some(memory).filter(|memory| memory.is_of(self.settings.jid()))
    }

    /// Whether there is a token that may be used in early data, and the server takes it there, as far
    /// as is remembered.
    pub(crate) fn may_begin_early(&self) -> bool {
        let Settings { fast, memory, .. } = &self.settings;
        let wants = fast.early_data && !fast.invalidate && !self.settings.explain_only;
        let is_good = |token: &FastToken| !token.is_expired(self.unix());
        let is_taken =
            |memory: &ServerMemory| memory.is_of(self.settings.jid()) && memory.takes_early_data();
        wants && fast.token.as_ref().is_some_and(is_good) && memory.as_ref().is_some_and(is_taken)
    }

    /// What is known of the server, for a login in early data. If nothing comes of that, the next begins
    /// by the same.
    pub(crate) fn early_offer(&self) -> Option<LoginOffer> {
        let memory = self.settings.memory.clone().filter(|_| self.may_begin_early());
        memory.map(ServerMemory::into_offer)
    }

    /// A login was made by this offer: so may the next one, on the connection that comes after.
    pub(crate) fn remember(&mut self, offer: LoginOffer) {
        let memory = ServerMemory::of(self.settings.jid(), offer);
        self.settings.memory = Some(memory.clone());
        self.push(Action::Remember(Box::new(memory)));
    }

    pub(crate) fn set_stream_management(&mut self, wanted: Option<StreamManagement>) {
        self.settings.stream_management = wanted;
    }

    /// Goes on with this session. What waits here to be sent goes out after what is in it, unless it
    /// came with a session that was handed in before.
    pub(crate) fn set_session(&mut self, session: SessionState) {
        let last = std::mem::replace(&mut self.handed_in, session.sent());
        if let Some(jid) = session.jid() {
            self.settings.ask_for(jid);
        }
        let before = std::mem::replace(&mut self.session, session);
        self.session.expire(self.unix());
        let own = before.outbound.into_waiting().filter(|kept| kept.number > last);
        for kept in own {
            self.session.outbound.push(kept.stanza, kept.at);
        }
    }

    /// Gives the session away. Its address stays, and numbers begin anew.
    pub(crate) fn release_session(&mut self) -> SessionState {
        self.handed_in = 0;
        let session = std::mem::take(&mut self.session);
        self.session.jid.clone_from(&session.jid);
        session
    }

    pub(crate) fn set_pin(&mut self, pin: Option<Pin>) {
        self.settings.pin = pin;
    }

    pub(crate) fn set_user_agent(&mut self, user_agent: UserAgent) {
        self.settings.user_agent = user_agent;
    }

    pub(crate) fn set_memory(&mut self, memory: Option<ServerMemory>) {
        self.settings.memory = memory;
    }

    pub(crate) fn ask(&mut self, question: Question) -> QuestionId {
        self.questions += 1;
        let id = QuestionId(self.questions);
        self.push(Action::Ask(id, question));
        id
    }

    /// What was waited for and is overdue; told once.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Wait> {
        self.deadline.take_if(|deadline| deadline.at <= now).map(|due| due.wait)
    }

    /// For what is waited for in this phase.
    pub(crate) fn set_deadline(&mut self, now: Time, phase: Phase) {
        let timeouts = &self.settings.timeouts;
        let wait = phase.wait();
        let span = match phase {
            Phase::Unopened | Phase::Online | Phase::Closed => None,
            Phase::Answer | Phase::Task | Phase::BindCall => Some(timeouts.answer),
            Phase::Closing => Some(timeouts.close),
            _ => Some(timeouts.reply),
        };
        let total = timeouts.total.filter(|_| phase != Phase::Closing);
        let latest = total.map(|total| Time::ZERO + total);
        self.deadline = span.map(|span| {
            let at = now + span;
            Deadline { at: latest.map_or(at, |latest| at.min(latest)), wait }
        });
        if let Some(Deadline { at, .. }) = self.deadline {
            self.armed = Some(at);
            self.push(Action::WakeAt(at));
        }
    }
}

impl Wire {
    fn encode(&self, element: &Element) -> Frame {
        Frame::new(match self {
            Self::WebSocket | Self::Bosh => element.to_xml(),
            Self::Tcp(_) => tcp::encode(element),
        })
    }
}

/// Features and the login are done with once there are stanzas: an element of theirs is nobody's.
pub(crate) fn refuse_negotiation(element: &Element, wait: Wait) -> Result<(), Error> {
    match element.namespace() {
        STREAM | SASL | SASL2 | COMPONENT => Err(Error::unexpected(element, wait)),
        _ => Ok(()),
    }
}
