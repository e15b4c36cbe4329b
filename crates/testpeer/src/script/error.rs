//! What can be wrong with a transcript.
//!
//! Leaves out what a client does wrong while it is played: that is [`super::Mismatch`].

use epode_proto::xml::XmlError;
use thiserror::Error;

/// A transcript that cannot be played, with the line (from 1) where its fault begins.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A line is no comment, header, step or continuation.
    #[error("line {line}: begin it with `C:`, `S:`, `#`, `key:` or two spaces")]
    UnknownLine {
        /// The line.
        line: usize,
    },
    /// A header stands after a step.
    #[error("line {line}: move the header `{key}` before the first step")]
    HeaderAfterStep {
        /// The line.
        line: usize,
        /// The header's key.
        key: String,
    },
    /// A header was given twice.
    #[error("line {line}: the header `{key}` was given before; keep one of the two")]
    DuplicateHeader {
        /// The line of the second one.
        line: usize,
        /// The header's key.
        key: String,
    },
    /// A line begins with two spaces, but there is nothing before it to continue.
    #[error("line {line}: there is nothing to continue; begin the line with `C:` or `S:`")]
    NothingToContinue {
        /// The line.
        line: usize,
    },
    /// The word after `!` is not a directive.
    #[error("line {line}: no directive `!{word}`; the module documentation lists them")]
    UnknownDirective {
        /// The line.
        line: usize,
        /// The word.
        word: String,
    },
    /// The header `framing` is neither `websocket` nor `tcp`.
    #[error("line {line}: no framing `{framing}`; write `websocket` or `tcp`")]
    UnknownFraming {
        /// The line.
        line: usize,
        /// What stands there.
        framing: String,
    },
    /// A directive means nothing in this framing.
    #[error("line {line}: `!{word}` means nothing with `framing: {framing}`; remove it")]
    OtherFraming {
        /// The line.
        line: usize,
        /// The word after `!`.
        word: String,
        /// The framing.
        framing: &'static str,
    },
    /// `S: !secure` stands there a second time.
    #[error("line {line}: the transport is secure already; remove this step")]
    SecuredTwice {
        /// The line of the second one.
        line: usize,
    },
    /// A client step without a pattern.
    #[error("line {line}: write after `C:` what the client must send, or `*`")]
    EmptyPattern {
        /// The line.
        line: usize,
    },
    /// A pattern is not one XML element.
    #[error("line {line}: the client's frame is not one XML element: {reason}")]
    PatternNotXml {
        /// The line.
        line: usize,
        /// What the XML reader says.
        reason: XmlError,
    },
    /// A count is not a whole number.
    #[error("line {line}: `{count}` is not a count; write a whole number")]
    BadCount {
        /// The line.
        line: usize,
        /// What stands there.
        count: String,
    },
    /// Hexadecimal bytes cannot be read.
    #[error("line {line}: write an even number of hexadecimal digits")]
    BadHex {
        /// The line.
        line: usize,
    },
    /// A brace begins an expansion that does not exist.
    #[error("line {line}: no expansion `{{{name}}}`; the module documentation lists them")]
    UnknownExpansion {
        /// The line.
        line: usize,
        /// The name after the brace.
        name: String,
    },
    /// An expansion has no closing brace.
    #[error("line {line}: the expansion `{{{name}` lacks its closing brace")]
    UnclosedExpansion {
        /// The line.
        line: usize,
        /// The name after the brace.
        name: String,
    },
    /// A value is asked for that only the client's frames can give, before any of them.
    #[error("line {line}: `{{{name}}}` is not known before the client's first frame")]
    TooEarly {
        /// The line.
        line: usize,
        /// The expansion.
        name: &'static str,
    },
    /// A frame would be larger than a script may send.
    #[error("line {line}: the frame could be larger than {limit} bytes; make it smaller")]
    TooLarge {
        /// The line.
        line: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A step stands after `S: !close`.
    #[error("line {line}: nothing can follow `S: !close`; remove this step")]
    AfterClose {
        /// The line.
        line: usize,
    },
    /// There is no step at all.
    #[error("the transcript has no step; write a line that begins with `C:` or `S:`")]
    NoSteps,
}
