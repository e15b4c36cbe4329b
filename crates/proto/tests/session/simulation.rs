//! Two counters: the machine against a model of a server, over a network that is cut at any frame.
//! Nothing may be lost, doubled or out of order, on either side, whatever happens.

use std::{collections::VecDeque, time::Duration};

use epode_proto::{Element, Input, SessionState, StreamManagement, xml::namespaces::SM as SM_NS};

use crate::client::{Client, SM, Wire, settings, through_json};

#[test]
fn nothing_is_lost_or_doubled() {
    let mut total = Tally::default();
    for seed in 0..SESSIONS {
        let tally = World::new(seed).run();
        total.cuts += tally.cuts;
        total.early += tally.early;
        total.forgotten += tally.forgotten;
        total.restarts += tally.restarts;
        total.wraps += tally.wraps;
    }
    // A simulation in which nothing happens proves nothing.
    assert!(total.cuts > 2000 && total.restarts > 1000 && total.wraps > 50, "{total:?}");
    assert!(total.early > 100 && total.forgotten > 20, "{total:?}");
}

#[derive(Debug, Default)]
struct Tally {
    cuts: usize,
    /// Cuts before the program knew that the server counts.
    early: usize,
    /// Those of them after which the server had a session that the program knows nothing of.
    forgotten: usize,
    restarts: usize,
    wraps: usize,
}

/// One session: a program, a server, and what is on its way between them.
struct World {
    random: Random,
    client: Client,
    wire: Wire,
    when_handled: bool,
    server: Server,
    to_server: VecDeque<String>,
    to_client: VecDeque<String>,
    written: usize,
    /// What the program has in hand, and has not handled.
    inbox: VecDeque<String>,
    handled: Vec<String>,
    news: Vec<u64>,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let wire = if random.one_in(2) { Wire::Tcp } else { Wire::WebSocket };
        let when_handled = random.one_in(2);
        // Half of them began in an earlier process, just before the counts wrap.
        let (session, begins_at) = if random.one_in(2) {
            let json = r#"{"jid":"alice@example.org/desk","id":"s0","in":0,"in_h":4294967270,
                "out":0,"out_h":4294967270,"queue":[]}"#;
            (SessionState::from_json(json).expect("it is a session"), u32::MAX - 25)
        } else {
            (SessionState::default(), 0)
        };
        let mut world = Self {
            client: Client::new(wire, settings_for(when_handled, session)),
            random,
            wire,
            when_handled,
            server: Server::new(begins_at),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            written: 0,
            inbox: VecDeque::new(),
            handled: Vec::new(),
            news: Vec::new(),
            tally: Tally::default(),
        };
        world.log_in();
        world
    }

    fn run(mut self) -> Tally {
        let mut steps = 0;
        while !self.is_done() {
            self.step();
            steps += 1;
            assert!(steps < 100_000, "it does not come to an end");
        }
        let all: Vec<_> = (1..=MESSAGES).map(|n| n.to_string()).collect();
        assert_eq!(self.server.handled, all, "what the server has");
        assert_eq!(self.handled, all, "what the program has");
        let session = self.client.connection.session();
        assert_eq!(session.received(), MESSAGES as u64);
        assert_eq!(session.sent(), MESSAGES as u64);
        assert!(self.news.is_sorted() && self.news.last() == Some(&(MESSAGES as u64)));
        self.tally.wraps = usize::from(self.server.received < self.server.begins_at);
        self.tally
    }

    fn is_done(&self) -> bool {
        let session = self.client.connection.session();
        self.handled.len() >= MESSAGES
            && self.server.handled.len() >= MESSAGES
            && self.server.unacknowledged.is_empty()
            && session.unacknowledged().next().is_none()
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..4 if self.writes() => {
                self.written += 1;
                self.client.send(&self.written.to_string());
            }
            4..8 if self.server.is_counting => self.to_client.extend(self.server.write()),
            8..11 => {
                if let Some(frame) = self.to_server.pop_front() {
                    self.to_client.extend(self.server.receive(&frame));
                }
            }
            11..14 => {
                if let Some(frame) = self.to_client.pop_front() {
                    self.client.receive(&frame);
                }
            }
            14..16 => self.handle(),
            16 if self.server.is_counting => {
                let asks = self.random.one_in(2);
                self.to_client.push_back(if asks { request() } else { self.server.answer() });
            }
            17 => self.client.pass(Duration::from_millis(self.random.below(400) as u64)),
            18 if self.random.one_in(4) => self.cut(),
            19 if !self.is_resumable() && self.random.one_in(2) => self.cut(),
            _ => {}
        }
        self.listen();
    }

    /// Whether the program has something to say, and a session that takes it.
    fn writes(&self) -> bool {
        let connection = &self.client.connection;
        self.written < MESSAGES && connection.has_room() && connection.session().jid().is_some()
    }

    /// Takes what the program sent and heard.
    fn listen(&mut self) {
        assert!(!self.client.is_over, "seed {}: {:?}", self.random.0, self.client.statuses.last());
        self.to_server.extend(self.client.sent());
        for element in self.client.delivered.drain(..) {
            self.inbox.push_back(element.attr("id").expect("all have one").to_owned());
        }
        for news in self.client.news() {
            match news {
                crate::client::News::Acknowledged(number) => self.news.push(number),
                crate::client::News::Dropped(number) | crate::client::News::Unmanaged(number) => {
                    panic!("nobody knows of {number}")
                }
                _ => {}
            }
        }
    }

    fn handle(&mut self) {
        let count = self.random.below(4).min(self.inbox.len());
        self.handled.extend(self.inbox.drain(..count));
        if self.when_handled {
            self.client.input(Input::Handled(count as u32));
        }
    }

    /// The network is cut, with all that is on its way; perhaps the process ends, too.
    fn cut(&mut self) {
        self.tally.cuts += 1;
        self.listen();
        if !self.is_resumable() {
            self.tally.early += 1;
            self.tally.forgotten += usize::from(self.server.is_counting);
        }
        self.to_server.clear();
        self.to_client.clear();
        self.client.lose();
        if !self.when_handled {
            self.handled.extend(self.inbox.drain(..)); // it was called handled
        }
        let mut session = self.client.connection.session().clone();
        if session.jid().is_some() && self.random.one_in(2) {
            self.tally.restarts += 1;
            session = through_json(&session);
            self.inbox.clear(); // nobody has called it handled: it comes again
        } else if self.when_handled {
            // It is handled while there is no connection.
            self.handle();
            session = self.client.connection.session().clone();
        }
        self.client = Client::new(self.wire, settings_for(self.when_handled, session));
        self.server.is_counting = false;
        if self.writes() && self.random.one_in(3) {
            self.written += 1;
            self.client.send(&self.written.to_string());
        }
        self.log_in();
    }

    /// Before `<enabled/>` there is nothing to resume: the next connection begins a new session.
    fn is_resumable(&self) -> bool {
        self.client.connection.session().is_resumable()
    }

    fn log_in(&mut self) {
        self.client.log_in(SM);
        self.listen();
    }
}

