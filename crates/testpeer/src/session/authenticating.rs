//! The login as XML (RFC 6120, section 6): base64, attempts and conditions.
//!
//! Leaves out the mechanisms themselves, which are in `sasl`.

use base64ct::{Base64, Encoding};
use epode_proto::xml::{Element, namespaces};
use zeroize::Zeroizing;

use super::SessionChannel;
use super::conditions::StreamCondition;
use super::machine::{Said, State, Transition};
use super::sasl2::{self, Sasl2Fault, Terms};
use crate::offer::Offer;
use crate::random;
use crate::sasl::{Context, Exchange, SaslCondition, Step};
use crate::server::{Config, Server};

/// Waits for the client to choose a mechanism, or for its next message.
#[derive(Debug)]
pub(super) struct Authenticating {
    offer: Offer,
    /// What SASL2 offers in this stream, if it is offered.
    sasl2: Option<Terms>,
    exchange: Option<Exchange>,
    failures: u32,
}

impl Authenticating {
    pub(super) fn new(offer: Offer, sasl2: Option<Terms>) -> Self {
        Self { offer, sasl2, exchange: None, failures: 0 }
    }

    pub(super) fn sasl2(&self) -> Option<&Terms> {
        self.sasl2.as_ref()
    }

    /// What is offered stays, and is bound to this channel.
    pub(super) fn rebind(&mut self, channel: &SessionChannel) {
        self.offer.rebind(channel);
        if let Some(terms) = &mut self.sasl2 {
            terms.rebind(channel);
        }
    }

    /// Whether no exchange is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.exchange.is_none()
    }

    pub(super) fn handle(
        mut self,
        server: &Server,
        channel: &SessionChannel,
        element: &Element,
    ) -> Transition {
        let config = server.config();
        let step = match (element.name(), self.exchange.take()) {
            ("auth", None) if channel.is_early() => Err(SaslCondition::NotAuthorized),
            ("auth", None) => begin(config, channel, &self.offer, element).and_then(|exchange| {
                match element.text().as_str() {
                    // Every mechanism here has the client speak first, so it is asked to.
                    "" => Ok(Step::Challenge(exchange, Vec::new())),
                    text => self.proceed(config, channel, exchange, text),
                }
            }),
            ("response", Some(exchange)) => {
                self.proceed(config, channel, exchange, &element.text())
            }
            ("abort", _) => Err(SaslCondition::Aborted),
            ("auth" | "response", _) => Err(SaslCondition::MalformedRequest),
            _ => return ended(StreamCondition::UnsupportedStanzaType, Vec::new()),
        };
        let step = match step.unwrap_or_else(Step::Failure) {
            // This profile has no place for a second factor.
            Step::Success { user, .. } if config.sasl2.code_of(&user).is_some() => {
                Step::Failure(SaslCondition::NotAuthorized)
            }
            step => step,
        };
        match step {
            Step::Challenge(exchange, data) => {
                let challenge = Element::new("challenge", namespaces::SASL);
                let said = challenge.with_text(Base64::encode_string(&data));
                self.exchange = Some(exchange);
                (State::Authenticating(Box::new(self)), vec![Said::Element(said)])
            }
            Step::Success { user, data } => {
                let mut success = Element::new("success", namespaces::SASL);
                if config.sasl2.fault == Some(Sasl2Fault::TokenInSasl1) {
                    let token = Element::new("token", sasl2::FAST)
                        .with_attr("token", random::name())
                        .with_attr("expiry", "9999-12-31T23:59:59Z");
                    success.push(token);
                }
                let said = match data {
                    None => success,
                    Some(data) if data.is_empty() => success.with_text("="),
                    Some(data) => success.with_text(Base64::encode_string(&data)),
                };
                (State::Opening(Some(user)), vec![Said::Element(said)])
            }
            Step::Failure(condition) => {
                let failure =
                    Element::new("failure", namespaces::SASL).with_child(condition.element());
                self.refuse(config, failure)
            }
        }
    }

    /// Says that a login failed, and counts it.
    pub(super) fn refuse(mut self, config: &Config, failure: Element) -> Transition {
        let said = vec![Said::Element(failure)];
        self.failures += 1;
        if self.failures >= config.limits.attempts {
            return ended(StreamCondition::PolicyViolation, said);
        }
        (State::Authenticating(Box::new(self)), said)
    }

    fn proceed(
        &self,
        config: &Config,
        channel: &SessionChannel,
        exchange: Exchange,
        text: &str,
    ) -> Result<Step, SaslCondition> {
        let message = if text == "=" { Zeroizing::default() } else { decoded(text)? };
        Ok(proceed(config, channel, &self.offer, exchange, &message))
    }
}

/// Begins the mechanism that an element names, if it was offered.
pub(super) fn begin(
    config: &Config,
    channel: &SessionChannel,
    offer: &Offer,
    element: &Element,
) -> Result<Exchange, SaslCondition> {
    let name = element.attr("mechanism").ok_or(SaslCondition::InvalidMechanism)?;
    if !offer.mechanisms().iter().any(|offered| offered == name) {
        return Err(if config.needs_encryption(name, channel) {
            SaslCondition::EncryptionRequired
        } else {
            SaslCondition::InvalidMechanism
        });
    }
    if config.too_weak.iter().any(|weak| weak == name) {
        return Err(SaslCondition::MechanismTooWeak);
    }
    Exchange::begin(name, &config.sasl).ok_or(SaslCondition::InvalidMechanism)
}

/// Gives a message of the client's to the mechanism.
pub(super) fn proceed(
    config: &Config,
    channel: &SessionChannel,
    offer: &Offer,
    exchange: Exchange,
    message: &[u8],
) -> Step {
    let cx = Context {
        accounts: &config.accounts,
        options: &config.sasl,
        certificate: channel.certificate(),
        offer,
    };
    exchange.respond(&cx, message)
}

/// The bytes of a message in base64.
pub(super) fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, SaslCondition> {
    Base64::decode_vec(text).map(Zeroizing::new).map_err(|_| SaslCondition::IncorrectEncoding)
}

pub(super) fn ended(condition: StreamCondition, mut said: Vec<Said>) -> Transition {
    said.extend([Said::Element(condition.element()), Said::Close]);
    (State::Closed, said)
}
