//! The project's own commands, for people and CI alike: `cargo xtask help`.
//!
//! It depends on nothing but the standard library, so that it is there within seconds.

mod apt;
mod audit;
mod backports;
mod failure;
mod npm;
mod places;
mod rust;
mod servers;
mod step;
mod tool;
mod wasm;
mod web;
mod workspace;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match step::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
