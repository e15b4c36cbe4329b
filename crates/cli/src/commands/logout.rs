//! `logout`: have the server forget the token that `login --fast` keeps, and delete it.

use crate::{
    args::LogoutArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::Output,
    secrets::Source,
    status_lines,
};

pub(crate) async fn run(args: LogoutArgs) -> Result<Exit, Failure> {
    let (jid, args) = args.into_client();
    let tokens = client::tokens()?;
    let output = Output::new(args.connection.json);
    let was_kept = client::has_token(&tokens, &jid)?;
    let mut builder = client::builder(&jid, &args)?.tokens(tokens.clone());
    let statuses = status_lines::watch(builder.watch());
    let work = async { tokio::join!(builder.log_out(), statuses) };
    let (result, seen) = unless_interrupted(work).await?;
    let invalidated =
        result.map_err(|error| client::failure(&error, &seen, &Source::KeptToken, &args))?;
    let words = match (was_kept, invalidated) {
        (_, true) => "logged out: the server takes the token no more, and it is deleted",
        (true, false) => "the server did not take the token any more; it is deleted",
        (false, false) => "there is no token of this account, so nothing was done",
    };
    if output.is_json() {
        output.object(&serde_json::json!({ "invalidated": invalidated, "deleted": was_kept }))?;
    } else {
        output.line(words)?;
    }
    Ok(Exit::Connected)
}
