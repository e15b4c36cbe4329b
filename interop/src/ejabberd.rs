//! ejabberd: what it is started with, and how it makes accounts and tokens.
//!
//! The Erlang machine is started directly: the packaged control script wants to become another
//! user, and names a node, which costs a port and a daemon that would outlive the run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    Error, Ports, Release, Rig,
    http::Request,
    process::find_program,
    release::Origin,
    rig,
    server::{Control, config_text},
};

/// An ejabberd that was told everything.
#[derive(Debug)]
pub(crate) struct Ejabberd {
    http_port: u16,
    /// The kind of JSON that its call for tokens wants.
    scopes: Value,
}

impl Ejabberd {
    /// Writes what ejabberd reads, and makes the command that starts it.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] and [`Error::WrongVersion`] for its packages.
    pub(crate) fn prepare(
        rig: &Rig,
        release: &'static Release,
        folder: &Path,
        ports: Ports,
    ) -> Result<(Self, Command), Error> {
        let erl = find_program("erl", "ejabberd")?;
        let libraries = libraries(rig, release)?;
        let config = folder.join("ejabberd.yml");
        rig::write(&config, &config_text(rig, release, ports, folder, &[])?)?;
        let scopes = match release.origin {
            Origin::System => json!("sasl_auth"),
            Origin::Backports => json!(["sasl_auth"]),
        };
        let mut command = Command::new(erl);
        command
            .arg("-noinput")
            // An Erlang string, quotes and all.
            .args(["-mnesia", "dir", &format!("\"{}\"", folder.join("database").display())])
            .args(["-ejabberd", "log_rotate_count", "0"])
            .args(["-s", "ejabberd"])
            // They come before installed ones of the same name.
            .arg("-pa")
            .args(libraries)
            .env("ERL_CRASH_DUMP_BYTES", "0")
            .env("EJABBERD_CONFIG_PATH", &config)
            .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"));
        Ok((Self { http_port: ports.http, scopes }, command))
    }

    fn call(&self, request: &'static str, order: &Value) -> Result<Value, Error> {
        let refused = |answer: String| Error::Management { server: "ejabberd", request, answer };
        let path = format!("/api/{request}");
        let body = order.to_string();
        let request =
            Request { port: self.http_port, host: "127.0.0.1", path: &path, body: Some(&body) };
        let answer = request.send().map_err(refused)?;
        serde_json::from_str(&answer).map_err(|error| refused(error.to_string()))
    }
}

impl Control for Ejabberd {
    fn register(&self, user: &str, domain: &str, password: &str) -> Result<(), Error> {
        self.call("register", &json!({"user": user, "host": domain, "password": password}))?;
        Ok(())
    }

    fn issue_token(&self, user: &str, domain: &str) -> Result<String, Error> {
        let request = "oauth_issue_token";
        let jid = format!("{user}@{domain}");
        let order = json!({"jid": jid, "ttl": 3_600, "scopes": self.scopes});
        let answer = self.call(request, &order)?;
        match answer.get("token").and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => {
                Err(Error::Management { server: "ejabberd", request, answer: answer.to_string() })
            }
        }
    }

    fn websocket_path(&self) -> &'static str {
        "/ws"
    }

    fn bosh_path(&self) -> &'static str {
        "/bosh"
    }
}

/// The folders of compiled code that Erlang does not find by itself, of the right version.
fn libraries(rig: &Rig, release: &'static Release) -> Result<Vec<PathBuf>, Error> {
    let libraries = match release.origin {
        Origin::System => vec![
            installed("ejabberd", "ejabberd.app")?,
            // ejabberd starts without it, and would fail only when a token is asked for.
            installed("erlang-p1-oauth2", "oauth2.beam")?,
        ],
        Origin::Backports => unpacked(rig.backports()?),
    };
    let application =
        libraries.iter().find_map(|folder| rig::read(&folder.join("ejabberd.app")).ok());
    release.check_version(application.as_deref().and_then(version_of).unwrap_or_default())?;
    Ok(libraries)
}

/// The folder in which a package has a file; its name has the machine's architecture in it, so
/// dpkg is asked.
fn installed(package: &'static str, file: &str) -> Result<PathBuf, Error> {
    let missing = || Error::NotInstalled { program: package.to_owned(), package };
    let list = Command::new("dpkg").args(["-L", package]).output().map_err(|_| missing())?;
    String::from_utf8_lossy(&list.stdout)
        .lines()
        .map(Path::new)
        .find(|path| path.ends_with(Path::new("ebin").join(file)))
        .and_then(Path::parent)
        .map(Path::to_owned)
        .ok_or_else(missing)
}

/// Every `ebin` below `usr/lib/<architecture>` and `usr/lib/erlang/lib`.
fn unpacked(root: &Path) -> Vec<PathBuf> {
    let lib = root.join("usr/lib");
    let mut parents = folders(&lib);
    parents.push(lib.join("erlang/lib"));
    let libraries = parents.iter().flat_map(|parent| folders(parent));
    libraries.map(|library| library.join("ebin")).filter(|ebin| ebin.is_dir()).collect()
}

/// The folders in a folder; none where there is no such folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The version in an Erlang application file: `{vsn,"23.01"}`.
fn version_of(application: &str) -> Option<&str> {
    application.split_once("{vsn,\"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{unpacked, version_of};
    use crate::Rig;

    #[test]
    fn the_version_stands_in_the_application_file() {
        let text = "{application,ejabberd,\n  [{description,\"x\"},\n  {vsn,\"24.12-3\"},\n";
        assert_eq!(version_of(text), Some("24.12-3"));
        assert_eq!(version_of("{application,ejabberd,[]}"), None);
    }

    #[test]
    fn unpacked_libraries_are_those_with_code() {
        let rig = Rig::new().unwrap();
        let root = rig.folder().join("root");
        assert_eq!(unpacked(&root), Vec::<std::path::PathBuf>::new());
        for folder in ["some-arch/ejabberd-1/ebin", "erlang/lib/xmpp-2/ebin", "prosody/modules"] {
            fs::create_dir_all(root.join("usr/lib").join(folder)).unwrap();
        }
        let mut found = unpacked(&root);
        found.sort();
        let expected = ["erlang/lib/xmpp-2/ebin", "some-arch/ejabberd-1/ebin"]
            .map(|folder| root.join("usr/lib").join(folder));
        assert_eq!(found, expected);
    }
}
