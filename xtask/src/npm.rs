//! The npm package: what npm is told to do in the folder `npm`.
//!
//! How the package is put together is said there, in `build.mjs`.

use std::process::Command;

use crate::{
    failure::Failure,
    workspace::{self, Workspace},
};

/// Builds the package from the module that is in `npm/wasm`. That may have so many bytes in the end,
/// compressed by gzip, if there is a limit.
pub(crate) fn build(workspace: &Workspace, limit: Option<u32>) -> Result<(), Failure> {
    install(workspace)?;
    let mut command = npm(workspace);
    command.args(["run", "build"]);
    if let Some(limit) = limit {
        command.env("EPODE_WASM_LIMIT", limit.to_string());
    }
    workspace::run(&mut command)
}

/// Runs the package's tests, against a server that is built first.
pub(crate) fn test(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    ensure_node(workspace)?;
    install(workspace)?;
    workspace::run(&mut workspace.cargo(["build", "--quiet", "-p", "epode-cli"]))?;
    let server = workspace.target("debug").join("epode");
    workspace::run(npm(workspace).args(["test", "--"]).args(extra).env("EPODE", server))
}

/// Node.js has to be there, and npm with it.
pub(crate) fn ensure_node(workspace: &Workspace) -> Result<(), Failure> {
    let version = workspace::output(workspace.command("node").arg("--version"));
    let major = version.as_deref().and_then(major);
    if major.is_some_and(|major| major >= OLDEST_NODE) {
        return Ok(());
    }
    let found = version.map_or_else(|| "none".to_owned(), |version| version.trim().to_owned());
    Err(Failure::Missing(format!("Node.js {OLDEST_NODE} or later is needed, {found} is here")))
}

/// A script of the package's.
pub(crate) fn run(workspace: &Workspace, script: &str, extra: &[String]) -> Command {
    let mut command = npm(workspace);
    command.args(["run", script, "--"]).args(extra);
    command
}

/// The tools that are written down in the lock file.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    workspace::run(npm(workspace).args(["ci", "--no-audit", "--no-fund"]))
}

fn npm(workspace: &Workspace) -> Command {
    let mut command = workspace.command("npm");
    command.args(["--prefix", "npm"]);
    command
}

/// `v20.1.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

const OLDEST_NODE: u32 = 20;

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_have_a_major_number() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20.20.2"), None);
        assert_eq!(major("vx"), None);
    }
}
