//! Real XMPP servers for tests: started in a temporary folder on free loopback ports, and stopped.
//!
//! It installs nothing (`cargo xtask interop` does) and speaks no XMPP: the binary of this package
//! logs in with `epode`. Linux only, since the servers come from Debian's packages.
//!
//! A [`Rig`] holds the folder and the certificates; each server is a value that stops its process
//! when it is dropped. Signals are the caller's: raise [`Rig::stop`] and every wait ends early.
//!
//! ```no_run
//! use epode_interop::{Prosody, Rig};
//!
//! # fn main() -> Result<(), epode_interop::Error> {
//! let rig = Rig::new()?;
//! let prosody = Prosody::start(&rig)?;
//! prosody.register("alice", "localhost", "secret")?;
//! println!("log in through {}", prosody.wss_url());
//! # Ok(())
//! # }
//! ```

mod certificates;
mod ejabberd;
mod error;
mod ports;
mod process;
mod prosody;
mod report;
mod rig;
mod stop;
mod template;
mod token_validator;

pub use certificates::{Certificates, ClientCertificate};
pub use ejabberd::Ejabberd;
pub use error::Error;
pub use prosody::Prosody;
pub use report::Table;
pub use rig::Rig;
pub use stop::Stop;
pub use token_validator::TokenValidator;
