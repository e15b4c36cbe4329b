//! What a row of the matrix is: who logs in where and how, what must come of it, and whether it
//! did.
//!
//! Which rows there are stands in `rows.rs`, the logins themselves in `login.rs`.

use std::fmt;

use epode::sasl::{BindingType, MechanismName};
use epode_interop::{Release, Transport};

/// One login.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) server: &'static Release,
    pub(crate) way: Way,
    /// The mechanism that is to be used; the policy allows it alone, but for [`Demand`].
    pub(crate) mechanism: MechanismName,
    /// The account; a domain alone for ANONYMOUS.
    pub(crate) jid: &'static str,
    pub(crate) credentials: Credentials,
    pub(crate) demand: Demand,
    pub(crate) expected: Expected,
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    /// The only version that the client offers, where there is TLS.
    pub(crate) tls: Option<Tls>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    V1_2,
    V1_3,
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
    /// The same, signed by somebody whom the server does not know.
    StrangeCertificate(&'static str),
}

/// What else the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Nothing,
    /// Of all bindings, only this one.
    Binding(BindingType),
    /// The mechanism's `-PLUS` form is allowed too: where it can be used, it wins.
    PlusWelcome,
    /// The same, and the policy requires channel binding.
    PlusRequired,
    /// It trusts another authority than the one that signed the server's certificate.
    OtherAuthority,
    /// It may go on without encryption.
    DangerUnencrypted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Connected under the JID that was asked for, and bound to this.
    Online(Option<BindingType>),
    /// Refused, in these words.
    Refused(&'static str),
}

/// What came of a login: the session, or the words for the failure.
pub(crate) type Outcome = Result<Session, Refusal>;

/// A session that was bound.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The full JID that the server gave.
    pub(crate) jid: String,
    /// The mechanism that was used.
    pub(crate) mechanism: MechanismName,
    /// What the login was bound to.
    pub(crate) binding: Option<BindingType>,
    /// Whether the server proved that it knows the account.
    pub(crate) server_proven: bool,
    /// How often the client spoke until it was online.
    pub(crate) flights: u32,
}

/// A login that failed.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// A few words for the exact error, as `not-authorized`.
    pub(crate) offence: String,
    /// What the error says, for the person who reads a row that failed.
    pub(crate) message: String,
}

impl Row {
    /// Whether the login did what the row expects; if not, why not.
    pub(crate) fn judge(&self, outcome: &Outcome) -> Result<(), String> {
        match (self.expected, outcome) {
            (Expected::Online(binding), Ok(session)) => self.judge_session(session, binding),
            (Expected::Online(_), Err(refusal)) => Err(refusal.message.clone()),
            (Expected::Refused(_), Ok(session)) => Err(format!("logged in as {}", session.jid)),
            (Expected::Refused(offence), Err(refusal)) if refusal.offence == offence => Ok(()),
            (Expected::Refused(offence), Err(refusal)) => {
                Err(format!("expected {offence}: {}", refusal.message))
            }
        }
    }

    fn judge_session(&self, session: &Session, binding: Option<BindingType>) -> Result<(), String> {
        if session.mechanism != self.mechanism {
            return Err(format!("logged in by {}", session.mechanism));
        }
        if session.binding != binding {
            return Err(format!("bound to {}", binding_name(session.binding)));
        }
        if session.server_proven != self.mechanism.as_str().starts_with("SCRAM-") {
            return Err(format!("proof of the server: {}", session.server_proven));
        }
        if self.way.transport.is_bosh() && session.flights > MOST_FLIGHTS {
            return Err(format!("online after {} flights", session.flights));
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

    /// What the client has and is told, in words.
    pub(crate) fn terms(&self) -> String {
        match self.demand {
            Demand::Nothing => self.credentials.to_string(),
            demand => format!("{}, {demand}", self.credentials),
        }
    }
}

/// The name of a binding, or a dash.
pub(crate) fn binding_name(binding: Option<BindingType>) -> &'static str {
    binding.map_or("-", BindingType::name)
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
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
            Self::StrangeCertificate(jid) => write!(f, "a stranger's certificate of {jid}"),
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Binding(kind) => write!(f, "only {kind}"),
            Self::PlusWelcome => f.write_str("-PLUS if possible"),
            Self::PlusRequired => f.write_str("binding required"),
            Self::OtherAuthority => f.write_str("trusting another CA"),
            Self::DangerUnencrypted => f.write_str("danger: unencrypted"),
        }
    }
}

/// To CONNECTED over BOSH, by SCRAM and all that take fewer.
const MOST_FLIGHTS: u32 = 6;

#[cfg(test)]
mod tests {
    use epode::sasl::{BindingType, MechanismName};
    use epode_interop::{Release, Transport};

    use super::{Credentials, Demand, Expected, Outcome, Refusal, Row, Session, Tls, Way};

    #[test]
    fn online_means_the_right_mechanism_and_account() {
        let row = row("SCRAM-SHA-256", "alice@sha256.localhost", Expected::Online(None));
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
    fn a_binding_must_be_the_one_that_is_expected() {
        let exporter = Some(BindingType::TlsExporter);
        let row = row("SCRAM-SHA-1-PLUS", "a@b.example", Expected::Online(exporter));
        let bound_to = |binding| {
            let good = session("SCRAM-SHA-1-PLUS", "a@b.example/x");
            row.judge(&good.map(|session| Session { binding, ..session }))
        };
        assert_eq!(bound_to(exporter), Ok(()));
        assert_eq!(bound_to(None), Err("bound to -".to_owned()));
        let other = Some(BindingType::TlsServerEndPoint);
        assert_eq!(bound_to(other), Err("bound to tls-server-end-point".to_owned()));
    }

    #[test]
    fn an_anonymous_login_gets_some_account_of_the_domain() {
        let row = row("ANONYMOUS", "anonymous.localhost", Expected::Online(None));
        assert_eq!(row.judge(&session("ANONYMOUS", "x1@anonymous.localhost/r")), Ok(()));
        for jid in ["anonymous.localhost/r", "x1@localhost/r", "x1@x.anonymous.localhost/r"] {
            assert!(row.judge(&session("ANONYMOUS", jid)).is_err(), "{jid}");
        }
    }

    #[test]
    fn refused_means_in_these_words() {
        let row = row("PLAIN", "alice@localhost", Expected::Refused("not-authorized"));
        assert_eq!(row.judge(&refusal("not-authorized")), Ok(()));
        let other = row.judge(&refusal("account-disabled"));
        assert_eq!(other, Err("expected not-authorized: it said account-disabled".to_owned()));
        let online = row.judge(&session("PLAIN", "alice@localhost/x"));
        assert_eq!(online, Err("logged in as alice@localhost/x".to_owned()));
    }

    fn row(mechanism: &str, jid: &'static str, expected: Expected) -> Row {
        Row {
            server: &Release::PROSODY_13,
            way: Way { transport: Transport::Tls, tls: Some(Tls::V1_3) },
            mechanism: mechanism.parse().unwrap(),
            jid,
            credentials: Credentials::Password,
            demand: Demand::Nothing,
            expected,
        }
    }

    fn session(mechanism: &str, jid: &str) -> Outcome {
        let mechanism: MechanismName = mechanism.parse().unwrap();
        let server_proven = mechanism.as_str().starts_with("SCRAM-");
        Ok(Session { jid: jid.to_owned(), mechanism, binding: None, server_proven, flights: 6 })
    }

    fn refusal(offence: &str) -> Outcome {
        Err(Refusal { offence: offence.to_owned(), message: format!("it said {offence}") })
    }
}
