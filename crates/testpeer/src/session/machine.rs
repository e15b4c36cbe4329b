//! One connection's conversation as a state machine over parsed elements.
//!
//! Leaves out framing: WebSocket and TCP put the same conversation into different bytes.

use epode_proto::Jid;
use epode_proto::xml::{Element, namespaces};

use super::authenticating::Authenticating;
use super::bound::bind;
use super::conditions::StreamCondition;
use super::sasl2::Login;
use super::seat::Seat;
use super::{
    SessionChannel, client_state, features, hibernation, sasl2, starttls, stream_management,
};
use crate::hub::Delivery;
use crate::random;
use crate::server::{Server, Slot};

/// What the client sent.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A stream header, whose attributes are those of this element.
    Open(Element),
    Element(Element),
    Close,
    /// Something that ends the stream.
    Broken(StreamCondition),
}

/// What the server sends.
#[derive(Debug)]
pub(crate) enum Said {
    Open(Header),
    Element(Element),
    Close,
}

/// The server's stream header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: Option<String>,
}

/// The server's half of one connection.
#[derive(Debug)]
pub(crate) struct Machine {
    server: Server,
    channel: SessionChannel,
    /// `None` when the server has more sessions than it may have, and when this one is over.
    slot: Option<Slot>,
    state: State,
}

/// What the server waits for.
#[derive(Debug)]
pub(super) enum State {
    /// A stream header, from this user if one has logged in.
    Opening(Option<String>),
    /// The handshake of TLS, which the transport does.
    Securing,
    Authenticating(Box<Authenticating>),
    /// The client's next message in a login by SASL2.
    LoggingIn(Box<Login>),
    /// A request to bind, from this user.
    Binding(String),
    Bound(Seat),
    Closed,
}

/// A state, and what is said on the way to it.
pub(super) type Transition = (State, Vec<Said>);

impl Machine {
    pub(crate) fn new(server: Server, channel: SessionChannel, slot: Option<Slot>) -> Self {
        Self { server, channel, slot, state: State::Opening(None) }
    }

    /// Takes what the client sent, and gives what to send.
    pub(crate) fn handle(&mut self, heard: Heard) -> Vec<Said> {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (state, said) = match (state, heard) {
            (State::Closed, _) => (State::Closed, Vec::new()),
            (_, Heard::Close) => (State::Closed, vec![Said::Close]),
            (state, Heard::Broken(condition)) => self.fail(&state, condition),
            (State::Opening(user), Heard::Open(header)) => self.open(user, &header),
            (state, Heard::Open(_)) | (state @ State::Opening(_), Heard::Element(_)) => {
                self.fail(&state, StreamCondition::BadFormat)
            }
            (state, Heard::Element(element)) => self.element(state, element),
        };
        self.state = state;
        if self.is_closed() {
            // Whoever carries it may keep it for a while.
            self.slot = None;
        }
        said
    }

    /// Takes what came through the mailbox; `None` when the mailbox has overflown.
    pub(crate) fn deliver(&mut self, delivery: Option<Delivery>) -> Vec<Said> {
        match delivery {
            Some(Delivery::Stanza(stanza)) => {
                let request = match &self.state {
                    State::Bound(seat) => seat.poll_request(),
                    _ => None,
                };
                [*stanza].into_iter().chain(request).map(Said::Element).collect()
            }
            Some(Delivery::Replaced) => self.end(StreamCondition::Conflict),
            None => self.end(StreamCondition::ResourceConstraint),
        }
    }

    /// Ends the stream for a reason of the server's.
    pub(crate) fn end(&mut self, condition: StreamCondition) -> Vec<Said> {
        self.handle(Heard::Broken(condition))
    }

    /// The transport has done the handshake: everything begins anew on this channel.
    pub(crate) fn secured(&mut self, channel: SessionChannel) {
        self.channel = channel;
        self.state = State::Opening(None);
    }

    /// The handshake is done in which the stream began: logins are bound to this channel from now on.
    pub(crate) fn finished(&mut self, channel: SessionChannel) {
        match &mut self.state {
            State::Authenticating(state) => state.rebind(&channel),
            State::LoggingIn(login) => login.rebind(&channel),
            _ => {}
        }
        self.channel = channel;
    }

    /// What waits in the mailbox now.
    pub(crate) fn poll_delivery(&self) -> Option<Option<Delivery>> {
        match &self.state {
            State::Bound(seat) => seat.poll_delivery(),
            _ => None,
        }
    }

