//! The real machine logs in over BOSH, at a real server behind a connection manager.

use std::collections::VecDeque;

use epode_proto::{
    Action, Connection, Element, Input, SaslProfile, Settings, Status, Time,
    bosh::{End, Options, RequestId, Response, Session},
    framing::websocket,
    sasl::{Answer, Channel, Question, Secret},
};
use epode_testpeer::{Server, SessionChannel};

use super::manager::{Backend, Manager};

struct Peer(epode_testpeer::Session);

impl Backend for Peer {
    fn open(&mut self, to: &str) -> Vec<String> {
        let mut said = self.0.receive(&websocket::open(to, None, "en").to_xml());
        assert!(said.remove(0).starts_with("<open "), "BOSH has no header");
        said
    }

    fn receive(&mut self, element: &Element) -> Vec<String> {
        self.0.receive(&element.to_xml())
    }
}

struct Program {
    connection: Connection,
    session: Session,
    manager: Manager<Peer>,
    statuses: Vec<Status>,
    /// Each exchange of HTTP.
    ids: Vec<RequestId>,
    /// Requests that were sent before the status CONNECTED.
    requests: u32,
    shown: String,
}

impl Program {
    fn new(password: &str, mechanisms: &[&str]) -> Self {
        let server = Server::builder("localhost").account("alice", "secret").iterations(4096);
        let server = server.mechanisms(mechanisms.iter().copied()).build();
        let secret = Secret::password(password);
        let jid = "alice@localhost".parse().expect("it is an address");
        let settings = Settings::new(jid, secret).sasl_profile(SaslProfile::Sasl1);
        Self {
            connection: Connection::new(settings),
            session: Session::new(Options::default()).expect("there is randomness"),
            manager: Manager::new(Peer(server.session(SessionChannel::encrypted()))),
            statuses: Vec::new(),
            ids: Vec::new(),
            requests: 0,
            shown: String::new(),
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
            let connected = self.statuses.iter().any(|it| matches!(it, Status::Connected(_)));
            while let Some(request) = self.session.poll_request(Time::ZERO) {
                self.requests += u32::from(!connected);
                self.shown.push_str(&format!("{request:?}{:?}", self.session));
                self.ids.push(request.id);
                let exchange = self.ids.len() as u64;
                answers.extend(self.manager.request(exchange, request.body.as_bytes()));
            }
            let Some((exchange, body)) = answers.pop_front() else { return };
            let id = self.ids[usize::try_from(exchange).expect("it is small") - 1];
            let response = Response { status: 200, body: body.as_bytes() };
            self.session.handle_response(Time::ZERO, id, response);
        }
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
                Action::Keep(_)
                | Action::Remember(_)
                | Action::WakeAt(_)
                | Action::Disconnect
                | Action::Deliver(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Create, auth, response, restart, bind; with the connection itself that is six round trips.
#[test]
fn scram_takes_five_requests() {
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut program = Program::new("secret", &[mechanism]);
        program.run(Input::Opened(Channel::encrypted()));
        let Some(Status::Connected(login)) = program.statuses.last() else {
            panic!("{:?}", program.statuses);
        };
        assert_eq!((login.mechanism.as_str(), login.flights), (mechanism, 5));
        assert_eq!(program.requests, 5, "{mechanism}");
        assert!(program.session.is_confirmed());
        assert!(program.session.is_quiet(), "it is our turn, or that of who takes it over");

        program.run(Input::Close);
        assert_eq!(program.statuses.last(), Some(&Status::Disconnected(None)));
        assert_eq!(program.session.end(), Some(&End::Closed));
        assert!(program.manager.is_over);
    }
}

#[test]
fn a_password_in_a_request_is_not_shown() {
    let mut program = Program::new("secret", &["PLAIN"]);
    program.run(Input::Opened(Channel::encrypted()));
    assert!(matches!(program.statuses.last(), Some(Status::Connected(_))));
    assert_eq!(program.requests, 4);
    for secret in ["AGFsaWNlAHNlY3JldA==", "secret", "a1", "rid"] {
        assert!(!program.shown.contains(secret), "{secret} in {}", program.shown);
    }
}

#[test]
fn a_refused_login_ends_in_good_order() {
    let mut program = Program::new("guess", &["SCRAM-SHA-256"]);
    program.run(Input::Opened(Channel::encrypted()));
    let names: Vec<_> = program.statuses.iter().map(|status| status.code().name()).collect();
    assert_eq!(names, ["CONNECTING", "AUTHENTICATING", "AUTHFAIL", "DISCONNECTED"]);
    assert_eq!(program.session.end(), Some(&End::Closed));
}
