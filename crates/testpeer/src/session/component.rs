//! The stream of an external component (XEP-0114), the server's side of "accept".
//!
//! Leaves out the socket, and the method "connect".

use epode_proto::Jid;
use epode_proto::xml::{Element, Limits, Node, StreamEvent, StreamReader, namespaces};

use super::Conversation;
use super::bound::{is_well_formed_iq, may_be_refused};
use super::conditions::{StanzaCondition, StreamCondition};
use super::websocket::condition_of;
use crate::components::{Attachment, Refused};
use crate::hub::Delivery;
use crate::random;
use crate::server::Server;

/// The conversation with one component, bytes in and bytes out.
#[derive(Debug)]
pub(crate) struct ComponentSession {
    server: Server,
    reader: StreamReader,
    state: State,
    out: String,
}

#[derive(Debug)]
enum State {
    Opening,
    /// The component is to show that it knows the secret of this domain.
    Handshaking {
        domain: String,
        stream_id: String,
    },
    Attached(Attachment),
    Closed,
}

impl ComponentSession {
    pub(crate) fn new(server: &Server, limits: Limits) -> Self {
        let reader = StreamReader::new(limits);
        Self { server: server.clone(), reader, state: State::Opening, out: String::new() }
    }

    fn open(&mut self, header: &Element) -> State {
        let domain = header.attr("to").unwrap_or_default().to_owned();
        let stream_id = random::name();
        self.say_header(&stream_id, Some(&domain));
        if !header.is("stream", namespaces::STREAM) {
            return self.fail(StreamCondition::BadFormat);
        }
        if !self.server.components().is_component(&domain) {
            return self.fail(StreamCondition::HostUnknown);
        }
        State::Handshaking { domain, stream_id }
    }

    fn shake_hands(&mut self, domain: &str, stream_id: &str, element: &Element) -> State {
        if element.namespace() != NAMESPACE {
            return self.fail(StreamCondition::InvalidNamespace);
        }
        if element.name() != "handshake" {
            return self.fail(StreamCondition::NotAuthorized);
        }
        match Attachment::new(&self.server, domain, stream_id, &element.text()) {
            Ok(attachment) => {
                self.say(&Element::new("handshake", NAMESPACE));
                State::Attached(attachment)
            }
            Err(Refused::Secret) => self.fail(StreamCondition::NotAuthorized),
            Err(Refused::Connected) => self.fail(StreamCondition::Conflict),
        }
    }

    fn stanza(&mut self, attachment: Attachment, element: &Element) -> State {
        let is_stanza = matches!(element.name(), "message" | "presence" | "iq");
        if element.namespace() != NAMESPACE || !is_stanza {
            return self.fail(StreamCondition::UnsupportedStanzaType);
        }
        let (Some(from), Some(to)) = (element.attr("from"), element.attr("to")) else {
            return self.fail(StreamCondition::ImproperAddressing);
        };
        let is_at_domain = |it: Jid| it.domain().eq_ignore_ascii_case(attachment.domain());
        if !from.parse().is_ok_and(is_at_domain) {
            return self.fail(StreamCondition::InvalidFrom);
        }
        let stanza = moved(element, NAMESPACE, namespaces::CLIENT);
        let reply = match to.parse() {
            _ if stanza.name() == "iq" && !is_well_formed_iq(&stanza) => {
                Err(StanzaCondition::BadRequest)
            }
            Ok(to) => self.server.route(&to, &stanza),
            Err(_) => Err(StanzaCondition::JidMalformed),
        };
        let reply = reply.unwrap_or_else(|condition| {
            may_be_refused(&stanza).then(|| condition.reply_to(&stanza))
        });
        if let Some(reply) = reply {
            self.say(&moved(&reply, namespaces::CLIENT, NAMESPACE));
        }
        State::Attached(attachment)
    }

    fn hear(&mut self, event: StreamEvent) -> State {
        match (std::mem::replace(&mut self.state, State::Closed), event) {
            (State::Closed, _) => State::Closed,
            (_, StreamEvent::End) => self.close(),
            (State::Opening, StreamEvent::Header(header)) => self.open(&header),
            (State::Handshaking { domain, stream_id }, StreamEvent::Element(element)) => {
                self.shake_hands(&domain, &stream_id, &element)
            }
            (State::Attached(attachment), StreamEvent::Element(element)) => {
                self.stanza(attachment, &element)
            }
            _ => self.fail(StreamCondition::BadFormat),
        }
    }

    fn fail(&mut self, condition: StreamCondition) -> State {
        self.say(&condition.element());
        self.close()
    }

    fn close(&mut self) -> State {
        self.out.push_str("</stream:stream>");
        State::Closed
    }

    fn say(&mut self, element: &Element) {
        self.out.push_str(&element.to_xml());
    }

    fn say_header(&mut self, stream_id: &str, domain: Option<&str>) {
        self.out.push_str("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' ");
        self.out.push_str("xmlns:stream='http://etherx.jabber.org/streams'");
        let from = domain.unwrap_or_else(|| self.server.domain());
        for (name, value) in [("from", from), ("id", stream_id)] {
            self.out.extend([" ", name, "='", &crate::escape::attribute(value), "'"]);
        }
        self.out.push('>');
    }
}

impl Conversation for ComponentSession {
    fn receive(&mut self, bytes: &[u8]) -> String {
        self.reader.feed(bytes);
        while !self.is_closed() {
            match self.reader.next_event() {
                Ok(None) => break,
                Ok(Some(event)) => self.state = self.hear(event),
                Err(error) => return self.end(condition_of(&error)),
            }
        }
        std::mem::take(&mut self.out)
    }

    async fn delivery(&mut self) -> Option<Delivery> {
        match &mut self.state {
            State::Attached(attachment) => attachment.delivery().await,
            _ => std::future::pending().await,
        }
    }

    fn deliver(&mut self, delivery: Option<Delivery>) -> String {
        match delivery {
            Some(Delivery::Stanza(stanza)) => {
                moved(&stanza, namespaces::CLIENT, NAMESPACE).to_xml()
            }
            Some(Delivery::Replaced) => self.end(StreamCondition::Conflict),
            None => self.end(StreamCondition::ResourceConstraint),
        }
    }

    fn end(&mut self, condition: StreamCondition) -> String {
        if matches!(self.state, State::Opening) {
            // An error needs a stream to stand in (RFC 6120, section 4.9.1.2).
            self.say_header(&random::name(), None);
        }
        if !self.is_closed() {
            self.state = self.fail(condition);
        }
        std::mem::take(&mut self.out)
    }

    fn is_established(&self) -> bool {
        matches!(self.state, State::Attached(_))
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }
}

/// The same in another namespace, wherever it was in the first.
fn moved(element: &Element, from: &str, to: &str) -> Element {
    let namespace = if element.namespace() == from { to } else { element.namespace() };
    let mut copy = Element::new(element.name(), namespace);
    for (namespace, name, value) in element.attributes() {
        match namespace {
            Some(namespace) => copy.set_attr_ns(namespace, name, value),
            None => copy.set_attr(name, value),
        }
    }
    for node in element.nodes() {
        match node {
            Node::Element(child) => copy.push(moved(child, from, to)),
            Node::Text(text) => copy.push(Node::Text(text.clone())),
        }
    }
    copy
}

const NAMESPACE: &str = "jabber:component:accept";
