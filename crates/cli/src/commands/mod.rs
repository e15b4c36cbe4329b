//! The commands, a file each.

mod chat;
mod completions;
mod demo;
mod explain;
mod keys;
mod login;
mod logout;
mod man;
mod prebind;
mod probe;
mod send;
mod serve;

use crate::{
    args::{Command, KeysCommand},
    exit::{Exit, Failure},
};

/// Runs the command.
pub(crate) async fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => demo::run(&args).await,
        Command::Serve(args) => serve::run(&args).await,
        Command::Login(args) => login::run(&args).await,
        Command::Logout(args) => logout::run(args).await,
        Command::Explain(args) => explain::run(&args).await,
        Command::Probe(args) => probe::run(&args).await,
        Command::Send(args) => send::run(&args).await,
        Command::Chat(args) => chat::run(&args).await,
        Command::Prebind(args) => prebind::run(&args).await,
        Command::Keys(KeysCommand::Derive(args)) => keys::derive(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
