//! The crates without I/O, built for wasm32-unknown-unknown, and the npm package made of them.
//!
//! What the package is made of besides is in `npm/build.mjs`.

use std::process::Command;

use crate::{
    apt,
    failure::Failure,
    npm,
    workspace::{self, Workspace},
};

/// Builds with rustup's toolchain where it has the target, else with Debian's toolchain for the
/// web, which has the sources of the standard library to build first.
pub(crate) fn build(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    npm::ensure_node(workspace)?;
    let mut command =
        if rustup_has_target(workspace) { rustup(workspace) } else { debian(workspace)? };
    let target = workspace.target("wasm");
    command.args(["--profile", "wasm", "--target", TARGET, "--target-dir"]).arg(&target);
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    workspace::run(command.args(extra))?;
    bind(workspace)?;
    npm::build(workspace)
}

/// Writes the JavaScript around the module.
fn bind(workspace: &Workspace) -> Result<(), Failure> {
    let module = workspace.target("wasm").join(TARGET).join("wasm/epode_wasm.wasm");
    let mut command = workspace.cargo(["run", "--quiet", "-p", "xtask", "--features", "bindgen"]);
    command.args(["--bin", "bindgen", "--"]).arg(module).arg("npm/wasm");
    workspace::run(&mut command)
}

fn rustup_has_target(workspace: &Workspace) -> bool {
    let mut query = workspace.command("rustup");
    query.args(["target", "list", "--installed"]);
    workspace::output(&mut query).is_some_and(|list| list.lines().any(|line| line == TARGET))
}

fn rustup(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo(["build"]);
    command.env("RUSTFLAGS", FEATURES);
    command
}

/// Debian's cargo, told to build the standard library, small and without messages for panics. That
/// needs a switch for unstable features, which nothing but this one command may see.
fn debian(workspace: &Workspace) -> Result<Command, Failure> {
    println!("the toolchain has no target {TARGET} (`rustup target add {TARGET}` adds it)");
    apt::ensure(workspace, DEBIAN_PACKAGES)?;
    let mut command = workspace.command("/usr/bin/cargo");
    command
        .args(["build", "-Z", "build-std=std,panic_abort"])
        .args(["-Z", "build-std-features=optimize_for_size"])
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zunstable-options -Cpanic=immediate-abort {FEATURES}"))
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}

const TARGET: &str = "wasm32-unknown-unknown";
/// What is JavaScript's lies in a list of the script, and not in a second table of the module: that
/// `wasm2js` could not read.
const FEATURES: &str = "-Ctarget-feature=-reference-types";
const PACKAGES: &[&str] = &["epode-sasl", "epode-proto", "epode-wasm"];
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
