//! The manager against clients that are written out by hand, and against the real machine.

mod faults;
mod login;
mod rules;
mod sasl2;

use std::time::Duration;

use base64ct::{Base64, Encoding};
use epode_proto::xml::Element;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::{Body, BoshFault, HTTP_BIND, Manager, Request};
use crate::{Limits, Server, Session, SessionChannel};

const CREATE: &str = "to='localhost' wait='60' hold='1' ver='1.6' ack='1' xml:lang='en' \
                      xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'";
const RESTART: &str = "to='localhost' xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'";
const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind>\
                    </iq>";
const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const EMPTY: &str = "<body xmlns='http://jabber.org/protocol/httpbind'/>";

fn server() -> Server {
    Server::builder("localhost").account("alice", "pencil").account("bob", "eraser").build()
}

fn auth(user: &str, password: &str) -> String {
    let message = Base64::encode_string(format!("\0{user}\0{password}").as_bytes());
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

fn message(to: &str, id: u32) -> String {
    format!("<message xmlns='jabber:client' to='{to}@localhost/r' id='{id}'/>")
}

fn body(rid: u64, attributes: &str, inside: &str) -> Body {
    let text = format!("<body xmlns='{HTTP_BIND}' rid='{rid}' {attributes}>{inside}</body>");
    Body::parse(text.as_bytes(), text.len()).expect("it is a request")
}

/// A session whose exchanges are numbers: that of a request which comes for the first time is its
/// request id.
struct Line {
    manager: Manager<u64>,
    now: Instant,
    fault: Option<BoshFault>,
}

type Answers = Vec<(u64, String)>;

impl Line {
    fn create(server: &Server, attributes: &str) -> (Self, Answers) {
        let machine = server.machine(SessionChannel::plaintext());
        let (limits, now) = (*server.limits(), Instant::now());
        let request = Request { body: body(1, attributes, ""), exchange: 1, fault: None };
        let manager = Manager::create(machine, limits, "a1", request, now);
        let mut line = Self { manager, now, fault: None };
        let answers = line.answers();
        (line, answers)
    }

    /// A client that has bound `alice@localhost/r`, and sends request 5 next.
    fn online(server: &Server) -> Self {
        let mut line = Self::create(server, CREATE).0;
        assert!(line.post(2, "", &auth("alice", "pencil"))[0].1.contains("<success"));
        assert!(line.post(3, RESTART, "")[0].1.contains("<bind"));
        assert!(line.post(4, "", BIND)[0].1.contains("alice@localhost/r"));
        line
    }

    fn post(&mut self, rid: u64, attributes: &str, inside: &str) -> Answers {
        self.repeat(rid, rid, attributes, inside)
    }

    fn repeat(&mut self, exchange: u64, rid: u64, attributes: &str, inside: &str) -> Answers {
        let (body, fault) = (body(rid, attributes, inside), self.fault.clone());
        self.manager.handle_request(Request { body, exchange, fault }, self.now);
        self.answers()
    }

    /// Takes what has come for the session.
    fn take_routed(&mut self) -> Answers {
        while let Some(delivery) = self.manager.delivery().now_or_never() {
            self.manager.handle_delivery(delivery, self.now);
        }
        self.answers()
    }

    /// Lets so many seconds pass.
    fn wait(&mut self, seconds: u64) -> Answers {
        let end = self.now + Duration::from_secs(seconds);
        while !self.manager.is_gone() && self.manager.poll_timeout() <= end {
            self.now = self.now.max(self.manager.poll_timeout());
            self.manager.handle_timeout(self.now);
        }
        self.now = end;
        self.answers()
    }

    fn answers(&mut self) -> Answers {
        std::iter::from_fn(|| self.manager.poll_answer()).collect()
    }
}

/// A WebSocket's client that has bound `bob@localhost/r`.
fn bob(server: &Server) -> Session {
    let mut session = server.session(SessionChannel::plaintext());
    for frame in [OPEN, &auth("bob", "eraser"), OPEN, BIND] {
        session.receive(frame);
    }
    assert_eq!(session.jid().expect("it is bound").as_str(), "bob@localhost/r");
    session
}

/// The exchange, and the answer without what is inside.
fn heads(answers: &[(u64, String)]) -> Vec<(u64, String)> {
    let head = |text: &str| Element::parse(text).expect("it is XML");
    let mut heads = Vec::new();
    for (exchange, answer) in answers {
        let answer = head(answer);
        let attributes = ["type", "condition"].into_iter().filter_map(|name| answer.attr(name));
        heads.push((*exchange, attributes.collect::<Vec<_>>().join(" ")));
    }
    heads
}

#[track_caller]
fn assert_heads(answers: &[(u64, String)], expected: &[(u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(it, head)| (*it, (*head).to_owned())).collect();
    assert_eq!(heads(answers), expected, "{answers:?}");
}

fn small_server() -> Server {
    let limits = Limits { stanza: 1000, ..Limits::default() };
    let server = Server::builder("localhost").account("alice", "pencil");
    server.account("bob", "eraser").limits(limits).build()
}
