//! What all states of a connection share: the settings, the way out, and the deadline.
//! What is said and when is the states' business.

use std::collections::VecDeque;

use epode_sasl::Question;

use crate::{
    Element, Jid, Phase, Settings, Time,
    action::{Action, Frame, QuestionId},
    error::{Error, Wait},
    framing::{self, FrameError, tcp, websocket},
    stream::is_language,
    xml::namespaces::{SASL, STREAM},
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
}

/// How frames lie on the wire.
enum Wire {
    WebSocket,
    Tcp(Box<tcp::Decoder>),
}

struct Deadline {
    at: Time,
    wait: Wait,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            wire: Wire::WebSocket,
            actions: VecDeque::new(),
            questions: 0,
            deadline: None,
            flights: 0,
            language: None,
            features: None,
            heard: true,
        }
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

    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
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
        self.actions.push_back(action);
    }

    /// Gives an element to the application, if it can be one of its own.
    pub(crate) fn deliver(&mut self, element: Element, wait: Wait) -> Result<(), Error> {
        refuse_negotiation(&element, wait)?;
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
        self.transmit(Frame::new(match self.wire {
            Wire::WebSocket => element.to_xml(),
            Wire::Tcp(_) => tcp::encode(element),
        }));
    }

    pub(crate) fn close_stream(&mut self) {
        self.transmit(Frame::new(match self.wire {
            Wire::WebSocket => websocket::close().to_xml(),
            Wire::Tcp(_) => tcp::CLOSE.to_owned(),
        }));
    }

    pub(crate) fn open_stream(&mut self) {
        let (domain, language) = (self.domain(), &self.settings.language);
        self.transmit(Frame::new(match self.wire {
            Wire::WebSocket => websocket::open(domain, None, language).to_xml(),
            Wire::Tcp(_) => tcp::open(domain, None, language),
        }));
    }

    /// From now on bytes are a stream (RFC 6120), not messages of a WebSocket (RFC 7395).
    pub(crate) fn use_tcp(&mut self) {
        self.wire = Wire::Tcp(Box::new(tcp::Decoder::new(self.settings.limits)));
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
        if let Wire::Tcp(decoder) = &mut self.wire {
            decoder.restart()?;
        }
        self.open_stream();
        Ok(())
    }

    /// Takes apart what the server sent: one frame of a WebSocket, any number of a stream.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<Result<framing::Frame, FrameError>> {
        match &mut self.wire {
            Wire::WebSocket => Some(websocket::decode(bytes, &self.settings.limits)),
            Wire::Tcp(decoder) => {
                decoder.feed(bytes);
                self.next_frame()
            }
        }
    }

    /// What is left of what was fed.
    pub(crate) fn next_frame(&mut self) -> Option<Result<framing::Frame, FrameError>> {
        match &mut self.wire {
            Wire::WebSocket => None,
            Wire::Tcp(decoder) => decoder.next_frame().transpose(),
        }
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
            Phase::Answer | Phase::BindCall => Some(timeouts.answer),
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
            self.push(Action::WakeAt(at));
        }
    }
}

/// Features and the login are done with once there are stanzas: an element of theirs is nobody's.
pub(crate) fn refuse_negotiation(element: &Element, wait: Wait) -> Result<(), Error> {
    match element.namespace() {
        STREAM | SASL => Err(Error::unexpected(element, wait)),
        _ => Ok(()),
    }
}
