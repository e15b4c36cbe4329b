//! Prosody with a domain for each way to log in.
//!
//! No federation and no plain TCP: only WebSocket, with and without TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Error, Rig, TokenValidator, ports,
    process::{Process, find_program},
    rig, template,
};

/// A running Prosody. Dropping it ends the process.
///
/// | domain | what it offers | passwords |
/// |---|---|---|
/// | `localhost` | SCRAM-SHA-1, PLAIN | by [`Self::register`] |
/// | `sha256.localhost` | SCRAM-SHA-256, PLAIN | by [`Self::register`] |
/// | `sha384.localhost` | SCRAM-SHA-384, by a plugin of ours | by [`Self::register`] |
/// | `anonymous.localhost` | ANONYMOUS | none |
/// | `oauth.localhost` | OAUTHBEARER for any user | [`Self::TOKEN`] |
/// | `cert.localhost` | EXTERNAL, over wss | [`crate::Certificates::client`] |
#[derive(Debug)]
pub struct Prosody {
    // Before the validator, so that the process goes first.
    _process: Process,
    _validator: TokenValidator,
    http_port: u16,
    https_port: u16,
    config: PathBuf,
}

impl Prosody {
    /// The bearer token that `oauth.localhost` accepts.
    pub const TOKEN: &str = "interop-good-token";

    /// Starts Prosody and waits until both its ports answer.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] without the package or its modules, and what [`Error`] says about
    /// servers that do not start.
    pub fn start(rig: &Rig) -> Result<Self, Error> {
        let program = find_program("prosody", "prosody")?;
        for module in ["mod_auth_ccert", "mod_auth_oauthbearer", "mod_sasl_oauthbearer"] {
            if !fs::exists(format!("{MODULES}/{module}")).unwrap_or(false) {
                let program = format!("Prosody's {module}");
                return Err(Error::NotInstalled { program, package: "prosody-modules" });
            }
        }
        let folder = rig.shared_folder().subfolder("prosody")?;
        let validator = TokenValidator::start(rig.certificates(), Self::TOKEN)?;
        let [http_port, https_port] = ports::free()?;
        let config = folder.join("prosody.cfg.lua");
        let log = folder.join("prosody.log");
        rig::write(&config, &config_text(rig, &folder, [http_port, https_port], &validator)?)?;
        rig::write(&folder.join("mod_auth_scram_sha384.lua"), PLUGIN)?;

        let mut command = Command::new(program);
        command.arg("-F").arg("--config").arg(&config);
        let mut process = Process::start(rig, "prosody", &command, &log)?;
        process.wait_until_open(&[http_port, https_port])?;
        Ok(Self { _process: process, _validator: validator, http_port, https_port, config })
    }

    /// The WebSocket endpoint without TLS.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/xmpp-websocket", self.http_port)
    }

    /// The WebSocket endpoint with TLS. It asks for a client certificate and takes a client
    /// without.
    pub fn wss_url(&self) -> String {
        format!("wss://127.0.0.1:{}/xmpp-websocket", self.https_port)
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Command`] with what `prosodyctl` said.
    pub fn register(&self, user: &str, domain: &str, password: &str) -> Result<(), Error> {
        let output = Command::new(find_program("prosodyctl", "prosody")?)
            .arg("--config")
            .arg(&self.config)
            .args(["register", user, domain, password])
            .output()
            .map_err(|source| Error::Start { name: "prosodyctl", source })?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(Error::Command {
            command: format!("prosodyctl register {user} {domain}"),
            status: output.status,
            output: String::from_utf8_lossy(&text).trim().to_owned(),
        })
    }
}

fn config_text(
    rig: &Rig,
    folder: &Path,
    [http_port, https_port]: [u16; 2],
    validator: &TokenValidator,
) -> Result<String, Error> {
    let certificates = rig.certificates();
    template::fill(
        "prosody.cfg.lua",
        TEMPLATE,
        &[
            ("folder", &folder.display().to_string()),
            ("http_port", &http_port.to_string()),
            ("https_port", &https_port.to_string()),
            ("chain", &certificates.server_chain_file().display().to_string()),
            ("key", &certificates.server_key_file().display().to_string()),
            ("authority", &certificates.authority_file().display().to_string()),
            ("validator", &validator.url()),
        ],
    )
}

/// Every domain of the template.
pub(crate) const DOMAINS: [&str; 6] = [
    "localhost",
    "sha256.localhost",
    "sha384.localhost",
    "anonymous.localhost",
    "oauth.localhost",
    "cert.localhost",
];

const TEMPLATE: &str = include_str!("../prosody/prosody.cfg.lua");
const PLUGIN: &str = include_str!("../prosody/mod_auth_scram_sha384.lua");

/// Where Debian puts both Prosody's own modules and those of prosody-modules.
const MODULES: &str = "/usr/lib/prosody/modules";

#[cfg(test)]
mod tests {
    use super::{DOMAINS, TEMPLATE};

    #[test]
    fn the_template_has_the_domains_of_the_list() {
        let hosts: Vec<&str> = TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("VirtualHost \"")?.split('"').next())
            .collect();
        assert_eq!(hosts, DOMAINS);
    }
}
