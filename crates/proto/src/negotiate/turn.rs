//! What the mechanism says, and how either profile of SASL carries it (RFC 6120, section 6.4;
//! XEP-0388, section 2). What the server may say in return is the states' business.

use base64ct::{Base64, Encoding};
use epode_sasl::{self as sasl, Rejection, Response, Retry, Turn};
use zeroize::Zeroizing;

use super::{ExpectAnswer, ExpectSaslReply, State, sasl2};
use crate::{
    Element, Error, Profile, Status,
    action::{Action, Frame},
    core::Core,
    error::PeerFault,
    status::Authenticating,
    stream::SaslFailure,
    xml::namespaces::{SASL, SASL2},
};

/// By which profile the login is carried.
pub(crate) enum Via {
    Sasl1,
    /// With what else is to be had by it.
    Sasl2(Box<sasl2::Login>),
}

/// Which element carries what the mechanism says.
#[derive(Clone, Copy)]
pub(crate) enum Move {
    /// `<auth/>` or `<authenticate/>`, which opens the login and names the mechanism.
    Begin,
    /// `<response/>`, which answers a challenge.
    Response,
}

impl Via {
    pub(crate) fn profile(&self) -> Profile {
        match self {
            Self::Sasl1 => Profile::Sasl1,
            Self::Sasl2(_) => Profile::Sasl2,
        }
    }

    /// Whether the server refuses what is remembered of it, and not the login.
    pub(crate) fn is_mismatch(&self, failure: &SaslFailure) -> bool {
        matches!(self, Self::Sasl2(login) if login.is_mismatch(failure))
    }

    fn namespace(&self) -> &'static str {
        namespace(self.profile())
    }
}

/// The namespace of a profile's elements.
pub(crate) fn namespace(profile: Profile) -> &'static str {
    match profile {
        Profile::Sasl1 => SASL,
        Profile::Sasl2 => SASL2,
    }
}

/// Sends what the mechanism says, or asks what it asks.
pub(crate) fn take_turn(core: &mut Core, turn: Turn, how: Move, mut via: Via) -> State {
    match turn {
        Turn::Server(exchange, response) => {
            let name = exchange.mechanism();
            match (how, &mut via, response.as_ref().map(encode)) {
                (Move::Begin, Via::Sasl1, response) => core.transmit(auth(name.as_str(), response)),
                (Move::Begin, Via::Sasl2(login), response) => {
                    let frame = login.authenticate(core, name, response.as_ref());
                    core.transmit(frame);
                }
                (Move::Response, via, Some(response)) => {
                    let start = format!("<response xmlns='{}'", via.namespace());
                    core.transmit(frame(&start, &response, "</response>"));
                }
                (Move::Response, _, None) => {}
            }
            State::SaslReply(ExpectSaslReply { exchange, via })
        }
        Turn::Question(pending, question) => {
            let id = core.ask(question);
            State::Answer(ExpectAnswer { pending, id, how, via })
        }
    }
}

/// The server refused the channel binding, and there is another one to try.
fn begin_anew(core: &mut Core, retry: Retry, via: Via) -> Result<State, Error> {
    core.settings().check_pin(retry.selection(), retry.credentials())?;
    let choice = Authenticating::describe(via.profile(), retry.selection());
    core.push(Action::Report(Status::Authenticating(choice)));
    Ok(take_turn(core, retry.begin()?, Move::Begin, via))
}

/// The server refused: the end, unless there is something else to try.
pub(crate) fn refused(
    core: &mut Core,
    outcome: Result<Retry, sasl::Error>,
    via: Via,
) -> Result<State, Error> {
    match (outcome, via) {
        (Ok(retry), via) => begin_anew(core, retry, via),
        (Err(error), Via::Sasl1) => Err(error.into()),
        (Err(error), Via::Sasl2(login)) => login.refused(core, error),
    }
}

/// What the server says when it refuses.
pub(crate) fn rejection(failure: SaslFailure) -> Rejection {
    let SaslFailure { condition, text, application } = failure;
    let mut rejection = Rejection::new(condition);
    rejection.application = application;
    match text {
        Some(text) => rejection.with_text(text.text, text.lang),
        None => rejection,
    }
}

/// An initial response that is empty is written `=`, since none at all means another thing
/// (RFC 6120, section 6.4.2).
fn auth(mechanism: &str, response: Option<Zeroizing<String>>) -> Frame {
    let start = format!("<auth mechanism='{mechanism}' xmlns='{SASL}'");
    let content = match response {
        Some(text) if text.is_empty() => Zeroizing::new("=".to_owned()),
        Some(text) => text,
        None => Zeroizing::default(),
    };
    frame(&start, &content, "</auth>")
}

/// Names of mechanisms and base64 need no escaping.
fn frame(start: &str, content: &str, end: &str) -> Frame {
    if content.is_empty() { wiped(&[start, "/>"]) } else { wiped(&[start, ">", content, end]) }
}

/// Built by hand, in one allocation, because it may hold a password and is to be wiped.
pub(crate) fn wiped(parts: &[&str]) -> Frame {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
    Frame::from(bytes)
}

fn encode(response: &Response) -> Zeroizing<String> {
    Zeroizing::new(Base64::encode_string(response.as_bytes()))
}

/// What an element of the server's carries; `name` is for the error. In RFC 6120 no content is no
/// data, and `=` is data of length zero; in SASL2 each element carries data, of which there may be
/// none (XEP-0388, section 2.2).
pub(crate) fn decode(
    element: &Element,
    name: &'static str,
    profile: Profile,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let text = Zeroizing::new(element.text());
    match (text.trim_matches([' ', '\t', '\r', '\n']), profile) {
        ("", Profile::Sasl1) => Ok(None),
        ("", Profile::Sasl2) | ("=", Profile::Sasl1) => Ok(Some(Zeroizing::default())),
        (text, _) => match Base64::decode_vec(text) {
            Ok(data) => Ok(Some(Zeroizing::new(data))),
            Err(_) => Err(Error::PeerMisbehaved(PeerFault::Base64(name))),
        },
    }
}
