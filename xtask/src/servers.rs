//! The step that needs real servers.
//!
//! Starting them is the business of the `epode-interop` package; installing them is ours.

use std::process::Command;

use crate::{
    apt, backports,
    failure::Failure,
    workspace::{self, Workspace},
};

/// Installs Prosody and ejabberd where they are missing, unpacks their newer versions, and runs the
/// matrix.
pub(crate) fn interop(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    // The command, for the rows that probe.
    workspace::run(&mut workspace.cargo(["build", "--quiet", "-p", "epode-cli"]))?;
    let arguments = ["run", "--quiet", "-p", "epode-interop", "--"];
    workspace::run(with_servers(workspace, &arguments)?.args(extra))
}

/// Sends ten thousand messages each way through a thousand cuts, and from processes that are killed
/// hundreds of times, to the same servers and to our own.
pub(crate) fn soak(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    let arguments = ["run", "--quiet", "--release", "-p", "epode-interop", "--", "soak"];
    workspace::run(with_servers(workspace, &arguments)?.args(extra))
}

/// Measures what an echoed message costs with Prosody, beside our own server.
pub(crate) fn echo(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    let arguments = ["run", "--quiet", "--release", "-p", "epode-interop", "--", "echo"];
    workspace::run(with_servers(workspace, &arguments)?.args(extra))
}

/// Runs a command while the servers run: it finds their addresses in its environment.
pub(crate) fn lend(workspace: &Workspace, command: &Command) -> Result<(), Failure> {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut lending = with_servers(workspace, &["run", "--quiet", "-p", "epode-interop"])?;
    workspace::run(lending.args(["--", "lend"]).args(words).envs(environment))
}

/// The cargo that will start them.
fn with_servers(workspace: &Workspace, arguments: &[&str]) -> Result<Command, Failure> {
    apt::ensure(workspace, INSTALLED)?;
    let backports = backports::unpack(workspace, UNPACKED)?;
    let mut command = workspace.cargo(arguments);
    command.env("EPODE_INTEROP_BACKPORTS", backports);
    Ok(command)
}

/// The servers; erlang-p1-oauth2, without which ejabberd's tokens fail; the Lua libraries that
/// Prosody needs for TLS and for its event loop; and setpriv, which every Debian has. The newer
/// versions need the same libraries, and Erlang.
const INSTALLED: &[&str] = &[
    "prosody",
    "prosody-modules",
    "ejabberd",
    "erlang-p1-oauth2",
    "lua-event",
    "lua-sec",
    "lua-socket",
    "lua-expat",
    "lua-filesystem",
    "lua-unbound",
    "lua-readline",
    "util-linux",
];

/// The newer servers, and those of ejabberd's libraries that it wants newer than installed.
const UNPACKED: &[&str] = &[
    "prosody",
    "prosody-modules",
    "ejabberd",
    "erlang-jose",
    "erlang-p1-acme",
    "erlang-p1-cache-tab",
    "erlang-p1-eimp",
    "erlang-p1-mqtree",
    "erlang-p1-oauth2",
    "erlang-p1-pkix",
    "erlang-p1-stringprep",
    "erlang-p1-stun",
    "erlang-p1-tls",
    "erlang-p1-utils",
    "erlang-p1-xml",
    "erlang-p1-xmpp",
    "erlang-p1-yaml",
    "erlang-p1-yconf",
    "erlang-p1-zlib",
];
