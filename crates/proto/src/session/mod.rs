//! Logged in and bound: stanzas pass both ways, are counted, and the server is watched.
//!
//! What stanzas mean is the application's business, but for pings (XEP-0199).

mod inbound;
mod liveness;
mod outbound;
pub(crate) mod requests;
mod state;
mod stream_management;

pub use self::{
    liveness::Liveness,
    state::{SessionMark, SessionState, SessionStateError},
    stream_management::StreamManagement,
};
pub(crate) use self::{
    outbound::Impossible,
    stream_management::{Said, enable, is_offered, resume},
};

use self::{
    liveness::{Due, Pulse},
    outbound::Kept,
    stream_management as management,
};
use crate::{
    Element, Error, Time,
    action::Action,
    core::Core,
    error::{PeerFault, Wait},
    stanza::{Iq, IqType, unguessable_id},
    time::timestamp,
    xml::namespaces::{CLIENT, CSI, DELAY, PING, SM, STREAM},
};

/// Logged in and bound.
pub(crate) struct Online {
    management: Management,
    pulse: Pulse,
    /// The id of the ping that waits for its answer.
    ping: Option<String>,
    /// How many stanzas went out since an acknowledgement was asked for.
    unasked: u32,
    /// When to ask for one.
    ask_at: Option<Time>,
    /// It goes on where another connection ended, and the server has not acknowledged anything since.
    is_resumed: bool,
    /// Since when an acknowledgement is due, in such a session.
    asked: Option<Time>,
    /// Until when the server must say whether it counts.
    enabled_by: Option<Time>,
    /// An acknowledgement was given before all was handled.
    owes: bool,
    /// The features of the stream may still come.
    expects_features: bool,
}

/// Whether both sides count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Management {
    Off,
    /// We have asked for it. Nothing is sent meanwhile: if the connection were lost before the answer
    /// came, it would have to be sent once more, and could arrive twice.
    Requested,
    On,
}

impl Online {
    /// A session that has just begun.
    pub(crate) fn begin(core: &mut Core) -> Self {
        let mut online = Self::new(core);
        core.session.inbound.begin_count();
        online.enable(core);
        online.go_on(core, false);
        online
    }

    /// A session that began within the login (XEP-0386). `counts` says what the server answered, if
    /// it was asked to count; `is_inactive`, whether it was told that nobody is there.
    pub(crate) fn bound(core: &mut Core, counts: Option<bool>, is_inactive: bool) -> Self {
        let mut online = Self::new(core);
        match counts {
            Some(true) => online.management = Management::On,
            Some(false) => {}
            None => online.enable(core),
        }
        online.go_on(core, is_inactive);
        online
    }

    /// A session that the server knows still.
    pub(crate) fn resumed(core: &mut Core) -> Self {
        let mut online = Self::new(core);
        online.is_resumed = true;
        online.management = Management::On;
        core.session.outbound.resend();
        online.go_on(core, false);
        online
    }

    /// The server may send the features of the stream once more, at any time.
    pub(crate) fn with_features_to_come(mut self) -> Self {
        self.expects_features = true;
        self
    }

    /// A session that somebody else logged in.
    pub(crate) fn attached(core: &Core) -> Self {
        Self::new(core)
    }

    /// A session that somebody else logged in for several, who may also see to it that the server is
    /// there.
    pub(crate) fn joined(core: &mut Core, is_watched: bool) -> Self {
        let mut online = Self::new(core);
        if is_watched {
            online.leave_watch(core);
        }
        online.flush(core);
        online
    }

    /// A session that somebody else began, whose count goes on here. Whether it was resumed then is
    /// not known: so it counts as if it was, until the server has acknowledged something; and features
    /// may come, as after a resumption within the login.
    pub(crate) fn taken_over(core: &Core) -> Self {
        let mut online = Self::new(core).with_features_to_come();
        (online.management, online.is_resumed) = (Management::On, true);
        if core.session.unacknowledged().next().is_some() {
            let wanted = core.settings().stream_management.unwrap_or_default();
            online.ask_at = Some(core.now() + wanted.after);
        }
        online
    }

