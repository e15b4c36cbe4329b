//! The page of `epode serve --web`: the command that has it, and what a browser says of both.
//!
//! What the page is made of is in `npm/page`, what the browser does in `npm/browser`.

use crate::{
    apt,
    failure::Failure,
    npm, servers, wasm,
    workspace::{self, Workspace},
};

/// Makes the page, and the command with it.
pub(crate) fn build(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    wasm::build(workspace, &[])?;
    workspace::run(workspace.cargo(COMMAND).arg("--release").args(extra))?;
    let command = workspace.target("release").join("epode");
    println!("the page is there after: {} serve --web", command.display());
    Ok(())
}

/// Clicks through the page in Chromium, and logs in from there to real servers. The page is the one
/// that `wasm` made.
pub(crate) fn browser(workspace: &Workspace, extra: &[String]) -> Result<(), Failure> {
    npm::ensure_node(workspace)?;
    apt::ensure(workspace, &["chromium"])?;
    npm::install(workspace)?;
    workspace::run(&mut workspace.cargo(COMMAND))?;
    let mut command = npm::run(workspace, "browser", extra);
    servers::lend(workspace, command.env("EPODE", workspace.target("debug").join("epode")))
}

/// The page has to be there to be put into the command.
pub(crate) fn ensure_page(workspace: &Workspace) -> Result<(), Failure> {
    if workspace.path("npm/dist/page/index.html").exists() {
        return Ok(());
    }
    Err(Failure::Missing("there is no page in npm/dist: `cargo xtask wasm` makes it".to_owned()))
}

const COMMAND: [&str; 6] = ["build", "--quiet", "-p", "epode-cli", "--features", "web"];
