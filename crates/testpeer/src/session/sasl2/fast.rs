//! A login by token, and the tokens that a login brings (XEP-0484).
//!
//! Leaves out the tokens themselves, which `crate::fast` keeps.

use epode_proto::xml::Element;

use super::FAST;
use super::fault::Sasl2Fault;
use super::request::{Request, initial_response};
use super::terms::Terms;
use crate::accounts::Accounts;
use crate::fast::{Holder, timestamp};
use crate::sasl::hashed_token::HashedToken;
use crate::sasl::{Exchange, SaslCondition, Step};
use crate::server::Server;
use crate::session::authenticating::decoded;

/// What a client says of the token that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FastUse {
    /// How often it has tried it, this time included.
    pub(super) count: Option<u64>,
    /// The token is to end with this login.
    pub(super) invalidate: bool,
}

impl FastUse {
    pub(super) fn parse(fast: &Element) -> Result<Self, SaslCondition> {
        let invalidate = match fast.attr("invalidate") {
            Some("true" | "1") => true,
            None | Some("false" | "0") => false,
            Some(_) => return Err(SaslCondition::MalformedRequest),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse().ok().filter(|it| digits(text) && *it > 0);
        let count = match fast.attr("count") {
            Some(text) => Some(number(text).ok_or(SaslCondition::MalformedRequest)?),
            None => None,
        };
        Ok(Self { count, invalidate })
    }
}

/// Judges a login by token, which takes one message.
pub(super) fn judge(
    server: &Server,
    terms: &Terms,
    request: &Request,
    fast: FastUse,
    authenticate: &Element,
) -> Result<Step, SaslCondition> {
    const MALFORMED: SaslCondition = SaslCondition::MalformedRequest;
    let name = authenticate.attr("mechanism").unwrap_or_default();
    let offer = terms.fast.as_ref().ok_or(SaslCondition::InvalidMechanism)?;
    let mechanism = HashedToken::named(name)
        .filter(|_| offer.mechanisms().iter().any(|it| it == name))
        .ok_or(SaslCondition::InvalidMechanism)?;
    let fault = server.config().sasl2.fault.as_ref();
    match fault {
        Some(Sasl2Fault::TokenRefused(condition)) => return Err(*condition),
        Some(Sasl2Fault::Ht2Failure(description)) => {
            let data = [&[1], description.as_bytes()].concat();
            return Ok(Step::Challenge(Exchange::Refused, data));
        }
        _ => {}
    }
    let client = request.client.clone().ok_or(MALFORMED)?;
    if terms.from.is_none() {
        return Err(MALFORMED);
    }
    let message = decoded(&initial_response(authenticate).ok_or(MALFORMED)?)?;
    let message = mechanism.read(&message)?;
    let user = Accounts::canonical(message.user).ok_or(SaslCondition::NotAuthorized)?;
    let binding = mechanism.binding().and_then(|kind| offer.binding(kind));
    let data = binding.map(|it| it.data()).unwrap_or_default();
    let proof = |token: &str| {
        mechanism.accepts(&message, token, data).then(|| mechanism.response(token, data))
    };
    let holder = Holder { user, client };
    let now = server.config().sasl2.fast.clock.seconds();
    let response = server.tokens().spend(&holder, name, fast.count, now, proof)?;
    let user = server.config().accounts.admit(&holder.user, None)?;
    let data = match fault {
        Some(Sasl2Fault::NoResponder) => None,
        Some(Sasl2Fault::WrongResponder) => Some(mechanism.response("another", data)),
        _ => Some(response),
    };
    Ok(Step::Success { user, data })
}

/// Ends the client's tokens if it wants that, and gives it one if it wants one or needs one.
pub(super) fn renew(server: &Server, request: &Request, user: &str) -> Option<Element> {
    let client = request.client.clone()?;
    let holder = Holder { user: user.to_owned(), client };
    let (options, tokens) = (&server.config().sasl2.fast, server.tokens());
    let ends = request.fast.is_some_and(|fast| fast.invalidate);
    if ends {
        tokens.forget(&holder);
    }
    let mechanism = match (&request.token, request.fast) {
        (Some(mechanism), _) => mechanism.clone(),
        (None, Some(_)) => tokens.due(&holder, options)?,
        (None, None) => return None,
    };
    let issued = tokens.issue(&holder, &mechanism, options, server.limits().sessions)?;
    let token = Element::new("token", FAST).with_attr("token", issued.token.as_str());
    Some(token.with_attr("expiry", timestamp(issued.expiry)))
}