    fn new(core: &Core) -> Self {
        Self {
            management: Management::Off,
            pulse: Pulse::new(core.settings().liveness, core.now()),
            ping: None,
            unasked: 0,
            ask_at: None,
            is_resumed: false,
            asked: None,
            enabled_by: None,
            owes: false,
            expects_features: false,
        }
    }

    /// Whether both sides count.
    pub(crate) fn is_managed(&self) -> bool {
        self.management == Management::On
    }

    /// Whether the server is still to say if it counts.
    pub(crate) fn expects_management(&self) -> bool {
        self.management == Management::Requested
    }

    /// Gives the session away, if both sides count and all that has come is handled. From then on
    /// nothing is counted here, and the server is not watched.
    pub(crate) fn release(&mut self, core: &mut Core) -> Option<SessionState> {
        if !self.is_managed() || core.session.inbound.pending() > 0 {
            return None;
        }
        *self = Self::new(core);
        self.leave_watch(core);
        Some(core.release_session())
    }

    fn leave_watch(&mut self, core: &Core) {
        self.pulse = Pulse::new(Liveness::off(), core.now());
    }

    /// Asks the server to count, where it offers to.
    fn enable(&mut self, core: &mut Core) {
        let wanted = core.settings().stream_management.filter(|_| core.can_manage());
        if let Some(wanted) = wanted {
            core.send(&enable(&wanted));
            self.management = Management::Requested;
            self.enabled_by = Some(core.now() + core.settings().timeouts.reply);
        }
    }

    /// What a new connection of a session begins with, unless the server was told.
    fn go_on(&mut self, core: &mut Core, is_told_inactive: bool) {
        if core.is_inactive() != is_told_inactive {
            self.send_activity(core);
        }
        self.flush(core);
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self, core: &mut Core) {
        if self.management == Management::Requested {
            return;
        }
        while let Some(number) = core.send_next() {
            self.pulse.speak(core.now());
            core.push(Action::Sent(number));
            if self.management == Management::Off {
                let_go(core);
                continue;
            }
            self.unasked += 1;
            let wanted = core.settings().stream_management.unwrap_or_default();
            if self.unasked >= wanted.every {
                self.ask(core);
            } else {
                self.ask_at = self.ask_at.or_else(|| Some(core.now() + wanted.after));
            }
        }
    }

    /// Tells the server whether somebody is there (XEP-0352), if it wants to know.
    pub(crate) fn send_activity(&mut self, core: &mut Core) {
        if core.offers_activity() {
            let name = if core.is_inactive() { "inactive" } else { "active" };
            core.send(&Element::new(name, CSI));
        }
    }

    /// Everything goes to the application, except what is about the session itself, and what only
    /// a negotiation has.
    pub(crate) fn handle(&mut self, core: &mut Core, element: Element) -> Result<(), Error> {
        if element.namespace() == SM {
            return self.manage(core, &element);
        }
        if element.is("features", STREAM) && std::mem::take(&mut self.expects_features) {
            core.set_features(element);
            return Ok(());
        }
        let counts = is_stanza(&element) && self.management == Management::On;
        if counts && core.session.inbound.is_repeated() {
            return Ok(());
        }
        let is_own = self.is_pong(core, &element) || self.answer_ping(core, &element);
        let when_handled = core.when_handled();
        let inbound = &mut core.session.inbound;
        match (counts, is_own) {
            (false, false) => return core.deliver(element, Wait::Stanza),
            (false, true) => inbound.handle_uncounted(),
            (true, false) if when_handled => inbound.deliver(),
            (true, _) => inbound.handle(),
        }
        if !is_own {
            core.push(Action::Deliver(element));
        }
        Ok(())
    }

