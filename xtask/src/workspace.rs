//! Where things are, and how commands are run there.
//!
//! It changes nothing by itself.

use std::{
    env,
    ffi::OsStr,
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
};

use crate::failure::Failure;

/// The workspace that this program belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds it through what cargo tells the programs that it runs.
    ///
    /// # Errors
    /// [`Failure::Missing`] when the program was not started by cargo.
    pub(crate) fn find() -> Result<Self, Failure> {
        let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        match package.as_deref().and_then(Path::parent) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => Err(Failure::Missing("start it with `cargo xtask`".to_owned())),
        }
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder below the build folder, so that `cargo clean` takes it along.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        self.root.join(target).join(name)
    }

    /// A command that starts in the workspace's root.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        // Cargo tells us about our own package. Told to another cargo, some build scripts see a
        // changed environment and compile everything again.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The cargo that started us, with arguments.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(arguments);
        command
    }
}

/// Prints a command, runs it, and waits until it ends.
///
/// # Errors
/// [`Failure::Start`] when there is no such program, [`Failure::Command`] when it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let text = describe(command);
    println!("$ {text}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Command { command: text, status }),
        Err(source) => Err(Failure::Start { command: text, source }),
    }
}

/// What a command prints, when it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// A command as one would type it, with the variables that we set.
fn describe(command: &Command) -> String {
    let mut text = String::new();
    for (name, value) in command.get_envs() {
        // PATH is long, and the same but for the folder of our tools.
        if let Some(value) = value
            && name != "PATH"
        {
            let _ = write!(text, "{}={} ", name.display(), quoted(value));
        }
    }
    let program = command.get_program();
    text.push_str(&quoted(Path::new(program).file_name().unwrap_or(program)));
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    text
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{describe, output, run};
    use crate::failure::Failure;

    #[test]
    fn a_command_reads_as_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["doc", "a b", ""]).env("RUSTDOCFLAGS", "-D warnings").env_remove("X");
        assert_eq!(describe(&command), "RUSTDOCFLAGS='-D warnings' cargo doc 'a b' ''");
    }

    #[test]
    fn failures_name_the_command() {
        match run(Command::new("sh").args(["-c", "exit 7"])) {
            Err(Failure::Command { command, status }) => {
                assert_eq!((command.as_str(), status.code()), ("sh -c 'exit 7'", Some(7)));
            }
            other => panic!("{other:?}"),
        }
        match run(&mut Command::new("no-such-program-here")) {
            Err(Failure::Start { command, .. }) => assert_eq!(command, "no-such-program-here"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_success_has_output() {
        assert_eq!(output(Command::new("echo").arg("hello")).unwrap(), "hello\n");
        assert_eq!(output(Command::new("sh").args(["-c", "echo hello; exit 1"])), None);
        assert_eq!(output(&mut Command::new("no-such-program-here")), None);
    }
}
