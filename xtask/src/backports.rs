//! Debian packages of the backports suite, unpacked below the build folder: newer versions beside
//! the installed ones.
//!
//! The machine's own packages and lists stay as they are, and no rights are needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    failure::Failure,
    workspace::{self, Workspace},
};

/// Unpacks these packages, unless that was done before, and returns the folder. What is there is
/// used again when it is of the same packages and every file is as it was unpacked.
///
/// # Errors
/// What apt or dpkg say; [`Failure::Missing`] when the machine knows no mirror that has the suite.
pub(crate) fn unpack(workspace: &Workspace, packages: &[&str]) -> Result<PathBuf, Failure> {
    let folder = workspace.target("backports");
    let unpacked = Unpacked { root: folder.join("root"), folder };
    let list = packages.join("\n");
    if unpacked.is_complete(workspace, &list) {
        return Ok(unpacked.root);
    }
    println!("{SUITE} is not unpacked yet: unpacking it below the build folder");
    unpacked.begin()?;
    unpacked.fill(workspace, packages)?;
    unpacked.finish(workspace, &list)?;
    Ok(unpacked.root)
}

/// The folder with everything in it.
struct Unpacked {
    folder: PathBuf,
    /// What the packages contain.
    root: PathBuf,
}

impl Unpacked {
    fn is_complete(&self, workspace: &Workspace, list: &str) -> bool {
        let same = fs::read_to_string(self.folder.join(LIST)).is_ok_and(|found| found == list);
        same && workspace::output(
            workspace
                .command("sha256sum")
                .args(["--check", "--strict", "--quiet"])
                .arg(self.folder.join(SUMS))
                .current_dir(&self.root),
        )
        .is_some()
    }

    /// Empties the folder: what half a download left behind is of no use.
    fn begin(&self) -> Result<(), Failure> {
        if self.folder.exists() {
            files(&self.folder, "empty", fs::remove_dir_all(&self.folder))?;
        }
        for part in ["lists/partial", "cache/archives/partial", "packages", "root"] {
            let part = self.folder.join(part);
            files(&part, "create", fs::create_dir_all(&part))?;
        }
        Ok(())
    }

    /// Downloads and unpacks. apt checks the suite's signature, and the packages against it.
    fn fill(&self, workspace: &Workspace, packages: &[&str]) -> Result<(), Failure> {
        let apt = Apt { folder: &self.folder, sources: self.folder.join("sources.list") };
        let mirror = apt.mirror(workspace)?;
        let source = format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n");
        files(&apt.sources, "write", fs::write(&apt.sources, source))?;
        workspace::run(apt.private(workspace).arg("update"))?;
        let packages = packages.iter().map(|package| format!("{package}/{SUITE}"));
        let downloads = self.folder.join("packages");
        workspace::run(
            apt.private(workspace).arg("download").args(packages).current_dir(&downloads),
        )?;
        for entry in files(&downloads, "read", fs::read_dir(&downloads))? {
            let package = files(&downloads, "read", entry)?.path();
            let mut command = workspace.command("dpkg");
            workspace::run(command.arg("-x").arg(package).arg(&self.root))?;
        }
        Ok(())
    }

    /// Notes what is there; the list of packages last, for without it nothing counts.
    fn finish(&self, workspace: &Workspace, list: &str) -> Result<(), Failure> {
        let mut command = workspace.command("sh");
        command.args(["-c", "find . -type f -print0 | xargs -0 sha256sum"]).current_dir(&self.root);
        let sums = workspace::output(&mut command)
            .ok_or_else(|| Failure::Missing(format!("cannot read {}", self.root.display())))?;
        for (name, text) in [(SUMS, sums.as_str()), (LIST, list)] {
            let file = self.folder.join(name);
            files(&file, "write", fs::write(&file, text))?;
        }
        Ok(())
    }
}

/// apt-get with lists and a cache of its own.
struct Apt<'a> {
    folder: &'a Path,
    sources: PathBuf,
}

impl Apt<'_> {
    /// The mirror of Debian that this machine uses: the one from which it would fetch the index of
    /// the suite that ours is the backports of.
    fn mirror(&self, workspace: &Workspace) -> Result<String, Failure> {
        let mut command = self.with_own_state(workspace);
        let uris = workspace::output(command.args(["update", "--print-uris"]));
        let mirror = uris.as_deref().and_then(mirror_in).map(str::to_owned);
        mirror.ok_or_else(|| {
            Failure::Missing(format!("apt's sources name no mirror with the suite {BASE}"))
        })
    }

    /// With our source alone.
    fn private(&self, workspace: &Workspace) -> Command {
        let mut command = self.with_own_state(workspace);
        command.args(["-o", "Dir::Etc::sourceparts=-", "-o"]);
        command.arg(format!("Dir::Etc::sourcelist={}", self.sources.display()));
        // A list that cannot be had is an error, also if apt thinks that it may come back.
        command.args(["-o", "APT::Update::Error-Mode=any"]);
        command
    }

    fn with_own_state(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.command("apt-get");
        for (option, part) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
            command.arg("-o").arg(format!("{option}={}", self.folder.join(part).display()));
        }
        // Root would have another user download, who may not write here.
        command.args(["-o", "APT::Sandbox::User=root"]);
        command
    }
}

/// The mirror in what `apt-get update --print-uris` says: lines of a quoted URI and more.
fn mirror_in(uris: &str) -> Option<&str> {
    let ending = format!("/dists/{BASE}/InRelease");
    uris.lines().find_map(|line| line.strip_prefix('\'')?.split('\'').next()?.strip_suffix(&ending))
}

fn files<T>(path: &Path, action: &str, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| Failure::Missing(format!("cannot {action} {}: {error}", path.display())))
}

/// Debian 12, and what is built for it later.
const BASE: &str = "bookworm";
const SUITE: &str = "bookworm-backports";

/// Every Debian has it; apt trusts nobody else with this suite.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const LIST: &str = "packages.list";
const SUMS: &str = "root.sha256";

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn the_mirror_is_that_of_the_base_suite() {
        let uris = "'https://other.example/x/dists/nodistro/InRelease' other_InRelease 0 \n\
                    'http://d.example/debian-security/dists/bookworm-security/InRelease' s 0 \n\
                    'http://d.example/debian/dists/bookworm-updates/InRelease' u 0 \n\
                    'http://d.example/debian/dists/bookworm/InRelease' b 0 \n";
        assert_eq!(mirror_in(uris), Some("http://d.example/debian"));
    }

    #[test]
    fn without_the_base_suite_there_is_none() {
        for uris in ["", "'http://d.example/debian/dists/trixie/InRelease' t 0 \n", "bookworm"] {
            assert_eq!(mirror_in(uris), None);
        }
    }
}
