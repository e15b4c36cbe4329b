//! SCRAM (RFC 5802, RFC 7677), with channel binding and without, the server's side.
//!
//! Leaves out the arithmetic, which is in `hash`, the verifiers, which the accounts keep, and where
//! the data of a channel binding comes from.

use base64ct::{Base64, Encoding};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{Hash, xor};
use super::{Context, Exchange, MALFORMED, SaslCondition, Step, gs2_authzid, unescaped, utf8};
use crate::random;
use crate::session::Binding;

/// Waits for the client's first message.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    hash: Hash,
    /// The mechanism binds the login to the channel.
    plus: bool,
    /// What the server adds to the client's nonce.
    nonce: String,
}

/// Waits for the client's proof.
#[derive(Debug)]
pub(crate) struct ClientFinal {
    hash: Hash,
    user: String,
    authzid: Option<String>,
    /// The GS2 header, which the client has to repeat, with the data after it.
    header: String,
    binding: Option<Binding>,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

/// Waits for the empty message that answers the server's signature.
#[derive(Debug)]
pub(crate) struct Confirmation {
    user: String,
}

impl ClientFirst {
    pub(super) fn new(hash: Hash, plus: bool) -> Self {
        Self { hash, plus, nonce: random::nonce() }
    }

    pub(super) fn respond(self, cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
        let message = utf8(message)?;
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(MALFORMED);
        };
        let header = &message[..message.len() - bare.len()];
        let mut attributes = bare.split(',');
        let user = attribute(attributes.next(), 'n').and_then(unescaped).ok_or(MALFORMED)?;
        let client_nonce = attribute(attributes.next(), 'r').ok_or(MALFORMED)?;
        if !is_printable(client_nonce) || !attributes.all(is_extension) {
            return Err(MALFORMED);
        }
        let (salt, iterations) = cx.accounts.salt_and_iterations(&user);
        let nonce = format!("{client_nonce}{}", self.nonce);
        let salt = Base64::encode_string(&salt);
        let mut server_first = format!("r={nonce},s={salt},i={iterations}");
        if let Some(value) = cx.offer.downgrade_hash(self.hash, cx.options.downgrade_hash) {
            server_first.extend([",h=", &value]);
        }
        if let Some(value) = cx.offer.version_claim(cx.options.version_claim) {
            server_first.extend([",t=", &value]);
        }
        let challenge = server_first.clone().into_bytes();
        let next = ClientFinal {
            hash: self.hash,
            user,
            authzid: gs2_authzid(authzid)?,
            header: header.to_owned(),
            binding: self.binding(cx, flag)?,
            nonce,
            client_first_bare: bare.to_owned(),
            server_first,
        };
        Ok(Step::Challenge(Exchange::ScramFinal(next), challenge))
    }

    /// Judges the flag of the GS2 header (RFC 5802, section 6), and gives what the login is bound
    /// to.
    fn binding(&self, cx: &Context<'_>, flag: &str) -> Result<Option<Binding>, SaslCondition> {
        match (self.plus, flag) {
            (false, "n") => Ok(None),
            // The client has not seen what was offered: somebody took it out on the way.
            (false, "y") if cx.offer.has_plus() => Err(SaslCondition::NotAuthorized),
            (false, "y") => Ok(None),
            (false, _) => Err(MALFORMED),
            (true, _) => {
                let kind = flag.strip_prefix("p=").ok_or(MALFORMED)?;
                cx.offer.binding(kind).cloned().map(Some).ok_or(MALFORMED)
            }
        }
    }
}

impl ClientFinal {
    pub(super) fn respond(self, cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
        let message = utf8(message)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(MALFORMED)?;
        let proof = Base64::decode_vec(proof).map_err(|_| MALFORMED)?;
        let mut attributes = without_proof.split(',');
        let channel = attribute(attributes.next(), 'c').ok_or(MALFORMED)?;
        let nonce = attribute(attributes.next(), 'r').ok_or(MALFORMED)?;
        if !attributes.all(is_extension) {
            return Err(MALFORMED);
        }
        let same_channel = bool::from(channel.as_bytes().ct_eq(self.channel().as_bytes()));
        if !same_channel || nonce != self.nonce {
            return Err(SaslCondition::NotAuthorized);
        }
        let signature = self.check(cx, without_proof, &proof)?;
        let user = cx.accounts.admit(&self.user, self.authzid.as_deref())?;
        let verifier = format!("v={}", Base64::encode_string(&signature)).into_bytes();
        if cx.options.verifier_in_challenge {
            let next = Exchange::ScramConfirmation(Confirmation { user });
            return Ok(Step::Challenge(next, verifier));
        }
        Ok(Step::Success { user, data: Some(verifier) })
    }

