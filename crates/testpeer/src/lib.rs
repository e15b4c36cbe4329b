//! A small true XMPP server for tests, demos and benches: honest, or scripted to misbehave.
//!
//! Leaves out what such a server does not need: subscriptions, federation, storage.
//!
//! * [`Server`] is honest. It has accounts, the server's side of thirteen SASL mechanisms, binding,
//!   and routing between its sessions, which outlive their connections (XEP-0198), and external
//!   components (XEP-0114). [`Server::session`] is one conversation without transport.
//! * [`Server::listen`] puts it on ports, with STARTTLS, TLS and certificates made on the spot:
//!   TCP, and HTTP for WebSocket and BOSH. [`Server::memory_link`] does without ports.
//! * [`script`] plays what an honest server never would, word for word. What it would not do with
//!   the requests of BOSH is a [`BoshFault`].
//!
//! One visit, without any transport:
//!
//! ```
//! use epode_testpeer::{Server, SessionChannel};
//!
//! let server = Server::builder("localhost").account("alice", "secret").build();
//! let mut session = server.session(SessionChannel::plaintext());
//!
//! let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
//! assert!(session.receive(open)[1].contains("<mechanism>PLAIN</mechanism>"));
//!
//! // NUL alice NUL secret
//! let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' \
//!             mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>";
//! assert!(session.receive(auth)[0].starts_with("<success "));
//! assert!(session.receive(open)[1].contains("<bind "));
//!
//! let bind = "<iq xmlns='jabber:client' type='set' id='1'>\
//!             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>home</resource></bind>\
//!             </iq>";
//! assert!(session.receive(bind)[0].contains("<jid>alice@localhost/home</jid>"));
//!
//! let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
//! assert_eq!(session.receive(close), [close]);
//! assert!(session.is_closed());
//! ```

mod accounts;
mod bosh;
mod builder;
mod components;
mod escape;
mod fast;
mod hub;
mod offer;
mod random;
mod resumption;
mod routing;
mod sasl;
pub mod script;
mod server;
mod session;
mod transport;

pub use bosh::BoshFault;
pub use builder::ServerBuilder;
pub use hub::ResourceConflict;
pub use offer::{BindingList, DowngradeHash, VersionClaim};
pub use sasl::SaslCondition;
pub use server::{LegacySession, Limits, Server, StartTls};
pub use session::{Sasl2Fault, Session, SessionChannel};
pub use transport::{
    CertificateNames, CertificateSignature, CertificateValidity, ClientCertificate, EarlyData,
    ListenOptions, Outcome, Running, RunningScript, TlsVersions, listen_script,
};
