//! The servers for somebody else: a command that runs while they do, with their addresses in its
//! environment.
//!
//! It logs in to nothing.

use std::{error::Error, process::ExitStatus};

use epode_interop::{Release, Transport};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    Run,
    servers::{ALICE, BOB, PASSWORD, Servers},
};

/// Starts the servers, runs the command, and returns how it ended.
///
/// # Errors
/// What the servers say, and when there is no such command.
pub(crate) fn lend(words: &[String]) -> Result<ExitStatus, Box<dyn Error>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("lend COMMAND: a command is missing".into());
    };
    let run = Run::start()?;
    let mut command = Command::new(program);
    command.args(arguments).env(VARIABLE, description(&run.servers).to_string());
    let status = run.unless_stopped(async { command.kill_on_drop(true).spawn()?.wait().await })?;
    status.map_err(|error| format!("cannot run {program}: {error}").into())
}

/// The addresses and accounts of them all.
fn description(servers: &Servers) -> Value {
    let describe = |release: &Release| {
        let running = servers.of(release);
        let url = |transport| running.server.url(transport);
        json!({
            "name": release.name,
            "ws": url(Transport::Ws),
            "wss": url(Transport::Wss),
            "bosh": url(Transport::Bosh),
            "secureBosh": url(Transport::SecureBosh),
            "domains": release.domains,
            "token": running.token,
        })
    };
    let list: Vec<Value> = Release::ALL.into_iter().map(describe).collect();
    json!({ "accounts": [ALICE, BOB], "password": PASSWORD, "servers": list })
}

/// The variable, whose value is JSON.
const VARIABLE: &str = "EPODE_SERVERS";
