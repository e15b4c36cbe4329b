//! `man`: manual pages, made from the same words as the help.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::{
    args::{Cli, ManArgs},
    exit::{Exit, Failure},
    output::Output,
};

pub(crate) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build(); // gives the commands below it their whole names
    let mut wanted = &command;
    for name in &args.command {
        wanted = wanted.find_subcommand(name).ok_or_else(|| {
            let known = wanted.get_subcommands().map(clap::Command::get_name);
            let known: Vec<_> = known.collect();
            let place = wanted.get_bin_name().unwrap_or("epode");
            let failure = Failure::usage(format!("{place} has no command {name:?}"));
            if known.is_empty() {
                failure
            } else {
                failure.hint(format!("it has: {}", known.join(", ")))
            }
        })?;
    }
    let mut page = Vec::new();
    Man::new(wanted.clone())
        .source(concat!("epode ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .map_err(|error| Failure::internal(format!("cannot make the page: {error}")))?;
    Output::new(false).text(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Connected)
}
