//! The server's half of the examples: one account, by SCRAM-SHA-256 or PLAIN, without a network.
//! It takes what it is told to be well-formed, as no real server may.

use std::collections::VecDeque;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The line to the server, with a transcript that holds no secret.
pub(crate) struct Link {
    peer: Peer,
    serve: fn(&mut Peer, &str) -> Vec<String>,
    incoming: VecDeque<String>,
    pub(crate) transcript: Vec<String>,
}

impl Link {
    /// A line to a server that answers with what `serve` makes of each line.
    pub(crate) fn open(serve: fn(&mut Peer, &str) -> Vec<String>) -> Self {
        let (incoming, transcript) = (VecDeque::new(), Vec::new());
        Self { peer: Peer::Plain, serve, incoming, transcript }
    }

    /// Sends a line; the transcript has `shown` in its place.
    pub(crate) fn send(&mut self, line: &str, shown: &str) {
        self.transcript.push(format!("C: {shown}"));
        self.incoming.extend((self.serve)(&mut self.peer, line));
    }

    pub(crate) fn receive(&mut self) -> String {
        let line = self.incoming.pop_front().expect("the server has something to say");
        self.transcript.push(match decoded_challenge(&line) {
            Some((before, challenge)) => format!("S: {before} base64({challenge})"),
            None => format!("S: {line}"),
        });
        line
    }
}

/// For those who read the transcript. A server's messages are no secrets.
fn decoded_challenge(line: &str) -> Option<(&str, String)> {
    let (before, base64) = line.split_once(' ').filter(|(word, _)| ["+", "334"].contains(word))?;
    Some((before, String::from_utf8(Base64::decode_vec(base64).ok()?).ok()?))
}

/// One login, from the server's side.
pub(crate) enum Peer {
    Plain,
    ScramFirst,
    ScramFinal { client_first: String, server_first: String },
    ScramProven,
}

/// What the server says to one message; challenges are in base64.
pub(crate) enum Reply {
    Challenge(String),
    Success,
    Failure,
}

impl Peer {
    pub(crate) fn begin(mechanism: &str) -> Self {
        if mechanism == "PLAIN" { Self::Plain } else { Self::ScramFirst }
    }

    /// Takes one message of the client's, in base64.
    pub(crate) fn receive(&mut self, message: &str) -> Reply {
        let message = Base64::decode_vec(message).unwrap_or_default();
        match self.judge(&String::from_utf8_lossy(&message)) {
            Reply::Challenge(text) => Reply::Challenge(Base64::encode_string(text.as_bytes())),
            end => end,
        }
    }

    fn judge(&mut self, message: &str) -> Reply {
        match self {
            Self::Plain if message == format!("\0{USER}\0{PASSWORD}") => Reply::Success,
            Self::Plain => Reply::Failure,
            Self::ScramFirst => {
                let client_first = message.trim_start_matches("n,,").to_owned();
                let (_, nonce) = client_first.split_once(",r=").expect("a nonce");
                let salt = Base64::encode_string(SALT);
                let server_first = format!("r={nonce}{NONCE},s={salt},i={ITERATIONS}");
                let reply = Reply::Challenge(server_first.clone());
                *self = Self::ScramFinal { client_first, server_first };
                reply
            }
            Self::ScramFinal { client_first, server_first } => {
                let signed = format!("{client_first},{server_first}");
                let Some(signature) = check_proof(&signed, message) else { return Reply::Failure };
                *self = Self::ScramProven;
                Reply::Challenge(format!("v={}", Base64::encode_string(&signature)))
            }
            Self::ScramProven => Reply::Success,
        }
    }
}

const SALT: &[u8] = b"grains of salt";
const NONCE: &str = "and-the-servers-part";
const ITERATIONS: u32 = 4096;

/// RFC 5802, section 3, from the server's side: the signature to prove itself with, if the client
/// has proved that it knows the password.
fn check_proof(signed: &str, client_final: &str) -> Option<[u8; 32]> {
    let (without_proof, proof) = client_final.rsplit_once(",p=")?;
    let proof = Base64::decode_vec(proof).ok()?;
    let salted: [u8; 32] =
        pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(PASSWORD.as_bytes(), SALT, ITERATIONS);
    let client_key = hmac(&salted, "Client Key");
    let auth_message = format!("{signed},{without_proof}");
    let client_signature = hmac(&Sha256::digest(client_key), &auth_message);
    let proven = proof.iter().zip(client_signature).map(|(a, b)| a ^ b).eq(client_key);
    proven.then(|| hmac(&hmac(&salted, "Server Key"), &auth_message))
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}
