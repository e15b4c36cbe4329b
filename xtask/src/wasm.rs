//! The crates without I/O, built for wasm32-unknown-unknown.
//!
//! Libraries only: no bindings and no tests in a browser.

use std::process::Command;

use crate::{
    apt,
    failure::Failure,
    workspace::{self, Workspace},
};

/// Builds with rustup's toolchain where it has the target, else with Debian's toolchain for the
/// web, which has the sources of the standard library to build first.
pub(crate) fn build(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    let mut command =
        if rustup_has_target(workspace) { workspace.cargo(["build"]) } else { debian(workspace)? };
    command.args(["--target", TARGET, "--target-dir"]).arg(workspace.target("wasm"));
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    workspace::run(command.args(extra))
}

fn rustup_has_target(workspace: &Workspace) -> bool {
    let mut query = workspace.command("rustup");
    query.args(["target", "list", "--installed"]);
    workspace::output(&mut query).is_some_and(|list| list.lines().any(|line| line == TARGET))
}

/// Debian's cargo, told to build the standard library. That needs a switch for unstable features,
/// which nothing but this one command may see.
fn debian(workspace: &Workspace) -> Result<Command, Failure> {
    println!("the toolchain has no target {TARGET} (`rustup target add {TARGET}` adds it)");
    apt::ensure(workspace, DEBIAN_PACKAGES)?;
    let mut command = workspace.command("/usr/bin/cargo");
    command
        .args(["build", "-Z", "build-std=std,panic_abort"])
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}

const TARGET: &str = "wasm32-unknown-unknown";
const PACKAGES: &[&str] = &["epode-sasl", "epode-proto"];
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
