//! Logins by token, and tokens to come (XEP-0484). A token is used with the mechanism that it was
//! issued for, once for each count; where it is refused, the full login goes on over the same stream.

use epode_sasl::{
    self as sasl, Channel, Credentials, HashedToken, MechanismName, Offer, Secret, Selection,
};

use super::{super::begin_login, Login};
use crate::{
    Element, Error, FastToken, SaslProfile,
    action::Action,
    core::Core,
    negotiate::{Candidate, State, offer::LoginOffer},
    stream::FastFeatures,
    time::unix_time,
    xml::namespaces::FAST,
};

/// A login by token.
pub(super) struct Attempt {
    mechanism: MechanismName,
    pub(super) expiry: u64,
    pub(super) count: u64,
    invalidate: bool,
    /// Who logs in if the token is refused.
    pub(super) full: Box<Candidate>,
}

/// Logs in by token, if there is one that may be used here: who wants to, by what, and how.
pub(crate) fn attempt(
    core: &mut Core,
    candidate: Box<Candidate>,
    offer: &LoginOffer,
) -> Result<(Login, Credentials, Selection), Box<Candidate>> {
    let Some((token, expiry, count)) = usable_token(core, &candidate, offer) else {
        return Err(candidate);
    };
    let settings = core.settings();
    let mechanism = token.mechanism().clone();
    let credentials = settings.describe(Secret::HashedToken(token));
    let offered = offer.fast().map(|fast| tokens(offer, fast)).unwrap_or_default();
    let registry = settings.fast.mechanisms();
    let selected = settings.policy.select(&registry, &credentials, &candidate.channel, offered);
    let selected = selected.ok().filter(|it| settings.check_pin(it, &credentials).is_ok());
    let Some(selection) = selected else {
        give_back(core, &credentials, expiry, count);
        return Err(candidate);
    };
    let invalidate = settings.fast.invalidate;
    let attempt = Attempt { mechanism, expiry, count, invalidate, full: candidate };
    let login = Login { attempt: Some(attempt), ..Login::new(offer.clone()) };
    Ok((login, credentials, selection))
}

/// The token, when it expires, and how often it was used, this time among them. One that has expired is not tried.
fn usable_token(
    core: &mut Core,
    candidate: &Candidate,
    offer: &LoginOffer,
) -> Option<(HashedToken, u64, u64)> {
    if !is_possible(core, candidate, offer) {
        return None;
    }
    let token = core.take_token()?;
    let now = core.unix();
    if now > 0 && token.expiry() <= now {
        core.push(Action::ForgetToken);
        return None;
    }
    let (expiry, count) = (token.expiry(), token.count());
    Some((token.into_token(), expiry, count))
}

/// Hands the token in again that was taken, as no server has looked at it.
pub(super) fn give_back(core: &mut Core, credentials: &Credentials, expiry: u64, count: u64) {
    if let Secret::HashedToken(token) = credentials.secret() {
        core.set_token(Some(FastToken::new(token.duplicate(), expiry, count)));
    }
}

/// Whether a token can be used or had (XEP-0484, section 4.1).
fn is_possible(core: &Core, candidate: &Candidate, offer: &LoginOffer) -> bool {
    let settings = core.settings();
    settings.fast.wanted
        && settings.sasl_profile != SaslProfile::Sasl1
        && settings.user_agent.has_id()
        && candidate.channel.is_encrypted()
        && offer.fast().is_some()
}

/// Which token to ask for along with a full login.
pub(super) fn token_to_ask_for(
    core: &Core,
    candidate: &Candidate,
    offer: &LoginOffer,
    login: &Selection,
) -> Option<MechanismName> {
    let settings = core.settings();
    let fast = offer.fast().filter(|_| is_possible(core, candidate, offer))?;
    if settings.fast.invalidate {
        return None;
    }
    let (registry, pin) = (settings.fast.mechanisms(), settings.pin.as_ref());
    let best = |login: &Selection| {
        settings.policy.token_mechanism(&registry, login, tokens(offer, fast), pin)
    };
    let is_for_early_data = settings.fast.early_data && fast.tls_0rtt;
    let early = is_for_early_data.then(|| best(&login.clone().in_early_data()));
    early.flatten().or_else(|| best(login))
}

fn tokens(offer: &LoginOffer, fast: &FastFeatures) -> Offer {
    offer.with_types(Offer::new(&fast.mechanisms))
}

impl Login {
    /// Who logs in if the token is not used.
    pub(super) fn into_full(self) -> Box<Candidate> {
        self.attempt.expect("it is one by token").full
    }

    /// The login in full, if it comes to that, is made over this channel.
    pub(super) fn fall_back_over(&mut self, channel: Channel) {
        if let Some(attempt) = &mut self.attempt {
            attempt.full.channel = channel;
        }
    }

    /// What the server is told of tokens.
    pub(super) fn ask_of_tokens(&self) -> Option<Element> {
        if let Some(Attempt { count, invalidate, .. }) = &self.attempt {
            let mut fast = Element::new("fast", FAST).with_attr("count", count.to_string());
            if *invalidate {
                fast.set_attr("invalidate", "true");
            }
            return Some(fast);
        }
        let mechanism = self.wanted_token.as_ref()?;
        Some(Element::new("request-token", FAST).with_attr("mechanism", mechanism.as_str()))
    }

    /// Logged in: keeps the token that comes along, and forgets one that is no good any more. What
    /// comes unasked, or without a date, is no token: there is the full login for next time.
    pub(super) fn settle_tokens(&self, core: &mut Core, success: &Element) {
        let is_last = self.attempt.as_ref().is_some_and(|attempt| attempt.invalidate);
        if is_last {
            core.push(Action::ForgetToken);
            return;
        }
        let rotated = self.attempt.as_ref().map(|attempt| &attempt.mechanism);
        let mechanism = rotated.or(self.wanted_token.as_ref());
        let token = success.child("token", FAST);
        if let (Some(mechanism), Some(token)) = (mechanism, token)
            && let Some(token) = token_of(token, mechanism).filter(|it| it.expiry() > core.unix())
        {
            core.push(Action::KeepToken(token));
        }
    }

    /// The server refuses: the end, unless it was the token that it refused.
    pub(crate) fn refused(mut self, core: &mut Core, error: sasl::Error) -> Result<State, Error> {
        let Some(attempt) = self.attempt.take() else { return Err(error.into()) };
        let condition = match &error {
            sasl::Error::Rejected(rejection) | sasl::Error::BindingRefused { rejection, .. } => {
                rejection.condition.as_str()
            }
            _ => return Err(error.into()),
        };
        if matches!(condition, "not-authorized" | "credentials-expired") {
            core.push(Action::ForgetToken);
        }
        // Neither has anything to do with the token.
        if matches!(condition, "temporary-auth-failure" | "account-disabled") {
            return Err(error.into());
        }
        match begin_login::begin_full(core, attempt.full, self.offer) {
            Err(Error::Login(sasl::Error::NoMechanism(_))) => Err(error.into()),
            next => next,
        }
    }
}

/// What the server issues (XEP-0484, section 3.3).
fn token_of(element: &Element, mechanism: &MechanismName) -> Option<FastToken> {
    let token = element.attr("token").filter(|it| (1..=LONGEST).contains(&it.len()))?;
    let expiry = element.attr("expiry").and_then(unix_time)?;
    Some(FastToken::new(HashedToken::new(mechanism.clone(), token), expiry, 0))
}

const LONGEST: usize = 4096;
