//! ejabberd with a domain for SCRAM-SHA-1 and one for SCRAM-SHA-512; both offer X-OAUTH2.
//!
//! The Erlang machine is started directly: the packaged control script wants to become another
//! user, and names a node, which costs a port and a daemon that would outlive the run.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Error, Rig, ports,
    process::{Process, find_program},
    rig, template,
};

/// A running ejabberd. Dropping it ends the process.
///
/// | domain | what it offers | secrets |
/// |---|---|---|
/// | `localhost` | SCRAM-SHA-1, PLAIN, X-OAUTH2 | [`Self::register`], [`Self::issue_token`] |
/// | `sha512.localhost` | SCRAM-SHA-512, PLAIN, X-OAUTH2 | the same |
#[derive(Debug)]
pub struct Ejabberd {
    _process: Process,
    http_port: u16,
    https_port: u16,
}

impl Ejabberd {
    /// Starts ejabberd and waits until both its ports answer.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] without the package or the library for tokens, and what [`Error`]
    /// says about servers that do not start.
    pub fn start(rig: &Rig) -> Result<Self, Error> {
        let erl = find_program("erl", "ejabberd")?;
        let libraries = libraries("ejabberd", "ejabberd.app")?;
        libraries_of_tokens()?;
        let folder = rig.shared_folder().subfolder("ejabberd")?;
        let [http_port, https_port] = ports::free()?;
        let config = folder.join("ejabberd.yml");
        rig::write(&config, &config_text(rig, [http_port, https_port])?)?;

        let log = folder.join("ejabberd.log");
        let mut command = Command::new(erl);
        command
            .arg("-noinput")
            // An Erlang string, quotes and all.
            .args(["-mnesia", "dir", &format!("\"{}\"", folder.join("database").display())])
            .args(["-ejabberd", "log_rotate_count", "0"])
            .args(["-s", "ejabberd"])
            .env("ERL_LIBS", libraries)
            .env("ERL_CRASH_DUMP_BYTES", "0")
            .env("EJABBERD_CONFIG_PATH", &config)
            .env("EJABBERD_LOG_PATH", &log);
        let mut process = Process::start(rig, "ejabberd", &command, &folder.join("output.log"))?;
        process.wait_until_open(&[http_port, https_port])?;
        Ok(Self { _process: process, http_port, https_port })
    }

    /// The WebSocket endpoint without TLS.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.http_port)
    }

    /// The WebSocket endpoint with TLS.
    pub fn wss_url(&self) -> String {
        format!("wss://127.0.0.1:{}/ws", self.https_port)
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Management`] with what ejabberd said.
    pub fn register(&self, user: &str, domain: &str, password: &str) -> Result<(), Error> {
        self.call("register", &json!({"user": user, "host": domain, "password": password}))?;
        Ok(())
    }

    /// Makes a token for X-OAUTH2, good for an hour.
    ///
    /// # Errors
    /// [`Error::Management`] with what ejabberd said.
    pub fn issue_token(&self, jid: &str) -> Result<String, Error> {
        let request = "oauth_issue_token";
        let order = json!({"jid": jid, "ttl": 3_600, "scopes": "sasl_auth"});
        let answer = self.call(request, &order)?;
        match answer.get("token").and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => Err(refused(request, &answer)),
        }
    }

    fn call(&self, request: &'static str, order: &Value) -> Result<Value, Error> {
        let reply = post(self.http_port, &format!("/api/{request}"), &order.to_string())
            .map_err(|error| refused(request, &error))?;
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
        if head.split(' ').nth(1) != Some("200") {
            return Err(refused(request, &reply));
        }
        serde_json::from_str(body).map_err(|error| refused(request, &error))
    }
}

fn config_text(rig: &Rig, [http_port, https_port]: [u16; 2]) -> Result<String, Error> {
    let certificates = rig.certificates();
    template::fill(
        "ejabberd.yml",
        TEMPLATE,
        &[
            ("http_port", &http_port.to_string()),
            ("https_port", &https_port.to_string()),
            ("bundle", &certificates.server_bundle_file().display().to_string()),
            ("authority", &certificates.authority_file().display().to_string()),
        ],
    )
}

fn refused(request: &'static str, answer: &dyn ToString) -> Error {
    Error::Management { server: "ejabberd", request, answer: answer.to_string() }
}

/// Sends one HTTP request to 127.0.0.1 and returns the reply, head and body.
fn post(port: u16, path: &str, body: &str) -> std::io::Result<String> {
    let mut socket = ports::connect(port)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut reply = String::new();
    socket.take(LARGEST_REPLY).read_to_string(&mut reply)?;
    Ok(reply)
}

/// The folder with the library that a package installs, as `ERL_LIBS` wants it: its name has the
/// machine's architecture in it, so the package is asked.
fn libraries(package: &'static str, file: &str) -> Result<PathBuf, Error> {
    let missing = || Error::NotInstalled { program: package.to_owned(), package };
    let list = Command::new("dpkg").args(["-L", package]).output().map_err(|_| missing())?;
    String::from_utf8_lossy(&list.stdout)
        .lines()
        .map(Path::new)
        .find(|path| path.ends_with(Path::new("ebin").join(file)))
        // <libraries>/<library>/ebin/<file>
        .and_then(|path| path.ancestors().nth(3))
        .map(Path::to_owned)
        .ok_or_else(missing)
}

/// ejabberd starts without it, and would fail only when a token is asked for.
fn libraries_of_tokens() -> Result<(), Error> {
    libraries("erlang-p1-oauth2", "oauth2.beam").map(drop)
}

/// Every domain of the template.
pub(crate) const DOMAINS: [&str; 2] = ["localhost", "sha512.localhost"];

const TEMPLATE: &str = include_str!("../ejabberd/ejabberd.yml");

/// Requests take milliseconds, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The replies of the two requests are far shorter.
const LARGEST_REPLY: u64 = 64 * 1_024;

#[cfg(test)]
mod tests {
    use super::{DOMAINS, TEMPLATE};

    #[test]
    fn the_template_has_the_domains_of_the_list() {
        let hosts = TEMPLATE.lines().find_map(|line| line.strip_prefix("hosts: [")).unwrap();
        let hosts: Vec<&str> = hosts.trim_end_matches(']').split(", ").collect();
        assert_eq!(hosts, DOMAINS);
    }
}
