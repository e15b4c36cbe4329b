//! What JavaScript tells a connection before it begins.
//! The secret comes beside it, so that it never stands in a text of options.

use std::{sync::Arc, time::Duration};

use epode_proto::{
    Jid, Settings, Timeouts,
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

    /// The settings, and the mechanisms whose tests JavaScript will tell the outcome of.
    pub(crate) fn settings(self, secret: Secret) -> Result<(Settings, Vec<Arc<Listed>>), String> {
        let jid: Jid = self.jid.parse().map_err(|error| format!("the JID: {error}"))?;
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
        let settings = if self.component {
            Settings::component(jid, "").secret(secret)
        } else {
            Settings::new(jid, secret)
        };
        let mut settings = settings
            .registry(Arc::new(Listed::registry(&listed)))
            .policy(Arc::new(policy))
            .explicit_binding(self.explicit_binding)
            .stream_management(None)
            .timeouts(timeouts);
        if self.component && self.allow_plaintext {
            settings = settings.danger_allow_unencrypted_stream();
        }
        if let Some(authcid) = self.authcid {
            settings = settings.authcid(authcid);
        }
        Ok((settings, listed))
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
