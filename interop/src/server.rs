//! A running server, whichever it is: its ports, its URLs, its accounts.
//!
//! What it is told, and how it is asked for accounts, stands in `prosody.rs` and `ejabberd.rs`.

use std::{fmt, path::Path, process::Command};

use crate::{
    Error, Release, Rig, Software, ejabberd::Ejabberd, ports, process::Process, prosody::Prosody,
};

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub struct Server {
    // Before what it may ask for, so that the process goes first.
    process: Process,
    release: &'static Release,
    ports: Ports,
    control: Box<dyn Control>,
}

/// The ports of a server, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// XMPP over TCP, with STARTTLS.
    pub starttls: u16,
    /// XMPP over TCP for `clear.localhost`, without STARTTLS.
    pub plain: u16,
    /// XMPP inside TLS from the first byte.
    pub tls: u16,
    /// WebSocket and BOSH.
    pub http: u16,
    /// The same inside TLS.
    pub https: u16,
    /// External components.
    pub component: u16,
}

/// How a client reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP that never changes to TLS.
    Tcp,
    /// TCP, changed to TLS.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket inside TLS.
    Wss,
    /// BOSH.
    Bosh,
    /// BOSH inside TLS.
    SecureBosh,
}

impl Server {
    /// Starts a server, and does not wait for it: call [`Self::wait_until_ready`] before anything
    /// else.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] and [`Error::WrongVersion`] when its packages are not there, and
    /// what [`Error`] says about files and processes.
    pub fn start(rig: &Rig, release: &'static Release) -> Result<Self, Error> {
        let folder = rig.shared_folder().subfolder(release.name)?;
        let ports = Ports::free()?;
        let (control, command): (Box<dyn Control>, Command) = match release.software {
            Software::Prosody => {
                let (control, command) = Prosody::prepare(rig, release, &folder, ports)?;
                (Box::new(control), command)
            }
            Software::Ejabberd => {
                let (control, command) = Ejabberd::prepare(rig, release, &folder, ports)?;
                (Box::new(control), command)
            }
        };
        let log = folder.join("output.log");
        let process = Process::start(rig, release.name, &command, &log)?;
        Ok(Self { process, release, ports, control })
    }

    /// Waits until all ports accept connections.
    ///
    /// # Errors
    /// What [`Error`] says about servers that do not start.
    pub fn wait_until_ready(&mut self) -> Result<(), Error> {
        let Ports { starttls, plain, tls, http, https, component } = self.ports;
        self.process.wait_until_open(&[starttls, plain, tls, http, https, component])
    }

    /// Which server it is.
    pub fn release(&self) -> &'static Release {
        self.release
    }

    /// Where it listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The endpoint for a transport.
    pub fn url(&self, transport: Transport) -> String {
        self.url_through(self.ports.of(transport), transport)
    }

    /// The endpoint for a transport, where somebody passes on what comes to this port.
    pub fn url_through(&self, port: u16, transport: Transport) -> String {
        let (scheme, path) = match transport {
            Transport::Tcp | Transport::Starttls => ("xmpp", ""),
            Transport::Tls => ("xmpps", ""),
            Transport::Ws => ("ws", self.control.websocket_path()),
            Transport::Wss => ("wss", self.control.websocket_path()),
            Transport::Bosh => ("http", self.control.bosh_path()),
            Transport::SecureBosh => ("https", self.control.bosh_path()),
        };
        format!("{scheme}://127.0.0.1:{port}{path}")
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Management`] with what the server said.
    pub fn register(&self, user: &str, domain: &str, password: &str) -> Result<(), Error> {
        self.control.register(user, domain, password)
    }

    /// Makes an OAuth 2.0 token, good for an hour.
    ///
    /// # Errors
    /// [`Error::Management`] with what the server said.
    pub fn issue_token(&self, user: &str, domain: &str) -> Result<String, Error> {
        self.control.issue_token(user, domain)
    }
}

/// How accounts and tokens are made.
pub(crate) trait Control: fmt::Debug {
    fn register(&self, user: &str, domain: &str, password: &str) -> Result<(), Error>;
    fn issue_token(&self, user: &str, domain: &str) -> Result<String, Error>;
    fn websocket_path(&self) -> &'static str;
    fn bosh_path(&self) -> &'static str;
}

impl Ports {
    fn free() -> Result<Self, Error> {
        let [starttls, plain, tls, http, https, component] = ports::free()?;
        Ok(Self { starttls, plain, tls, http, https, component })
    }

    /// The port for a transport.
    pub fn of(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Tcp => self.plain,
            Transport::Starttls => self.starttls,
            Transport::Tls => self.tls,
            Transport::Ws | Transport::Bosh => self.http,
            Transport::Wss | Transport::SecureBosh => self.https,
        }
    }
}

impl Transport {
    /// Whether anything is encrypted.
    pub fn has_tls(self) -> bool {
        !matches!(self, Self::Tcp | Self::Ws | Self::Bosh)
    }

    /// Whether it is HTTP to begin with: its TLS is that of the URL's host.
    pub fn is_http(self) -> bool {
        !matches!(self, Self::Tcp | Self::Starttls | Self::Tls)
    }

    /// Whether it is HTTP from first to last.
    pub fn is_bosh(self) -> bool {
        matches!(self, Self::Bosh | Self::SecureBosh)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Starttls => "starttls",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Bosh => "bosh",
            Self::SecureBosh => "bosh-tls",
        })
    }
}

/// Fills the placeholders that both configurations have, and `more`.
pub(crate) fn config_text(
    rig: &Rig,
    release: &'static Release,
    ports: Ports,
    folder: &Path,
    more: &[(&str, &str)],
) -> Result<String, Error> {
    let certificates = rig.certificates();
    let (server, expired) = (certificates.server(), certificates.expired());
    let text = |path: &Path| path.display().to_string();
    let values = [
        ("folder", text(folder)),
        ("starttls_port", ports.starttls.to_string()),
        ("plain_port", ports.plain.to_string()),
        ("tls_port", ports.tls.to_string()),
        ("http_port", ports.http.to_string()),
        ("https_port", ports.https.to_string()),
        ("component_port", ports.component.to_string()),
        ("authority", text(certificates.authority_file())),
        ("chain", text(&server.chain)),
        ("key", text(&server.key)),
        ("bundle", text(&server.bundle)),
        ("expired_chain", text(&expired.chain)),
        ("expired_key", text(&expired.key)),
        ("expired_bundle", text(&expired.bundle)),
        ("end_point", certificates.end_point().to_owned()),
    ];
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (*name, &**value)).chain(more.iter().copied()).collect();
    crate::template::fill(release.name, release.template, &values)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Ports, config_text};
    use crate::{Release, Rig};

    #[test]
    fn every_placeholder_has_a_value() {
        let rig = Rig::new().unwrap();
        let ports = Ports { starttls: 1, plain: 2, tls: 3, http: 4, https: 5, component: 6 };
        for release in Release::ALL {
            let folder = Path::new("/nowhere");
            let text = config_text(&rig, release, ports, folder, &[("validator", "https://v/")]);
            assert!(!text.unwrap().contains('@'), "{release}");
        }
    }
}
