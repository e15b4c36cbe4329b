//! What the application hears of a connection, with the names and numbers of the page.

use std::{fmt, sync::Arc, time::Duration};

use epode_sasl::{
    BindingType, Encryption, MechanismName, NoMechanism, PassedOver, Pin, Selection, ServerProof,
    Weaker,
};

use crate::{Element, Error, Jid, stream::Sasl2Features};

/// What has become of the connection. The names and numbers are those of Strophe.js; what it
/// tells in a condition string is a typed value here.
///
/// A good login reports `Connecting`, `Authenticating`, `Connected`; a refused one `Connecting`,
/// `Authenticating`, `AuthFail`, `Disconnected`. `Disconnected` is always the last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// 0: the stream failed after the login had begun.
    Error(Error),
    /// 1: the transport is being established.
    Connecting,
    /// 2: there was no connection, or it failed before the login began.
    ConnFail(Error),
    /// 3: a mechanism was chosen and messages are being exchanged. It comes again where the
    /// server refuses the channel binding and there is another one to try.
    Authenticating(Authenticating),
    /// 4: the login or the binding failed. The connection is being closed.
    AuthFail(Error),
    /// 5: logged in and bound: stanzas can be sent and received.
    Connected(Connected),
    /// 5: connected as the component of this domain (XEP-0114): stanzas can be sent and received.
    ComponentConnected(Jid),
    /// 6: it is over. The reason is there unless the application asked for it.
    Disconnected(Option<Error>),
    /// 7: the application asked for the end.
    Disconnecting,
    /// 8: took over a session that is logged in, with this address: stanzas can be sent and
    /// received.
    Attached(Jid),
    /// 9: the server sends clients to this place, which is followed.
    Redirect(String),
    /// 10: the server did not do in time what was due.
    ConnTimeout(Error),
    /// 11: logged in; the application is to call for the binding.
    BindRequired,
    /// 12: could not take over the session.
    AttachFail(Error),
    /// 13: the connection is lost, and will be made anew.
    Reconnecting(Reconnecting),
}

impl Status {
    /// Its name and number.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        match self {
            Self::Error(_) => StatusCode::Error,
            Self::Connecting => StatusCode::Connecting,
            Self::ConnFail(_) => StatusCode::ConnFail,
            Self::Authenticating(_) => StatusCode::Authenticating,
            Self::AuthFail(_) => StatusCode::AuthFail,
            Self::Connected(_) | Self::ComponentConnected(_) => StatusCode::Connected,
            Self::Disconnected(_) => StatusCode::Disconnected,
            Self::Disconnecting => StatusCode::Disconnecting,
            Self::Attached(_) => StatusCode::Attached,
            Self::ConnTimeout(_) => StatusCode::ConnTimeout,
            Self::BindRequired => StatusCode::BindRequired,
            Self::AttachFail(_) => StatusCode::AttachFail,
            Self::Redirect(_) => StatusCode::Redirect,
            Self::Reconnecting(_) => StatusCode::Reconnecting,
        }
    }

    /// The reason, where there is one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Error(error)
            | Self::ConnFail(error)
            | Self::AuthFail(error)
            | Self::ConnTimeout(error)
            | Self::AttachFail(error) => Some(error),
            Self::Disconnected(error) => error.as_ref(),
            Self::Reconnecting(again) => Some(&again.reason),
            _ => None,
        }
    }
}

/// A line for people: name, number, detail.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        write!(f, "{code} {}", code.number())?;
        match self {
            Self::Authenticating(choice) => choice.fmt_short(f),
            Self::Connected(connected) => {
                write!(f, " {}", connected.jid)?;
                if connected.resumed { f.write_str(" resumed") } else { Ok(()) }
            }
            Self::Attached(jid) | Self::ComponentConnected(jid) => write!(f, " {jid}"),
            Self::Redirect(place) => write!(f, " {place:?}"),
            Self::Reconnecting(Reconnecting { attempt, wait, reason }) => {
                let condition = reason.condition();
                write!(f, " attempt {attempt} in {} ms, {condition}: {reason}", wait.as_millis())
            }
            _ => match self.error() {
                Some(error) => write!(f, " {}: {error}", error.condition()),
                None => Ok(()),
            },
        }
    }
}

