//! The byte stream of XMPP over TCP (RFC 6120, section 4), the server's side.
//!
//! Leaves out the socket, and the handshake of TLS.

use epode_proto::xml::{Element, Limits, StreamEvent, StreamReader, namespaces};

use super::conditions::StreamCondition;
use super::machine::{Heard, Machine, Said};
use super::websocket::condition_of;
use super::{Conversation, SessionChannel, starttls};
use crate::hub::Delivery;

/// The conversation of one TCP connection, bytes in and bytes out.
#[derive(Debug)]
pub(crate) struct TcpSession {
    machine: Machine,
    reader: StreamReader,
    limits: Limits,
}

impl TcpSession {
    pub(crate) fn new(machine: Machine, limits: Limits) -> Self {
        Self { machine, reader: StreamReader::new(limits), limits }
    }

    /// The handshake is done: a new stream begins, of which nothing is known.
    pub(crate) fn secured(&mut self, channel: SessionChannel) {
        self.reader = StreamReader::new(self.limits);
        self.machine.secured(channel);
    }

    /// The handshake is done in which the stream began.
    pub(crate) fn finished(&mut self, channel: SessionChannel) {
        self.machine.finished(channel);
    }
}

impl Conversation for TcpSession {
    fn receive(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        self.reader.feed(bytes);
        while !self.machine.is_closed() && !self.machine.is_securing() {
            let heard = match self.reader.next_event() {
                Ok(None) => break,
                Ok(Some(StreamEvent::Header(header))) => header_or_fault(header),
                // Nothing may follow the command (RFC 6120, section 5.3.3). Taken for a part of
                // the encrypted stream, it would be whatever an attacker put there.
                Ok(Some(StreamEvent::Element(element)))
                    if starttls::is_command(&element) && self.reader.unread() > 0 =>
                {
                    Heard::Broken(StreamCondition::PolicyViolation)
                }
                Ok(Some(StreamEvent::Element(element))) => Heard::Element(element),
                Ok(Some(StreamEvent::End)) => Heard::Close,
                Err(error) => Heard::Broken(condition_of(&error)),
            };
            let was_opening = self.machine.is_opening();
            encode(&self.machine.handle(heard), &mut out);
            if self.machine.is_opening() && !was_opening {
                // A restart begins a new document, perhaps in the bytes at hand: everything that
                // came before them was read already.
                let rest = &bytes[bytes.len() - self.reader.unread().min(bytes.len())..];
                self.reader = StreamReader::new(self.limits);
                self.reader.feed(rest);
            }
        }
        out
    }

    async fn delivery(&mut self) -> Option<Delivery> {
        self.machine.delivery().await
    }

    fn deliver(&mut self, delivery: Option<Delivery>) -> String {
        let mut out = String::new();
        encode(&self.machine.deliver(delivery), &mut out);
        out
    }

    fn end(&mut self, condition: StreamCondition) -> String {
        let mut out = String::new();
        encode(&self.machine.end(condition), &mut out);
        out
    }

    fn is_established(&self) -> bool {
        self.machine.jid().is_some()
    }

    fn is_securing(&self) -> bool {
        self.machine.is_securing()
    }

    fn is_closed(&self) -> bool {
        self.machine.is_closed()
    }
}

fn header_or_fault(header: Element) -> Heard {
    if header.is("stream", namespaces::STREAM) {
        Heard::Open(header)
    } else {
        Heard::Broken(StreamCondition::BadFormat)
    }
}

fn encode(said: &[Said], out: &mut String) {
    for said in said {
        match said {
            Said::Open(header) => {
                let attributes = [
                    ("from", Some(&header.from)),
                    ("id", Some(&header.id)),
                    ("to", header.to.as_ref()),
                ];
                out.push_str("<?xml version='1.0'?><stream:stream xmlns='jabber:client' ");
                out.push_str("xmlns:stream='http://etherx.jabber.org/streams' version='1.0' ");
                out.push_str("xml:lang='en'");
                for (name, value) in attributes {
                    if let Some(value) = value {
                        out.extend([" ", name, "='", &crate::escape::attribute(value), "'"]);
                    }
                }
                out.push('>');
            }
            Said::Element(element) => out.push_str(&element.to_xml()),
            Said::Close => out.push_str("</stream:stream>"),
        }
    }
}
