//! The server on real and in-memory transports.
//!
//! Leaves out what is said over them: that is `session`, and `script`.

mod certificate_addresses;
mod certificates;
mod listen;
mod memory;
mod scripted;
mod shutdown;
mod tcp;
mod websocket;

pub use certificates::ClientCertificate;
pub use listen::{ListenOptions, Running};
pub use scripted::{Outcome, RunningScript, listen_script};
