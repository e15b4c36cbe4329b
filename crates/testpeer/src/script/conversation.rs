//! What a run has learned from the frames so far: the values of the variables.
//!
//! Leaves out judgement: a message that is not understood teaches nothing, for a transcript may
//! play broken ones on purpose.

use base64ct::{Base64, Encoding};
use epode_proto::xml::{Element, Limits, parse_document};
use thiserror::Error;

use super::text::{LARGEST_VARIABLE, Variable};
use crate::sasl::hash::{Hash, Keys, xor};
use crate::sasl::prepared;

/// The messages of SCRAM, and the last request's id.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    password: Option<String>,
    mechanism: Option<Hash>,
    nonce: Option<String>,
    client_first_bare: Option<String>,
    server_first: Option<String>,
    client_final_without_proof: Option<String>,
    id: Option<String>,
}

/// Why a variable has no value yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unknown {
    /// The client sent no SCRAM message to open with.
    #[error("the client has sent no SCRAM message to open with")]
    ClientFirst,
    /// The client sent no final SCRAM message.
    #[error("the client has sent no final SCRAM message")]
    ClientFinal,
    /// The transcript sent no usable first SCRAM message.
    #[error("the transcript has sent no SCRAM challenge with r=, s= and i= up to 1000000")]
    ServerFirst,
    /// The client chose another mechanism than SCRAM.
    #[error("the client has chosen no SCRAM mechanism")]
    Mechanism,
    /// The transcript has no password, or one that SASLprep refuses.
    #[error("the transcript has no header `password` that SASLprep accepts")]
    Password,
    /// No frame of the client's had an id.
    #[error("no frame of the client's had an id")]
    Id,
    /// The value is longer than a variable may be.
    #[error("the value is longer than 4096 bytes")]
    TooLong,
}

impl Conversation {
    pub(super) fn new(password: Option<&str>) -> Self {
        Self { password: password.map(str::to_owned), ..Self::default() }
    }

    /// Learns from a frame of the client's.
    pub(super) fn heard(&mut self, frame: &Element) {
        if let Some(id) = frame.attr("id") {
            self.id = Some(id.to_owned());
        }
        if let Some(mechanism) = frame.attr("mechanism") {
            *self = Self {
                password: self.password.take(),
                id: self.id.take(),
                mechanism: Hash::of_mechanism(mechanism),
                ..Self::default()
            };
        }
        for message in messages(frame) {
            if let Some(bare) = without_gs2_header(&message)
                && let Some(nonce) = attribute(bare, 'r')
            {
                self.nonce = Some(nonce.to_owned());
                self.client_first_bare = Some(bare.to_owned());
            } else if message.starts_with("c=")
                && let Some((without_proof, _)) = message.rsplit_once(",p=")
            {
                self.client_final_without_proof = Some(without_proof.to_owned());
            }
        }
    }

    /// Learns from a frame that the transcript sends.
    pub(super) fn said(&mut self, frame: &[u8]) {
        let Ok(frame) = parse_document(frame, &Limits::default()) else { return };
        for message in messages(&frame) {
            if ['r', 's', 'i'].into_iter().all(|name| attribute(&message, name).is_some()) {
                self.server_first = Some(message);
            }
        }
    }

    /// The value of a variable now.
    pub(super) fn value(&self, variable: Variable) -> Result<String, Unknown> {
        let value = match variable {
            Variable::Nonce => self.nonce.clone().ok_or(Unknown::ClientFirst)?,
            Variable::Id => crate::escape::attribute(self.id.as_deref().ok_or(Unknown::Id)?),
            Variable::Proof => {
                let (hash, keys, auth_message) = self.scram()?;
                let signature = hash.hmac(&keys.stored_key, &auth_message);
                Base64::encode_string(&xor(&keys.client_key, &signature))
            }
            Variable::Verifier => {
                let (hash, keys, auth_message) = self.scram()?;
                Base64::encode_string(&hash.hmac(&keys.server_key, &auth_message))
            }
        };
        if value.len() > LARGEST_VARIABLE { Err(Unknown::TooLong) } else { Ok(value) }
    }

    /// The hash, the keys and the message that both sides sign.
    fn scram(&self) -> Result<(Hash, Keys, Vec<u8>), Unknown> {
        let hash = self.mechanism.ok_or(Unknown::Mechanism)?;
        let client_first = self.client_first_bare.as_deref().ok_or(Unknown::ClientFirst)?;
        let server_first = self.server_first.as_deref().ok_or(Unknown::ServerFirst)?;
        let client_final =
            self.client_final_without_proof.as_deref().ok_or(Unknown::ClientFinal)?;
        let (salt, iterations) = salt_and_count(server_first).ok_or(Unknown::ServerFirst)?;
        let password = self.password.as_deref().and_then(prepared).ok_or(Unknown::Password)?;
        let keys = hash.keys(&password, &salt, iterations);
        let auth_message = format!("{client_first},{server_first},{client_final}");
        Ok((hash, keys, auth_message.into_bytes()))
    }
}

/// Every text in the frame that is base64 of UTF-8.
fn messages(frame: &Element) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![frame];
    while let Some(element) = pending.pop() {
        let decoded = Base64::decode_vec(element.text().trim()).ok();
        found.extend(decoded.and_then(|bytes| String::from_utf8(bytes).ok()));
        pending.extend(element.children());
    }
    found
}

fn without_gs2_header(message: &str) -> Option<&str> {
    let mut parts = message.splitn(3, ',');
    let flag = parts.next()?;
    let known = flag == "n" || flag == "y" || flag.starts_with("p=");
    parts.next()?;
    parts.next().filter(|_| known)
}

fn attribute(message: &str, name: char) -> Option<&str> {
    let value = |part: &'_ str| part.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    message.split(',').find(|part| value(part)).map(|part| &part[2..])
}

fn salt_and_count(server_first: &str) -> Option<(Vec<u8>, u32)> {
    let salt = Base64::decode_vec(attribute(server_first, 's')?).ok()?;
    let count = attribute(server_first, 'i')?.parse().ok()?;
    // A transcript may ask the client for any count; computing one here has to end.
    (1..=1_000_000).contains(&count).then_some((salt, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3, in the elements of XEP-0388.
    #[test]
    fn both_profiles_teach_the_same() {
        let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=x";
        let sasl2 = |name, text: &str| {
            Element::new(name, "urn:xmpp:sasl:2").with_text(Base64::encode_string(text.as_bytes()))
        };
        let mut conversation = Conversation::new(Some("pencil"));
        let authenticate = Element::new("authenticate", "urn:xmpp:sasl:2")
            .with_attr("mechanism", "SCRAM-SHA-256")
            .with_child(sasl2("initial-response", first))
            .with_child(Element::new("user-agent", "urn:xmpp:sasl:2").with_attr("id", "x"));
        conversation.heard(&authenticate);
        assert_eq!(conversation.value(Variable::Nonce).unwrap(), "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(conversation.value(Variable::Verifier), Err(Unknown::ServerFirst));
        conversation.said(sasl2("challenge", server_first).to_xml().as_bytes());
        conversation.heard(&sasl2("response", last));
        let verifier = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(conversation.value(Variable::Verifier).unwrap(), verifier);
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(conversation.value(Variable::Proof).unwrap(), proof);
        assert_eq!(conversation.value(Variable::Id), Err(Unknown::Id));
    }
}
