//! Cargo subcommands that a step needs, installed below the build folder when they are missing.
//!
//! Nothing is put into the user's own cargo folder.

use std::{env, ffi::OsString, fs, path::PathBuf, process::Command};

use crate::{
    failure::Failure,
    workspace::{self, Workspace},
};

/// A package of the registry whose program a step runs.
pub(crate) struct Tool {
    /// The package, as in `cargo install`.
    pub(crate) package: &'static str,
    /// The program that it brings.
    pub(crate) program: &'static str,
    /// The version that we install. One that is there already may differ.
    pub(crate) version: &'static str,
}

impl Tool {
    /// Makes the tool available to commands by [`Self::path`].
    ///
    /// # Errors
    /// What cargo says when it cannot install it.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<(), Failure> {
        let found = env::split_paths(&self.path(workspace))
            .any(|folder| fs::exists(folder.join(self.program)).unwrap_or(false));
        if found {
            return Ok(());
        }
        println!("{} is not installed: installing it below the build folder", self.program);
        let root = root(workspace);
        workspace::run(
            workspace
                .cargo(["install", "--quiet", self.package, "--version", self.version])
                .arg("--root")
                .arg(root),
        )
    }

    /// Lets a command find the tool.
    pub(crate) fn lend<'a>(
        &self,
        workspace: &Workspace,
        command: &'a mut Command,
    ) -> &'a mut Command {
        command.env("PATH", self.path(workspace))
    }

    /// The user's `PATH` with our folder behind.
    fn path(&self, workspace: &Workspace) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([root(workspace).join("bin")]);
        // It fails only for a folder with a separator in its name, which cannot be searched.
        env::join_paths(folders).unwrap_or(path)
    }
}

fn root(workspace: &Workspace) -> PathBuf {
    workspace.target("tools")
}
