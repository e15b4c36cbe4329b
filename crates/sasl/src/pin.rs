//! The strongest login that an account has had, so that the next one is no weaker.
//! Where pins are stored is the application's business; a pin holds no secret.

use std::{cmp::Reverse, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    Binding, BindingType, Channel, Credentials, InvalidMechanismName, MechanismName, Offer, Policy,
    Registry, Secret, Selection, Skip, TlsVersion, UnknownBindingType,
    json_object::{self, Unreadable},
};

/// The strongest that was seen in the successful logins of one account: mechanism, channel
/// binding, and encryption.
///
/// Whoever stands between client and server can take the better half of an offer away. A client
/// that remembers what it had notices, before it sends anything.
///
/// ```
/// use epode_sasl::{Encryption, Pin, TlsVersion};
///
/// let line = r#"{"version":1,"mechanism":"SCRAM-SHA-256-PLUS","rank":80,"binding":"tls-exporter","encryption":"TLS 1.3"}"#;
/// let pin = Pin::from_json(line)?;
/// assert_eq!(pin.encryption(), Encryption::Tls(TlsVersion::Tls13));
/// assert_eq!(pin.to_json(), line);
/// # Ok::<(), epode_sasl::PinError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    mechanism: MechanismName,
    rank: i32,
    binding: Option<BindingType>,
    encryption: Encryption,
}

impl Pin {
    /// Of a login that succeeded; [`Authenticated::pin`](crate::Authenticated::pin) calls it.
    pub(crate) fn of(selection: &Selection) -> Self {
        Self {
            mechanism: selection.mechanism().clone(),
            rank: selection.rank,
            binding: selection.binding,
            encryption: Encryption::of(&selection.channel),
        }
    }

    /// The strongest mechanism that was used.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        &self.mechanism
    }

    /// What that mechanism is worth: its own priority, whatever a policy made of it.
    #[must_use]
    pub fn rank(&self) -> i32 {
        self.rank
    }

    /// The strongest thing that a login was bound to, if one was.
    #[must_use]
    pub fn binding(&self) -> Option<BindingType> {
        self.binding
    }

    /// The strongest encryption that a login had.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// The stronger of both, in each of the three. It never gets weaker: whoever wants that
    /// forgets the pin.
    #[must_use]
    pub fn strengthened_by(&self, other: &Self) -> Self {
        let stronger = if other.rank > self.rank { other } else { self };
        Self {
            mechanism: stronger.mechanism.clone(),
            rank: stronger.rank,
            binding: if strength(other.binding) > strength(self.binding) {
                other.binding
            } else {
                self.binding
            },
            encryption: self.encryption.max(other.encryption),
        }
    }

    /// Compares a choice with the pin, before anything is sent: would a server that offers what
    /// it had then have got a stronger login? What is weaker because this program wants it so is
    /// no alarm: another policy, another kind of secret, another order.
    ///
    /// A login by a [`HashedToken`](crate::HashedToken) is not weighed against the pinned
    /// mechanism, which earned the token. It must be encrypted as well, and bound to the channel
    /// if the pin is.
    ///
    /// # Errors
    ///
    /// [`Weaker`], which says what has changed.
    pub fn check(
        &self,
        selection: &Selection,
        policy: &Policy,
        registry: &Registry,
        credentials: &Credentials,
    ) -> Result<(), Weaker> {
        let (was, now) = (self.encryption, Encryption::of(&selection.channel));
        // A driver that does not tell the version is no fault of the server's.
        if now < was && now != Encryption::UnknownTls {
            return Err(Weaker::Encryption { was, now });
        }
        if let Secret::HashedToken(_) = credentials.secret() {
            let was = self.binding.filter(|_| selection.binding.is_none());
            return was.map_or(Ok(()), |was| Err(Weaker::Binding { was, now: None }));
        }
        let (channel, offer) = (self.channel_then(selection), self.offer_then(selection));
        let then = policy.select(registry, credentials, &channel, offer);
        let was_possible = then.as_ref().is_ok_and(|then| then.mechanism() == &self.mechanism);
        if was_possible && selection.rank < self.rank {
            return Err(Weaker::Mechanism {
                was: self.mechanism.clone(),
                now: selection.mechanism().clone(),
                why: self.why_not(selection),
            });
        }
        let possible = then.map_or(self.binding, |then| then.binding);
        let (was, now) = (self.binding, selection.binding);
        match was {
            Some(was)
                if strength(now) < strength(Some(was)) && strength(now) < strength(possible) =>
            {
                Err(Weaker::Binding { was, now })
            }
            _ => Ok(()),
        }
    }

    /// The channel, with what a login was bound to. The data are never used.
    fn channel_then(&self, selection: &Selection) -> Channel {
        let channel = &selection.channel;
        let has = |kind| channel.bindings().iter().any(|known| known.kind() == kind);
        match self.binding {
            Some(kind) if !has(kind) => channel.clone().with_binding(Binding::new(kind, [])),
            _ => channel.clone(),
        }
    }

    /// What the server offers, and what it offered then.
    fn offer_then(&self, selection: &Selection) -> Offer {
        let now = &selection.offer;
        let mut names: Vec<_> = now.mechanisms().iter().map(ToString::to_string).collect();
        names.push(self.mechanism.to_string());
        // Who could bind one mechanism could bind all of them.
        if self.binding.is_some() && !now.has_plus() {
            names.push(format!("{}-PLUS", selection.mechanism()));
        }
        let offer = Offer::new(names);
        let types = now.channel_bindings().map(<[String]>::to_vec);
        match (types, self.binding) {
            (None, None) => offer,
            (types, pinned) => {
                let pinned = pinned.map(|kind| kind.name().to_owned());
                offer.with_channel_bindings(types.unwrap_or_default().into_iter().chain(pinned))
            }
        }
    }

    fn why_not(&self, selection: &Selection) -> Skip {
        let passed = selection.passed_over.iter().find(|it| it.mechanism == self.mechanism);
        passed.map_or(Skip::NotOffered, |passed| passed.reason.clone())
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`PinError`] says which member is wrong. Nothing is guessed: a pin that cannot be read is
    /// no pin, and to go on without one is the user's decision.
    pub fn from_json(json: &str) -> Result<Self, PinError> {
        let Version { version } = json_object::read(json)?;
        if version != VERSION {
            return Err(PinError::Version { found: version });
        }
        let parsed: Json = json_object::read(json)?;
        let binding = parsed.binding.map(|name| name.parse()).transpose()?;
        let encryption = Encryption::ALL.into_iter().find(|it| it.name() == parsed.encryption);
        let encryption = encryption.ok_or(PinError::Encryption)?;
        Ok(Self { mechanism: parsed.mechanism.parse()?, rank: parsed.rank, binding, encryption })
    }

    /// Writes it as one line of JSON: `version`, `mechanism`, `rank`, `binding` (or null) and
    /// `encryption`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = Json {
            version: VERSION,
            mechanism: self.mechanism.to_string(),
            rank: self.rank,
            binding: self.binding.map(|kind| kind.name().to_owned()),
            encryption: self.encryption.name().to_owned(),
        };
        serde_json::to_string(&json).expect("strings and numbers always serialise")
    }
}

