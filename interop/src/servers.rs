//! The servers of a run, with the accounts and secrets that the rows use.
//!
//! It knows no mechanism.

use epode_interop::{BRIEF, Error, Release, Rig, Server, Software};

/// All servers, running.
pub(crate) struct Servers(Vec<Running>);

/// A server, with the secret that it made up.
pub(crate) struct Running {
    pub(crate) server: Server,
    /// A bearer token for alice.
    pub(crate) token: String,
}

impl Servers {
    /// Starts them all at once, waits for them, and makes the accounts.
    ///
    /// # Errors
    /// What the servers say.
    pub(crate) fn start(rig: &Rig) -> Result<Self, Error> {
        let started: Result<Vec<Server>, Error> =
            Release::ALL.into_iter().map(|release| Server::start(rig, release)).collect();
        let running = started?.into_iter().map(Running::prepare).collect::<Result<_, _>>()?;
        Ok(Self(running))
    }

    /// The one that is such a release.
    pub(crate) fn of(&self, release: &Release) -> &Running {
        let found = self.0.iter().find(|running| running.server.release() == release);
        found.expect("every release was started")
    }
}

impl Running {
    fn prepare(mut server: Server) -> Result<Self, Error> {
        server.wait_until_ready()?;
        for domain in accounts(server.release()) {
            server.register("alice", domain, PASSWORD)?;
        }
        server.register("alice", BRIEF, PASSWORD)?;
        for domain in ["localhost", "clear.localhost", BRIEF] {
            server.register("bob", domain, PASSWORD)?;
        }
        let token_of = match server.release().software {
            Software::Prosody => "oauth.localhost",
            Software::Ejabberd => "localhost",
        };
        let token = server.issue_token("alice", token_of)?;
        Ok(Self { server, token })
    }
}

/// The domains in which alice has an account of the server's own. Where there are only guests,
/// certificates or somebody else's tokens, it would not make one.
fn accounts(release: &Release) -> &'static [&'static str] {
    match *release {
        Release::PROSODY_0_12 => {
            &["localhost", "sha256.localhost", "sha384.localhost", "clear.localhost"]
        }
        Release::PROSODY_13 => &[
            "localhost",
            "sha256.localhost",
            "sha384.localhost",
            "clear.localhost",
            "oauth.localhost",
            "sasl2.localhost",
            "rotating.localhost",
            "expiring.localhost",
        ],
        _ => &[
            "localhost",
            "sha256.localhost",
            "sha512.localhost",
            "clear.localhost",
            "cert.localhost",
            "sasl2.localhost",
        ],
    }
}

/// An account that every server has.
pub(crate) const ALICE: &str = "alice@localhost";
/// Another one.
pub(crate) const BOB: &str = "bob@localhost";
/// Of all accounts. A space, a comma and an equals sign travel through every mechanism.
pub(crate) const PASSWORD: &str = "correct horse, battery=staple";
