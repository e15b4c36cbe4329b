//! What JavaScript tells a connection before it begins.
//! The secret comes beside it, so that it never stands in a text of options.

use std::{sync::Arc, time::Duration};

use epode_proto::{
    Fast, Jid, Reconnect, SaslProfile, Settings, StreamManagement, Timeouts, UserAgent,
    sasl::{Channel, Credentials, Policy, Secret, scram::ScramKeys},
};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::mechanisms::{Listed, Listing};

/// What is told as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Options {
    jid: String,
    authcid: Option<String>,
    mechanisms: Vec<Listing>,
    /// An external component, whose secret is a password; what is about logins is not for it.
    #[serde(default)]
    component: bool,
    #[serde(default)]
    explicit_binding: bool,
    #[serde(default)]
    allow_plaintext: bool,
    /// How long the server may take to close its side, in milliseconds.
    close_timeout: Option<u32>,
    /// The zero of time, in seconds since 1970.
    #[serde(default)]
    unix_zero: u64,
    stream_management: Option<Management>,
    sasl2: Option<Sasl2>,
    /// Whether there are tokens for quick logins, and what for.
    tokens: Option<TokenUse>,
    reconnect: Option<Policed>,
    #[serde(default)]
    report: bool,
}

/// What is wanted of stream management (XEP-0198).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Management {
    /// After how many stanzas an acknowledgement is asked for; 0 is never.
    max_unacked: Option<u32>,
    request_resume: Option<bool>,
    /// In seconds.
    max: Option<u32>,
}

/// What goes along with a login by SASL2 (XEP-0388).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sasl2 {
    user_agent: Option<Agent>,
    tag: Option<String>,
    #[serde(default)]
    carbons: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    id: Option<String>,
    software: Option<String>,
    device: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum TokenUse {
    LogIn,
    LogOut,
}

/// How a lost connection is made anew; spans are milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policed {
    first: Option<u32>,
    longest: Option<u32>,
    attempts: Option<u32>,
    redirects: Option<u32>,
}

/// What kind of secret there is.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// None at all.
    None,
    /// A password.
    Password,
    /// An access token.
    Token,
    /// Keys of an earlier login, as JSON.
    Keys,
}

/// How the WebSocket is protected.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Plaintext,
    /// It does not leave this machine.
    Loopback,
    /// TLS.
    Encrypted,
}

impl Options {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| format!("the options: {error}"))
    }

    /// Who logs in, as the settings would have it.
    pub(crate) fn credentials(self, secret: Secret) -> Result<Credentials, String> {
        let who = self.settings(Secret::None)?.0.credentials();
        let mut credentials = match who.authcid() {
            Some(authcid) => Credentials::new(authcid, secret),
            None => Credentials::guest(secret),
        };
        if let Some(authzid) = who.authzid() {
            credentials = credentials.with_authzid(authzid);
        }
        if let Some(account) = who.account() {
            credentials = credentials.with_account(account);
        }
        Ok(credentials)
    }

    /// The zero of time, in seconds since 1970.
    pub(crate) fn unix_zero(&self) -> u64 {
        self.unix_zero
    }

    /// How a lost connection is made anew; not at all, unless somebody wants it.
    pub(crate) fn reconnect(&self) -> Reconnect {
        self.reconnect.as_ref().map_or_else(Reconnect::off, Policed::policy)
    }

    /// Whether the connection may have to be made anew.
    pub(crate) fn is_renewable(&self) -> bool {
        self.reconnect.is_some() || self.tokens.is_some()
    }

    /// What the server learns of the program, but for the id that comes with tokens.
    pub(crate) fn user_agent(&self) -> Result<UserAgent, String> {
        let agent = self.sasl2.as_ref().and_then(|sasl2| sasl2.user_agent.as_ref());
        agent.map_or_else(|| Ok(UserAgent::default()), Agent::user_agent)
    }

    /// The settings, and the mechanisms whose tests JavaScript will tell the outcome of.
    pub(crate) fn settings(self, secret: Secret) -> Result<(Settings, Vec<Arc<Listed>>), String> {
        let jid: Jid = self.jid.parse().map_err(|error| format!("the JID: {error}"))?;
        let (user_agent, is_renewable) = (self.user_agent()?, self.is_renewable());
        let listed = self.mechanisms.into_iter().filter_map(Listing::known).map(Arc::new);
        let listed: Vec<Arc<Listed>> = listed.collect();
        let mut timeouts = Timeouts::default();
        if let Some(limit) = self.close_timeout {
            timeouts = timeouts.close(Duration::from_millis(limit.into()));
        }
        let mut policy = Policy::default();
        if self.allow_plaintext {
            policy = policy.danger_allow_plaintext();
        }
        let management = self.stream_management.as_ref().filter(|_| !self.component);
        let management = management.map(Management::wanted);
        let settings = if self.component {
            Settings::component(jid, "").secret(secret)
        } else {
            Settings::new(jid, secret)
        };
        let mut settings = settings
            .registry(Arc::new(Listed::registry(&listed)))
            .policy(Arc::new(policy))
            .explicit_binding(self.explicit_binding)
            .stream_management(management)
            .user_agent(user_agent)
            .unix_zero(self.unix_zero)
            .timeouts(timeouts);
        if self.component && self.allow_plaintext {
            settings = settings.danger_allow_unencrypted_stream();
        }
        if let Some(authcid) = self.authcid {
            settings = settings.authcid(authcid);
        }
        if is_renewable {
            settings = settings.renewable();
        }
        if self.report {
            settings = settings.report();
        }
        Ok((with_sasl2(settings, self.sasl2, self.tokens), listed))
    }
}