    /// The application has handled so many more.
    pub(crate) fn handled(&mut self, core: &mut Core, count: u32) {
        handled(core, count);
        if self.owes && core.session.inbound.pending() == 0 {
            self.acknowledge(core);
        }
    }

    /// The server has said something.
    pub(crate) fn hear(&mut self, core: &mut Core) {
        core.touch();
        if self.pulse.hear(core.now()) {
            core.push(Action::Quiet(false));
        }
    }

    /// Nobody listened until now: what was to be heard by then may be heard later.
    pub(crate) fn excuse(&mut self, core: &Core) {
        let now = core.now();
        self.pulse.excuse(now);
        self.asked = self.asked.map(|_| now);
        self.enabled_by = self.enabled_by.map(|_| now + core.settings().timeouts.reply);
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, core: &mut Core) -> Result<(), Error> {
        if self.enabled_by.is_some_and(|at| at <= core.now()) {
            return Err(Error::TimedOut(Wait::Enabled));
        }
        if self.ask_at.is_some_and(|at| at <= core.now()) {
            self.ask(core);
        }
        if let Some(asked) = self.asked
            && self.pulse.is_ignored(asked, core.now())
        {
            return Err(self.ignored(core));
        }
        match self.pulse.due(core.now()) {
            Some(Due::Probe) => self.probe(core),
            Some(Due::Death) => return Err(Error::TimedOut(Wait::SignOfLife)),
            Some(Due::Whitespace) => core.send_whitespace(),
            None => {}
        }
        Ok(())
    }

    /// When something is due next.
    pub(crate) fn wake(&self) -> Option<Time> {
        let ignored = self.asked.and_then(|asked| self.pulse.ignored_by(asked));
        [self.enabled_by, self.ask_at, ignored, self.pulse.next()].into_iter().flatten().min()
    }

    /// The application wants the end: the server learns what arrived (XEP-0198, section 4).
    /// What waits goes out before that, whether it will be acknowledged or not.
    pub(crate) fn close(mut self, core: &mut Core) {
        match self.management {
            Management::On => self.acknowledge(core),
            Management::Off => {}
            Management::Requested => {
                self.management = Management::Off;
                self.flush(core);
            }
        }
        core.session.stream = None;
    }

    fn manage(&mut self, core: &mut Core, element: &Element) -> Result<(), Error> {
        match (Said::parse(element), self.management) {
            (Some(Said::Enabled(stream)), Management::Requested) => {
                (self.management, self.enabled_by) = (Management::On, None);
                core.session.inbound.begin_count();
                core.session.stream = stream;
                core.touch();
                self.flush(core);
                Ok(())
            }
            (Some(Said::Failed(_)), Management::Requested) => {
                (self.management, self.enabled_by) = (Management::Off, None);
                self.flush(core);
                Ok(())
            }
            (Some(Said::Request), Management::On) => {
                self.acknowledge(core);
                Ok(())
            }
            (Some(Said::Answer(handled)), Management::On) => {
                (self.is_resumed, self.asked) = (false, None);
                acknowledged(core, handled)
            }
            _ => Err(Error::unexpected(element, Wait::Stanza)),
        }
    }

    fn acknowledge(&mut self, core: &mut Core) {
        core.send(&management::answer(core.session.inbound.handled));
        self.owes = core.session.inbound.pending() > 0;
    }

    fn ask(&mut self, core: &mut Core) {
        (self.unasked, self.ask_at) = (0, None);
        self.asked = self.asked.or_else(|| self.is_resumed.then(|| core.now()));
        core.send(&management::request());
    }

    /// The server speaks, and does not answer. Where the connection before broke within a stanza, it
    /// may take all that we say for the rest of that, and would in the next resumption too: a new
    /// session begins with a parser of its own.
    fn ignored(&self, core: &mut Core) -> Error {
        if self.asked.is_some_and(|asked| self.pulse.heard_after(asked)) {
            core.session.stream = None;
        }
        Error::TimedOut(Wait::SignOfLife)
    }

