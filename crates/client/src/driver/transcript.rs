//! What the application sees of the frames that go either way. What is hidden in them is said by
//! `epode_proto`.

use epode_proto::{StreamTranscript, redacted};

use crate::Direction;

pub(crate) type TranscriptSink = Box<dyn FnMut(Direction, &str) + Send>;

/// Shows each frame to the application.
pub(super) struct Transcript {
    sink: TranscriptSink,
    /// Finds the frames in a byte stream.
    stream: StreamTranscript,
}

impl Transcript {
    pub(super) fn new(sink: TranscriptSink) -> Self {
        Self { sink, stream: StreamTranscript::default() }
    }

    /// The next frame is that of another connection.
    pub(super) fn begin_anew(&mut self) {
        self.stream = StreamTranscript::default();
    }

    /// Shows a frame, or, of a byte stream, the frames that these bytes complete.
    pub(super) fn note(&mut self, direction: Direction, bytes: &[u8], is_stream: bool) {
        let Self { sink, stream } = self;
        match direction {
            Direction::Sent if is_stream => sink(direction, &stream.sent(bytes)),
            Direction::Received if is_stream => {
                stream.received(bytes).iter().for_each(|shown| sink(direction, shown));
            }
            _ => sink(direction, &redacted(bytes)),
        }
    }
}