/// The profile that every server knows, unless more is wanted.
fn with_sasl2(settings: Settings, sasl2: Option<Sasl2>, tokens: Option<TokenUse>) -> Settings {
    if sasl2.is_none() && tokens.is_none() {
        return settings.sasl_profile(SaslProfile::Sasl1);
    }
    let Sasl2 { tag, carbons, .. } = sasl2.unwrap_or_default();
    let mut settings = settings.sasl_profile(SaslProfile::Either).carbons(carbons);
    if let Some(tag) = tag {
        settings = settings.bind_tag(tag);
    }
    match tokens {
        Some(TokenUse::LogIn) => settings.fast(Fast::wanted()),
        Some(TokenUse::LogOut) => settings.fast(Fast::wanted().invalidate()),
        None => settings,
    }
}

impl Management {
    fn wanted(&self) -> StreamManagement {
        let resume = self.request_resume.unwrap_or(true);
        // What the page has not handled when it goes away comes again.
        let mut wanted = StreamManagement::default().resume(resume).when_handled();
        wanted = match self.max_unacked {
            // Only when the server is silent, to see whether it is there.
            Some(0) => wanted.every(u32::MAX).after(Duration::MAX),
            Some(stanzas) => wanted.every(stanzas),
            None => wanted,
        };
        match self.max {
            Some(seconds) => wanted.max(Duration::from_secs(seconds.into())),
            None => wanted,
        }
    }
}

impl Agent {
    fn user_agent(&self) -> Result<UserAgent, String> {
        let mut agent = UserAgent::default();
        if let Some(id) = &self.id {
            agent =
                agent.id(id.parse().map_err(|error| format!("the user agent's id: {error}"))?);
        }
        if let Some(name) = &self.software {
            agent = agent.software(name);
        }
        if let Some(description) = &self.device {
            agent = agent.device(description);
        }
        Ok(agent)
    }
}

impl Policed {
    fn policy(&self) -> Reconnect {
        let mut policy = Reconnect::default();
        if let Some(span) = self.first {
            policy = policy.first(Duration::from_millis(span.into()));
        }
        if let Some(span) = self.longest {
            policy = policy.longest(Duration::from_millis(span.into()));
        }
        if let Some(count) = self.attempts {
            policy = policy.attempts(count);
        }
        if let Some(count) = self.redirects {
            policy = policy.redirects(count);
        }
        policy
    }
}

impl SecretKind {
    pub(crate) fn secret(self, text: String) -> Result<Secret, String> {
        Ok(match self {
            Self::None => Secret::None,
            Self::Password => Secret::password(text),
            Self::Token => Secret::token(text),
            Self::Keys => {
                let json = zeroize::Zeroizing::new(text);
                let keys = ScramKeys::from_json(&json);
                Secret::Keys(keys.map_err(|error| format!("the keys: {error}"))?)
            }
        })
    }
}

impl Protection {
    /// A WebSocket begins with HTTP, and JavaScript cannot see what TLS could be bound to.
    pub(crate) fn channel(self) -> Channel {
        match self {
            Self::Plaintext => Channel::plaintext(),
            Self::Loopback => Channel::loopback(),
            Self::Encrypted => Channel::encrypted(),
        }
        .over_http()
    }
}
