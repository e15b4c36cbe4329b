//! Transcripts: what the server says, word for word, and what the client must say in between.
//!
//! Leaves out sockets, clocks and TLS: [`Player`] takes frames and gives frames. A transcript that
//! is served on a port is [`listen_script`](crate::listen_script).
//!
//! # The format
//!
//! A transcript is UTF-8 text. A line that begins with `#` is a comment, an empty line means
//! nothing, and a line that begins with two spaces continues the line before it: the two spaces
//! go, and the rest is joined on with nothing between, or with one space where the break falls
//! inside a tag. Lines of the form `key: value` before the first step are headers, for whoever
//! reads the transcript. Then come the steps:
//!
//! | step | meaning |
//! |---|---|
//! | `C: <xml/>` | the client must send this frame now |
//! | `C: *` | the client must send something |
//! | `S: text` | the server sends this frame as it stands, whether it is XML or not |
//! | `S: !hex 00ff` | a frame of these bytes |
//! | `S: !repeat N text` | one frame that holds the text N times |
//! | `S: !binary text` | the text as a binary frame |
//! | `S: !ping` | a ping frame of WebSocket |
//! | `S: !secure` | over TCP: both sides do the handshake of TLS now, once in a transcript |
//! | `S: !close` | the server drops the transport; nothing may follow |
//!
//! What the client sends is compared as parsed XML: the order of attributes and the prefixes do
//! not matter, a further attribute or child is a mismatch, an attribute value `*` stands for any
//! value, and the text `*` as the only content stands for any content. Where an element has
//! element children, white space between them does not count. When the steps are used up, the
//! server is silent.
//!
//! # Over TCP
//!
//! With the header `framing: tcp` a transcript is a conversation of RFC 6120. What `S:` sends is
//! the text of the server's stream as it stands, so that its header is a step like any other. The
//! client's bytes may come in any pieces, and are compared element by element; each pattern
//! declares the namespaces that it uses, even those of the stream. Two patterns are new:
//!
//! | step | meaning |
//! |---|---|
//! | `C: <stream:stream …>` | the client must begin a stream here, with this header |
//! | `C: </stream:stream>` | the client must end its stream |
//!
//! A header, with an XML declaration or without, is a start tag alone. At such a step a new stream
//! begins, so the restarts after STARTTLS and after the login are written like the first header.
//!
//! After `<starttls/>` the server may say `<proceed/>`, and then `!secure`. No byte of the client's
//! may come between its `<starttls/>` and the handshake; what the transcript says there is not for
//! the client to believe. A transcript that begins with `S: !secure` is one of direct TLS. A test
//! without sockets tells the client that the handshake is done when the player says
//! [`Outgoing::Secure`].
//!
//! ```
//! use epode_testpeer::script::{Outgoing, Script};
//!
//! let script = Script::parse(
//!     "framing: tcp\n\
//!      C: <stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='*'>\n\
//!      S: <stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='1'>\n\
//!      C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n\
//!      S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n\
//!      S: !secure\n",
//! )?;
//! let mut player = script.player();
//! assert_eq!(player.opened(), []);
//! player.receive(b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='a'>")?;
//! assert_eq!(player.receive(b"<starttls xmlns='urn:ietf:pa")?, []);
//! let replies = player.receive(b"rams:xml:ns:xmpp-tls'/>")?;
//! assert_eq!(replies[1], Outgoing::Secure);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Expansions
//!
//! Inside frames, these are replaced, and they nest:
//!
//! | expansion | becomes |
//! |---|---|
//! | `{b64:…}` | the base64 of what stands inside |
//! | `{hex:00ff}` | these bytes |
//! | `{fill:N}` | `x`, N times |
//! | `{repeat:N:…}` | what stands inside, N times |
//! | `{nonce}` | the client's nonce, from the SCRAM message that it opened with |
//! | `{proof}` | the right client proof, in base64, for the header `password` |
//! | `{verifier}` | the right server signature, in base64, for the header `password` |
//! | `{id}` | the `id` of the client's last frame that had one |
//!
//! Other braces stand for themselves, as in JSON; a brace before a lower-case word that is not in
//! the table is an error, since it is a typing slip.
//!
//! ```
//! use epode_testpeer::script::{Outgoing, Script};
//!
//! let script = Script::parse(
//!     "about: a server that gives up\n\
//!      C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='*' version='1.0'/>\n\
//!      S: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\n\
//!      S: !close\n",
//! )?;
//! assert_eq!(script.header("about"), Some("a server that gives up"));
//!
//! let mut player = script.player();
//! assert_eq!(player.opened(), []);
//! let open = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
//! let replies = player.receive(open)?;
//! assert_eq!(replies.len(), 2);
//! assert_eq!(replies[1], Outgoing::Close);
//! assert!(player.finished());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client_stream;
mod conversation;
mod error;
mod pattern;
mod player;
mod steps;
mod text;

pub use conversation::Unknown;
pub use error::ScriptError;
pub use player::{Mismatch, Outgoing, Player};

use std::str::FromStr;
use std::sync::Arc;

use steps::{Step, StepKind};

/// A transcript that was read and checked, ready to be played any number of times.
#[derive(Clone, Debug)]
pub struct Script {
    framing: Framing,
    headers: Arc<[(String, String)]>,
    steps: Arc<[Step]>,
}

/// How a transcript's text becomes bytes of a transport; its header `framing` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// `websocket`: each step is a frame (RFC 7395).
    #[default]
    WebSocket,
    /// `tcp`: the steps are parts of a stream (RFC 6120).
    Tcp,
}

impl Framing {
    /// The value of the header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Tcp => "tcp",
        }
    }

    fn named(line: usize, name: &str) -> Result<Self, ScriptError> {
        let known = [Self::WebSocket, Self::Tcp].into_iter().find(|it| it.name() == name);
        known.ok_or_else(|| ScriptError::UnknownFraming { line, framing: name.to_owned() })
    }
}

impl Script {
    /// Reads a transcript; the [module](self) describes the format.
    ///
    /// # Errors
    ///
    /// [`ScriptError`] names the line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let (framing, headers, steps) = steps::parse(text)?;
        Ok(Self { framing, headers: headers.into(), steps: steps.into() })
    }

    /// What kind of transport it is written for.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The value of a header, if the transcript has it.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<&str> {
        self.headers().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// All headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A new run of the transcript, from its first step.
    #[must_use]
    pub fn player(&self) -> Player {
        Player::new(Arc::clone(&self.steps), self.framing, self.header("password"))
    }

    /// Whether the handshake of TLS is a step of it.
    pub(crate) fn is_secured(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.kind, StepKind::Secure))
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