/// A connection that will be made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnecting {
    /// Which attempt it is since the last good connection, from 1.
    pub attempt: u32,
    /// How long it is until then.
    pub wait: Duration,
    /// Why the last connection ended, or was not made.
    pub reason: Error,
}

impl Reconnecting {
    /// For drivers.
    #[must_use]
    pub fn new(attempt: u32, wait: Duration, reason: Error) -> Self {
        Self { attempt, wait, reason }
    }
}

/// The names and numbers of Strophe.js, all of them, whichever this crate reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusCode {
    /// The stream failed.
    Error = 0,
    /// The transport is being established.
    Connecting = 1,
    /// No connection.
    ConnFail = 2,
    /// SASL is under way.
    Authenticating = 3,
    /// The login failed.
    AuthFail = 4,
    /// Logged in and bound.
    Connected = 5,
    /// Over.
    Disconnected = 6,
    /// About to end.
    Disconnecting = 7,
    /// Took over a session that another program opened.
    Attached = 8,
    /// Sent elsewhere.
    Redirect = 9,
    /// Too late.
    ConnTimeout = 10,
    /// The application is to bind.
    BindRequired = 11,
    /// Could not take over a session.
    AttachFail = 12,
    /// About to try again.
    Reconnecting = 13,
}

impl StatusCode {
    /// The number, 0 to 13.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name in capitals, as `CONNECTED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Connecting => "CONNECTING",
            Self::ConnFail => "CONNFAIL",
            Self::Authenticating => "AUTHENTICATING",
            Self::AuthFail => "AUTHFAIL",
            Self::Connected => "CONNECTED",
            Self::Disconnected => "DISCONNECTED",
            Self::Disconnecting => "DISCONNECTING",
            Self::Attached => "ATTACHED",
            Self::Redirect => "REDIRECT",
            Self::ConnTimeout => "CONNTIMEOUT",
            Self::BindRequired => "BINDREQUIRED",
            Self::AttachFail => "ATTACHFAIL",
            Self::Reconnecting => "RECONNECTING",
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The choice of a mechanism, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticating {
    /// The profile of SASL.
    pub profile: Profile,
    /// The mechanism that is used.
    pub mechanism: MechanismName,
    /// The priority that won.
    pub priority: i32,
    /// Whether it goes in the early data of TLS
    /// ([`Fast::danger_early_data`](crate::Fast::danger_early_data)).
    pub early_data: bool,
    /// What the login is bound to, if it is.
    pub binding: Option<BindingType>,
    /// What the server refused to be bound to, when the login begins anew with another.
    pub refused_bindings: Vec<BindingType>,
    /// Every other mechanism that is offered or known, and why it is not used.
    pub passed_over: Arc<[PassedOver]>,
}

impl Authenticating {
    /// `SCRAM-SHA-256-PLUS by tls-server-end-point, tls-exporter was refused`, or
    /// `HT-SHA-512-ENDP by tls-server-end-point in early data`
    fn fmt_short(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}", self.mechanism)?;
        if let Some(binding) = self.binding {
            write!(f, " by {binding}")?;
        }
        if self.early_data {
            f.write_str(" in early data")?;
        }
        for refused in &self.refused_bindings {
            write!(f, ", {refused} was refused")?;
        }
        Ok(())
    }

    pub(crate) fn describe(profile: Profile, selection: &Selection) -> Self {
        Self {
            profile,
            mechanism: selection.mechanism().clone(),
            priority: selection.priority(),
            early_data: selection.channel().is_early(),
            binding: selection.binding(),
            refused_bindings: selection.refused().to_vec(),
            passed_over: selection.passed_over().into(),
        }
    }
}