    /// Waits for the mailbox, for ever if there is none. Nothing is lost when dropped early.
    pub(crate) async fn delivery(&self) -> Option<Delivery> {
        match &self.state {
            State::Bound(seat) => seat.delivery().await,
            _ => std::future::pending().await,
        }
    }

    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening(_))
    }

    pub(crate) fn is_securing(&self) -> bool {
        matches!(self.state, State::Securing)
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The bound address.
    pub(crate) fn jid(&self) -> Option<&Jid> {
        match &self.state {
            State::Bound(seat) => Some(seat.jid()),
            _ => None,
        }
    }

    fn open(&self, user: Option<String>, header: &Element) -> Transition {
        let domain = self.server.domain();
        let from = header.attr("from").filter(|from| !from.is_empty());
        let fault = if self.slot.is_none() {
            Some(StreamCondition::ResourceConstraint)
        } else if !header.attr("to").is_some_and(|to| to.eq_ignore_ascii_case(domain)) {
            Some(StreamCondition::HostUnknown)
        } else if header.attr("version") != Some("1.0") {
            Some(StreamCondition::UnsupportedVersion)
        } else if from.is_some_and(|from| !is_of_domain(from, domain)) {
            Some(StreamCondition::InvalidFrom)
        } else {
            None
        };
        let mut said = vec![self.header(from)];
        if let Some(condition) = fault {
            said.extend([Said::Element(condition.element()), Said::Close]);
            return (State::Closed, said);
        }
        let config = self.server.config();
        let (state, features) = match user {
            None => {
                let mut offer = config.offer(&self.channel);
                let mut sasl2 = config.sasl2_terms(&self.channel, from);
                if let Some(terms) = &mut sasl2 {
                    terms.share_list(&mut offer);
                }
                let mut features =
                    features::before_login(config, &self.channel, &offer, sasl2.as_ref());
                if let Some(terms) = sasl2.as_mut().filter(|_| config.sasl2.config_version) {
                    terms.add_version(&mut features);
                }
                (State::Authenticating(Box::new(Authenticating::new(offer, sasl2))), features)
            }
            Some(user) => (State::Binding(user), features::after_login(config, &self.channel)),
        };
        said.push(Said::Element(features));
        (state, said)
    }

    fn element(&self, state: State, element: Element) -> Transition {
        if let State::LoggingIn(login) = state {
            return login.handle(&self.server, &self.channel, &element);
        }
        if let Some(answer) = self.server.config().answer_to(&element) {
            return (state, vec![Said::Element(answer.clone())]);
        }
        if starttls::is_command(&element) {
            return starttls::answer(self.server.config(), &self.channel, &state);
        }
        if element.namespace() == stream_management::NAMESPACE
            && self.server.config().manages_streams(&self.channel)
        {
            return stream_management::handle(&self.server, state, &element);
        }
        match state {
            State::Authenticating(state) if element.namespace() == namespaces::SASL => {
                state.handle(&self.server, &self.channel, &element)
            }
            State::Authenticating(state)
                if element.namespace() == sasl2::NAMESPACE && state.sasl2().is_some() =>
            {
                Login::begin(state, &self.server, &self.channel, &element)
            }
            State::Binding(user) if is_stanza(&element) => bind(&self.server, user, &element),
            State::Bound(seat) if is_stanza(&element) => match seat.handle(element) {
                Ok(said) => (State::Bound(seat), said),
                Err(condition) => self.fail(&State::Bound(seat), condition),
            },
            State::Bound(seat) if client_state::is_indication(&element) => {
                (State::Bound(seat), Vec::new())
            }
            state => {
                let early = is_stanza(&element);
                let condition = if early {
                    StreamCondition::NotAuthorized
                } else {
                    StreamCondition::UnsupportedStanzaType
                };
                self.fail(&state, condition)
            }
        }
    }

    fn fail(&self, state: &State, condition: StreamCondition) -> Transition {
        // An error needs a stream to stand in (RFC 6120, section 4.9.1.2).
        let mut said = match state {
            State::Opening(_) => vec![self.header(None)],
            _ => Vec::new(),
        };
        said.extend([Said::Element(condition.element()), Said::Close]);
        (State::Closed, said)
    }

    fn header(&self, to: Option<&str>) -> Said {
        let from = self.server.domain().to_owned();
        Said::Open(Header { id: random::name(), from, to: to.map(str::to_owned) })
    }
}

impl Drop for Machine {
    /// Whoever carries it has lost the connection, unless the conversation is over.
    fn drop(&mut self) {
        if let State::Bound(seat) = std::mem::replace(&mut self.state, State::Closed) {
            hibernation::begin(seat);
        }
    }
}

/// Whether an address is one of the domain.
fn is_of_domain(address: &str, domain: &str) -> bool {
    address.parse::<Jid>().is_ok_and(|jid| jid.domain().eq_ignore_ascii_case(domain))
}

/// Whether the element is a stanza (RFC 6120, section 8).
fn is_stanza(element: &Element) -> bool {
    element.namespace() == namespaces::CLIENT
        && matches!(element.name(), "message" | "presence" | "iq")
}
