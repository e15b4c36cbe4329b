#![doc = include_str!("primer.md")]

mod channel;
mod constant_time;
mod continued;
mod credentials;
mod deferred;
mod error;
mod exchange;
mod hashed_token;
pub mod json_object;
mod mechanism;
pub mod mechanisms;
mod name;
mod normalization;
mod offer;
mod pin;
mod policy;
mod registry;
mod saslprep;
mod secret;
mod selection;

/// The code of the guides, which is compiled and run as this crate's documentation is.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../docs/writing-a-mechanism.md")]
    mod writing_a_mechanism {}
    #[doc = include_str!("../../../docs/sasl-for-imap-and-smtp.md")]
    mod sasl_for_imap_and_smtp {}
}

pub use crate::{
    channel::{Binding, BindingType, Channel, TlsVersion, UnknownBindingType},
    continued::Continued,
    credentials::Credentials,
    deferred::{Deferred, OwnMechanism},
    error::{ApplicationCondition, Error, OAuthFailure, PeerFault, PreparationError, Rejection},
    exchange::{Authenticated, Exchange, Pending, Retry, Turn},
    hashed_token::HashedToken,
    mechanism::{
        Answer, Challenge, Context, Mechanism, MechanismFactory, Question, Response, ServerProof,
        Step,
    },
    mechanisms::scram,
    name::{InvalidMechanismName, MechanismName},
    offer::Offer,
    pin::{Encryption, Pin, PinError, Weaker},
    policy::{Limits, Policy},
    registry::Registry,
    secret::{Secret, SecretKind},
    selection::{NoMechanism, PassedOver, Selection, Skip},
};
