//! Hashed tokens: one round trip, both sides proved, nothing derived.
//! Getting a token is up to the protocol around: in XMPP XEP-0484 does it.
//!
//! A program's own [`Registry`](crate::Registry) has none of these. A login by a token is a thing
//! apart, for which [`Registry::hashed_tokens`](crate::Registry::hashed_tokens) is handed to
//! [`Policy::select`](crate::Policy::select); which mechanism to ask a token for says
//! [`Policy::token_mechanism`](crate::Policy::token_mechanism).

mod ht2;

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    Binding, BindingType, Context, Error, HashedToken, Mechanism, MechanismFactory, MechanismName,
    PeerFault, Response, ServerProof, Step, constant_time, saslprep, scram::Hash, secret::Secret,
    selection::Skip,
};

pub use self::ht2::Ht2;

/// `HT-` with a hash and a kind of channel binding (draft-schmaus-kitten-sasl-ht-09): needs a user
/// name, an encrypted channel, and a [`HashedToken`] that was issued for this very mechanism.
#[derive(Clone, Debug)]
pub struct Ht(Variant);

impl Ht {
    /// All of them, strongest first: by what they are bound to, then by the hash.
    pub fn all() -> impl Iterator<Item = Self> {
        Variant::all("HT").map(Self)
    }
}

impl MechanismFactory for Ht {
    fn name(&self) -> &MechanismName {
        &self.0.name
    }

    /// 90 to 80 where it is bound to the channel, 72 and 70 where it is not.
    fn priority(&self) -> i32 {
        self.0.priority()
    }

    fn binding(&self, cx: &Context<'_>) -> Option<BindingType> {
        self.0.binding(cx).ok()?.map(Binding::kind)
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.0.test(cx)
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login(self.0.clone()))
    }
}

#[derive(Debug)]
struct Login(Variant);

impl Mechanism for Login {
    /// `authcid NUL initiator-hashed-token`
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        let hashed = self.0.hashed_token(cx, "Initiator", &[])?;
        message(cx, &[&hashed])
    }

    fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        super::no_challenge(&self.0.name)
    }

    fn verify(&mut self, cx: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        self.0.check_responder(cx, last.unwrap_or_default(), &[])
    }
}

/// What a mechanism is named for.
#[derive(Clone, Debug)]
struct Variant {
    name: MechanismName,
    hash: Hash,
    class: BindingClass,
}

impl Variant {
    fn all(family: &'static str) -> impl Iterator<Item = Self> {
        BindingClass::ALL.into_iter().flat_map(move |class| {
            [Hash::Sha512, Hash::Sha256].into_iter().map(move |hash| {
                let name = format!("{family}-{hash}-{class}").parse();
                Self { name: name.expect("each part is short and in capitals"), hash, class }
            })
        })
    }

    fn priority(&self) -> i32 {
        let class = match self.class {
            BindingClass::Exporter => 88,
            BindingClass::Unique => 84,
            BindingClass::EndPoint => 80,
            BindingClass::None => 70,
        };
        if self.hash == Hash::Sha512 { class + 2 } else { class }
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        if cx.credentials.authcid().is_none() {
            return Err(Skip::NeedsUserName);
        }
        if cx.credentials.authzid().is_some() {
            return Err(Skip::HasAuthzid);
        }
        self.token(cx)?;
        if !cx.channel.is_encrypted() {
            return Err(Skip::NeedsEncryption); // section 1.2: whoever listens could replay it
        }
        self.binding(cx).map(drop)
    }

    fn token<'a>(&self, cx: &Context<'a>) -> Result<&'a HashedToken, Skip> {
        match cx.credentials.secret() {
            Secret::HashedToken(token) if *token.mechanism() == self.name => Ok(token),
            Secret::HashedToken(token) => Err(Skip::TokenOfAnother(token.mechanism().clone())),
            _ => Err(Skip::NeedsHashedToken),
        }
    }

    /// What this login is bound to, as the name says. Where the server lists what it can be bound
    /// to (XEP-0440), that counts too.
    fn binding<'a>(&self, cx: &Context<'a>) -> Result<Option<&'a Binding>, Skip> {
        let kind = match self.class {
            BindingClass::None => return Ok(None),
            BindingClass::Exporter => BindingType::TlsExporter,
            BindingClass::EndPoint => BindingType::TlsServerEndPoint,
            BindingClass::Unique => return Err(Skip::NothingToBindTo),
        };
        let found = cx.channel.bindings().iter().find(|binding| binding.kind() == kind);
        let binding = found.ok_or(Skip::NothingToBindTo)?;
        let is_missing = cx.offer.channel_bindings().is_some() && !cx.offer.lists(kind);
        if is_missing || cx.refused.contains(&kind) {
            return Err(Skip::NoCommonBinding);
        }
        Ok(Some(binding))
    }

    /// `HMAC(token, side || cb-data || values)`
    fn hashed_token(
        &self,
        cx: &Context<'_>,
        side: &str,
        values: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let token = self.token(cx).map_err(super::untested)?.token();
        if token.is_empty() {
            return Err(Error::EmptyToken);
        }
        let binding = self.binding(cx).map_err(super::untested)?;
        let data = binding.map_or(&[][..], Binding::data);
        let length = side.len() + data.len() + values.len();
        let mut text = Zeroizing::new(Vec::with_capacity(length)); // never grows: no copy is left
        for part in [side.as_bytes(), data, values] {
            text.extend_from_slice(part);
        }
        Ok(self.hash.hmac(token.as_bytes(), &text))
    }

    fn check_responder(
        &self,
        cx: &Context<'_>,
        hashed: &[u8],
        values: &[u8],
    ) -> Result<ServerProof, Error> {
        if hashed.is_empty() {
            return Err(self.fault(PeerFault::SignatureMissing));
        }
        let expected = self.hashed_token(cx, "Responder", values)?;
        if constant_time::equal(hashed, &expected) {
            Ok(ServerProof::Proven)
        } else {
            Err(self.fault(PeerFault::SignatureWrong))
        }
    }

    fn fault(&self, fault: PeerFault) -> Error {
        Error::PeerMisbehaved { mechanism: self.name.clone(), fault }
    }
}

/// What a token's logins are bound to, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BindingClass {
    Exporter,
    /// `tls-unique`, of which there is no [`BindingType`]: such a mechanism is known by its name
    /// and passed over.
    Unique,
    EndPoint,
    None,
}

impl BindingClass {
    const ALL: [Self; 4] = [Self::Exporter, Self::Unique, Self::EndPoint, Self::None];
}

impl fmt::Display for BindingClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exporter => "EXPR",
            Self::Unique => "UNIQ",
            Self::EndPoint => "ENDP",
            Self::None => "NONE",
        })
    }
}

/// The user name, then the parts, with NUL between all of them.
fn message(cx: &Context<'_>, parts: &[&[u8]]) -> Result<Step, Error> {
    let authcid = cx.credentials.authcid().unwrap_or_default();
    let authcid = saslprep::prepare(authcid).map_err(Error::UserName)?;
    let mut message = authcid.as_bytes().to_vec();
    for part in parts {
        message.push(0);
        message.extend_from_slice(part);
    }
    Ok(Step::Send(Response::new(message)))
}
