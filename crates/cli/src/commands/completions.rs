//! `completions`: a script that completes this command line in a shell.

use clap::CommandFactory;

use crate::{
    args::{Cli, CompletionsArgs},
    exit::{Exit, Failure},
    output::Output,
};

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "epode", &mut script);
    Output::new(false).text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Connected)
}
