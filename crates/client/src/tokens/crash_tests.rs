//! Logins by token that end at every step: between any two of the disk's and of the server's.
//! A model of a server says whether a count came twice; a login that found no token was locked out.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use epode_proto::{AccountTokens, FastToken, Jid, UserAgentId, sasl::HashedToken};

use super::{FileTokens, TokenStore, TokenStoreError};
use crate::{
    PrivateFile,
    private_file::{Disk, SystemDisk, TestFolder},
};

/// What a server keeps of one client (XEP-0484, section 5.1).
#[derive(Default)]
struct Server {
    current: Option<Issued>,
    new: Option<Issued>,
    issued: u64,
    /// Logins with a count that had been there.
    replays: u32,
    full_logins: u32,
    quick_logins: u32,
}

struct Issued {
    token: String,
    count: u64,
}

impl Server {
    fn issue(&mut self) -> FastToken {
        self.issued += 1;
        let token = format!("token {}", self.issued);
        self.new = Some(Issued { token: token.clone(), count: 0 });
        let mechanism = "HT-SHA-256-EXPR".parse().expect("it is a name");
        FastToken::new(HashedToken::new(mechanism, token), u64::MAX, 0)
    }
}

/// As a client sees the server. An error is the client's end.
trait Login {
    /// With the password.
    fn fully(&mut self) -> io::Result<FastToken>;
    /// With a token: whether it is accepted, and the token that comes in place of it.
    fn quickly(&mut self, token: &FastToken) -> io::Result<Result<Option<FastToken>, Refused>>;
}

struct Refused;

impl Login for Server {
    fn fully(&mut self) -> io::Result<FastToken> {
        self.full_logins += 1;
        Ok(self.issue())
    }

    /// Each second login brings a new token.
    fn quickly(&mut self, token: &FastToken) -> io::Result<Result<Option<FastToken>, Refused>> {
        let shown = token.token().token();
        let is = |slot: &Option<Issued>| slot.as_ref().is_some_and(|slot| slot.token == shown);
        if is(&self.new) {
            self.current = self.new.take();
        }
        let Some(current) = self.current.as_mut().filter(|current| current.token == shown) else {
            return Ok(Err(Refused));
        };
        if token.count() <= current.count {
            self.replays += 1;
            return Ok(Err(Refused));
        }
        current.count = token.count();
        self.quick_logins += 1;
        Ok(Ok(self.quick_logins.is_multiple_of(2).then(|| self.issue())))
    }
}

/// One login, as the driver does it.
fn log_in(store: &dyn TokenStore, server: &mut dyn Login) -> Result<(), TokenStoreError> {
    let gone = |_| TokenStoreError::because("the process is gone");
    let mut taken = None;
    store.update(&alice(), &mut |kept| taken = kept.take(NOW))?;
    if let Some(token) = taken {
        match server.quickly(&token).map_err(gone)? {
            Ok(issued) => {
                if let Some(issued) = issued {
                    store.update(&alice(), &mut |kept| kept.keep(issued.duplicate()))?;
                }
                return store.update(&alice(), &mut |kept| kept.accepted(&token));
            }
            Err(Refused) => store.update(&alice(), &mut |kept| kept.refused(&token))?,
        }
    }
    let issued = server.fully().map_err(gone)?;
    store.update(&alice(), &mut |kept| kept.keep(issued.duplicate()))
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The process dies; what it wrote is there.
    Kill,
    /// The machine stops: what was not synced is lost, and names of files are as after the last
    /// sync of the folder.
    PowerCut,
    /// As before, but the names are as they were changed last.
    PowerCutAfterRename,
    /// The disk refuses one step, and the process goes on.
    Refusal,
}

/// A disk, and a connection to the server, that last for so many steps.
#[derive(Debug)]
struct Doom {
    left: u32,
    end: End,
    is_over: bool,
    /// Files of which the disk may have nothing.
    unsynced: Vec<PathBuf>,
    /// New names that the disk may not have: of what, and what was there.
    renamed: Vec<(PathBuf, PathBuf, Option<Vec<u8>>)>,
}

