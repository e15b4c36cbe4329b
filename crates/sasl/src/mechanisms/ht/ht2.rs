//! `HT2-…`, the family that is to follow `HT-…`: a place for values of both sides, and a failure
//! of its own. Known here from a description alone, so that a registry has it only when asked to
//! ([`Registry::with_ht2`](crate::Registry::with_ht2)).

use super::{Variant, message};
use crate::{
    Binding, BindingType, Context, Error, Mechanism, MechanismFactory, MechanismName, PeerFault,
    Rejection, Response, ServerProof, Step, mechanisms::no_challenge, selection::Skip,
};

/// `HT2-` with a hash and a kind of channel binding (draft-ietf-kitten-sasl-ht-02, second-hand):
/// needs what [`Ht`](super::Ht) needs, and a token that was issued for it.
#[derive(Clone, Debug)]
pub struct Ht2(Variant);

impl Ht2 {
    /// All of them, strongest first, as [`Ht::all`](super::Ht::all).
    pub fn all() -> impl Iterator<Item = Self> {
        Variant::all("HT2").map(Self)
    }
}

impl MechanismFactory for Ht2 {
    fn name(&self) -> &MechanismName {
        &self.0.name
    }

    /// One more than its like in `HT-…`.
    fn priority(&self) -> i32 {
        self.0.priority() + 1
    }

    fn binding(&self, cx: &Context<'_>) -> Option<BindingType> {
        self.0.binding(cx).ok()?.map(Binding::kind)
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.0.test(cx)
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { variant: self.0.clone(), refusal: None })
    }
}

#[derive(Debug)]
struct Login {
    variant: Variant,
    /// The server has said why it refuses; its failure is still to come.
    refusal: Option<&'static str>,
}

impl Mechanism for Login {
    /// `authcid NUL extra-initiator-values NUL initiator-hashed-token`; there are no values.
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        let hashed = self.variant.hashed_token(cx, "Initiator", &[])?;
        message(cx, &[&[], &hashed])
    }

    /// The only challenge there is says why the token is refused. The answer is empty, after which
    /// the server fails the login.
    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        match (self.refusal, Reply::parse(challenge)) {
            (None, Ok(Reply::Failure(why))) => {
                self.refusal = Some(why);
                Ok(Step::Send(Response::new([])))
            }
            (None, Err(fault)) => Err(self.variant.fault(fault)),
            _ => no_challenge(&self.variant.name),
        }
    }

    fn verify(&mut self, cx: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        let fault = |fault| self.variant.fault(fault);
        if self.refusal.is_some() {
            return Err(fault(PeerFault::SuccessAfterFailure));
        }
        let last = last.filter(|last| !last.is_empty()).ok_or(PeerFault::SignatureMissing);
        match last.and_then(Reply::parse).map_err(fault)? {
            Reply::Success { values, hashed } => self.variant.check_responder(cx, hashed, values),
            Reply::Failure(_) => Err(fault(PeerFault::SuccessAfterFailure)),
        }
    }

    /// The condition stays the protocol's own, which says what is to become of the token.
    fn failed(&mut self, mut rejection: Rejection) -> Rejection {
        if let Some(why) = self.refusal {
            rejection.text.get_or_insert_with(|| why.to_owned());
        }
        rejection
    }
}

/// What the server says in the end.
#[derive(Debug, PartialEq, Eq)]
enum Reply<'a> {
    /// `%x00 extra-responder-values NUL responder-hashed-token`
    Success { values: &'a [u8], hashed: &'a [u8] },
    /// `%x01 description`
    Failure(&'static str),
}

impl<'a> Reply<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, PeerFault> {
        match message {
            [0, rest @ ..] => {
                let end = rest.iter().position(|byte| *byte == 0);
                let end = end.ok_or(PeerFault::Malformed("its values do not end"))?;
                let (values, hashed) = (&rest[..end], &rest[end + 1..]);
                if !values.is_empty() && !values.split(|byte| *byte == b',').all(is_pair) {
                    return Err(PeerFault::Malformed("its values are not pairs of words"));
                }
                Ok(Self::Success { values, hashed })
            }
            [1, description @ ..] => {
                let known = DESCRIPTIONS.into_iter().find(|it| it.as_bytes() == description);
                Ok(Self::Failure(known.unwrap_or("other-error")))
            }
            _ => Err(PeerFault::Malformed("it begins with neither 0 nor 1")),
        }
    }
}

const DESCRIPTIONS: [&str; 3] = ["unknown-user", "invalid-token", "other-error"];

/// `key=value`
fn is_pair(pair: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"/+_-".contains(byte);
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(is_letter);
    let mut words = pair.split(|byte| *byte == b'=');
    words.next().is_some_and(is_word) && words.next().is_some_and(is_word) && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_strictly() {
        for (message, values, hashed) in [
            (&b"\0\0hash"[..], &b""[..], &b"hash"[..]),
            (b"\0a=b\0\0\0", b"a=b", b"\0\0"),
            (b"\0a=b,C/+=_-9\0hash", b"a=b,C/+=_-9", b"hash"),
            (b"\0\0", b"", b""),
        ] {
            assert_eq!(Reply::parse(message), Ok(Reply::Success { values, hashed }));
        }
        for (message, why) in [
            (&b""[..], "it begins with neither 0 nor 1"),
            (b"\x02hash", "it begins with neither 0 nor 1"),
            (b"hash", "it begins with neither 0 nor 1"),
            (b"\0", "its values do not end"),
            (b"\0a=b", "its values do not end"),
            (b"\0a\0hash", "its values are not pairs of words"),
            (b"\0a=\0hash", "its values are not pairs of words"),
            (b"\0=b\0hash", "its values are not pairs of words"),
            (b"\0a=b=c\0hash", "its values are not pairs of words"),
            (b"\0a=b,\0hash", "its values are not pairs of words"),
            (b"\0a= b\0hash", "its values are not pairs of words"),
            (b"\0\xc3\xa9=b\0hash", "its values are not pairs of words"),
        ] {
            assert_eq!(Reply::parse(message), Err(PeerFault::Malformed(why)), "{message:?}");
        }
        for (message, why) in [
            (&b"\x01unknown-user"[..], "unknown-user"),
            (b"\x01invalid-token", "invalid-token"),
            (b"\x01", "other-error"),
            (b"\x01\x1b[31mred", "other-error"),
        ] {
            assert_eq!(Reply::parse(message), Ok(Reply::Failure(why)));
        }
    }
}
