//! What the machine wants of JavaScript: a kind, and what belongs to it.

use wasm_bindgen::prelude::wasm_bindgen;
use zeroize::Zeroizing;

/// What is to be done. What belongs to it is the machine's `text`, `bytes` or `number`.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Send the text, in one frame.
    Transmit,
    /// Derive keys: the text is the password, the bytes are the salt, the number is the count of
    /// iterations, and the subject is the name of the hash.
    Derive,
    /// The mechanism that is the subject has to respond: to the bytes, or to nothing.
    Respond,
    /// Tell the application: the text is JSON.
    Report,
    /// The text is the JSON of the keys that this login leaves.
    Keep,
    /// The frame that was received last is the application's; or the text, where there are no
    /// frames. Say `handled` once it has it.
    Deliver,
    /// The text is the JSON of a token for the next login.
    KeepToken,
    /// The token that was handed in is good for nothing any more.
    ForgetToken,
    /// The text is the JSON of what is remembered of the server.
    Remember,
    /// The text is the JSON of the report of a login.
    Explain,
    /// The server has taken the stanzas up to this number.
    Acknowledged,
    /// The server acknowledges nothing: no more becomes known of the stanzas up to this number.
    Unmanaged,
    /// The stanza of this number was lost with its session.
    Dropped,
    /// Call again with `tick` when so many milliseconds have passed since zero: the number.
    WakeAt,
    /// Close the WebSocket.
    Disconnect,
}

/// What belongs to an action.
#[derive(Default)]
pub(crate) struct Payload {
    pub(crate) subject: String,
    pub(crate) text: Zeroizing<String>,
    pub(crate) bytes: Option<Zeroizing<Vec<u8>>>,
    pub(crate) number: f64,
}

impl Payload {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: Zeroizing::new(text.into()), ..Self::default() }
    }

    pub(crate) fn number(number: f64) -> Self {
        Self { number, ..Self::default() }
    }
}
