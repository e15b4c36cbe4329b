//! The grammar of SCRAM's messages (RFC 5802, section 7), read strictly.

use base64ct::{Base64, Encoding};

use crate::error::PeerFault;

/// `server-first-message`, checked in form. Bounds on salt and count are the caller's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u64,
    /// The hash of the server's lists (XEP-0474).
    pub(super) downgrade_hash: Option<&'a str>,
    /// The version of TLS as the server sees it (XEP-0515).
    pub(super) tls_version: Option<&'a str>,
}

impl<'a> ServerFirst<'a> {
    /// `r=…,s=…,i=…[,extensions]`, in this order. Extensions that are optional are passed over;
    /// they stay in the signed text.
    pub(super) fn parse(message: &'a str) -> Result<Self, PeerFault> {
        let attributes = attributes(message)?;
        let [(first, nonce), rest @ ..] = attributes.as_slice() else {
            return Err(PeerFault::Malformed("it is empty"));
        };
        if *first != 'r' {
            return Err(PeerFault::Malformed("r= is not first"));
        }
        let [('s', salt), ('i', iterations), ..] = rest else {
            return Err(PeerFault::Malformed("r= is not followed by s= and i="));
        };
        if !nonce.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
            return Err(PeerFault::Malformed("the nonce has a character that is not printable"));
        }
        let salt =
            Base64::decode_vec(salt).map_err(|_| PeerFault::Malformed("the salt is not base64"))?;
        let iterations = positive_number(iterations)?;
        let optional =
            |wanted| rest.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let (downgrade_hash, tls_version) = (optional('h'), optional('t'));
        Ok(Self { nonce, salt, iterations, downgrade_hash, tls_version })
    }
}

/// `server-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerFinal<'a> {
    Verifier(Vec<u8>),
    Error(&'a str),
}

impl<'a> ServerFinal<'a> {
    /// `v=…[,extensions]` or `e=…[,extensions]`.
    pub(super) fn parse(message: &'a str) -> Result<Self, PeerFault> {
        match attributes(message)?.as_slice() {
            [('v', verifier), ..] => Base64::decode_vec(verifier)
                .map(Self::Verifier)
                .map_err(|_| PeerFault::Malformed("the signature is not base64")),
            [('e', error), ..] => Ok(Self::Error(error)),
            _ => Err(PeerFault::Malformed("neither v= nor e= is first")),
        }
    }
}

/// Splits `a=value,b=value`. Each name is one letter and appears once; no value is empty but the
/// salt's, which has an error of its own; `m=` is refused wherever it stands.
fn attributes(message: &str) -> Result<Vec<(char, &str)>, PeerFault> {
    let mut found: Vec<(char, &str)> = Vec::new();
    for part in message.split(',') {
        let (name, value) =
            part.split_once('=').ok_or(PeerFault::Malformed("an attribute without ="))?;
        let mut letters = name.chars();
        let (Some(name), None) = (letters.next().filter(char::is_ascii_alphabetic), letters.next())
        else {
            return Err(PeerFault::Malformed("an attribute's name is not one letter"));
        };
        if name == 'm' {
            return Err(PeerFault::MandatoryExtension);
        }
        if found.iter().any(|(known, _)| *known == name) {
            return Err(PeerFault::DuplicateAttribute(name));
        }
        if (value.is_empty() && name != 's') || value.contains('\0') {
            return Err(PeerFault::Malformed("an attribute's value is empty or has a NUL"));
        }
        if found.len() == ATTRIBUTES_LIMIT {
            return Err(PeerFault::Malformed("too many attributes"));
        }
        found.push((name, value));
    }
    Ok(found)
}

const ATTRIBUTES_LIMIT: usize = 16;

/// `posit-number`: digits, the first not 0. Nothing is computed from it before it is in bounds.
fn positive_number(text: &str) -> Result<u64, PeerFault> {
    let malformed = PeerFault::Malformed("the iteration count is not a plain number");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) || (text.starts_with('0') && text != "0") {
        return Err(malformed);
    }
    text.parse().map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_rfc_shows_and_passes_over_optional_extensions() {
        let message = "r=fyko3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,g=later,t=0304,h=abc";
        let parsed = ServerFirst::parse(message).unwrap();
        assert_eq!(parsed.nonce, "fyko3rfcNHYJY1ZVvWVs7j");
        assert_eq!((parsed.salt.len(), parsed.iterations), (12, 4096));
        assert_eq!((parsed.downgrade_hash, parsed.tls_version), (Some("abc"), Some("0304")));
        assert_eq!(ServerFinal::parse("e=unknown-user"), Ok(ServerFinal::Error("unknown-user")));
        assert_eq!(ServerFinal::parse("v=AAEC,x=1"), Ok(ServerFinal::Verifier(vec![0, 1, 2])));
    }

    #[test]
    fn refuses_everything_else_with_its_own_reason() {
        use PeerFault::{DuplicateAttribute, Malformed, MandatoryExtension};
        for (message, fault) in [
            ("", Malformed("an attribute without =")),
            ("r=a,s=QUJD", Malformed("r= is not followed by s= and i=")),
            ("r=a,i=4096,s=QUJD", Malformed("r= is not followed by s= and i=")),
            ("s=QUJD,r=a,i=4096", Malformed("r= is not first")),
            ("r=a,s=QUJD,i=4096,r=a", DuplicateAttribute('r')),
            ("r=a,s=QUJD,i=4096,g=1,g=2", DuplicateAttribute('g')),
            ("m=x,r=a,s=QUJD,i=4096", MandatoryExtension),
            ("r=a,s=QUJD,i=4096,m=x", MandatoryExtension),
            ("r=,s=QUJD,i=4096", Malformed("an attribute's value is empty or has a NUL")),
            ("r=a,s=QUJ,i=4096", Malformed("the salt is not base64")),
            ("r=a,s=QUJD,i=4096x", Malformed("the iteration count is not a plain number")),
            ("r=a,s=QUJD,i=+4096", Malformed("the iteration count is not a plain number")),
            ("r=a,s=QUJD,i=04096", Malformed("the iteration count is not a plain number")),
            (
                "r=a,s=QUJD,i=99999999999999999999",
                Malformed("the iteration count is not a plain number"),
            ),
            ("r=a b,s=QUJD,i=4096", Malformed("the nonce has a character that is not printable")),
            ("r=a,s=QUJD,i=4096,", Malformed("an attribute without =")),
            ("r=a,s=QUJD,i=4096,1=x", Malformed("an attribute's name is not one letter")),
            ("r=a,s=QUJD,i=4096,xy=z", Malformed("an attribute's name is not one letter")),
        ] {
            assert_eq!(ServerFirst::parse(message), Err(fault), "{message}");
        }
        for (message, fault) in [
            ("x=1,v=AAEC", Malformed("neither v= nor e= is first")),
            ("v=A", Malformed("the signature is not base64")),
            ("m=1,v=AAEC", MandatoryExtension),
        ] {
            assert_eq!(ServerFinal::parse(message), Err(fault), "{message}");
        }
    }
}
