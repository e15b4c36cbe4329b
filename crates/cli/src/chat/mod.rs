//! The parts of `epode chat`: what is typed, what becomes of it, what there is to show, and how.
//! The conversation itself is in `commands/chat.rs`.

mod event;
mod input;
mod own_lines;
mod screen;

pub(crate) use event::{Event, Mark, now, show_of};
pub(crate) use input::{Typed, read_lines};
pub(crate) use own_lines::{OwnLines, Report, send_lines};
pub(crate) use screen::Screen;
