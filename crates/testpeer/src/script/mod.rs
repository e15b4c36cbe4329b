//! Transcripts: what the server says, word for word, and what the client must say in between.
//!
//! Leaves out sockets and clocks: [`Player`] takes frames and gives frames. A transcript that is
//! served on a port is [`listen_script`](crate::listen_script).
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
//! | `S: !close` | the server drops the transport; nothing may follow |
//!
//! What the client sends is compared as parsed XML: the order of attributes and the prefixes do
//! not matter, a further attribute or child is a mismatch, an attribute value `*` stands for any
//! value, and the text `*` as the only content stands for any content. Where an element has
//! element children, white space between them does not count. When the steps are used up, the
//! server is silent.
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

use steps::Step;

/// A transcript that was read and checked, ready to be played any number of times.
#[derive(Clone, Debug)]
pub struct Script {
    headers: Arc<[(String, String)]>,
    steps: Arc<[Step]>,
}

impl Script {
    /// Reads a transcript; the [module](self) describes the format.
    ///
    /// # Errors
    ///
    /// [`ScriptError`] names the line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let (headers, steps) = steps::parse(text)?;
        Ok(Self { headers: headers.into(), steps: steps.into() })
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
        Player::new(Arc::clone(&self.steps), self.header("password"))
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
