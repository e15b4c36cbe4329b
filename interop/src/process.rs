//! A server's process: started in a group of its own, its output in a file, ended when dropped.
//!
//! There is no orderly shutdown, since nothing that the servers keep outlives the run.

use std::{
    env,
    fs::{self, File, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use crate::{
    Error, Rig, Stop,
    ports::{self, Unready},
    rig::Folder,
};

/// A running server. Dropping it kills the process and all that it started.
///
/// The system also kills it when the thread that started it ends, so that a run which is killed
/// leaves nothing behind. Start servers on a thread that lives as long as they should.
#[derive(Debug)]
pub(crate) struct Process {
    server: &'static str,
    child: Child,
    log: PathBuf,
    stop: Stop,
    // The folder must outlive the process that writes to it; fields go after `drop` has run.
    _folder: Arc<Folder>,
}

impl Process {
    /// Starts a server. What it prints goes to the file `log`, where it may also write its log.
    ///
    /// # Errors
    /// [`Error::Start`] when the system refuses, [`Error::File`] for the log,
    /// [`Error::NotInstalled`] without util-linux.
    pub(crate) fn start(
        rig: &Rig,
        server: &'static str,
        command: &Command,
        log: &Path,
    ) -> Result<Self, Error> {
        let setpriv = find_program("setpriv", "util-linux")?;
        let open = |log: &Path| {
            OpenOptions::new().create(true).append(true).open(log).map_err(|source| Error::File {
                action: "open",
                path: log.to_owned(),
                source,
            })
        };
        let (output, errors): (File, File) = (open(log)?, open(log)?);
        let child = Command::new(setpriv)
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(rig.folder())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C at the terminal is for us alone; we then end the servers in our order.
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Start { name: server, source })?;
        Ok(Self {
            server,
            child,
            log: log.to_owned(),
            stop: rig.stop().clone(),
            _folder: Arc::clone(rig.shared_folder()),
        })
    }

    /// Waits until every port accepts connections.
    ///
    /// # Errors
    /// [`Error::NotReady`] after a minute for a port, [`Error::Ended`] when the server is gone,
    /// [`Error::Stopped`] on request.
    pub(crate) fn wait_until_open(&mut self, ports: &[u16]) -> Result<(), Error> {
        for &port in ports {
            match ports::wait_until_open(port, READY_WITHIN, || self.alive()) {
                Ok(()) => {}
                Err(Unready::GaveUp(error)) => return Err(error),
                Err(Unready::TimedOut) => {
                    return Err(Error::NotReady {
                        server: self.server,
                        port,
                        seconds: READY_WITHIN.as_secs(),
                        log: self.log_tail(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn alive(&mut self) -> Result<(), Error> {
        ports::unless_stopped(&self.stop)?;
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(Error::Ended { server: self.server, status, log: self.log_tail() }),
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that was waited for has given up its number: it may be somebody else's now.
        if self.ended().is_none() {
            // The standard library kills one process, the shell's own `kill` a group.
            let _ = Command::new("sh")
                .args(["-c", "kill -s KILL -- \"-$0\"", &self.child.id().to_string()])
                .stderr(Stdio::null())
                .status();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Where a program is, which Debian may keep in a folder that only root's `PATH` names.
///
/// # Errors
/// [`Error::NotInstalled`] when it is nowhere.
pub(crate) fn find_program(program: &str, package: &'static str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| Error::NotInstalled { program: program.to_owned(), package })
}

/// A server that is not there by then will not come.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Enough to see why a server gave up.
const TAIL_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Process, find_program};
    use crate::{Error, Rig, ports};

    #[test]
    fn a_program_that_is_missing_is_named_with_its_package() {
        match find_program("no-such-program-here", "a-package") {
            Err(Error::NotInstalled { program, package: "a-package" }) => {
                assert_eq!(program, "no-such-program-here");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_that_gives_up_shows_its_log() {
        let rig = Rig::new().unwrap();
        let log = rig.folder().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no $THING here; exit 3"]).env("THING", "licence");
        let mut process = Process::start(&rig, "sh", &command, &log).unwrap();
        let [port] = ports::free().unwrap();
        match process.wait_until_open(&[port]) {
            Err(Error::Ended { server: "sh", status, log }) => {
                assert_eq!((status.code(), log.as_str()), (Some(3), "no licence here"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dropping_ends_what_the_process_started() {
        let rig = Rig::new().unwrap();
        let log = rig.folder().join("log");
        let fifo = rig.folder().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        // The grandchild holds the pipe open for writing until it is gone.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 > \"$0\" & wait"]).arg(&fifo);
        let process = Process::start(&rig, "sh", &command, &log).unwrap();
        let mut reader = std::fs::File::open(&fifo).unwrap();
        drop(process);
        assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_stop_is_noticed() {
        let rig = Rig::new().unwrap();
        let log = rig.folder().join("log");
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut process = Process::start(&rig, "sleep", &command, &log).unwrap();
        rig.stop().raise();
        let [port] = ports::free().unwrap();
        assert!(matches!(process.wait_until_open(&[port]), Err(Error::Stopped)));
    }
}
