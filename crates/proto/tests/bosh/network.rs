//! An honest server behind a network that loses, delays and reorders: nothing is lost for good,
//! and nothing is said twice.

use std::time::Duration;

use epode_proto::{
    Element, Time,
    bosh::{End, Limits, Options, Request, RequestId, Response, Session},
    framing::websocket,
};

use super::manager::{Backend, Manager};

#[test]
fn a_thousand_stanzas_each_way_arrive_once_and_in_order() {
    for seed in 1..=8 {
        let options = Options::default().attempts(1000);
        let options = if seed % 2 == 0 { options.key_sequence() } else { options };
        run(seed, options.limits(Limits::default().with_request(600).with_waiting(3000)));
    }
}

fn run(seed: u64, options: Options) {
    let mut network = Network::new(seed, options);
    while network.heard.len() < STANZAS || network.manager.backend.0.len() < STANZAS {
        network.step();
    }
    network.session.send(websocket::close().to_xml().as_bytes()).expect("it can be closed");
    while network.session.end().is_none() {
        network.step();
    }
    assert_eq!(network.session.end(), Some(&End::Closed));
    let expected: Vec<String> = (0..STANZAS).map(|number| number.to_string()).collect();
    assert_eq!(network.manager.backend.0, expected, "seed {seed}: what the server heard");
    assert_eq!(network.heard, expected, "seed {seed}: what the client heard");
    let (cuts, reordered) = (network.cuts, network.reordered);
    assert!(cuts > 100 && reordered > 0, "seed {seed}: {cuts} cuts, {reordered} out of order");
}

/// What the server heard, by number.
struct Numbers(Vec<String>);

impl Backend for Numbers {
    fn open(&mut self, _to: &str) -> Vec<String> {
        Vec::new()
    }

    fn receive(&mut self, element: &Element) -> Vec<String> {
        self.0.push(element.attr("id").expect("it has an id").to_owned());
        Vec::new()
    }
}

/// Where an HTTP exchange stands.
enum Way {
    There(Request),
    Waiting,
    Back(String),
}

struct Network {
    dice: Dice,
    session: Session,
    manager: Manager<Numbers>,
    now: Time,
    exchanges: Vec<(RequestId, u64, Way)>,
    count: u64,
    sent: usize,
    pushed: usize,
    heard: Vec<String>,
    cuts: u32,
    reordered: u32,
}

impl Network {
    fn new(seed: u64, options: Options) -> Self {
        let mut session = Session::new(options).expect("there is randomness");
        let open = websocket::open("localhost", None, "en").to_xml();
        session.send(open.as_bytes()).expect("a stream can be opened");
        Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            session,
            manager: Manager::new(Numbers(Vec::new())),
            now: Time::ZERO,
            exchanges: Vec::new(),
            count: 0,
            sent: 0,
            pushed: 0,
            heard: Vec::new(),
            cuts: 0,
            reordered: 0,
        }
    }

    fn step(&mut self) {
        self.speak();
        self.collect();
        let moving: Vec<usize> = (0..self.exchanges.len())
            .filter(|index| !matches!(self.exchanges[*index].2, Way::Waiting))
            .collect();
        if moving.is_empty() {
            return self.wait();
        }
        let choice = self.dice.below(moving.len());
        self.reordered += u32::from(choice > 0);
        let index = moving[choice];
        if self.dice.below(8) == 0 {
            return self.cut(index);
        }
        let (id, number, way) = self.exchanges.remove(index);
        match way {
            Way::There(request) => {
                self.exchanges.insert(index, (id, number, Way::Waiting));
                let answers = self.manager.request(number, request.body.as_bytes());
                self.answer(answers);
            }
            Way::Back(body) => {
                let response = Response { status: 200, body: body.as_bytes() };
                self.session.handle_response(self.now, id, response);
            }
            Way::Waiting => unreachable!("it was filtered out"),
        }
    }

    /// Both sides have something to say, some of the time.
    fn speak(&mut self) {
        while self.sent < STANZAS && self.dice.below(3) == 0 && self.session.room() > 100 {
            let stanza = format!("<message xmlns='jabber:client' id='{}'/>", self.sent);
            self.session.send(stanza.as_bytes()).expect("there is room");
            self.sent += 1;
        }
        while self.pushed < STANZAS && self.dice.below(3) == 0 {
            let stanza = format!("<message xmlns='jabber:client' id='{}'/>", self.pushed);
            self.pushed += 1;
            let answers = self.manager.push(stanza);
            self.answer(answers);
        }
    }

    fn collect(&mut self) {
        while let Some(frame) = self.session.poll_frame() {
            let text = std::str::from_utf8(frame.as_bytes()).expect("it is UTF-8");
            let element = Element::parse(text).expect("it is an element");
            if element.name() == "message" {
                self.heard.push(element.attr("id").expect("it has an id").to_owned());
            }
        }
        while let Some(request) = self.session.poll_request(self.now) {
            let replaced = |exchange: &(RequestId, u64, Way)| Some(exchange.0) == request.replaces;
            self.exchanges.retain(|exchange| !replaced(exchange));
            self.count += 1;
            self.exchanges.push((request.id, self.count, Way::There(request)));
            assert!(self.exchanges.len() <= 2, "there are two connections");
        }
    }

    /// Nothing moves: somebody's patience ends.
    fn wait(&mut self) {
        if self.dice.below(2) == 0 {
            let answers = self.manager.release();
            self.answer(answers);
        } else if !self.exchanges.is_empty() && self.dice.below(4) > 0 {
            let index = self.dice.below(self.exchanges.len());
            self.cut(index);
        } else if let Some(next) = self.session.poll_timeout() {
            self.now = self.now.max(next) + Duration::from_millis(1);
            self.session.handle_timeout(self.now);
        }
    }

    fn cut(&mut self, index: usize) {
        let (id, ..) = self.exchanges.remove(index);
        self.cuts += 1;
        self.session.handle_failure(self.now, id);
    }

    /// What the server answers over a connection that is no more, nobody hears.
    fn answer(&mut self, answers: Vec<(u64, String)>) {
        for (number, body) in answers {
            if let Some(exchange) = self.exchanges.iter_mut().find(|it| it.1 == number) {
                exchange.2 = Way::Back(body);
            }
        }
    }
}

/// Marsaglia's xorshift: the same numbers each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

const STANZAS: usize = 1000;
