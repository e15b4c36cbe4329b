//! The command as people and programs meet it: a process with arguments, files and a terminal.

mod bosh;
mod cases;
mod chat;
mod logins;
mod pins;
mod probe;
#[cfg(target_os = "linux")]
mod prompt;
mod reports;
mod serving;
mod support;
mod tokens;