    fn probe(&mut self, core: &mut Core) {
        core.push(Action::Quiet(true));
        match self.management {
            Management::On => self.ask(core),
            Management::Off => self.send_ping(core),
            Management::Requested => {} // it has a question to answer already
        }
    }

    fn send_ping(&mut self, core: &mut Core) {
        let id = unguessable_id();
        let ping = Element::new("iq", CLIENT)
            .with_attr("type", "get")
            .with_attr("to", core.domain())
            .with_attr("id", id.as_str())
            .with_child(Element::new("ping", PING));
        core.queue(ping);
        self.flush(core);
        self.ping = Some(id);
    }

    /// Whether it is the answer to our ping. An error is a sign of life too.
    fn is_pong(&mut self, core: &Core, element: &Element) -> bool {
        let answers = matches!(IqType::of(element), Some(IqType::Result | IqType::Error))
            && self.ping.is_some()
            && element.attr("id") == self.ping.as_deref()
            && element.attr("from").is_none_or(|from| from.parse() == Ok(core.domain_jid()));
        if answers {
            self.ping = None;
        }
        answers
    }

    /// Answers a ping (XEP-0199, section 4); says whether it was one. A server that acknowledges
    /// nothing is answered only while there is room.
    fn answer_ping(&mut self, core: &mut Core, element: &Element) -> bool {
        let is_ping =
            IqType::of(element) == Some(IqType::Get) && element.child("ping", PING).is_some();
        let answers = is_ping && element.attr("id").is_some();
        if answers && core.has_room() {
            core.queue(Iq::result(element).into());
            self.flush(core);
        }
        answers
    }
}

/// Nobody counts what is on its way.
fn let_go(core: &mut Core) {
    if let Some(last) = core.session.outbound.let_go() {
        core.push(Action::Unmanaged(last));
    }
}

/// The application has handled so many more, whether the server can be told or not.
pub(crate) fn handled(core: &mut Core, count: u32) {
    let inbound = &mut core.session.inbound;
    // It stops where the application has handled more than it was given.
    (0..count).all(|_| inbound.handled_by_application());
}

/// What stream management counts (XEP-0198, section 1).
pub(crate) fn is_stanza(element: &Element) -> bool {
    element.namespace() == CLIENT && matches!(element.name(), "message" | "presence" | "iq")
}

/// The server says how many it has handled, on this stream or on the one before.
pub(crate) fn acknowledged(core: &mut Core, handled: u32) -> Result<(), Error> {
    match core.session.outbound.acknowledge(handled) {
        Ok(Some(last)) => {
            core.push(Action::Acknowledged(last));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(Impossible { handled, sent }) => {
            core.send(&management::too_high(handled, sent));
            Err(Error::PeerMisbehaved(PeerFault::AcknowledgedUnsent { handled, sent }))
        }
    }
}

/// The server does not know the session any more: what it did not handle is sent in the next one,
/// as far as that makes sense (XEP-0198, section 4).
pub(crate) fn begin_anew(core: &mut Core) {
    core.session.stream = None;
    for number in core.session.outbound.begin_anew(salvage) {
        core.push(Action::Dropped(number));
    }
}

/// Messages and subscriptions go to somebody else, and are worth it; requests of a session that is
/// over have nobody to hear the answer, and its presence is not that of the next one.
fn salvage(mut kept: Kept, was_sent: bool) -> Option<Kept> {
    let stanza = &mut kept.stanza;
    let is_worth_it = match stanza.name() {
        "message" => true,
        "presence" => stanza.attr("to").is_some(),
        _ => false,
    };
    if !is_worth_it && was_sent {
        return None;
    }
    let is_stamped = stanza.child("delay", DELAY).is_some();
    if stanza.name() == "message" && !is_stamped && kept.at > 0 {
        stanza.push(Element::new("delay", DELAY).with_attr("stamp", timestamp(kept.at)));
    }
    Some(kept)
}
