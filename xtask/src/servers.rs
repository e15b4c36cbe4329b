//! The step that needs real servers.
//!
//! Starting them is the business of the `epode-interop` package; installing them is ours.

use crate::{
    apt,
    failure::Failure,
    workspace::{self, Workspace},
};

/// Installs Prosody and ejabberd where they are missing, and runs the matrix.
pub(crate) fn interop(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    apt::ensure(workspace, PACKAGES)?;
    let arguments = ["run", "--quiet", "-p", "epode-interop", "--"];
    workspace::run(workspace.cargo(arguments).args(extra))
}

/// The servers; erlang-p1-oauth2, without which ejabberd's tokens fail; the Lua libraries that
/// Prosody needs for TLS and for its event loop; and setpriv, which every Debian has.
const PACKAGES: &[&str] = &[
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