impl Doom {
    fn after(steps: u32, end: End) -> Arc<Mutex<Self>> {
        let (unsynced, renamed) = (Vec::new(), Vec::new());
        Arc::new(Mutex::new(Self { left: steps, end, is_over: false, unsynced, renamed }))
    }

    /// Takes a step, unless it is over.
    fn step(&mut self) -> io::Result<()> {
        let goes_on = self.left > 0 || (self.is_over && self.end == End::Refusal);
        self.left = self.left.saturating_sub(1);
        if goes_on && !(self.is_over && self.end != End::Refusal) {
            return Ok(());
        }
        if !self.is_over {
            self.is_over = true;
            self.cut()?;
        }
        Err(io::Error::other("this is the end"))
    }

    fn cut(&mut self) -> io::Result<()> {
        if matches!(self.end, End::Kill | End::Refusal) {
            return Ok(());
        }
        for path in &self.unsynced {
            fs::write(path, "")?;
        }
        if self.end == End::PowerCut {
            for (from, to, before) in self.renamed.iter().rev() {
                fs::rename(to, from)?;
                if let Some(before) = before {
                    PrivateFile::new(to).write_unsynced(before).map_err(io::Error::other)?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct DoomedDisk(Arc<Mutex<Doom>>);

impl Disk for DoomedDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut doom = self.0.lock().unwrap();
        doom.step()?;
        doom.unsynced.push(path.to_owned());
        SystemDisk.create(path)
    }

    fn write(&self, file: &mut File, contents: &[u8]) -> io::Result<()> {
        let half = &contents[..contents.len() / 2];
        self.0.lock().unwrap().step()?;
        SystemDisk.write(file, half)?;
        self.0.lock().unwrap().step()?;
        SystemDisk.write(file, &contents[half.len()..])
    }

    /// The machine does not stop in truth.
    fn sync(&self, _: &File, path: &Path) -> io::Result<()> {
        let mut doom = self.0.lock().unwrap();
        doom.step()?;
        doom.unsynced.retain(|unsynced| unsynced != path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut doom = self.0.lock().unwrap();
        doom.step()?;
        doom.unsynced.iter_mut().filter(|path| *path == from).for_each(|path| *path = to.into());
        doom.renamed.push((from.to_owned(), to.to_owned(), fs::read(to).ok()));
        SystemDisk.rename(from, to)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut doom = self.0.lock().unwrap();
        doom.step()?;
        doom.renamed.clear();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().step()?;
        SystemDisk.remove(path)
    }
}

/// A connection that may break before a request is there, and before its answer is.
struct Doomed<'a>(&'a mut Server, Arc<Mutex<Doom>>);

impl Doomed<'_> {
    fn carry<T>(&mut self, ask: impl FnOnce(&mut Server) -> io::Result<T>) -> io::Result<T> {
        self.1.lock().unwrap().step()?;
        let answer = ask(self.0);
        self.1.lock().unwrap().step()?;
        answer
    }
}

impl Login for Doomed<'_> {
    fn fully(&mut self) -> io::Result<FastToken> {
        self.carry(Server::fully)
    }

    fn quickly(&mut self, token: &FastToken) -> io::Result<Result<Option<FastToken>, Refused>> {
        self.carry(|server| server.quickly(token))
    }
}

/// What a run has seen that must hold for the next.
#[derive(Default)]
struct Seen {
    user_agent: Option<UserAgentId>,
    /// Full logins, once the token of one was kept.
    full_logins: Option<u32>,
}

/// Logs in a few times, until the end; says whether it came.
fn run(path: &Path, server: &mut Server, seen: &mut Seen, doom: &Arc<Mutex<Doom>>) -> bool {
    let store = FileTokens::on(DoomedDisk(Arc::clone(doom)), path);
    if store.path(&alice()).exists() {
        check(path, server, seen);
    }
    for _ in 0..LOGINS {
        let _ = log_in(&store, &mut Doomed(server, Arc::clone(doom))); // the next one is another try
        let is_over = doom.lock().unwrap().is_over;
        if is_over && doom.lock().unwrap().end != End::Refusal {
            return true;
        }
        check(path, server, seen);
    }
    doom.lock().unwrap().is_over
}

/// Never locked out, never a replay, and the same installation as ever.
fn check(path: &Path, server: &Server, seen: &mut Seen) {
    let mut found = None;
    let look = &mut |kept: &mut AccountTokens| {
        found = kept.has_token().then(|| kept.user_agent());
    };
    // Another process, on a disk that lasts but is not waited for.
    let disk = DoomedDisk(Doom::after(u32::MAX, End::Kill));
    FileTokens::on(disk, path).update(&alice(), look).expect("there is a whole file");
    assert_eq!(server.replays, 0);
    if let Some(full) = seen.full_logins {
        assert_eq!(server.full_logins, full, "locked out");
        assert_eq!(found, seen.user_agent);
    } else if found.is_some() {
        (seen.full_logins, seen.user_agent) = (Some(server.full_logins), found);
    }
}

#[test]
fn no_end_locks_out_or_repeats_a_count() {
    let mut points = 0;
    for end in [End::Kill, End::PowerCut, End::PowerCutAfterRename, End::Refusal] {
        for first in 0.. {
            let ended = ends_twice(end, first, u32::MAX);
            if !ended {
                break;
            }
            points += 1;
            // And once more while the next process comes to terms with it.
            for second in 0..SECOND {
                ends_twice(end, first, second);
                points += 1;
            }
        }
    }
    println!("{points} ends, in one process");
    assert!(points > 500, "{points}");
}

/// Whether the first end came.
fn ends_twice(end: End, first: u32, second: u32) -> bool {
    let folder = TestFolder::make();
    let path = folder.path("tokens");
    let (mut server, mut seen) = (Server::default(), Seen::default());
    let mut ended = [false; 3];
    for (ended, steps) in ended.iter_mut().zip([first, second, u32::MAX]) {
        *ended = run(&path, &mut server, &mut seen, &Doom::after(steps, end));
    }
    assert!(!ended[2] && server.quick_logins >= LOGINS - 1, "{end:?} {first} {second}");
    ended[0]
}

#[test]
fn a_disk_that_does_not_wait_would_be_found_out() {
    let folder = TestFolder::make();
    let path = folder.path("file");
    let doom = Doom::after(5, End::PowerCutAfterRename);
    let disk = DoomedDisk(Arc::clone(&doom));
    let mut file = disk.create(&path).expect("it goes on");
    disk.write(&mut file, b"contents").expect("it goes on");
    disk.rename(&path, &folder.path("new")).expect("it goes on");
    disk.sync_folder(&path).expect("it goes on");
    disk.remove(&path).expect_err("it is over");
    assert_eq!(fs::read(folder.path("new")).expect("it was renamed"), b"");
}

fn alice() -> Jid {
    "alice@example.org".parse().expect("it is an address")
}

const NOW: u64 = 1_800_000_000;
const LOGINS: u32 = 4;
const SECOND: u32 = 2;

/// The same with a process that is killed in truth: this test program, started once more for each.
#[cfg(unix)]
mod killed {
    use std::{
        env,
        io::{BufRead, BufReader, Write, stdin},
        process::{Command, Stdio},
    };