/// What a server offers, and what would be made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The names that the server offers by the profile of RFC 6120, as it wrote them, in its order.
    pub offered: Vec<String>,
    /// What it offers by SASL2 (XEP-0388), if anything.
    pub sasl2: Option<Sasl2Features>,
    /// The types of channel binding that it lists (XEP-0440), as it wrote them; none without a
    /// list.
    pub offered_bindings: Option<Vec<String>>,
    /// The whole of what it offers: `<features/>`, as it came.
    pub features: Element,
    /// What it offered before STARTTLS.
    pub features_before_tls: Option<Element>,
    /// How the channel is encrypted on which it offers that.
    pub encryption: Encryption,
    /// What a login over that channel can be bound to.
    pub bindings: Vec<BindingType>,
    /// What would be chosen, or why nothing would.
    pub choice: Result<Authenticating, NoMechanism>,
    /// What would be chosen of the offer by the other profile, if there is one and it may be used.
    pub other_choice: Option<Result<Authenticating, NoMechanism>>,
    /// Whether it is compared with earlier logins of the account
    /// ([`Settings::pin`](crate::Settings::pin)).
    pub is_pinned: bool,
    /// What is weaker than before, if the account has a pin; a login would be refused.
    pub weaker: Option<Weaker>,
}

impl Explanation {
    /// Whether both profiles are offered, with different mechanisms: somebody may have changed one
    /// of the lists, or the server's owner wants it so.
    #[must_use]
    pub fn lists_differ(&self) -> bool {
        let has = |list: &[String], name| list.contains(name);
        self.sasl2.as_ref().is_some_and(|sasl2| {
            !self.offered.is_empty()
                && (self.offered.len() != sasl2.mechanisms.len()
                    || !self.offered.iter().all(|name| has(&sasl2.mechanisms, name)))
        })
    }
}

/// The two ways in which XMPP carries SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// That of RFC 6120: the stream begins anew after the login, and a resource is bound on it.
    Sasl1,
    /// The extensible one (XEP-0388), which does more within the login.
    Sasl2,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sasl1 => "SASL",
            Self::Sasl2 => "SASL2",
        })
    }
}

/// By what the connection got its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BoundBy {
    /// By a request after the login (RFC 6120, section 7).
    Request,
    /// Within the login (XEP-0386).
    Login,
    /// It is that of the session that was resumed (XEP-0198).
    Resumption,
}

/// A login that succeeded, described. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// Our address, with the resource that the server bound, exactly as the server wrote it.
    pub jid: Jid,
    /// The profile of SASL that was used.
    pub profile: Profile,
    /// The mechanism that was used.
    pub mechanism: MechanismName,
    /// Whether the server proved itself too.
    pub proof: ServerProof,
    /// How the channel is encrypted.
    pub encryption: Encryption,
    /// Whether the login went in the early data of TLS, and so without a round trip of its own.
    pub early_data: bool,
    /// What the login is bound to, if it is.
    pub binding: Option<BindingType>,
    /// What the server refused to be bound to, before.
    pub refused_bindings: Vec<BindingType>,
    /// What to remember of this account, for the next login
    /// ([`Settings::pin`](crate::Settings::pin)): the strongest of this login and of the pin that
    /// it began with. None after a login by a token without a pin: such a login makes none.
    pub pin: Option<Pin>,
    /// By what the address was bound.
    pub bound_by: BoundBy,
    /// Whether the server was told to send copies of what other clients of the account send and
    /// receive (XEP-0280), as [`Settings::carbons`](crate::Settings::carbons) asks. Where it is
    /// not, the application has to ask.
    pub carbons: bool,
    /// How many times we spoke before it was done: each is a wait of one round trip.
    pub flights: u32,
    /// Whether this is the session of an earlier connection, as if nothing had happened
    /// (XEP-0198), and not a new one.
    pub resumed: bool,
}
