//! Debian packages that a step needs, installed when dpkg does not have them.
//!
//! It removes nothing, upgrades nothing by name, and asks no questions.

use std::{path::Path, process::Command};

use crate::{
    failure::Failure,
    workspace::{self, Workspace},
};

/// Installs those of the packages that are missing, and says so.
///
/// # Errors
/// [`Failure::Missing`] where there is no apt, or no right to use it; else what apt says.
pub(crate) fn ensure(workspace: &Workspace, packages: &[&str]) -> Result<(), Failure> {
    let missing: Vec<&str> =
        packages.iter().copied().filter(|package| !installed(workspace, package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    println!("missing Debian packages: {list}");
    if !Path::new(APT).exists() {
        return Err(Failure::Missing(format!("no apt-get here: install by hand: {list}")));
    }
    workspace::run(apt_get(workspace)?.arg("update"))?;
    workspace::run(
        apt_get(workspace)?.args(["install", "-y", "--no-install-recommends"]).args(&missing),
    )?;
    println!(
        "note: where systemd runs, Debian starts the services of what it installs; \
         the tests start servers of their own and need none of them"
    );
    Ok(())
}

fn installed(workspace: &Workspace, package: &str) -> bool {
    let mut query = workspace.command("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}", package]);
    workspace::output(&mut query).is_some_and(|status| status == "installed")
}

/// apt-get as root: directly, or through a sudo that asks for no password.
fn apt_get(workspace: &Workspace) -> Result<Command, Failure> {
    let user = workspace::output(workspace.command("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        let mut command = workspace.command(APT);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Ok(command);
    }
    if workspace::output(workspace.command("sudo").args(["-n", "true"])).is_none() {
        return Err(Failure::Missing("not root, and no sudo without a password".to_owned()));
    }
    let mut command = workspace.command("sudo");
    command.args(["-n", "DEBIAN_FRONTEND=noninteractive", APT]);
    Ok(command)
}

const APT: &str = "/usr/bin/apt-get";