    use super::*;

    /// The server is the parent, at the other end of the pipes.
    struct Parent;

    impl Parent {
        fn ask(&self, request: &str) -> io::Result<String> {
            println!("\n{MARK}{request}");
            let mut answer = String::new();
            stdin().read_line(&mut answer)?;
            Ok(answer)
        }
    }

    impl Login for Parent {
        fn fully(&mut self) -> io::Result<FastToken> {
            let issued = self.ask("")?;
            FastToken::from_json(&issued).map_err(io::Error::other)
        }

        fn quickly(&mut self, token: &FastToken) -> io::Result<Result<Option<FastToken>, Refused>> {
            let answer = self.ask(&token.to_json())?;
            Ok(match answer.trim_end() {
                "refused" => Err(Refused),
                "accepted" => Ok(None),
                issued => Ok(Some(FastToken::from_json(issued).map_err(io::Error::other)?)),
            })
        }
    }

    /// A disk at one step of which the process kills itself.
    #[derive(Debug)]
    struct Deadly(Mutex<u32>);

    impl Deadly {
        fn step(&self) {
            let mut left = self.0.lock().unwrap();
            if *left == 0 {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            }
            *left -= 1;
        }
    }

    impl Disk for Deadly {
        fn create(&self, path: &Path) -> io::Result<File> {
            self.step();
            SystemDisk.create(path)
        }

