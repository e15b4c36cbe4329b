//! The server on real and in-memory transports.
//!
//! Leaves out what is said over them: that is `session`, and `script`.

mod bosh;
mod certificate_addresses;
mod certificates;
mod early_stream;
mod http;
mod listen;
mod memory;
mod own_pages;
mod scripted;
mod scripted_stream;
mod shutdown;
mod tcp;
mod tls;
mod web_files;
mod websocket;

pub(crate) use bosh::BoshSessions;
pub use certificates::{
    CertificateNames, CertificateSignature, CertificateValidity, ClientCertificate,
};
pub use listen::{ListenOptions, Running};
pub use scripted::{Outcome, RunningScript, listen_script};
pub use tls::{EarlyData, TlsVersions};
pub(crate) use web_files::{WebFile, WebFiles};
