//! The real machine of the client logs in, without HTTP, and talks to a WebSocket's client.

use std::collections::VecDeque;

use epode_proto::bosh::{self, End, Fault, RequestId, Response};
use epode_proto::sasl::{Answer, Channel, Question, Secret};
use epode_proto::{Action, Connection, Input, Settings, Status, Time};

use super::*;

struct Client {
    connection: Connection,
    session: bosh::Session,
    line: Option<Line>,
    server: Server,
    /// How the server misbehaves once the client is online.
    fault: Option<BoshFault>,
    /// The exchanges, by number.
    requests: Vec<RequestId>,
    statuses: Vec<Status>,
    stanzas: Vec<Element>,
}

impl Client {
    fn new(server: &Server, password: &str, options: bosh::Options) -> Self {
        let jid = "alice@localhost/r".parse().expect("it is an address");
        Self {
            connection: Connection::new(Settings::new(jid, Secret::password(password))),
            session: bosh::Session::new(options).expect("there is randomness"),
            line: None,
            server: server.clone(),
            fault: None,
            requests: Vec::new(),
            statuses: Vec::new(),
            stanzas: Vec::new(),
        }
    }

    /// Gives an input, and goes on until both sides wait.
    fn run(&mut self, input: Input<'_>) {
        self.handle(input);
        let mut answers = VecDeque::new();
        loop {
            while let Some(frame) = self.session.poll_frame() {
                self.handle(Input::Received(frame.as_bytes()));
            }
            while let Some(request) = self.session.poll_request(Time::ZERO) {
                self.requests.push(request.id);
                answers.extend(self.post(request.body.as_bytes()));
            }
            answers.extend(self.line.as_mut().map(Line::take_routed).into_iter().flatten());
            let Some((exchange, body)) = answers.pop_front() else { return };
            let id = self.requests[usize::try_from(exchange).expect("it is small") - 1];
            let response = Response { status: 200, body: body.as_bytes() };
            self.session.handle_response(Time::ZERO, id, response);
        }
    }

    fn post(&mut self, bytes: &[u8]) -> Answers {
        let body = Body::parse(bytes, bytes.len()).expect("it is a request");
        let exchange = self.requests.len() as u64;
        let is_online = self.statuses.iter().any(|it| matches!(it, Status::Connected(_)));
        let fault = self.fault.clone().filter(|_| is_online);
        let request = Request { body, exchange, fault };
        if let Some(line) = &mut self.line {
            line.manager.handle_request(request, line.now);
            return line.answers();
        }
        let machine = self.server.machine(SessionChannel::encrypted());
        let (limits, now) = (*self.server.limits(), Instant::now());
        let manager = Manager::create(machine, limits, "a1", request, now);
        self.line.insert(Line { manager, now, fault: None }).answers()
    }

    fn handle(&mut self, input: Input<'_>) {
        self.connection.handle(Time::ZERO, input).expect("the input is due");
        while let Some(action) = self.connection.poll() {
            match action {
                Action::Transmit(frame) => {
                    self.session.send(frame.as_bytes()).expect("the frame is taken");
                }
                Action::Ask(id, Question::Derive(derivation)) => {
                    self.handle(Input::Answered(id, Answer::Keys(derivation.run())));
                }
                Action::Report(status) => self.statuses.push(status),
                Action::Deliver(stanza) => self.stanzas.push(stanza),
                Action::Keep(_) | Action::Remember(_) | Action::Sent(_) => {}
                Action::WakeAt(_) | Action::Disconnect => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn visit(options: bosh::Options, fault: Option<BoshFault>) {
    let server = server();
    let mut bob = bob(&server);
    let mut alice = Client::new(&server, "pencil", options);
    alice.fault = fault;
    alice.run(Input::Opened(Channel::encrypted()));
    let Some(Status::Connected(login)) = alice.statuses.last() else {
        panic!("{:?}", alice.statuses);
    };
    assert_eq!(login.mechanism.as_str(), "SCRAM-SHA-512");

    bob.receive(&message("alice", 1));
    let hello = Element::parse(&message("bob", 2)).unwrap();
    alice.run(Input::Send(hello));
    assert_eq!(alice.stanzas[0].attr("id"), Some("1"));
    assert!(bob.take_routed()[0].contains("id='2'"));

    alice.run(Input::Close);
    assert_eq!(alice.statuses.last(), Some(&Status::Disconnected(None)));
    assert_eq!(alice.session.end(), Some(&End::Closed));
}

#[test]
fn the_machine_logs_in_and_talks() {
    visit(bosh::Options::default(), None);
    visit(bosh::Options::default().key_sequence(), None);
    visit(bosh::Options::default(), Some(BoshFault::OutOfOrder));
}

#[test]
fn a_wrong_password_is_refused() {
    let mut alice = Client::new(&server(), "eraser", bosh::Options::default());
    alice.run(Input::Opened(Channel::encrypted()));
    let names: Vec<_> = alice.statuses.iter().map(|status| status.code().name()).collect();
    assert_eq!(names, ["CONNECTING", "AUTHENTICATING", "AUTHFAIL", "DISCONNECTED"]);
    assert_eq!(alice.session.end(), Some(&End::Closed));
}

#[test]
fn the_machine_sees_what_the_server_does() {
    for (fault, end) in [
        (BoshFault::WrongSid, End::Misbehaved(Fault::WrongSid)),
        (BoshFault::TwoTerminates, End::Closed),
    ] {
        let mut alice = Client::new(&server(), "pencil", bosh::Options::default());
        alice.fault = Some(fault);
        alice.run(Input::Opened(Channel::encrypted()));
        if alice.session.end().is_none() {
            alice.run(Input::Send(Element::parse(&message("bob", 1)).unwrap()));
        }
        assert_eq!(alice.session.end(), Some(&end));
    }
}