/// How well a login was encrypted, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// Not at all, or not by TLS.
    None,
    /// By a version of TLS that the driver does not tell, as in a browser.
    UnknownTls,
    /// By this version of TLS.
    Tls(TlsVersion),
}

impl Encryption {
    const ALL: [Self; 4] =
        [Self::None, Self::UnknownTls, Self::Tls(TlsVersion::Tls12), Self::Tls(TlsVersion::Tls13)];

    /// That of a channel.
    #[must_use]
    pub fn of(channel: &Channel) -> Self {
        match channel.tls_version() {
            Some(version) => Self::Tls(version),
            None if channel.is_encrypted() => Self::UnknownTls,
            None => Self::None,
        }
    }

    /// As a word of a table, as `none` or `TLS 1.3`, where `Display` is part of a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::UnknownTls => "TLS",
            Self::Tls(TlsVersion::Tls12) => "TLS 1.2",
            Self::Tls(TlsVersion::Tls13) => "TLS 1.3",
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "no encryption",
            other => other.name(),
        })
    }
}

/// What got weaker since the pin, because of what the server offers now. Somebody may have
/// changed the offer on its way; or the server's owner has changed the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Weaker {
    /// The stream is encrypted worse, or not at all.
    #[error(
        "the connection is weaker than before: it had {was}, and now has {now}; \
         if this is meant to be, forget the pin of this account"
    )]
    Encryption {
        /// The strongest that it had.
        was: Encryption,
        /// What it has now.
        now: Encryption,
    },
    /// The mechanism is a weaker one.
    #[error(
        "the server offers a weaker login than before: it was {was}, and now would be {now} \
         ({was}: {why}); if this is meant to be, forget the pin of this account"
    )]
    Mechanism {
        /// The strongest that was used.
        was: MechanismName,
        /// What would be used now.
        now: MechanismName,
        /// Why the other one cannot be used.
        why: Skip,
    },
    /// The login would be bound to something weaker, or to nothing.
    #[error(
        "the login would be bound to the channel less firmly than before: it was by {was}, and \
         now would be {}; if this is meant to be, forget the pin of this account",
        by(.now)
    )]
    Binding {
        /// The strongest that it was bound by.
        was: BindingType,
        /// What it would be bound by now.
        now: Option<BindingType>,
    },
}

/// Why a text is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Not JSON, a member too many or too few, or one of the wrong type.
    #[error(
        "not the JSON object {{version, mechanism, rank, binding, encryption}}: \
         {0}"
    )]
    Json(#[from] Unreadable),
    /// Written by a version of this library that does more.
    #[error("`version` is {found}; this program knows version 1")]
    Version {
        /// What was found.
        found: u32,
    },
    /// `mechanism` is no mechanism name.
    #[error("`mechanism`: {0}")]
    Mechanism(#[from] InvalidMechanismName),
    /// `binding` is no type of channel binding that is known here.
    #[error("`binding`: {0}")]
    Binding(#[from] UnknownBindingType),
    /// `encryption` is none of the known ones.
    #[error("`encryption` is none of none, TLS, TLS 1.2 and TLS 1.3")]
    Encryption,
}

/// The more the stronger.
fn strength(binding: Option<BindingType>) -> Option<Reverse<BindingType>> {
    binding.map(Reverse)
}

fn by(binding: &Option<BindingType>) -> String {
    binding.map_or_else(|| "by nothing".to_owned(), |kind| format!("by {kind}"))
}

/// What all versions of the JSON share.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    version: u32,
    mechanism: String,
    rank: i32,
    #[serde(deserialize_with = "Option::deserialize")]
    binding: Option<String>,
    encryption: String,
}

const VERSION: u32 = 1;
