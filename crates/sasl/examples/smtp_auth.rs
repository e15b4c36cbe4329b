//! A login to an SMTP submission server: `AUTH` of RFC 4954, once by SCRAM and once by PLAIN.
//! The server is a small one in this process; a real client has TLS and a socket in its place.
//!
//! ```sh
//! cargo run -p epode-sasl --example smtp_auth
//! ```

mod peer;

use std::error::Error;

use base64ct::{Base64, Encoding};
use epode_sasl::{
    Answer, Authenticated, Channel, Credentials, Exchange, MechanismName, Policy, Question,
    Registry, Rejection, Response, Turn,
};

use crate::peer::{Link, PASSWORD, Peer, Reply, USER};

fn main() -> Result<(), Box<dyn Error>> {
    for policy in [Policy::default(), Policy::default().allow_only([MechanismName::PLAIN])] {
        let mut smtp = Link::open(serve);
        let authenticated = login(&mut smtp, &policy, Credentials::password(USER, PASSWORD))?;
        println!("{}", smtp.transcript.join("\n"));
        println!(
            "logged in by {}, server: {:?}\n",
            authenticated.mechanism(),
            authenticated.proof()
        );
    }
    Ok(())
}

/// What a client does: choose, begin, and pass on what comes until the server has decided.
fn login(
    smtp: &mut Link,
    policy: &Policy,
    who: Credentials,
) -> Result<Authenticated, Box<dyn Error>> {
    let offered = greet(smtp);
    let channel = Channel::encrypted(); // where TLS would be
    let selection = policy.select(&Registry::default(), &who, &channel, &offered)?;
    let command = format!("AUTH {}", selection.mechanism());
    let (mut login, first) = answer(Exchange::begin(selection, who, channel)?)?;
    let mut unsent = begin(smtp, &command, first);
    loop {
        let line = smtp.receive();
        let (code, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match code {
            "334" => {
                let turn = match unsent.take() {
                    Some(first) => Ok((login, first)),
                    None => step(login, rest),
                };
                let (next, response) = turn.inspect_err(|_| smtp.send("*", "*"))?; // we give up
                smtp.send(&Base64::encode_string(response.as_bytes()), &format!("{response:?}"));
                login = next;
            }
            "235" => return Ok(login.success(None)?),
            _ => {
                let rejection = Rejection::new(code).with_text(rest, None);
                // The end, unless another channel binding is left to try.
                let (next, first) = answer(login.failure(rejection)?.begin()?)?;
                unsent = begin(smtp, &command, first);
                login = next;
            }
        }
    }
}

/// The mechanisms of the line `250-AUTH`.
fn greet(smtp: &mut Link) -> Vec<MechanismName> {
    smtp.send("EHLO client.example", "EHLO client.example");
    let mut offered = Vec::new();
    loop {
        let line = smtp.receive();
        if let Some(names) = line[4..].strip_prefix("AUTH ") {
            // A name that no mechanism can have is nothing that we could use.
            offered.extend(names.split(' ').filter_map(|name| name.parse().ok()));
        }
        if line.starts_with("250 ") {
            return offered;
        }
    }
}

/// Sends the command, with the first message where there is one and the line can hold it. A first
/// message that comes back has to wait for the empty challenge that asks for it.
fn begin(smtp: &mut Link, command: &str, first: Option<Response>) -> Option<Response> {
    let base64 = first.as_ref().map(|first| match first.as_bytes() {
        [] => "=".to_owned(), // says that it is empty
        bytes => Base64::encode_string(bytes),
    });
    match (first, base64) {
        (Some(first), Some(base64)) if command.len() + 1 + base64.len() <= LINE_LIMIT => {
            smtp.send(&format!("{command} {base64}"), &format!("{command} {first:?}"));
            None
        }
        (first, _) => {
            smtp.send(command, command);
            first
        }
    }
}

/// A command line of SMTP has 512 bytes, with its line break (RFC 5321, section 4.5.3.1.4).
const LINE_LIMIT: usize = 510;

/// Takes one challenge. It is always answered, if need be by an empty line.
fn step(login: Exchange, challenge: &str) -> Result<(Exchange, Response), Box<dyn Error>> {
    let challenge = Base64::decode_vec(challenge)?;
    let (login, response) = answer(login.challenge(&challenge)?)?;
    Ok((login, response.unwrap_or_else(|| Response::new([]))))
}

/// Does what the mechanism asks for, until it is the server's turn.
fn answer(mut turn: Turn) -> Result<(Exchange, Option<Response>), epode_sasl::Error> {
    loop {
        turn = match turn {
            Turn::Server(login, response) => return Ok((login, response)),
            Turn::Question(login, Question::Derive(derivation)) => {
                login.answer(Answer::Keys(derivation.run()))?
            }
            Turn::Question(login, _) => login.answer(Answer::Refuse("nobody is here".into()))?,
        };
    }
}

/// The server: one line in, its lines out.
fn serve(peer: &mut Peer, line: &str) -> Vec<String> {
    let words: Vec<_> = line.split(' ').collect();
    let reply = match words[..] {
        ["EHLO", _] => {
            let lines = ["250-mail.example", "250-AUTH SCRAM-SHA-256 PLAIN", "250 8BITMIME"];
            return lines.map(str::to_owned).into();
        }
        ["*"] => return vec!["501 5.7.0 cancelled".to_owned()],
        ["AUTH", mechanism] => {
            *peer = Peer::begin(mechanism);
            return vec!["334 ".to_owned()];
        }
        ["AUTH", mechanism, message] => {
            *peer = Peer::begin(mechanism);
            peer.receive(message)
        }
        _ => peer.receive(line),
    };
    vec![match reply {
        Reply::Challenge(challenge) => format!("334 {challenge}"),
        Reply::Success => "235 2.7.0 welcome".to_owned(),
        Reply::Failure => "535 5.7.8 wrong user name or password".to_owned(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_only() -> Policy {
        Policy::default().allow_only([MechanismName::PLAIN])
    }

    #[test]
    fn scram_comes_first() {
        let mut smtp = Link::open(serve);
        let who = Credentials::password(USER, PASSWORD);
        let authenticated = login(&mut smtp, &Policy::default(), who).unwrap();
        assert_eq!(authenticated.mechanism(), &MechanismName::SCRAM_SHA_256);
        assert_eq!(smtp.transcript.last().unwrap(), "S: 235 2.7.0 welcome");
    }

    #[test]
    fn plain_is_one_line_of_which_nothing_is_shown() {
        let mut smtp = Link::open(serve);
        login(&mut smtp, &plain_only(), Credentials::password(USER, PASSWORD)).unwrap();
        let shown = &smtp.transcript[4..];
        assert_eq!(shown, ["C: AUTH PLAIN Response(28 bytes)", "S: 235 2.7.0 welcome"]);
    }

    #[test]
    fn a_long_first_message_waits_to_be_asked_for() {
        let mut smtp = Link::open(serve);
        let who = Credentials::password(USER, "x".repeat(400));
        let error = login(&mut smtp, &plain_only(), who).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server refused the login: 535 (5.7.8 wrong user name or password)"
        );
        let shown = &smtp.transcript[4..7];
        assert_eq!(shown, ["C: AUTH PLAIN", "S: 334 base64()", "C: Response(407 bytes)"]);
    }
}
