//! The command `epode`: log in to XMPP servers, see why a login fails, try it on a server in the
//! box. What a login is lives in the library; here are flags, files, words and exit codes.

mod args;
mod chat;
mod client;
mod commands;
mod exit;
mod interrupt;
mod key_file;
mod output;
mod pin_file;
mod private_folder;
mod probe;
mod report_lines;
mod secret_file;
mod secrets;
mod session_file;
mod shell_word;
mod status_lines;
mod web_page;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    args::Cli,
    exit::{Exit, Failure},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // nobody is left to tell
            return if error.use_stderr() { Exit::Usage } else { Exit::Connected }.into();
        }
    };
    // The panic's own message is on the screen by then.
    let result = catch_unwind(AssertUnwindSafe(|| run(cli))).unwrap_or(Ok(Exit::Internal));
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report();
            failure.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::internal(format!("no event loop: {error}")))?;
    let result = runtime.block_on(commands::run(cli.command));
    // A name lookup that was given up must not keep the process.
    runtime.shutdown_background();
    result
}
