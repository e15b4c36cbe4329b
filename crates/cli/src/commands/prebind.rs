//! `prebind`: log in over BOSH, and leave the session to whoever takes it over.

use std::time::Duration;

use epode::{Attachment, Error, PrivateFile};
use serde::Serialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{
    args::PrebindArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::{Output, printable, printable_json},
    secrets, status_lines,
};

pub(crate) async fn run(args: &PrebindArgs) -> Result<Exit, Failure> {
    client::require_bosh(&args.client, "prebind")?;
    if let Some(path) = &args.out {
        PrivateFile::new(path).check().map_err(|error| Failure::usage(error.to_string()))?;
    }
    let builder = client::builder(&args.jid, &args.client)?;
    let given = secrets::resolve(&args.jid, &args.client)?;
    let source = given.source.clone();
    let mut builder = client::entrust(builder, given);
    let statuses = status_lines::watch(builder.watch());
    let limit = Duration::from_secs(args.client.connection.server.timeout);
    let login = async {
        let session = builder.connect().await?;
        let handed_over = timeout(limit, session.hand_over()).await;
        if handed_over.is_err() {
            let _ = session.disconnect().await; // nobody will take it over
        }
        Ok::<_, Error>(handed_over)
    };
    let (handed_over, seen) = unless_interrupted(async { tokio::join!(login, statuses) }).await?;
    let failure = |error: &Error| client::failure(error, &seen, &source, &args.client);
    let handed_over = handed_over.map_err(|error| failure(&error))?.map_err(|_| {
        Failure::new(Exit::TimedOut, "logged in, but the server kept the session busy")
            .hint("--timeout SECONDS gives it more time")
    })?;
    leave(args, &handed_over.map_err(|error| failure(&error))?)?;
    Ok(Exit::Connected)
}

/// Prints the session, or saves it.
fn leave(args: &PrebindArgs, attachment: &Attachment) -> Result<(), Failure> {
    let json = attachment.to_json();
    let Some(path) = &args.out else {
        let line = Zeroizing::new(format!("{}\n", printable_json(&json)));
        return Output::new(true).text(&line);
    };
    let line = Zeroizing::new(format!("{}\n", *json));
    PrivateFile::new(path).write(line.as_bytes()).map_err(|error| {
        Failure::usage(format!("logged in, but the session is not saved: {error}"))
    })?;
    let output = Output::new(args.client.connection.json);
    let saved = Saved { saved: path.display().to_string(), jid: attachment.jid().to_string() };
    output.line(&printable(&format!("saved the session of {} to {}", saved.jid, saved.saved)))?;
    output.object(&saved)
}

#[derive(Serialize)]
struct Saved {
    saved: String,
    jid: String,
}
