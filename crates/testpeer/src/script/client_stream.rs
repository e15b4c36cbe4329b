//! What the client sends over TCP, taken apart into headers and elements.
//!
//! Leaves out where one stream ends and the next begins: the transcript knows.

use epode_proto::xml::{Element, Limits, StreamEvent, StreamReader, XmlError};

/// The bytes of one connection that are not used up. It can be cloned, as a run of a transcript
/// can; that is why no reader is kept between two events.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientStream {
    /// The start tag of the current stream: a reader must have seen it first.
    header: Vec<u8>,
    pending: Vec<u8>,
}

impl ClientStream {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next thing that is complete. What comes in one piece with the end of a stream, after it,
    /// is not looked at: a client has no more to say.
    pub(super) fn next_event(&mut self) -> Result<Option<StreamEvent>, XmlError> {
        let mut reader = StreamReader::new(Limits::default());
        reader.feed(&self.header);
        if !self.header.is_empty() {
            reader.next_event()?;
        }
        reader.feed(&self.pending);
        let Some(event) = reader.next_event()? else { return Ok(None) };
        let rest = self.pending.split_off(self.pending.len() - reader.unread());
        let used = std::mem::replace(&mut self.pending, rest);
        match event {
            StreamEvent::Header(_) => self.header = used,
            StreamEvent::Element(_) => {}
            StreamEvent::End => self.restart(),
        }
        Ok(Some(event))
    }

    /// What comes now belongs to a new stream.
    pub(super) fn restart(&mut self) {
        self.header.clear();
    }

    /// The bytes that were not used.
    pub(super) fn pending(&self) -> &[u8] {
        &self.pending
    }
}

/// The start tag of a stream that the bytes are.
pub(super) fn header(bytes: &[u8]) -> Result<Element, XmlError> {
    let mut reader = StreamReader::new(Limits::default());
    reader.feed(bytes);
    match reader.next_event()? {
        Some(StreamEvent::Header(header)) if reader.next_event()?.is_none() => {
            if reader.is_idle() {
                Ok(header)
            } else {
                Err(XmlError::ContentAfterRoot)
            }
        }
        Some(_) => Err(XmlError::ContentAfterRoot),
        None => Err(XmlError::Truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><s xmlns='u'>";

    fn names(stream: &mut ClientStream) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(event) = stream.next_event().unwrap() {
            names.push(match event {
                StreamEvent::Header(header) => format!("<{}>", header.name()),
                StreamEvent::Element(element) => {
                    format!("{}:{}", element.namespace(), element.name())
                }
                StreamEvent::End => "end".to_owned(),
            });
        }
        names
    }

    #[test]
    fn takes_any_pieces() {
        let text = format!("{HEADER} <a>x</a>\n<b/></s>");
        for size in [1, 7, text.len()] {
            let mut stream = ClientStream::default();
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                stream.feed(piece);
                found.extend(names(&mut stream.clone()));
                names(&mut stream);
            }
            assert_eq!(found, ["<s>", "u:a", "u:b", "end"]);
            assert!(stream.pending().is_empty());
        }
    }

    #[test]
    fn begins_anew_when_told() {
        let mut stream = ClientStream::default();
        stream.feed(HEADER.as_bytes());
        assert_eq!(names(&mut stream), ["<s>"]);
        stream.restart();
        stream.feed(HEADER.as_bytes());
        assert_eq!(names(&mut stream), ["<s>"]);
        stream.feed(HEADER.as_bytes());
        assert_eq!(stream.next_event(), Err(XmlError::ProcessingInstruction));
    }

    #[test]
    fn a_header_stands_alone() {
        assert_eq!(header(HEADER.as_bytes()).unwrap().name(), "s");
        assert_eq!(header(b"<s xmlns='u'"), Err(XmlError::Truncated));
        assert_eq!(header(b"<s xmlns='u'><a"), Err(XmlError::ContentAfterRoot));
        assert_eq!(header(b"<s xmlns='u'><a/>"), Err(XmlError::ContentAfterRoot));
        assert_eq!(header(b"<s xmlns='u'/>"), Err(XmlError::ContentAfterRoot));
    }
}
