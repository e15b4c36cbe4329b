//! The rows of the matrix: who logs in where and how, what must come of it, and whether it did.
//!
//! No I/O: the logins themselves are in `login.rs`.

use std::fmt;

use epode::sasl::MechanismName;

/// One login.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) server: Server,
    pub(crate) transport: Transport,
    /// The only mechanism that the policy of this login allows.
    pub(crate) mechanism: MechanismName,
    /// The account; a domain alone for ANONYMOUS.
    pub(crate) jid: &'static str,
    pub(crate) credentials: Credentials,
    pub(crate) expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Prosody,
    Ejabberd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Ws,
    Wss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Nothing,
    Password,
    WrongPassword,
    Token,
    WrongToken,
    /// A certificate that speaks for this JID, whoever logs in.
    Certificate(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Connected, under the JID that was asked for.
    Online,
    /// Refused, with this condition.
    Refused(&'static str),
}

/// What came of a login: the session, or the condition of the failure.
pub(crate) type Outcome = Result<Session, Refusal>;

/// A session that was bound.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The full JID that the server gave.
    pub(crate) jid: String,
    /// The mechanism that was used.
    pub(crate) mechanism: MechanismName,
    /// Whether the server proved that it knows the account.
    pub(crate) server_proven: bool,
}

/// A login that failed.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The condition, as `not-authorized`.
    pub(crate) condition: String,
    /// What the error says, for the person who reads a row that failed.
    pub(crate) message: String,
}

impl Row {
    /// Whether the login did what the row expects; if not, why not.
    pub(crate) fn judge(&self, outcome: &Outcome) -> Result<(), String> {
        match (self.expected, outcome) {
            (Expected::Online, Ok(session)) => self.judge_session(session),
            (Expected::Online, Err(refusal)) => Err(refusal.message.clone()),
            (Expected::Refused(_), Ok(session)) => Err(format!("logged in as {}", session.jid)),
            (Expected::Refused(condition), Err(refusal)) if refusal.condition == condition => {
                Ok(())
            }
            (Expected::Refused(_), Err(refusal)) => Err(refusal.message.clone()),
        }
    }

    fn judge_session(&self, session: &Session) -> Result<(), String> {
        if session.mechanism != self.mechanism {
            return Err(format!("logged in by {}", session.mechanism));
        }
        if session.server_proven != self.mechanism.as_str().starts_with("SCRAM-") {
            return Err(format!("proof of the server: {}", session.server_proven));
        }
        let Some((bare, resource)) = session.jid.split_once('/') else {
            return Err(format!("{} has no resource", session.jid));
        };
        // A login without a local part is given one by the server.
        let same = if self.jid.contains('@') {
            bare == self.jid
        } else {
            bare.split_once('@').is_some_and(|(_, domain)| domain == self.jid)
        };
        if same && !resource.is_empty() {
            Ok(())
        } else {
            Err(format!("logged in as {}", session.jid))
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Password => f.write_str("password"),
            Self::WrongPassword => f.write_str("wrong password"),
            Self::Token => f.write_str("token"),
            Self::WrongToken => f.write_str("wrong token"),
            Self::Certificate(jid) => write!(f, "certificate of {jid}"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online => f.write_str("online"),
            Self::Refused(condition) => f.write_str(condition),
        }
    }
}

const fn row(
    server: Server,
    transport: Transport,
    mechanism: MechanismName,
    jid: &'static str,
    credentials: Credentials,
    expected: Expected,
) -> Row {
    Row { server, transport, mechanism, jid, credentials, expected }
}

/// Every mechanism logs in somewhere, and fails properly there with a secret that is wrong.
///
/// A server offers a mechanism for a domain, so most rows have a domain of their own: the address
/// that is dialled, and that the certificate is checked against, is 127.0.0.1 for all of them.
pub(crate) const ROWS: &[Row] = {
    use Credentials::{Certificate, Nothing, Password, Token, WrongPassword, WrongToken};
    use Expected::{Online, Refused};
    use MechanismName as Name;
    use Server::{Ejabberd, Prosody};
    use Transport::{Ws, Wss};

    const NO: Expected = Refused("not-authorized");
    const NONE_USABLE: Expected = Refused("no-auth-mech");
    const SHA_256: &str = "alice@sha256.localhost";
    const SHA_384: &str = "alice@sha384.localhost";
    const SHA_512: &str = "alice@sha512.localhost";
    const ALICE: &str = "alice@localhost";
    const OAUTH: &str = "alice@oauth.localhost";
    const CERT: &str = "alice@cert.localhost";
    &[
        row(Prosody, Ws, Name::SCRAM_SHA_1, ALICE, Password, Online),
        row(Prosody, Wss, Name::SCRAM_SHA_1, ALICE, Password, Online),
        row(Prosody, Wss, Name::SCRAM_SHA_1, ALICE, WrongPassword, NO),
        row(Prosody, Ws, Name::SCRAM_SHA_256, SHA_256, Password, Online),
        row(Prosody, Wss, Name::SCRAM_SHA_256, SHA_256, Password, Online),
        row(Prosody, Wss, Name::SCRAM_SHA_256, SHA_256, WrongPassword, NO),
        row(Prosody, Wss, Name::SCRAM_SHA_384, SHA_384, Password, Online),
        row(Prosody, Ws, Name::SCRAM_SHA_384, SHA_384, WrongPassword, NO),
        row(Prosody, Wss, Name::PLAIN, ALICE, Password, Online),
        row(Prosody, Wss, Name::PLAIN, ALICE, WrongPassword, NO),
        // Prosody does not offer it without TLS, and the client must not insist.
        row(Prosody, Ws, Name::PLAIN, ALICE, Password, NONE_USABLE),
        row(Prosody, Ws, Name::ANONYMOUS, "anonymous.localhost", Nothing, Online),
        row(Prosody, Ws, Name::ANONYMOUS, "localhost", Nothing, NONE_USABLE),
        row(Prosody, Wss, Name::OAUTHBEARER, OAUTH, Token, Online),
        row(Prosody, Wss, Name::OAUTHBEARER, OAUTH, WrongToken, NO),
        row(Prosody, Wss, Name::EXTERNAL, CERT, Certificate(CERT), Online),
        row(Prosody, Wss, Name::EXTERNAL, CERT, Certificate("mallory@elsewhere.example"), NO),
        row(Prosody, Wss, Name::EXTERNAL, CERT, Nothing, NONE_USABLE),
        row(Ejabberd, Ws, Name::SCRAM_SHA_1, ALICE, Password, Online),
        row(Ejabberd, Wss, Name::SCRAM_SHA_1, ALICE, WrongPassword, NO),
        row(Ejabberd, Ws, Name::SCRAM_SHA_512, SHA_512, Password, Online),
        row(Ejabberd, Wss, Name::SCRAM_SHA_512, SHA_512, Password, Online),
        row(Ejabberd, Wss, Name::SCRAM_SHA_512, SHA_512, WrongPassword, NO),
        row(Ejabberd, Wss, Name::X_OAUTH2, ALICE, Token, Online),
        row(Ejabberd, Wss, Name::X_OAUTH2, ALICE, WrongToken, NO),
    ]
};

#[cfg(test)]
mod tests {
    use epode::sasl::MechanismName;

