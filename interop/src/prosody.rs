//! Prosody: what it is started with, and how it makes accounts and tokens.
//!
//! What its versions are told stands in `release.rs` and in the templates.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Error, Ports, Release, Rig, TokenValidator,
    http::Request,
    process::find_program,
    release::Origin,
    rig,
    server::{Control, config_text},
};

/// A Prosody that was told everything.
#[derive(Debug)]
pub(crate) struct Prosody {
    prosodyctl: PathBuf,
    config: PathBuf,
    http_port: u16,
    tokens: Tokens,
}

/// Who knows bearer tokens.
#[derive(Debug)]
enum Tokens {
    /// A service of ours, which 0.12 asks. It lives as long as this.
    Validator(#[expect(dead_code, reason = "it answers on a thread of its own")] TokenValidator),
    /// Prosody itself, by a plugin of ours.
    OwnPlugin,
}

impl Prosody {
    /// Writes what Prosody reads, and makes the command that starts it.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] and [`Error::WrongVersion`] for its packages.
    pub(crate) fn prepare(
        rig: &Rig,
        release: &'static Release,
        folder: &Path,
        ports: Ports,
    ) -> Result<(Self, Command), Error> {
        let [program, prosodyctl] = programs(rig, release, folder)?;
        let (tokens, validator_url) = tokens(rig, release)?;
        let config = folder.join("prosody.cfg.lua");
        let text = config_text(rig, release, ports, folder, &[("validator", &validator_url)])?;
        rig::write(&config, &text)?;
        for (file, plugin) in PLUGINS {
            rig::write(&folder.join(file), plugin)?;
        }
        let mut command = Command::new(program);
        command.arg("-F").arg("--config").arg(&config);
        Ok((Self { prosodyctl, config, http_port: ports.http, tokens }, command))
    }
}

impl Control for Prosody {
    fn register(&self, user: &str, domain: &str, password: &str) -> Result<(), Error> {
        let output = Command::new(&self.prosodyctl)
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

    fn issue_token(&self, user: &str, domain: &str) -> Result<String, Error> {
        match self.tokens {
            Tokens::Validator(_) => Ok(VALIDATED_TOKEN.to_owned()),
            Tokens::OwnPlugin => {
                let path = format!("/interop_token/{user}");
                let request =
                    Request { port: self.http_port, host: domain, path: &path, body: None };
                request.send().map_err(|answer| Error::Management {
                    server: "prosody",
                    request: "a token",
                    answer,
                })
            }
        }
    }

    fn websocket_path(&self) -> &'static str {
        "/xmpp-websocket"
    }

    fn bosh_path(&self) -> &'static str {
        "/http-bind"
    }
}

/// Who knows bearer tokens, and where; the own plugin is asked by nobody.
fn tokens(rig: &Rig, release: &Release) -> Result<(Tokens, String), Error> {
    match release.origin {
        Origin::System => {
            let validator = TokenValidator::start(rig.certificates(), VALIDATED_TOKEN)?;
            let url = validator.url();
            Ok((Tokens::Validator(validator), url))
        }
        Origin::Backports => Ok((Tokens::OwnPlugin, String::new())),
    }
}

/// The server and its control program, of the right version.
fn programs(rig: &Rig, release: &'static Release, folder: &Path) -> Result<[PathBuf; 2], Error> {
    let root = match release.origin {
        Origin::System => Path::new("/"),
        Origin::Backports => rig.backports()?,
    };
    let library = root.join("usr/lib/prosody");
    let version = fs::read_to_string(library.join("prosody.version")).unwrap_or_default();
    release.check_version(version.trim())?;
    if !fs::exists(library.join("modules/mod_auth_ccert")).unwrap_or(false) {
        let program = "Prosody's mod_auth_ccert".to_owned();
        return Err(Error::NotInstalled { program, package: "prosody-modules" });
    }
    let names = ["prosody", "prosodyctl"];
    let [server, control] = match release.origin {
        Origin::System => names.map(|name| find_program(name, "prosody")),
        Origin::Backports => {
            names.map(|name| relocated(&root.join("usr/bin").join(name), &library, folder))
        }
    };
    Ok([server?, control?])
}

/// A copy of a program with the right path to its library: the one that is in there is that of an
/// installed Prosody.
fn relocated(program: &Path, library: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let text = rig::read(program)?;
    let text = text.replace("'/usr/lib/prosody", &format!("'{}", library.display()));
    let copy = folder.join(program.file_name().unwrap_or_default());
    rig::write(&copy, &text)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).map_err(|source| {
        Error::File { action: "make a program of", path: copy.clone(), source }
    })?;
    Ok(copy)
}

/// What the validator calls good.
const VALIDATED_TOKEN: &str = "interop-good-token";

const PLUGINS: [(&str, &str); 2] = [
    ("mod_auth_scram_sha384.lua", include_str!("../prosody/mod_auth_scram_sha384.lua")),
    ("mod_interop_token.lua", include_str!("../prosody/mod_interop_token.lua")),
];
