//! Waiting for the server's next step in the login (RFC 6120, section 6.4).

use base64ct::{Base64, Encoding};
use epode_sasl::{self as sasl, Exchange, Rejection, Response, Retry, Turn};
use zeroize::Zeroizing;

use super::{ExpectAnswer, ExpectHeader, Round, State};
use crate::{
    Element, Error, Status,
    action::{Action, Frame},
    core::Core,
    error::{PeerFault, Wait},
    status::Authenticating,
    stream::SaslFailure,
    xml::namespaces::SASL,
};

pub(crate) struct ExpectSaslReply {
    pub(crate) exchange: Exchange,
}

impl ExpectSaslReply {
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        match element.name() {
            _ if element.namespace() != SASL => Err(Error::unexpected(&element, Wait::SaslReply)),
            "challenge" => {
                let challenge = decode(&element, "challenge")?.unwrap_or_default();
                let turn = self.exchange.challenge(&challenge)?;
                Ok(take_turn(core, turn, Move::Response))
            }
            "success" => {
                let last = decode(&element, "success")?;
                let login = self.exchange.success(last.as_ref().map(|last| last.as_slice()))?;
                if let Some(keys) = login.keys() {
                    core.keep_keys(keys);
                }
                core.restart_stream().map_err(|error| Error::PeerMisbehaved(error.into()))?;
                Ok(State::Header(ExpectHeader { round: Round::Bind(login) }))
            }
            _ => match SaslFailure::parse(&element) {
                Some(failure) => begin_anew(core, self.exchange.failure(rejection(failure))),
                None => Err(Error::unexpected(&element, Wait::SaslReply)),
            },
        }
    }
}

/// The server refused: the end, unless there is another channel binding to try.
pub(crate) fn begin_anew(
    core: &mut Core,
    outcome: Result<Retry, sasl::Error>,
) -> Result<State, Error> {
    let retry = outcome?;
    core.settings().check_pin(retry.selection(), retry.credentials())?;
    let choice = Authenticating::describe(retry.selection());
    core.push(Action::Report(Status::Authenticating(choice)));
    Ok(take_turn(core, retry.begin()?, Move::Auth))
}

/// Which element carries what the mechanism says.
#[derive(Clone, Copy)]
pub(crate) enum Move {
    /// `<auth/>`, which opens the login and names the mechanism.
    Auth,
    /// `<response/>`, which answers a challenge.
    Response,
}

/// Sends what the mechanism says, or asks what it asks.
pub(crate) fn take_turn(core: &mut Core, turn: Turn, how: Move) -> State {
    match turn {
        Turn::Server(exchange, response) => {
            match how {
                Move::Auth => core.transmit(auth(&exchange, response.as_ref())),
                Move::Response => {
                    if let Some(response) = response {
                        core.transmit(sasl_frame("<response", &encode(&response), "</response>"));
                    }
                }
            }
            State::SaslReply(Box::new(ExpectSaslReply { exchange }))
        }
        Turn::Question(pending, question) => {
            let id = core.ask(question);
            State::Answer(Box::new(ExpectAnswer { pending, id, how }))
        }
    }
}

/// What the server says when it refuses.
pub(crate) fn rejection(failure: SaslFailure) -> Rejection {
    let SaslFailure { condition, text } = failure;
    let rejection = Rejection::new(condition);
    match text {
        Some(text) => rejection.with_text(text.text, text.lang),
        None => rejection,
    }
}

/// An initial response that is empty is written `=`, since none at all means another thing
/// (RFC 6120, section 6.4.2).
fn auth(exchange: &Exchange, response: Option<&Response>) -> Frame {
    let start = format!("<auth mechanism='{}'", exchange.mechanism());
    let content = match response.map(encode) {
        Some(text) if text.is_empty() => Zeroizing::new("=".to_owned()),
        Some(text) => text,
        None => Zeroizing::default(),
    };
    sasl_frame(&start, &content, "</auth>")
}

/// Built by hand, in one allocation, because it may hold a password and is to be wiped. Names of
/// mechanisms and base64 need no escaping.
fn sasl_frame(start: &str, content: &str, end: &str) -> Frame {
    let length = start.len() + XMLNS.len() + content.len() + end.len() + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    let rest = if content.is_empty() { ["/>", "", ""] } else { [">", content, end] };
    for part in [start, XMLNS].into_iter().chain(rest) {
        bytes.extend_from_slice(part.as_bytes());
    }
    Frame::from(bytes)
}

const XMLNS: &str = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";

fn encode(response: &Response) -> Zeroizing<String> {
    Zeroizing::new(Base64::encode_string(response.as_bytes()))
}

/// No content is no data; `=` is data of length zero.
fn decode(element: &Element, name: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let text = Zeroizing::new(element.text());
    match text.trim_matches([' ', '\t', '\r', '\n']) {
        "" => Ok(None),
        "=" => Ok(Some(Zeroizing::default())),
        text => match Base64::decode_vec(text) {
            Ok(data) => Ok(Some(Zeroizing::new(data))),
            Err(_) => Err(Error::PeerMisbehaved(PeerFault::Base64(name))),
        },
    }
}
