//! The crates without I/O, built for wasm32-unknown-unknown, and the npm package made of them.
//!
//! What the package is made of besides is in `npm/build.mjs`.

use std::process::Command;

use crate::{
    apt,
    failure::Failure,
    npm,
    places::Places,
    workspace::{self, Workspace},
};

/// Builds with rustup's toolchain where it has the target, else with Debian's toolchain for the
/// web, which has the sources of the standard library to build first.
pub(crate) fn build(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    npm::ensure_node(workspace)?;
    let toolchain =
        if rustup_has_target(workspace) { rustup(workspace) } else { debian(workspace)? };
    let Toolchain { mut command, rustc, flags, limit } = toolchain;
    let places = Places::of(workspace, rustc)?;
    let flags = flags.iter().copied().map(str::to_owned).chain(places.flags());
    let flags: Vec<String> = FLAGS.iter().copied().map(str::to_owned).chain(flags).collect();
    // Encoded, since there may be spaces in the names of folders.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let target = workspace.target("wasm");
    command.args(["--profile", "wasm", "--target", TARGET, "--target-dir"]).arg(&target);
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    workspace::run(command.args(extra))?;
    bind(workspace)?;
    npm::build(workspace, limit)?;
    places.are_not_in(&workspace.path("npm/dist/epode.wasm"))
}

/// What the crates are built with.
struct Toolchain {
    command: Command,
    rustc: &'static str,
    /// What its compiler is told besides [`FLAGS`].
    flags: &'static [&'static str],
    /// How many bytes the module may have in the end, compressed by gzip.
    limit: Option<u32>,
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

/// Its standard library comes as it is, so the module is larger.
fn rustup(workspace: &Workspace) -> Toolchain {
    let command = workspace.cargo(["build"]);
    Toolchain { command, rustc: "rustc", flags: &[], limit: None }
}

/// Debian's cargo, told to build the standard library, small and without messages for panics. That
/// needs a switch for unstable features, which nothing but this one command may see.
fn debian(workspace: &Workspace) -> Result<Toolchain, Failure> {
    println!("the toolchain has no target {TARGET} (`rustup target add {TARGET}` adds it)");
    apt::ensure(workspace, DEBIAN_PACKAGES)?;
    let mut command = workspace.command("/usr/bin/cargo");
    command
        .args(["build", "-Z", "build-std=std,panic_abort"])
        .args(["-Z", "build-std-features=optimize_for_size"])
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19")
        .env_remove("RUSTUP_TOOLCHAIN");
    let rustc = "/usr/bin/rustc";
    Ok(Toolchain { command, rustc, flags: DEBIAN_FLAGS, limit: Some(LARGEST) })
}

const TARGET: &str = "wasm32-unknown-unknown";
/// What each compiler is told.
const FLAGS: &[&str] = &[
    // What is JavaScript's lies in a list of the script, and not in a second table of the module:
    // that `wasm2js` could not read.
    "-Ctarget-feature=-reference-types",
    // The rounds of SHA-2 as loops.
    "--cfg=sha2_backend=\"soft\"",
    "--cfg=sha2_backend_soft=\"compact\"",
];
/// What only one that takes unstable switches can be told.
const DEBIAN_FLAGS: &[&str] = &[
    "-Zunstable-options",
    // A panic has neither words nor a place.
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
    // `Debug` of what derives it is its name. Strings are quoted as ever, as errors need them.
    "-Zfmt-debug=shallow",
];
/// What gzip makes of the module, in bytes, and a twentieth more. When a build exceeds it, see what
/// has grown; if that is worth it, raise the number in the same commit.
const LARGEST: u32 = 264_000;
const PACKAGES: &[&str] = &["epode-sasl", "epode-proto", "epode-wasm"];
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
