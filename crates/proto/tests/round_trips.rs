//! Elements that nobody would write by hand come back as they were, in whatever pieces.
//!
//! They are made of a seed, so that a failure can be repeated.

use epode_proto::{
    Element,
    framing::{Frame, tcp},
    xml::{Limits, namespaces},
};

/// A generator of numbers and of what can be made of them (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Text of pieces that have a meaning in XML, and of any characters that it can carry.
    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(6) {
            match self.below(3) {
                0 => text.push(self.character()),
                _ => text.push_str(self.pick(&PIECES)),
            }
        }
        text
    }

    fn character(&mut self) -> char {
        loop {
            let bits = [7, 8, 12, 16, 21][self.below(5)];
            let code = self.below(1 << bits);
            let character = char::from_u32(code as u32);
            if let Some(character) = character
                && Element::new("a", "").with_text(String::from(character)).check().is_ok()
            {
                return character;
            }
        }
    }

    fn namespace(&mut self) -> String {
        match self.below(8) {
            0 => self.text(),
            _ => self.pick(&NAMESPACES).to_owned(),
        }
    }

    fn element(&mut self, depth: usize) -> Element {
        let mut element = Element::new(self.pick(&NAMES), &self.namespace());
        for _ in 0..self.below(4) {
            let (namespace, name) = (self.namespace(), self.pick(&NAMES));
            element.set_attr_ns(&namespace, name, self.text());
        }
        for _ in 0..self.below(5) {
            match self.below(2) {
                0 if depth > 0 => element.push(self.element(depth - 1)),
                _ => element.push(self.text()),
            }
        }
        element
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut random = Random(SEED);
    for round in 0..ROUNDS {
        let element = random.element(5);
        assert_eq!(element.check(), Ok(()), "round {round}");
        let xml = element.to_xml();
        let back = Element::parse(&xml).unwrap_or_else(|error| panic!("{round}: {error}: {xml}"));
        assert_eq!(back, element, "round {round}");
        assert_eq!(back.to_xml(), xml, "round {round}");
    }
}

#[test]
fn a_stream_is_read_back_in_any_pieces() {
    let mut random = Random(SEED ^ 0xff);
    for round in 0..ROUNDS / 10 {
        let sent: Vec<_> = (0..10).map(|_| random.element(3)).collect();
        let mut stream = tcp::open("example.org", None, "en");
        for element in &sent {
            stream += &tcp::encode(element);
            stream += random.pick(&["", " ", "\r\n"]);
        }
        stream += tcp::CLOSE;
        let frames = decode(&mut random, stream.as_bytes());
        let [Frame::Open(_), between @ .., Frame::Close { .. }] = &frames[..] else {
            panic!("round {round}: {frames:?}");
        };
        let received: Vec<_> = between
            .iter()
            .map(|frame| match frame {
                Frame::Element(element) => element,
                other => panic!("round {round}: {other:?}"),
            })
            .collect();
        assert_eq!(received, sent.iter().collect::<Vec<_>>(), "round {round}");
    }
}

/// Feeds a stream in pieces of any length, a few of them empty.
fn decode(random: &mut Random, mut stream: &[u8]) -> Vec<Frame> {
    let mut decoder = tcp::Decoder::new(Limits::default());
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let most = [2, 16, 500][random.below(3)];
        let (piece, rest) = stream.split_at(random.below(most).min(stream.len()));
        decoder.feed(piece);
        stream = rest;
        while let Some(frame) = decoder.next_frame().expect("it is ours") {
            frames.push(frame);
        }
    }
    frames
}

const SEED: u64 = 0x2545_f491_4f6c_dd1d;
const ROUNDS: usize = 2_000;

const PIECES: [&str; 20] = [
    "",
    " ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "  x  ",
    "<",
    ">",
    "&",
    "'",
    "\"",
    "]]>",
    "]]",
    "&amp;",
    "&#13;",
    "<![CDATA[",
    "</a>",
    "\u{1f642}",
    "\u{85}\u{2028}",
];
const NAMES: [&str; 9] =
    ["a", "message", "lang", "x-y.z_1", "xml", "stream", "\u{e9}t\u{e9}", "\u{10400}", "ns0"];
const NAMESPACES: [&str; 8] = [
    "",
    namespaces::CLIENT,
    namespaces::STREAM,
    namespaces::XML,
    namespaces::SASL,
    "urn:a",
    "urn:b",
    "http://example.org/?a=1&b='2'",
];
