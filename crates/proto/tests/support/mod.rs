//! What the test files share: conversations read from files, and a driver without socket and clock.
//! What is right and what is wrong is decided in the test files.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod case;
mod custom;
mod driver;
mod tape;

pub(crate) use self::{
    case::Case,
    driver::{Driver, Move, ServerHalf, error_of, play, play_watched},
    tape::{Cut, Point, Tape},
};
