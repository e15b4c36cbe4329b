//! The servers of a run, with the accounts and secrets that the rows use.
//!
//! It knows no mechanism.

use epode_interop::{Ejabberd, Error, Prosody, Rig};

use crate::matrix::{Server, Transport};

/// Both servers, running.
pub(crate) struct Servers {
    prosody: Prosody,
    ejabberd: Ejabberd,
    ejabberd_token: String,
}

impl Servers {
    /// Starts them and makes the accounts.
    ///
    /// # Errors
    /// What the servers say.
    pub(crate) fn start(rig: &Rig) -> Result<Self, Error> {
        let prosody = Prosody::start(rig)?;
        for domain in ["localhost", "sha256.localhost", "sha384.localhost"] {
            prosody.register("alice", domain, PASSWORD)?;
        }
        let ejabberd = Ejabberd::start(rig)?;
        for domain in ["localhost", "sha512.localhost"] {
            ejabberd.register("alice", domain, PASSWORD)?;
        }
        let ejabberd_token = ejabberd.issue_token("alice@localhost")?;
        Ok(Self { prosody, ejabberd, ejabberd_token })
    }

    /// Where a server is reached.
    pub(crate) fn endpoint(&self, server: Server, transport: Transport) -> String {
        match (server, transport) {
            (Server::Prosody, Transport::Ws) => self.prosody.ws_url(),
            (Server::Prosody, Transport::Wss) => self.prosody.wss_url(),
            (Server::Ejabberd, Transport::Ws) => self.ejabberd.ws_url(),
            (Server::Ejabberd, Transport::Wss) => self.ejabberd.wss_url(),
        }
    }

    /// A bearer token for alice.
    pub(crate) fn token(&self, server: Server) -> &str {
        match server {
            Server::Prosody => Prosody::TOKEN,
            Server::Ejabberd => &self.ejabberd_token,
        }
    }
}

/// Of all accounts. A space, a comma and an equals sign travel through every mechanism.
pub(crate) const PASSWORD: &str = "correct horse, battery=staple";
