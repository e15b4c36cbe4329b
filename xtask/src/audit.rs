//! Slow checks, for a release and for a quiet evening; CI does not run them.
//!
//! Advisories are not among them: they need a database from the network.

use std::fs;

use crate::{
    failure::Failure,
    tool::Tool,
    workspace::{self, Workspace},
};

/// The dependencies against deny.toml.
pub(crate) fn deny(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    CARGO_DENY.ensure(workspace)?;
    let mut command = workspace.cargo(["deny", "--all-features", "check"]);
    command.args(["licenses", "bans", "sources"]).args(extra);
    workspace::run(CARGO_DENY.lend(workspace, &mut command))
}

/// Spelling, by typos.toml.
pub(crate) fn typos(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    TYPOS.ensure(workspace)?;
    let mut command = workspace.command(TYPOS.program);
    workspace::run(TYPOS.lend(workspace, command.args(extra)))
}

/// The last commit with the oldest direct dependencies that Cargo.toml allows. It works on a copy,
/// since it rewrites Cargo.lock.
pub(crate) fn minimal_versions(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    let copy = workspace.target("minimal-versions");
    let text = copy.display().to_string();
    if copy.exists() {
        fs::remove_dir_all(&copy)
            .map_err(|error| Failure::Missing(format!("cannot empty {text}: {error}")))?;
    }
    workspace::run(workspace.command("git").args([
        "clone",
        "--quiet",
        "--depth",
        "1",
        "--no-local",
        ".",
        &text,
    ]))?;
    // The switch is for resolving only; the compiler must not see it.
    workspace::run(
        workspace
            .cargo(["update", "-Z", "direct-minimal-versions"])
            .current_dir(&copy)
            .env("RUSTC_BOOTSTRAP", "1"),
    )?;
    workspace::run(
        workspace
            .cargo(["check", "--features", "epode/aws-lc-rs,epode/webpki-roots", "--target-dir"])
            .arg(workspace.target("minimal-versions-build"))
            .args(extra)
            .current_dir(&copy),
    )
}

/// The public API against the last tag of a release.
pub(crate) fn semver(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    let mut query = workspace.command("git");
    query.args(["describe", "--tags", "--abbrev=0", "--match", "v*"]);
    let Some(tag) = workspace::output(&mut query) else {
        println!("no release is tagged yet: there is nothing to compare with");
        return Ok(());
    };
    SEMVER_CHECKS.ensure(workspace)?;
    let mut command = workspace.cargo(["semver-checks", "--workspace", "--baseline-rev"]);
    command.arg(tag.trim()).args(extra);
    workspace::run(SEMVER_CHECKS.lend(workspace, &mut command))
}

const CARGO_DENY: Tool = Tool { package: "cargo-deny", program: "cargo-deny", version: "0.20.2" };
const TYPOS: Tool = Tool { package: "typos-cli", program: "typos", version: "1.52.0" };
const SEMVER_CHECKS: Tool =
    Tool { package: "cargo-semver-checks", program: "cargo-semver-checks", version: "0.51.0" };
