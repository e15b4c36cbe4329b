//! Real XMPP servers for tests: started in a temporary folder on free loopback ports, and stopped.
//!
//! It installs nothing (`cargo xtask interop` does) and speaks no XMPP: the binary of this package
//! logs in with `epode`. Linux only, since the servers come from Debian's packages.
//!
//! A [`Rig`] holds the folder and the certificates; a [`Server`] is a value that stops its process
//! when it is dropped, and a [`Release`] says which one it is. Signals are the caller's: raise
//! [`Rig::stop`] and every wait ends early.
//!
//! ```no_run
//! use epode_interop::{Release, Rig, Server, Transport};
//!
//! # fn main() -> Result<(), epode_interop::Error> {
//! let rig = Rig::new()?;
//! let mut prosody = Server::start(&rig, &Release::PROSODY_0_12)?;
//! prosody.wait_until_ready()?;
//! prosody.register("alice", "localhost", "secret")?;
//! println!("log in through {}", prosody.url(Transport::Starttls));
//! # Ok(())
//! # }
//! ```

mod certificates;
mod cutting_proxy;
mod ejabberd;
mod error;
mod http;
mod ports;
mod process;
mod prosody;
mod release;
mod report;
mod rig;
mod server;
mod stop;
mod template;
mod token_validator;

pub use certificates::{Authority, Certificates, ClientCertificate};
pub use cutting_proxy::{Cuts, CuttingProxy, Dice, Place, Side};
pub use error::Error;
pub use release::{BRIEF, Release, Software};
pub use report::Table;
pub use rig::Rig;
pub use server::{Ports, Server, Transport};
pub use stop::Stop;
pub use token_validator::TokenValidator;
