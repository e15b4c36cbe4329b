//! Two accounts send each other numbered messages, each from a process that is killed at random
//! moments and started again: this program starts itself.
//!
//! What makes a session fit to be taken up is the client's to say; here is what an application does
//! to lose and double nothing: it notes what it heard before it asks for more, and when it starts,
//! lets the stored session say how much of that counts and what to send next.

use std::{
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use epode::{Element, SessionStore, SessionStoreError, Status, StatusEvents, StoredSession};
use epode_interop::Dice;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    cut_streams::{AHEAD, CLIENT, STALL, Storm, message, number},
    figures::Figures,
    stream_target::{self, StreamTarget},
};

/// Lets them talk, and kills both again and again.
///
/// # Errors
/// When a process cannot be started, or ends by itself.
pub(crate) async fn exchange(
    target: &StreamTarget,
    storm: Storm,
    (seed, folder): (u64, &Path),
) -> Result<Figures, Box<dyn Error>> {
    let start = Instant::now();
    let mut alice = Life::new(target, ("alice", "bob"), storm, folder)?;
    let mut bob = Life::new(target, ("bob", "alice"), storm, folder)?;
    for life in [&mut alice, &mut bob] {
        life.start(0)?; // both must be there before anything is sent
        life.online().await?;
    }
    let (first, second) = tokio::join!(
        alice.live_and_die(Dice::new(seed)),
        bob.live_and_die(Dice::new(seed.wrapping_add(1)))
    );
    let mut figures = Figures { blows: storm.blows, ..Figures::default() };
    for (outcome, user, mut life) in [(first, "alice", alice), (second, "bob", bob)] {
        figures.trouble.extend(outcome.err().map(|error| error.to_string()));
        life.end().await?;
        figures.resumed += life.resumed;
        figures.new += life.new.saturating_sub(1);
        let mut numbers = heard(&life.folder)?;
        numbers.extend(stored(target, user).await?);
        figures.hear(storm.messages, &numbers);
    }
    figures.seconds = start.elapsed().as_secs_f64();
    Ok(figures)
}

/// What a server has stored when it let go of a session: it comes to who says to be there, which
/// the processes never do.
async fn stored(target: &StreamTarget, user: &str) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut session = target.client(user)?.connect().await?;
    session.send(Element::new("presence", CLIENT)).await?;
    let mut numbers = Vec::new();
    while let Ok(Some(stanza)) = timeout(AFTERMATH, session.receive()).await {
        numbers.extend(number(&stanza));
    }
    session.disconnect().await?;
    Ok(numbers)
}

/// The processes of one account, one after the other.
struct Life {
    arguments: Vec<String>,
    folder: PathBuf,
    storm: Storm,
    process: Option<(Child, Lines<BufReader<ChildStdout>>)>,
    resumed: u32,
    new: u32,
}

impl Life {
    fn new(
        target: &StreamTarget,
        (user, other): (&str, &str),
        storm: Storm,
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = folder.join(user);
        fs::create_dir_all(&folder)?;
        let mut arguments = target.arguments(user).to_vec();
        arguments.extend([target.jid(other), folder.display().to_string()]);
        arguments.push(storm.messages.to_string());
        Ok(Self { arguments, folder, storm, process: None, resumed: 0, new: 0 })
    }

    /// Starts a process that sends no more than this number.
    fn start(&mut self, most: usize) -> Result<(), Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(AS_A_TALKER)
            .args(&self.arguments)
            .arg(most.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("a process without output")?;
        self.process = Some((process, BufReader::new(output).lines()));
        Ok(())
    }