    /// What the client has to say of the channel: the value of `c`.
    fn channel(&self) -> String {
        let data = self.binding.as_ref().map(Binding::data).unwrap_or_default();
        Base64::encode_string(&[self.header.as_bytes(), data].concat())
    }

    /// Gives the server's signature if the proof is right.
    fn check(
        &self,
        cx: &Context<'_>,
        without_proof: &str,
        proof: &[u8],
    ) -> Result<Vec<u8>, SaslCondition> {
        let refused = SaslCondition::NotAuthorized;
        let keys = cx.accounts.keys(&self.user, self.hash).ok_or(refused)?;
        let auth_message =
            format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = self.hash.hmac(&keys.stored_key, auth_message.as_bytes());
        // A proof of another length gives a shorter key, whose hash does not fit either.
        let client_key = Zeroizing::new(xor(proof, &signature));
        let stored_key = self.hash.digest(&client_key);
        let right_length = proof.len() == signature.len();
        if right_length && bool::from(stored_key.ct_eq(&keys.stored_key)) {
            Ok(self.hash.hmac(&keys.server_key, auth_message.as_bytes()))
        } else {
            Err(refused)
        }
    }
}

impl Confirmation {
    pub(super) fn respond(self, message: &[u8]) -> Result<Step, SaslCondition> {
        if message.is_empty() { Ok(Step::success(self.user)) } else { Err(MALFORMED) }
    }
}

/// The value of an attribute, if it is the one that must stand here.
fn attribute(part: Option<&str>, name: char) -> Option<&str> {
    part?.strip_prefix(name)?.strip_prefix('=')
}

/// An attribute that is not known, and that the client does not demand (`m=`) to be known.
fn is_extension(part: &str) -> bool {
    let mut chars = part.chars();
    let name = chars.next().is_some_and(|c| c.is_ascii_alphabetic() && c != 'm');
    name && chars.next() == Some('=') && chars.next().is_some()
}

