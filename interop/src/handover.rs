//! A BOSH session goes from one process to another: this program is the one, and starts the other.
//!
//! What makes a session fit to be taken over is the client's to say.

use std::{error::Error, path::Path, process::Stdio, sync::Arc, time::Duration};

use epode::{Attachment, Builder, Element, FileSessions, Session, StatusCode, StatusEvents};
use epode_interop::{Release, Rig};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    scenes::{Played, client},
    servers::ALICE,
};

/// One process logs in and prints what it takes to go on; another one reads that and goes on.
pub(crate) async fn prebind(rig: &Rig, url: &str) -> Result<Played, Box<dyn Error>> {
    let no_file = Path::new("");
    let handed_over = run(start(rig, Part::LogIn, url, no_file)?, "").await?;
    let words = run(start(rig, Part::Attach, url, no_file)?, &handed_over).await?;
    Ok(Played::new(words, format!("{} bytes of JSON went over", handed_over.len())))
}

/// One process is killed while it is online; another one finds its session in a file and goes on.
pub(crate) async fn restore(
    rig: &Rig,
    server: &Release,
    url: &str,
) -> Result<Played, Box<dyn Error>> {
    let session_file = rig.folder().join(server.name).join("session.json");
    let mut first = start(rig, Part::Stay, url, &session_file)?;
    let mut words = String::new();
    let output = first.stdout.take().ok_or("a process without output")?;
    BufReader::new(output).read_line(&mut words).await?;
    first.kill().await?; // SIGKILL: it can say and write nothing more
    let note = format!("the first process said: {}", words.trim());
    let words = run(start(rig, Part::Restore, url, &session_file)?, "").await?;
    Ok(Played::new(words, note))
}

/// Nobody has a session with this id.
pub(crate) async fn wrong_sid(rig: &Rig, url: &str) -> Result<Played, Box<dyn Error>> {
    let jid = format!("{ALICE}/nobody").parse()?;
    refused(rig, url, &Attachment::new(jid, "no-such-session", 1_000)?).await
}

/// The session is there, and its next request has another id by far.
pub(crate) async fn wrong_rid(rig: &Rig, url: &str) -> Result<Played, Box<dyn Error>> {
    let session = client(rig.certificates().authority_file(), ALICE, url)?.connect().await?;
    let right = session.attachment().ok_or("a session without an attachment")?;
    let wrong = Attachment::new(right.jid().clone(), right.sid(), right.rid() + 1_000)?;
    let played = refused(rig, url, &wrong).await;
    let _ = session.disconnect().await; // the server may have ended it
    played
}

async fn refused(rig: &Rig, url: &str, wrong: &Attachment) -> Result<Played, Box<dyn Error>> {
    let mut builder = client(rig.certificates().authority_file(), ALICE, url)?;
    let statuses = builder.watch();
    let refusal = match builder.attach(wrong).await {
        Ok(session) => return Ok(Played::new("attached", session.jid().to_string())),
        Err(error) => error,
    };
    let failed = has(statuses, StatusCode::AttachFail).await;
    let status = if failed { "ATTACHFAIL" } else { "no ATTACHFAIL" };
    Ok(Played::new(format!("{status} {}", refusal.condition()), refusal.to_string()))
}

/// What the other process does.
#[derive(Clone, Copy)]
enum Part {
    /// Logs in, hands the session over, and prints it.
    LogIn,
    /// Reads a session, takes it over, speaks, and closes it.
    Attach,
    /// Logs in, keeps the session in a file, and stays online.
    Stay,
    /// Goes on with the session in the file, speaks, and closes it.
    Restore,
}

impl Part {
    const ALL: [Self; 4] = [Self::LogIn, Self::Attach, Self::Stay, Self::Restore];

    fn name(self) -> &'static str {
        match self {
            Self::LogIn => "log-in",
            Self::Attach => "attach",
            Self::Stay => "stay",
            Self::Restore => "restore",
        }
    }

    async fn play(self, builder: Builder, session_file: &str) -> Result<(), Box<dyn Error>> {
        let store = Arc::new(FileSessions::new(session_file));
        match self {
            Self::LogIn => {
                let session = builder.connect().await?;
                println!("{}", *session.hand_over().await?.to_json());
            }
            Self::Attach => {
                let attachment = Attachment::from_json(&read_all().await?)?;
                go_on(builder, async |builder| builder.attach(&attachment).await).await?;
            }
            Self::Stay => {
                let session = builder.sessions(store).connect().await?;
                println!("online as {}", session.jid());
                read_all().await?; // until the one that started it is gone, at the latest
            }
            Self::Restore => {
                let builder = builder.sessions(store);
                go_on(builder, async |builder| builder.restore().await).await?;
            }
        }
        Ok(())
    }
}

/// Starts this program once more, for a part. No secret is among its arguments, which all users of
/// the machine can read.
fn start(rig: &Rig, part: Part, url: &str, session_file: &Path) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([AS_ANOTHER_PROCESS, part.name(), url])
        .arg(rig.certificates().authority_file())
        .arg(session_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Gives a process its input, waits for its end, and returns what it printed.
async fn run(mut process: Child, input: &str) -> Result<String, Box<dyn Error>> {
    let mut stdin = process.stdin.take().ok_or("a process without input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = process.wait_with_output().await?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Err(format!("the other process ended with {}", output.status).into())
}

/// Plays a part in another process: see [`Part`]. What it prints is for the one that started it.
///
/// # Errors
/// What went wrong, also when it takes too long.
pub(crate) async fn play_part(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [name, url, authority, session_file] = arguments else {
        return Err("a part, a URL and two files are wanted".into());
    };
    let part = Part::ALL.into_iter().find(|part| part.name() == name).ok_or("no such part")?;
    let builder = client(Path::new(authority), ALICE, url)?;
    timeout(PART_WITHIN, part.play(builder, session_file)).await?
}

/// Takes a session over, says something to itself, hears it, and closes the session.
async fn go_on(
    mut builder: Builder,
    take_over: impl AsyncFnOnce(Builder) -> Result<Session, epode::Error>,
) -> Result<(), Box<dyn Error>> {
    let statuses = builder.watch();
    let mut session = take_over(builder).await?;
    let body = Element::new("body", CLIENT).with_text("Is it still me?");
    let message = Element::new("message", CLIENT).with_attr("to", session.jid().to_string());
    session.send(message.with_attr("type", "chat").with_child(body.clone())).await?;
    while let Some(stanza) = session.receive().await {
        if stanza.child("body", CLIENT).is_some_and(|heard| heard.text() == body.text()) {
            session.disconnect().await?;
            let attached = has(statuses, StatusCode::Attached).await;
            println!("{}", if attached { "attached and online" } else { "no ATTACHED" });
            return Ok(());
        }
    }
    Err("the session ended before its message came".into())
}

/// Whether a status was among those of a connection that has ended.
async fn has(mut statuses: StatusEvents, wanted: StatusCode) -> bool {
    while let Some(status) = statuses.next().await {
        if status.code() == wanted {
            return true;
        }
    }
    false
}

async fn read_all() -> std::io::Result<String> {
    let mut text = String::new();
    tokio::io::stdin().read_to_string(&mut text).await?;
    Ok(text)
}

/// The first argument of a process that plays a part.
pub(crate) const AS_ANOTHER_PROCESS: &str = "as-another-process";
const CLIENT: &str = "jabber:client";
const PART_WITHIN: Duration = Duration::from_secs(30);