fn settings_for(when_handled: bool, session: SessionState) -> epode_proto::Settings {
    let wanted = StreamManagement::default().queue(30, usize::MAX);
    let wanted = if when_handled { wanted.when_handled() } else { wanted };
    settings().stream_management(Some(wanted)).session(session)
}

/// The other side, written for itself: what XEP-0198 demands of a server.
///
/// A session whose `<enabled/>` never arrived is not resumed. What the server had sent in it went
/// after the `<enabled/>`, so it never arrived either: it is treated as written to somebody who was
/// absent, and goes to the next session as traffic of its own, at the beginning of the new count.
struct Server {
    /// Sessions are named by their number.
    session: usize,
    begins_at: u32,
    /// How many it has received, modulo 2^32.
    received: u32,
    handled: Vec<String>,
    /// How many the client has acknowledged, modulo 2^32.
    acknowledged: u32,
    unacknowledged: VecDeque<String>,
    written: usize,
    is_counting: bool,
}

impl Server {
    fn new(begins_at: u32) -> Self {
        Self {
            session: 0,
            begins_at,
            received: begins_at,
            handled: Vec::new(),
            acknowledged: begins_at,
            unacknowledged: VecDeque::new(),
            written: 0,
            is_counting: false,
        }
    }

    fn receive(&mut self, frame: &str) -> Vec<String> {
        let element: Element = frame.parse().expect("it is XML");
        let number = |name| -> u32 { element.attr(name).expect("h").parse().expect("a number") };
        match element.name() {
            "iq" => vec![format!(
                "<iq xmlns='jabber:client' type='result' id='{}'>\
                 <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                 <jid>alice@example.org/desk</jid></bind></iq>",
                element.attr("id").expect("a request has an id")
            )],
            "enable" => {
                assert_eq!(self.received, 0, "a program that did not know whether it counts sent");
                self.session += 1;
                (self.is_counting, self.acknowledged) = (true, 0);
                let id = self.session;
                self.sends_again(format!("<enabled xmlns='{SM_NS}' id='s{id}' resume='true'/>"))
            }
            "resume" => {
                let id = format!("s{}", self.session);
                assert_eq!(element.attr("previd"), Some(id.as_str()));
                self.acknowledge(number("h"));
                self.is_counting = true;
                let h = self.received;
                self.sends_again(format!("<resumed xmlns='{SM_NS}' previd='{id}' h='{h}'/>"))
            }
            "r" => vec![self.answer()],
            "a" => {
                self.acknowledge(number("h"));
                vec![]
            }
            "message" => {
                assert!(self.is_counting, "nobody counts it");
                self.received = self.received.wrapping_add(1);
                self.handled.push(element.attr("id").expect("all have one").to_owned());
                vec![]
            }
            other => panic!("{other} is not expected"),
        }
    }

    /// It answers, and sends what is not acknowledged.
    fn sends_again(&self, answer: String) -> Vec<String> {
        let again = self.unacknowledged.iter().map(|id| message(id));
        [answer].into_iter().chain(again).collect()
    }

    /// It sends the next, if there is one.
    fn write(&mut self) -> Option<String> {
        (self.written < MESSAGES).then(|| {
            self.written += 1;
            self.unacknowledged.push_back(self.written.to_string());
            message(&self.written.to_string())
        })
    }

    fn answer(&self) -> String {
        crate::client::answer(self.received)
    }

    fn acknowledge(&mut self, handled: u32) {
        let fresh = handled.wrapping_sub(self.acknowledged) as usize;
        assert!(fresh <= self.unacknowledged.len(), "{handled} is more than was sent");
        self.unacknowledged.drain(..fresh);
        self.acknowledged = handled;
    }
}

fn message(id: &str) -> String {
    format!("<message xmlns='jabber:client' id='{id}'/>")
}

fn request() -> String {
    crate::client::REQUEST.to_owned()
}

/// The same numbers each time (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

const SESSIONS: u64 = 200;
const MESSAGES: usize = 100;
