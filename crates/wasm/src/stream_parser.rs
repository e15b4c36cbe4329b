//! The stream of a component's server (XEP-0114), taken apart for programs that have a socket of
//! their own. What is said in it, and when, is not looked at.

use epode_proto::{
    framing::{Frame, tcp::Decoder},
    stream::StreamHeader,
    xml::Limits,
};
use wasm_bindgen::prelude::wasm_bindgen;

/// Takes a stream apart, in whatever pieces it arrives: after each `feed`, `poll` until there is
/// nothing.
#[wasm_bindgen]
pub struct StreamParser {
    decoder: Decoder,
    attributes: Vec<String>,
    stanza: String,
}

/// What was found in a stream.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamNews {
    /// The start tag of the stream, which has `attributes`.
    Start,
    /// A whole `stanza`.
    Stanza,
    /// The end tag of the stream. Nothing follows.
    End,
}

#[wasm_bindgen]
impl StreamParser {
    /// A stream before its first byte.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        let decoder = Decoder::of_component(Limits::default());
        Self { decoder, attributes: Vec::new(), stanza: String::new() }
    }

    /// Takes some bytes in: half a mebibyte at most, before what was found is polled.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// What comes next, if it is there.
    ///
    /// # Errors
    ///
    /// A text that says which rule the stream breaks; it is the same from then on.
    pub fn poll(&mut self) -> Result<Option<StreamNews>, String> {
        let frame = self.decoder.next_frame().map_err(|error| error.to_string())?;
        Ok(frame.map(|frame| match frame {
            Frame::Open(header) => {
                self.attributes = attributes(header);
                StreamNews::Start
            }
            Frame::Element(element) => {
                self.stanza = element.to_xml();
                StreamNews::Stanza
            }
            Frame::Close { .. } => StreamNews::End,
        }))
    }

    /// The attributes of the start tag, once: name, value, name, value.
    #[must_use]
    pub fn attributes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.attributes)
    }

    /// The stanza, once.
    #[must_use]
    pub fn stanza(&mut self) -> String {
        std::mem::take(&mut self.stanza)
    }
}

impl Default for StreamParser {
    fn default() -> Self {
        Self::new()
    }
}

fn attributes(header: StreamHeader) -> Vec<String> {
    let StreamHeader { id, from, to, version, lang, .. } = header;
    let known = [("id", id), ("from", from), ("to", to), ("version", version), ("xml:lang", lang)];
    let given = known.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    given.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' id='s&amp;1' from='a.example'>";

    /// All that is found, up to an error.
    fn found(parser: &mut StreamParser) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        while let Some(news) = parser.poll()? {
            all.push(match news {
                StreamNews::Start => parser.attributes().join(" "),
                StreamNews::Stanza => parser.stanza(),
                StreamNews::End => "end".to_owned(),
            });
        }
        Ok(all)
    }

    #[test]
    fn a_stream_is_the_same_in_all_pieces() {
        let stream = format!(
            "{START} <handshake/>\n<message><body>Grüße 😀</body></message></stream:stream>"
        );
        for size in 1..stream.len() {
            let mut parser = StreamParser::new();
            let mut all = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                parser.feed(piece);
                all.extend(found(&mut parser).unwrap());
            }
            let expected = [
                "id s&1 from a.example",
                "<handshake xmlns='jabber:component:accept'/>",
                "<message xmlns='jabber:client'><body>Grüße 😀</body></message>",
                "end",
            ];
            assert_eq!(all, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused_each_time() {
        let more = |text: &str| format!("{START}{text}");
        for (stream, words) in [
            ("<html>".to_owned(), "html"),
            (START.replace("etherx", "ether"), "namespace"),
            (more("text"), "text"),
            (more("<a></b>"), "end"),
            (more("<!-- -->"), "comment"),
        ] {
            let mut parser = StreamParser::new();
            parser.feed(stream.as_bytes());
            let error = found(&mut parser).unwrap_err();
            assert!(error.contains(words), "{error}");
            parser.feed(b"<message/>");
            assert_eq!(found(&mut parser).unwrap_err(), error);
        }
    }
}