    /// Reads what the process says, until it is online.
    async fn online(&mut self) -> Result<(), Box<dyn Error>> {
        match &*self.hear().await? {
            "resumed" => self.resumed += 1,
            "new" => self.new += 1,
            other => return Err(format!("another process said {other}").into()),
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<String, Box<dyn Error>> {
        let (_, lines) = self.process.as_mut().ok_or("no process")?;
        let line =
            timeout(PATIENCE, lines.next_line()).await.map_err(|_| "a process is silent")??;
        line.ok_or_else(|| "a process ended by itself".into())
    }

    /// Kills the process, at a moment that the dice choose, and starts the next; lets the last one
    /// finish.
    async fn live_and_die(&mut self, mut dice: Dice) -> Result<(), Box<dyn Error>> {
        let kills = usize::try_from(self.storm.blows / 2)?;
        for kill in 1..=kills {
            let is_talking = dice.below(2) == 0;
            let already = kill == 1;
            if is_talking && !already {
                self.online().await?;
            }
            let span = if is_talking { TALKING } else { STARTING };
            sleep(span.mul_f64(dice.fraction())).await;
            self.kill(is_talking || already).await?;
            self.start(self.storm.messages * kill / kills)?;
        }
        self.online().await?;
        self.finish().await
    }

    /// Reads how far the process has come, until it is done. How long that takes is the machine's
    /// business; silence is a fault.
    async fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        let mut progress = String::from("nothing");
        loop {
            match self.hear().await {
                Ok(line) if line == DONE => return Ok(()),
                Ok(line) => progress = line,
                Err(error) => return Err(format!("{error} after {progress}").into()),
            }
        }
    }

    /// SIGKILL: the process can say and write nothing more.
    async fn kill(&mut self, is_counted: bool) -> Result<(), Box<dyn Error>> {
        let (mut process, mut lines) = self.process.take().ok_or("no process")?;
        process.kill().await?;
        if !is_counted {
            match lines.next_line().await? {
                Some(line) if line == "resumed" => self.resumed += 1,
                Some(line) if line == "new" => self.new += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes the session of the last process.
    async fn end(&mut self) -> Result<(), Box<dyn Error>> {
        let Some((mut process, _lines)) = self.process.take() else { return Ok(()) };
        drop(process.stdin.take());
        timeout(PATIENCE, process.wait()).await.map_err(|_| "a process does not end")??;
        Ok(())
    }
}

/// What a process does that plays one side: see [`exchange`]. What it prints is for the one that
/// started it.
///
/// # Errors
/// What went wrong.
pub(crate) async fn talk(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let Some((connection, [other, folder, messages, most])) = arguments.split_at_checked(4) else {
        return Err("the arguments of a talker are wanted".into());
    };
    let folder = Path::new(folder);
    let (messages, most): (usize, usize) = (messages.parse()?, most.parse()?);
    let store = Arc::new(AtomicFile(folder.join("session.json")));
    let (mut sent, counted) = progress(&store)?;
    let mut log = Log::open(folder, counted)?;
    let mut builder = stream_target::client(connection)?.sessions(store.clone());
    let statuses = builder.watch();
    let mut session = builder.connect().await?;
    let word = if resumed(statuses).await { "resumed" } else { "new" };
    while !is_resumable(&store)? {
        sleep(GLANCE).await; // a session that is killed before it can be resumed is nobody's fault
    }
    println!("{word}");
    let mut is_done = false;
    let mut end = tokio::spawn(async { tokio::io::stdin().read_u8().await });
    loop {
        if sent < most && sent < log.highest + AHEAD {
            sent += 1;
            session.send(message(other, sent)).await?;
            continue;
        }
        // It may have been so from the start.
        if !is_done && sent == messages && log.highest >= messages {
            println!("{DONE}");
            is_done = true;
        }
        tokio::select! {
            stanza = session.receive() => log.note(&stanza.ok_or("the session has ended")?)?,
            _ = &mut end => break,
            () = sleep(STALL), if sent < most => {
                sent += 1;
                session.send(message(other, sent)).await?;
            }
        }
        if log.lines.is_multiple_of(PROGRESS) {
            println!("{sent} sent, {} heard", log.lines);
        }
    }
    session.disconnect().await?;
    Ok(())
}

/// Whether the first connection took up a session.
pub(crate) async fn resumed(mut statuses: StatusEvents) -> bool {
    while let Some(status) = statuses.next().await {
        if let Status::Connected(connected) = status {
            return connected.resumed;
        }
    }
    false
}

/// How many stanzas were sent and received, by the session that is kept.
fn progress(store: &AtomicFile) -> Result<(usize, usize), Box<dyn Error>> {
    match store.load()? {
        Some(StoredSession::Managed(state)) => {
            Ok((usize::try_from(state.sent())?, usize::try_from(state.received())?))
        }
        _ => Ok((0, 0)),
    }
}

fn is_resumable(store: &AtomicFile) -> Result<bool, Box<dyn Error>> {
    let stored = store.load()?;
    Ok(matches!(stored, Some(StoredSession::Managed(state)) if state.is_resumable()))
}

/// What was heard, a line each.
struct Log {
    file: fs::File,
    lines: usize,
    /// The highest number: what came twice or was lost does not change how far the other side is.
    highest: usize,
}

impl Log {
    /// Opens it, without what was noted and does not count.
    fn open(folder: &Path, counted: usize) -> Result<Self, Box<dyn Error>> {
        let file = fs::File::options().create(true).append(true).open(folder.join(LOG))?;
        let text = fs::read_to_string(folder.join(LOG))?;
        let lines: Vec<&str> = text.split_inclusive('\n').take(counted).collect();
        if lines.len() < counted {
            return Err(format!("{} lines, and {counted} stanzas count", lines.len()).into());
        }
        file.set_len(lines.iter().map(|line| line.len() as u64).sum())?; // at once, or not at all
        let highest = lines.iter().filter_map(|line| line.trim_end().parse().ok()).max();
        Ok(Self { file, lines: counted, highest: highest.unwrap_or_default() })
    }

    fn note(&mut self, stanza: &Element) -> Result<(), Box<dyn Error>> {
        let number = number(stanza);
        let line = number.map_or_else(|| stanza.to_xml(), |number| number.to_string());
        self.file.write_all(format!("{line}\n").as_bytes())?; // in one piece
        self.lines += 1;
        self.highest = self.highest.max(number.unwrap_or_default());
        Ok(())
    }
}

fn heard(folder: &Path) -> Result<Vec<usize>, Box<dyn Error>> {
    let text = fs::read_to_string(folder.join(LOG))?;
    text.lines().map(|line| line.parse().map_err(|_| line.into())).collect()
}

/// A session in a file that is replaced as a whole.
struct AtomicFile(PathBuf);

impl SessionStore for AtomicFile {
    fn load(&self) -> Result<Option<StoredSession>, SessionStoreError> {
        match fs::read_to_string(&self.0) {
            Ok(json) => StoredSession::from_json(&json).map(Some).map_err(refused),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    fn save(&self, session: &StoredSession) -> Result<(), SessionStoreError> {
        let new = self.0.with_extension("new");
        fs::write(&new, &**session.to_json()).map_err(refused)?;
        fs::rename(new, &self.0).map_err(refused)
    }

    fn remove(&self) -> Result<(), SessionStoreError> {
        fs::remove_file(&self.0).map_err(refused)
    }
}

fn refused(error: impl ToString) -> SessionStoreError {
    SessionStoreError::because(error.to_string())
}

/// The first argument of a process that plays one side.
pub(crate) const AS_A_TALKER: &str = "as-a-talker";
/// What it says once it has sent and heard everything.
const DONE: &str = "done";
/// After how many messages it says how far it is.
const PROGRESS: usize = 100;
const LOG: &str = "heard.txt";
/// Within which a process is killed after it was started, or once it is online.
const STARTING: Duration = Duration::from_millis(300);
const TALKING: Duration = Duration::from_millis(60);
const GLANCE: Duration = Duration::from_millis(2);
const AFTERMATH: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