        fn write(&self, file: &mut File, contents: &[u8]) -> io::Result<()> {
            let (first, second) = contents.split_at(contents.len() / 2);
            self.step();
            SystemDisk.write(file, first)?;
            self.step();
            SystemDisk.write(file, second)
        }

        fn sync(&self, _: &File, _: &Path) -> io::Result<()> {
            self.step();
            Ok(()) // what was written outlives the process
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.step();
            SystemDisk.rename(from, to)
        }

        fn sync_folder(&self, _: &Path) -> io::Result<()> {
            self.step();
            Ok(())
        }
    }

    /// What runs in the process that is killed; started as a test, it has nothing to do.
    #[test]
    fn child() {
        let (Ok(folder), Ok(steps)) = (env::var(FOLDER), env::var(STEPS)) else { return };
        let disk = Deadly(Mutex::new(steps.parse().expect("it is a number")));
        let store = FileTokens::on(disk, folder);
        for _ in 0..LOGINS {
            log_in(&store, &mut Parent).expect("it goes on until it is killed");
        }
    }

    /// Serves one process; says whether it was killed.
    fn serve(path: &Path, steps: u32, server: &mut Server) -> bool {
        let own = env::current_exe().expect("it has a path");
        let mut child = Command::new(own)
            .args(["--exact", "tokens::crash_tests::killed::child", "--nocapture"])
            .env(FOLDER, path)
            .env(STEPS, steps.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut answers = child.stdin.take().expect("it is a pipe");
        let requests = BufReader::new(child.stdout.take().expect("it is a pipe"));
        for line in requests.lines().map_while(Result::ok) {
            let Some(request) = line.strip_prefix(MARK) else { continue };
            let answer = match request {
                "" => server.fully().expect("it is here").to_json().to_string(),
                token => {
                    let token = FastToken::from_json(token).expect("it is one");
                    match server.quickly(&token).expect("it is here") {
                        Err(Refused) => "refused".to_owned(),
                        Ok(None) => "accepted".to_owned(),
                        Ok(Some(issued)) => issued.to_json().to_string(),
                    }
                }
            };
            if writeln!(answers, "{answer}").is_err() {
                break; // it is gone
            }
        }
        !child.wait().expect("it was started").success()
    }

    #[test]
    fn no_kill_locks_out_or_repeats_a_count() {
        let mut kills = 0;
        loop {
            let folder = TestFolder::make();
            let path = folder.path("tokens");
            let (mut server, mut seen) = (Server::default(), Seen::default());
            let killed = serve(&path, kills, &mut server);
            check(&path, &server, &mut seen);
            let rest = run(&path, &mut server, &mut seen, &Doom::after(u32::MAX, End::Kill));
            assert!(!rest && server.quick_logins >= LOGINS - 1);
            if !killed {
                break;
            }
            kills += 1;
        }
        println!("{kills} kills");
        assert!(kills > 30, "{kills}");
    }

    const FOLDER: &str = "EPODE_TEST_TOKENS";
    const STEPS: &str = "EPODE_TEST_STEPS";
    const MARK: &str = "> ";
}