    use super::{Expected, Outcome, ROWS, Refusal, Row, Session};

    #[test]
    fn each_mechanism_of_each_server_succeeds_and_fails() {
        for row in ROWS {
            let of_this = |expect_online: bool| {
                ROWS.iter().any(|other| {
                    other.server == row.server
                        && other.mechanism == row.mechanism
                        && (other.expected == Expected::Online) == expect_online
                })
            };
            assert!(of_this(true) && of_this(false), "{row:?}");
        }
    }

    #[test]
    fn online_means_the_right_mechanism_and_account() {
        let row = find("SCRAM-SHA-256");
        let good = session("SCRAM-SHA-256", "alice@sha256.localhost/x");
        assert_eq!(row.judge(&good), Ok(()));
        for (mechanism, jid, why) in [
            ("PLAIN", "alice@sha256.localhost/x", "logged in by PLAIN"),
            ("SCRAM-SHA-256", "bob@sha256.localhost/x", "logged in as bob@sha256.localhost/x"),
            ("SCRAM-SHA-256", "alice@localhost/x", "logged in as alice@localhost/x"),
            ("SCRAM-SHA-256", "alice@sha256.localhost", "alice@sha256.localhost has no resource"),
            ("SCRAM-SHA-256", "alice@sha256.localhost/", "logged in as alice@sha256.localhost/"),
        ] {
            assert_eq!(row.judge(&session(mechanism, jid)), Err(why.to_owned()));
        }
        assert_eq!(row.judge(&refusal("not-authorized")), Err("it said not-authorized".to_owned()));
        let unproven = good.map(|session| Session { server_proven: false, ..session });
        assert_eq!(row.judge(&unproven), Err("proof of the server: false".to_owned()));
    }

    #[test]
    fn an_anonymous_login_gets_some_account_of_the_domain() {
        let row = find("ANONYMOUS");
        assert_eq!(row.judge(&session("ANONYMOUS", "x1@anonymous.localhost/r")), Ok(()));
        for jid in ["anonymous.localhost/r", "x1@localhost/r", "x1@x.anonymous.localhost/r"] {
            assert!(row.judge(&session("ANONYMOUS", jid)).is_err(), "{jid}");
        }
    }

    #[test]
    fn refused_means_this_condition() {
        let row = ROWS.iter().find(|row| row.expected != Expected::Online).unwrap();
        assert_eq!(row.judge(&refusal("not-authorized")), Ok(()));
        let other = row.judge(&refusal("account-disabled"));
        assert_eq!(other, Err("it said account-disabled".to_owned()));
        let online = row.judge(&session(row.mechanism.as_str(), "alice@localhost/x"));
        assert_eq!(online, Err("logged in as alice@localhost/x".to_owned()));
    }

    fn find(mechanism: &str) -> &'static Row {
        ROWS.iter().find(|row| row.mechanism.as_str() == mechanism).unwrap()
    }

    fn session(mechanism: &str, jid: &str) -> Outcome {
        let mechanism: MechanismName = mechanism.parse().unwrap();
        let server_proven = mechanism.as_str().starts_with("SCRAM-");
        Ok(Session { jid: jid.to_owned(), mechanism, server_proven })
    }

    fn refusal(condition: &str) -> Outcome {
        let message = format!("it said {condition}");
        Err(Refusal { condition: condition.to_owned(), message })
    }
}
