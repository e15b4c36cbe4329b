//! Steps that need Rust and nothing else: formatting, lints, documentation, features, tests.
//!
//! The lists of packages that a step is about stand at the end.

use crate::{
    failure::Failure,
    tool::Tool,
    web,
    workspace::{self, Workspace},
};

/// `cargo test` as a person types it: the default members.
pub(crate) fn test(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    workspace::run(workspace.cargo(["test"]).args(extra))
}

/// The members that `cargo test` leaves out.
pub(crate) fn test_tools(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    let packages = ["-p", "xtask", "-p", "epode-interop", "-p", "epode-wasm"];
    workspace::run(workspace.cargo(["test", "--quiet"]).args(packages).args(extra))
}

/// Formatting, which it checks and does not change.
pub(crate) fn fmt(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    component(workspace, "rustfmt", "fmt")?;
    workspace::run(workspace.cargo(["fmt", "--all", "--check"]).args(extra))
}

/// Lints of all members and all targets, warnings denied.
pub(crate) fn clippy(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    component(workspace, "clippy", "clippy")?;
    clippy_with(workspace, FEATURES, extra)
}

/// The documentation of all members, warnings denied: a broken link is an error.
pub(crate) fn doc(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    doc_with(workspace, FEATURES, extra)
}

/// Both once more with the page in the command: of all else, the work is done by then.
pub(crate) fn check_web(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    component(workspace, "clippy", "clippy")?;
    web::ensure_page(workspace)?;
    let features = format!("{FEATURES},epode-cli/web");
    clippy_with(workspace, &features, extra)?;
    doc_with(workspace, &features, extra)
}

/// Lints once for each set of features of the published crates, without `web`.
pub(crate) fn powerset(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    component(workspace, "clippy", "clippy")?;
    CARGO_HACK.ensure(workspace)?;
    let mut command = workspace.cargo(["hack", "clippy", "--feature-powerset", "--quiet"]);
    command.args(["--exclude-features", "web"]);
    for package in PUBLISHED {
        command.args(["-p", package]);
    }
    // Lints, not RUSTFLAGS: those would compile every dependency again.
    command.args(extra).args(["--", "-D", "warnings"]);
    workspace::run(CARGO_HACK.lend(workspace, &mut command))
}

/// The benches, one after the other, so that none disturbs another.
pub(crate) fn bench(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    for (package, bench) in BENCHES {
        let arguments = ["bench", "--quiet", "-p", package, "--bench", bench, "--"];
        workspace::run(workspace.cargo(arguments).args(extra))?;
    }
    Ok(())
}

fn clippy_with(workspace: &Workspace, features: &str, extra: &[String]) -> Result<(), Failure> {
    workspace::run(
        workspace
            .cargo(["clippy", "--workspace", "--all-targets", "--features", features])
            .args(extra)
            .args(["--", "-D", "warnings"]),
    )
}

fn doc_with(workspace: &Workspace, features: &str, extra: &[String]) -> Result<(), Failure> {
    workspace::run(
        workspace
            .cargo(["doc", "--workspace", "--features", features, "--no-deps"])
            .args(extra)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// A toolchain of the minimal profile lacks some subcommands, and rustup has them.
fn component(workspace: &Workspace, name: &str, subcommand: &str) -> Result<(), Failure> {
    if workspace::output(&mut workspace.cargo([subcommand, "--version"])).is_some() {
        return Ok(());
    }
    println!("{name} is not installed: asking rustup for it");
    workspace::run(workspace.command("rustup").args(["component", "add", name]))
}

/// All that are not there by default, but for `epode-cli/web`: that wants what the step `wasm` makes,
/// and is looked at by [`check_web`].
const FEATURES: &str = "epode/aws-lc-rs,epode/webpki-roots,xtask/bindgen";

/// The crates that other people build with features of their choice.
const PUBLISHED: &[&str] =
    &["epode-sasl", "epode-macros", "epode-proto", "epode", "epode-testpeer", "epode-cli"];

/// What `bench` runs: package and bench target.
const BENCHES: &[(&str, &str)] = &[
    ("epode-sasl", "derivation"),
    ("epode-proto", "dispatch"),
    ("epode", "login"),
    ("epode", "echo"),
    ("epode", "memory"),
];

const CARGO_HACK: Tool = Tool { package: "cargo-hack", program: "cargo-hack", version: "0.6.46" };
