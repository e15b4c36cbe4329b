//! A connection manager as XEP-0124 wants it, which also checks that its client is one.

use std::collections::BTreeMap;

use epode_proto::{Element, xml::namespaces::XML};

const XBOSH: &str = "urn:xmpp:xbosh";

/// What stands behind the manager: takes elements, and gives those that answer them.
pub(crate) trait Backend {
    fn open(&mut self, to: &str) -> Vec<String>;
    fn receive(&mut self, element: &Element) -> Vec<String>;
}

/// One session; an exchange is one HTTP request, by a number of the caller's.
pub(crate) struct Manager<B> {
    pub(crate) backend: B,
    pub(crate) is_over: bool,
    next_rid: u64,
    held: Vec<(u64, u64)>,
    /// Requests that came too early, by request id.
    early: BTreeMap<u64, (u64, Element)>,
    /// Each body that was seen, to compare repetitions with.
    seen: BTreeMap<u64, Vec<u8>>,
    /// The last answers, by request id.
    answers: BTreeMap<u64, String>,
    waiting: Vec<String>,
    key: Option<String>,
}

impl<B: Backend> Manager<B> {
    pub(crate) fn new(backend: B) -> Self {
        Self {
            backend,
            is_over: false,
            next_rid: 0,
            held: Vec::new(),
            early: BTreeMap::new(),
            seen: BTreeMap::new(),
            answers: BTreeMap::new(),
            waiting: Vec::new(),
            key: None,
        }
    }

    /// Takes a request, and gives the answers that are to be sent now, by exchange.
    pub(crate) fn request(&mut self, exchange: u64, bytes: &[u8]) -> Vec<(u64, String)> {
        let body = Element::parse(std::str::from_utf8(bytes).expect("it is UTF-8"))
            .expect("a body is XML");
        let rid: u64 = body.attr("rid").and_then(|rid| rid.parse().ok()).expect("it has a rid");
        let first = self.seen.entry(rid).or_insert_with(|| bytes.to_vec());
        assert_eq!(first, bytes, "a repetition is the same");
        if let Some(answer) = self.answers.get(&rid) {
            return vec![(exchange, answer.clone())];
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.0 == rid) {
            let old = std::mem::replace(&mut held.1, exchange);
            return vec![(old, answer("type='error'", ""))];
        }
        if self.next_rid == 0 {
            assert_eq!(body.attr("sid"), None);
            self.next_rid = rid;
        }
        assert!((self.next_rid..self.next_rid + 2).contains(&rid), "the rid is in the window");
        let old = self.early.insert(rid, (exchange, body));
        let mut answers: Vec<_> =
            old.map(|(old, _)| (old, answer("type='error'", ""))).into_iter().collect();
        while let Some((exchange, body)) = self.early.remove(&self.next_rid) {
            self.held.push((self.next_rid, exchange));
            self.next_rid += 1;
            answers.extend(self.take(&body));
        }
        answers
    }

    /// Gives the client something, at once if there is a request to answer.
    pub(crate) fn push(&mut self, stanza: String) -> Vec<(u64, String)> {
        self.waiting.push(stanza);
        self.flush()
    }

    /// The server has waited long enough for something to say.
    pub(crate) fn release(&mut self) -> Vec<(u64, String)> {
        if self.held.is_empty() { Vec::new() } else { vec![self.answer_oldest("")] }
    }

    fn take(&mut self, body: &Element) -> Vec<(u64, String)> {
        self.check_key(body);
        let open = |backend: &mut B| backend.open(body.attr("to").expect("it has a to"));
        if body.attr("sid").is_none() {
            assert_eq!(body.attr_ns(XBOSH, "version"), Some("1.0"));
            assert_eq!(body.attr_ns(XML, "lang"), Some("en"));
            assert_eq!((body.attr("ver"), body.attr("hold")), (Some("1.6"), Some("1")));
            let said = open(&mut self.backend);
            self.waiting.extend(said);
            let attributes = "sid='a1' wait='60' hold='1' requests='2' polling='5' \
                inactivity='30' maxpause='120' ver='1.6' from='localhost' \
                xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'";
            return vec![self.answer_oldest(attributes)];
        }
        assert_eq!(body.attr("sid"), Some("a1"));
        if let Some(ack) = body.attr("ack").and_then(|ack| ack.parse().ok()) {
            self.answers.retain(|rid, _| *rid > ack);
        }
        if body.attr_ns(XBOSH, "restart") == Some("true") {
            assert_eq!(body.children().count(), 0, "a restart has nothing in it");
            let said = open(&mut self.backend);
            self.waiting.extend(said);
        }
        for child in body.children() {
            let said = self.backend.receive(child);
            self.waiting.extend(said);
        }
        if body.attr("type") == Some("terminate") {
            self.is_over = true;
            let mut answers = vec![self.answer_oldest("type='terminate'")];
            while !self.held.is_empty() {
                answers.push(self.answer_oldest(""));
            }
            return answers;
        }
        self.flush()
    }

    fn flush(&mut self) -> Vec<(u64, String)> {
        let mut answers = Vec::new();
        while self.held.len() > 1 || !(self.held.is_empty() || self.waiting.is_empty()) {
            answers.push(self.answer_oldest(""));
        }
        answers
    }

    fn answer_oldest(&mut self, attributes: &str) -> (u64, String) {
        let (rid, exchange) = self.held.remove(0);
        let answer = answer(attributes, &self.waiting.concat());
        self.waiting.clear();
        self.answers.insert(rid, answer.clone());
        while self.answers.len() > 2 {
            self.answers.pop_first();
        }
        (exchange, answer)
    }

    fn check_key(&mut self, body: &Element) {
        use sha1::{Digest, Sha1};
        let (key, new) = (body.attr("key"), body.attr("newkey"));
        if let Some(expected) = &self.key {
            let hash = Sha1::digest(key.expect("each request has a key"));
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(&hash, expected);
        }
        self.key = new.or(key).map(Into::into);
    }
}

fn answer(attributes: &str, inside: &str) -> String {
    format!("<body xmlns='http://jabber.org/protocol/httpbind' {attributes}>{inside}</body>")
}
