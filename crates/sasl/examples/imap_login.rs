//! A login to an IMAP server: `AUTHENTICATE` of RFC 3501 with the initial response of RFC 4959.
//! The server is a small one in this process; a real client has TLS and a socket in its place.
//!
//! ```sh
//! cargo run -p epode-sasl --example imap_login
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
    let mut imap = Link::open(serve);
    let authenticated = login(&mut imap, Credentials::password(USER, PASSWORD))?;
    println!("{}", imap.transcript.join("\n"));
    println!("logged in by {}, server: {:?}", authenticated.mechanism(), authenticated.proof());
    Ok(())
}

/// What a client does: choose, begin, and pass on what comes until the server has decided.
fn login(imap: &mut Link, who: Credentials) -> Result<Authenticated, Box<dyn Error>> {
    let offered = capabilities(imap);
    let channel = Channel::encrypted(); // where TLS would be
    let selection = Policy::default().select(&Registry::default(), &who, &channel, &offered)?;
    let command = format!("a2 AUTHENTICATE {}", selection.mechanism());
    let (mut login, first) = answer(Exchange::begin(selection, who, channel)?)?;
    begin(imap, &command, first.as_ref());
    loop {
        let line = imap.receive();
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("+", challenge) => {
                let turn = step(login, challenge);
                let (next, response) = turn.inspect_err(|_| imap.send("*", "*"))?; // we give up
                imap.send(&Base64::encode_string(response.as_bytes()), &format!("{response:?}"));
                login = next;
            }
            ("a2", end) if end.starts_with("OK") => return Ok(login.success(None)?),
            ("a2", end) => {
                let rejection = Rejection::new("authentication-failed").with_text(end, None);
                // The end, unless another channel binding is left to try.
                let (next, first) = answer(login.failure(rejection)?.begin()?)?;
                begin(imap, &command, first.as_ref());
                login = next;
            }
            _ => {} // untagged: not about this
        }
    }
}

fn begin(imap: &mut Link, command: &str, first: Option<&Response>) {
    match first {
        None => imap.send(command, command),
        Some(first) => {
            imap.send(&format!("{command} {}", initial(first)), &format!("{command} {first:?}"));
        }
    }
}

fn capabilities(imap: &mut Link) -> Vec<MechanismName> {
    imap.send("a1 CAPABILITY", "a1 CAPABILITY");
    let untagged = imap.receive();
    let _completed = imap.receive();
    // A name that no mechanism can have is nothing that we could use.
    untagged.split(' ').filter_map(|word| word.strip_prefix("AUTH=")?.parse().ok()).collect()
}

/// The first message as it stands in the command: `=` says that it is empty.
fn initial(first: &Response) -> String {
    match first.as_bytes() {
        [] => "=".to_owned(),
        bytes => Base64::encode_string(bytes),
    }
}

/// Takes one challenge. A continuation is always answered, if need be by an empty line.
fn step(login: Exchange, challenge: &str) -> Result<(Exchange, Response), Box<dyn Error>> {
    let challenge = Base64::decode_vec(challenge)?;
    let (login, response) = answer(login.challenge(&challenge)?)?;
    Ok((login, response.unwrap_or_else(|| Response::new([]))))
}

/// Does what the mechanism asks for, until it is the server's turn. A program with a window would
/// derive keys on another thread, and could ask its user for a secret here.
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
        ["a1", "CAPABILITY"] => {
            let offer = "* CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN";
            return vec![offer.to_owned(), "a1 OK CAPABILITY completed".to_owned()];
        }
        ["*"] => return vec!["a2 BAD AUTHENTICATE cancelled".to_owned()],
        ["a2", "AUTHENTICATE", mechanism, message] => {
            *peer = Peer::begin(mechanism);
            peer.receive(message)
        }
        _ => peer.receive(line),
    };
    vec![match reply {
        Reply::Challenge(challenge) => format!("+ {challenge}"),
        Reply::Success => "a2 OK AUTHENTICATE completed".to_owned(),
        Reply::Failure => "a2 NO [AUTHENTICATIONFAILED] wrong user name or password".to_owned(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_shows_a_login_and_no_secret() {
        let mut imap = Link::open(serve);
        login(&mut imap, Credentials::password(USER, PASSWORD)).unwrap();
        let commands: Vec<_> = imap.transcript.iter().filter(|line| !line.contains("+ ")).collect();
        assert_eq!(
            commands,
            [
                "C: a1 CAPABILITY",
                "S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN",
                "S: a1 OK CAPABILITY completed",
                "C: a2 AUTHENTICATE SCRAM-SHA-256 Response(45 bytes)",
                "C: Response(108 bytes)",
                "C: Response(0 bytes)",
                "S: a2 OK AUTHENTICATE completed",
            ]
        );
    }

    #[test]
    fn a_wrong_password_is_the_servers_word() {
        let who = Credentials::password(USER, "guessed");
        let error = login(&mut Link::open(serve), who).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server refused the login: authentication-failed \
             (NO [AUTHENTICATIONFAILED] wrong user name or password)"
        );
    }

    #[test]
    fn what_does_not_decode_is_given_up() {
        let mut imap = Link::open(|peer, line| {
            let mut lines = serve(peer, line);
            lines.iter_mut().filter(|line| line.starts_with("+ ")).for_each(|line| line.push('*'));
            lines
        });
        assert!(login(&mut imap, Credentials::password(USER, PASSWORD)).is_err());
        assert_eq!(imap.transcript.last().unwrap(), "C: *");
    }
}
