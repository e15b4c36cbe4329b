//! What becomes of tokens for quick logins while connections are made and lost.
//! Which of them are good is decided in `tokens/`; when they are used, by the machine.

use epode_proto::{Error as Reason, FastToken, ServerMemory, sasl::MechanismName};

use super::Driver;
use crate::tokens::TokenStoreError;

impl Driver {
    /// The server has issued a token for the next login.
    pub(super) fn keep_token(&self, token: &FastToken) {
        if let Some(tokens) = &self.tokens {
            note(tokens.keep(token), "the new token is not kept; the one before still is");
        }
    }

    /// The server does not take the token any more.
    pub(super) fn forget_token(&mut self) {
        if let Some(tokens) = &mut self.tokens {
            note(tokens.forget(), "the token that is good no more is not forgotten");
        }
    }

    /// A login by this mechanism succeeded.
    pub(super) fn token_accepted(&self, mechanism: &MechanismName) {
        if let Some(tokens) = &self.tokens {
            note(tokens.connected(mechanism), "the token before is not forgotten");
        }
    }

    /// What the server offers, for the next connection.
    pub(super) fn remember(&self, server: &ServerMemory) {
        if let Some(tokens) = &self.tokens {
            note(tokens.remember(server), "what the server offers is not remembered");
        }
    }

    /// Whether the login begins anew: the server has only changed since it was remembered, and its
    /// offer is waited for; or early data was sent, which somebody on the way may not let through, and
    /// there is none.
    pub(super) fn begins_anew(&self, reason: &Reason) -> bool {
        use Reason::{ConnectionClosed, ConnectionLost, ServerChanged, TimedOut, Unreachable};

        let may_be_early =
            matches!(reason, ConnectionClosed | ConnectionLost(_) | TimedOut(_) | Unreachable(_));
        let is_worth_it = matches!(reason, ServerChanged) || (self.early && may_be_early);
        is_worth_it && self.way.is_some() && self.close.is_some()
    }

    /// Gives the machine a token for the next connection, with a count that was never used.
    pub(super) fn renew_token(&mut self) {
        let Some(tokens) = &mut self.tokens else { return };
        match tokens.take() {
            Ok(beginning) => self.connection.set_token(beginning.token),
            error => note(error.map(drop), "there is no token for the next login"),
        }
    }
}

/// The session goes on all the same.
fn note(kept: Result<(), TokenStoreError>, what: &str) {
    if let Err(error) = kept {
        tracing::warn!(%error, "{what}");
    }
}