fn is_printable(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Accounts;
    use crate::offer::{BindingList, DowngradeHash, Offer};
    use crate::sasl::SaslOptions;
    use crate::session::SessionChannel;
    use serde_json::Value;

    struct Row {
        hash: Hash,
        server_nonce: &'static str,
        salt: &'static str,
        client_first: &'static str,
        server_first: &'static str,
        client_final: &'static str,
        server_final: &'static str,
    }

    /// RFC 5802, section 5 and RFC 7677, section 3; the other two have no RFC with a vector, and
    /// were computed with another implementation.
    const ROWS: [Row; 4] = [
        Row {
            hash: Hash::Sha1,
            server_nonce: "3rfcNHYJY1ZVvWVs7j",
            salt: "QSXCR+Q6sek8bf92",
            client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        },
        Row {
            hash: Hash::Sha256,
            server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        },
        Row {
            hash: Hash::Sha384,
            server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=38QOLqcXFnyvjFUdM4HfSjz5ppcQ02OwnS5CmEK4PniDQJkN2DCKR1oAI+y+NRKq",
            server_final: "v=v1W3CC5HNLFnGJ2Zbpb5jeIDxX1hpghXPjWlFWLvikI2N0FYuk/W6bRRifnIXxTe",
        },
        Row {
            hash: Hash::Sha512,
            server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
            server_final: "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
        },
    ];

    fn accounts(salt: &str) -> Accounts {
        let mut accounts = Accounts::new("example.org".to_owned(), 4096);
        accounts.set_password("user", "pencil");
        accounts.set_salt("user", Base64::decode_vec(salt).unwrap());
        accounts
    }

    fn run(row: &Row, options: &SaslOptions, client_final: &str) -> Step {
        let accounts = accounts(row.salt);
        let offer = Offer::default();
        let cx = Context { accounts: &accounts, options, certificate: &[], offer: &offer };
        let nonce = row.server_nonce.to_owned();
        let first = ClientFirst { hash: row.hash, plus: false, nonce };
        let first = first.respond(&cx, row.client_first.as_bytes()).unwrap();
        let Step::Challenge(exchange, challenge) = first else { panic!("{first:?}") };
        assert_eq!(challenge, row.server_first.as_bytes());
        exchange.respond(&cx, client_final.as_bytes())
    }

    #[test]
    fn vectors_log_in() {
        for row in &ROWS {
            let step = run(row, &SaslOptions::default(), row.client_final);
            let Step::Success { user, data: Some(data) } = step else { panic!("{step:?}") };
            assert_eq!((user.as_str(), data.as_slice()), ("user", row.server_final.as_bytes()));
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// What a server says to a client that sends these two messages with `-PLUS`.
    fn run_plus(
        accounts: &Accounts,
        options: &SaslOptions,
        channel: &SessionChannel,
        (hash, nonce): (Hash, &str),
        (client_first, client_final): (&str, &str),
    ) -> (Vec<u8>, Step) {
        let mechanisms = [hash.plus_mechanism(), hash.mechanism()].map(str::to_owned);
        let offer = Offer::new(mechanisms.to_vec(), &BindingList::Honest, channel);
        let cx = Context { accounts, options, certificate: &[], offer: &offer };
        let first = ClientFirst { hash, plus: true, nonce: nonce.to_owned() };
        let first = first.respond(&cx, client_first.as_bytes()).unwrap();
        let Step::Challenge(exchange, challenge) = first else { panic!("{first:?}") };
        (challenge, exchange.respond(&cx, client_final.as_bytes()))
    }

    #[test]
    fn vectors_with_channel_binding_log_in() {
        let file = include_str!("../../tests/vectors/scram_plus.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let rows = file["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 24, "four hashes, three types, two counts");
        for row in rows {
            let text = |key: &str| row[key].as_str().unwrap();
            let server_first = text("server_first");
            let parts: Vec<_> = server_first.split(',').map(|part| &part[2..]).collect();
            let [nonce, salt, iterations] = parts[..] else { panic!("{server_first}") };
            let mut accounts = accounts(salt);
            accounts.set_iterations(iterations.parse().unwrap());
            let nonce = nonce.strip_prefix(file["client_nonce"].as_str().unwrap()).unwrap();
            let data = bytes(text("data"));
            let run = |data: Vec<u8>| {
                run_plus(
                    &accounts,
                    &SaslOptions::default(),
                    &SessionChannel::encrypted().with_binding(text("binding"), data),
                    (Hash::of_mechanism(text("mechanism")).unwrap(), nonce),
                    (text("client_first"), text("client_final")),
                )
            };
            let (challenge, step) = run(data);
            assert_eq!(challenge, server_first.as_bytes());
            let Step::Success { data: Some(data), .. } = step else { panic!("{step:?}") };
            assert_eq!(data, text("server_final").as_bytes());
            let (_, other_channel) = run(vec![7; 32]);
            assert!(matches!(other_channel, Step::Failure(SaslCondition::NotAuthorized)));
        }
    }

    #[test]
    fn the_exchange_of_xep_0474_logs_in() {
        let client_first = "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6";
        let nonce = "a09117a6-ac50-4f2f-93f1-93799c2bddf6";
        let client_final = "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
                            r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6\
                            a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
                            x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,\
                            p=M/SIDjT+dfcxUh89jZEypRvFxB4=";
        let channel = SessionChannel::encrypted()
            .with_binding("tls-server-end-point", "")
            .with_binding("tls-exporter", "THIS IS FAKE CB DATA");
        let accounts = accounts("QSXCR+Q6sek8bf92");
        let run = |downgrade_hash| {
            let options = SaslOptions { downgrade_hash, ..SaslOptions::default() };
            let messages = (client_first, client_final);
            run_plus(&accounts, &options, &channel, (Hash::Sha1, nonce), messages)
        };
        let (challenge, step) = run(DowngradeHash::Right);
        let hash = b",s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
        assert!(challenge.ends_with(hash));
        let Step::Success { data: Some(data), .. } = step else { panic!("{step:?}") };
        assert_eq!(data, b"v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=");
        // The proof covers the hash.
        for other in [DowngradeHash::Absent, DowngradeHash::Wrong] {
            let (_, step) = run(other);
            assert!(matches!(step, Step::Failure(SaslCondition::NotAuthorized)), "{other:?}");
        }
    }

    #[test]
    fn the_signature_can_come_in_a_challenge() {
        let options = SaslOptions { verifier_in_challenge: true, ..SaslOptions::default() };
        for row in &ROWS {
            let step = run(row, &options, row.client_final);
            let Step::Challenge(Exchange::ScramConfirmation(next), data) = step else {
                panic!("{step:?}")
            };
            assert_eq!(data, row.server_final.as_bytes());
            assert!(matches!(next.respond(b""), Ok(Step::Success { data: None, .. })));
        }
        let next = Confirmation { user: "user".into() };
        assert!(matches!(next.respond(b"x"), Err(SaslCondition::MalformedRequest)));
    }

    #[test]
    fn a_final_message_that_was_tampered_with_is_refused() {
        let refused = |row: &Row, client_final: &str| {
            let step = run(row, &SaslOptions::default(), client_final);
            let Step::Failure(condition) = step else { panic!("{step:?}") };
            condition
        };
        for row in &ROWS {
            let proof = row.client_final.rsplit_once(",p=").unwrap().1;
            let change = |from: &str, to: &str| row.client_final.replacen(from, to, 1);
            let not_authorized = [
                change("c=biws", "c=eSws"),
                change(row.server_nonce, "x"),
                change(proof, "AAAA"),
                change(proof, &Base64::encode_string(&vec![0; proof.len() / 4 * 3])),
                change(",p=", ",x=y,p="),
            ];
            for wrong in not_authorized {
                assert_eq!(refused(row, &wrong), SaslCondition::NotAuthorized, "{wrong}");
            }
            let malformed = [
                change(",p=", ",q="),
                change("c=biws,", ""),
                change(",p=", ",m=x,p="),
                change(proof, "AAA"),
                String::new(),
            ];
            for wrong in malformed {
                assert_eq!(refused(row, &wrong), SaslCondition::MalformedRequest, "{wrong}");
            }
        }
    }

    #[test]
    fn a_right_proof_does_not_excuse_another_nonce_or_header() {
        for row in &ROWS {
            let signed = |without_proof: &str| {
                let salt = Base64::decode_vec(row.salt).unwrap();
                let keys = row.hash.keys("pencil", &salt, 4096);
                let bare = &row.client_first[3..];
                let message = format!("{bare},{},{without_proof}", row.server_first);
                let signature = row.hash.hmac(&keys.stored_key, message.as_bytes());
                let proof = Base64::encode_string(&xor(&keys.client_key, &signature));
                run(row, &SaslOptions::default(), &format!("{without_proof},p={proof}"))
            };
            let right = row.client_final.rsplit_once(",p=").unwrap().0;
            assert!(matches!(signed(right), Step::Success { .. }));
            assert!(matches!(signed(&format!("{right},x=y")), Step::Success { .. }));
            for wrong in [
                right.replace("c=biws", "c=eSws"),
                right.replace(row.server_nonce, ""),
                right.replace(row.server_nonce, "x"),
            ] {
                let refused = Step::Failure(SaslCondition::NotAuthorized);
                assert_eq!(format!("{:?}", signed(&wrong)), format!("{refused:?}"), "{wrong}");
            }
        }
    }

    #[test]
    fn a_first_message_outside_of_the_grammar_is_refused() {
        let accounts = accounts("QUJD");
        let options = SaslOptions::default();
        let offer = Offer::default();
        let cx =
            Context { accounts: &accounts, options: &options, certificate: &[], offer: &offer };
        for wrong in [
            "",
            "n,,",
            "n,,n=user",
            "n,,r=x,n=user",
            "n,,n=,r=x",
            "n,,n=a=b,r=x",
            "n,,n=user,r=",
            "n,,n=user,r=\u{e9}",
            "n,,m=x,n=user,r=x",
            "n,,n=user,r=x,m=x",
            "n,,n=user,r=x,y",
            "p=tls-unique,,n=user,r=x",
            "n,x,n=user,r=x",
        ] {
            let first = ClientFirst::new(Hash::Sha1, false).respond(&cx, wrong.as_bytes());
            assert!(matches!(first, Err(SaslCondition::MalformedRequest)), "{wrong:?}");
        }
    }

    #[test]
    fn an_unknown_user_looks_like_any_other() {
        let accounts = accounts("QUJD");
        let first = accounts.salt_and_iterations("nobody");
        assert_eq!(first, accounts.salt_and_iterations("nobody"));
        assert_ne!(first, accounts.salt_and_iterations("somebody"));
        assert_eq!(first.1, 4096);
        assert!(accounts.keys("nobody", Hash::Sha1).is_none());
    }
}
