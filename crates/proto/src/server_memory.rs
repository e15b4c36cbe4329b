//! What is remembered of a server, so that the next login need not wait for its offer.
//! Where it is kept is the application's business.

use epode_sasl::json_object::{self, Unreadable};
use serde::{Deserialize, Serialize};

use crate::{Jid, negotiate::offer::LoginOffer};

/// What a server offered to an account: with that the next login begins along with the stream
/// ([`Settings::memory`](crate::Settings::memory)). It holds no secret; whoever changes it can cost a
/// connection, and not make a login weaker than the server's offer allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMemory {
    account: String,
    offer: LoginOffer,
}

impl ServerMemory {
    pub(crate) fn of(account: &Jid, offer: LoginOffer) -> Self {
        Self { account: account.bare().to_string(), offer }
    }

    /// Offers may differ from account to account (XEP-0388, section 2.1).
    pub(crate) fn is_of(&self, account: &Jid) -> bool {
        self.account == account.bare().as_str()
    }

    /// Whether it takes logins by token in early data.
    pub(crate) fn takes_early_data(&self) -> bool {
        self.offer.fast().is_some_and(|fast| fast.tls_0rtt)
    }

    pub(crate) fn into_offer(self) -> LoginOffer {
        self.offer
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Unknown members are passed over.
    ///
    /// # Errors
    ///
    /// [`ServerMemoryError`] says where it is wrong.
    pub fn from_json(json: &str) -> Result<Self, ServerMemoryError> {
        let parsed: Json = json_object::read(json)?;
        if parsed.version != VERSION {
            return Err(ServerMemoryError::Version { found: parsed.version });
        }
        Ok(Self { account: parsed.account, offer: parsed.offer })
    }

    /// Writes it as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Self { account, offer } = self.clone();
        let json = Json { version: VERSION, account, offer };
        serde_json::to_string(&json).expect("strings and numbers always serialise")
    }
}

/// Why a text is nothing that could be remembered of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerMemoryError {
    /// Not JSON, a member is missing or of the wrong type.
    #[error("not the JSON object of a server's offer: {0}")]
    Json(#[from] Unreadable),
    /// Written by a version of this library that does more.
    #[error("`version` is {found}; this program knows version 1")]
    Version {
        /// What was found.
        found: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct Json {
    version: u32,
    account: String,
    offer: LoginOffer,
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"version":1,"account":"alice@example.org","offer":{"mechanisms":["PLAIN"],"channel_bindings":["tls-exporter"],"sasl2":{"mechanisms":["SCRAM-SHA-1"],"bind2":["urn:xmpp:sm:3"],"resumption":true,"fast":{"mechanisms":["HT-SHA-256-NONE"],"tls_0rtt":false},"upgrades":["UPGR-SCRAM-SHA-256"]},"config_version":{"scheme":"opaque","value":"v"}}}"#;
    const LEAST: &str = r#"{"version":1,"account":"example.org","offer":{"mechanisms":[]}}"#;

    #[test]
    fn what_is_written_is_read() {
        for json in [WHOLE, LEAST] {
            let memory = ServerMemory::from_json(json).expect("it is right");
            assert_eq!(memory.to_json(), json);
        }
    }

    #[test]
    fn each_damage_has_its_error() {
        for length in 0..WHOLE.len() {
            let error = ServerMemory::from_json(&WHOLE[..length]).expect_err("it is damaged");
            assert!(matches!(error, ServerMemoryError::Json(_)), "{length}: {error}");
        }
        let newer = ServerMemory::from_json(&LEAST.replace(":1,", ":2,"));
        assert_eq!(newer, Err(ServerMemoryError::Version { found: 2 }));
        let list = ServerMemory::from_json(" []");
        assert_eq!(list, Err(ServerMemoryError::Json(Unreadable { line: 1, column: 1 })));
    }

    #[test]
    fn it_is_of_one_account() {
        let memory = ServerMemory::from_json(WHOLE).expect("it is right");
        let is_of = |jid: &str| memory.is_of(&jid.parse().expect("it is an address"));
        assert!(is_of("alice@example.org/desk"));
        assert!(!is_of("bob@example.org") && !is_of("alice@example.net") && !is_of("example.org"));
    }
}
