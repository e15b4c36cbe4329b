//! One client's conversation with the server, without any transport.
//!
//! Leaves out sockets and deadlines, which the listeners have.

mod authenticating;
mod bound;
mod client_state;
pub(crate) mod component;
pub(crate) mod conditions;
mod features;
mod hibernation;
pub(crate) mod machine;
pub(crate) mod sasl2;
mod seat;
pub(crate) mod services;
mod starttls;
mod stream_management;
pub(crate) mod tcp;
mod undelivered;
mod websocket;

#[cfg(test)]
mod tests;

use epode_proto::Jid;
use epode_proto::xml::Limits;

use crate::hub::Delivery;
use conditions::StreamCondition;
use machine::{Machine, Said};
pub use sasl2::Sasl2Fault;
pub(crate) use seat::Place;
pub(crate) use services::Rosters;

/// What the server knows of a connection's channel.
///
/// ```
/// use epode_testpeer::{Server, SessionChannel};
///
/// let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
/// let server = Server::builder("localhost").account("alice", "secret").build();
/// let channel = SessionChannel::encrypted().with_binding("tls-exporter", [7; 32]);
/// assert!(server.session(channel).receive(open)[1].contains("SCRAM-SHA-256-PLUS"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChannel {
    encrypted: bool,
    certificate: Vec<String>,
    bindings: Vec<Binding>,
    /// The number of its version of TLS, if it has one and it is known.
    tls_version: Option<u16>,
    /// STARTTLS can encrypt it.
    can_secure: bool,
    /// It is made of requests, which are acknowledged in another way (XEP-0124, section 9).
    is_bosh: bool,
    /// What is said is early data of TLS: somebody may say it again.
    is_early: bool,
}

/// A conversation over a byte stream.
pub(crate) trait Conversation {
    /// Takes bytes as they arrived, and gives the bytes to send.
    fn receive(&mut self, bytes: &[u8]) -> String;

    /// Waits for other sessions, for ever if there can be none. Nothing is lost when dropped early.
    fn delivery(&mut self) -> impl Future<Output = Option<Delivery>> + Send;

    /// Takes what came from another session; `None` when there was too much of it.
    fn deliver(&mut self, delivery: Option<Delivery>) -> String;

    /// Ends the stream for a reason of the server's.
    fn end(&mut self, condition: StreamCondition) -> String;

    /// Whether the peer has said who it is, which it has to within some time.
    fn is_established(&self) -> bool;

    /// Whether the client was told to begin the handshake of TLS.
    fn is_securing(&self) -> bool {
        false
    }

    fn is_closed(&self) -> bool;
}

/// Channel binding data, as the server's end has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    kind: String,
    data: Vec<u8>,
}

/// One WebSocket connection's conversation: text frames in, text frames out (RFC 7395).
///
/// Dropped before `<close/>`, it is a connection that broke: a session that can be resumed
/// (XEP-0198) waits for that in a task of the tokio runtime, if there is one here.
///
/// ```
/// use epode_testpeer::{Server, SessionChannel};
///
/// let server = Server::builder("localhost").account("alice", "secret").build();
/// let mut session = server.session(SessionChannel::plaintext());
/// let frames = session.receive(
///     "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>",
/// );
/// assert!(frames[0].starts_with("<open "));
/// assert!(frames[1].contains("<mechanism>SCRAM-SHA-512</mechanism>"));
/// ```
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    limits: Limits,
}

impl SessionChannel {
    /// A channel that anybody on the way can read.
    #[must_use]
    pub fn plaintext() -> Self {
        Self::default()
    }

    /// A channel that TLS or the like protects.
    #[must_use]
    pub fn encrypted() -> Self {
        Self { encrypted: true, ..Self::default() }
    }

    /// The client has shown a certificate that holds this address; call it again for one more.
    #[must_use]
    pub fn with_certificate(mut self, address: impl Into<String>) -> Self {
        self.certificate.push(address.into());
        self
    }

    /// The server's end has this data of this type, by its registered name such as
    /// `tls-exporter`; in place of data of the same type. The order is that of XEP-0440's list.
    #[must_use]
    pub fn with_binding(mut self, kind: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        let kind = kind.into();
        self.bindings.retain(|binding| binding.kind != kind);
        self.bindings.push(Binding { kind, data: data.into() });
        self
    }

    /// The connection has this version of TLS, by its number: 0x0304 is 1.3 (XEP-0515).
    #[must_use]
    pub fn with_tls_version(mut self, version: u16) -> Self {
        self.tls_version = Some(version);
        self
    }

    /// Has nothing of this type to bind to.
    pub(crate) fn without_binding(mut self, kind: &str) -> Self {
        self.bindings.retain(|binding| binding.kind != kind);
        self
    }

    /// The transport can do the handshake of STARTTLS.
    pub(crate) fn with_starttls(mut self) -> Self {
        self.can_secure = true;
        self
    }

    /// The stream goes over BOSH.
    pub(crate) fn over_bosh(mut self) -> Self {
        self.is_bosh = true;
        self
    }

    /// The handshake of TLS is not over.
    pub(crate) fn in_early_data(mut self) -> Self {
        self.is_early = true;
        self
    }

    pub(crate) fn is_early(&self) -> bool {
        self.is_early
    }

    pub(crate) fn is_bosh(&self) -> bool {
        self.is_bosh
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    pub(crate) fn can_secure(&self) -> bool {
        self.can_secure
    }

    pub(crate) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    pub(crate) fn tls_version(&self) -> Option<u16> {
        self.tls_version
    }

    pub(crate) fn certificate(&self) -> &[String] {
        &self.certificate
    }
}

impl Binding {
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Makes it differ from what it was.
    pub(crate) fn spoil(&mut self) {
        self.data.push(0);
    }
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Binding({}, {} bytes)", self.kind, self.data.len())
    }
}

impl Session {
    pub(crate) fn new(machine: Machine, limits: Limits) -> Self {
        Self { machine, limits }
    }

    /// Takes one text frame of the client's, and gives the frames that answer it.
    pub fn receive(&mut self, frame: &str) -> Vec<String> {
        let heard = websocket::decode(frame.as_bytes(), &self.limits);
        encode(&self.machine.handle(heard))
    }

    /// Gives the frames that other sessions have caused since the last call.
    pub fn take_routed(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        while let Some(delivery) = self.machine.poll_delivery() {
            frames.extend(encode(&self.machine.deliver(delivery)));
        }
        frames
    }

    /// The address that was bound, while it is.
    #[must_use]
    pub fn jid(&self) -> Option<&Jid> {
        self.machine.jid()
    }

    /// Whether the conversation is over; the transport can be closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.machine.is_closed()
    }

    /// Waits for other sessions, for ever if there can be none.
    pub(crate) async fn delivery(&mut self) -> Option<Delivery> {
        self.machine.delivery().await
    }

    pub(crate) fn deliver(&mut self, delivery: Option<Delivery>) -> Vec<String> {
        encode(&self.machine.deliver(delivery))
    }

    /// Ends the conversation for a reason of the server's.
    pub(crate) fn end(&mut self, condition: StreamCondition) -> Vec<String> {
        encode(&self.machine.end(condition))
    }
}

fn encode(said: &[Said]) -> Vec<String> {
    said.iter().map(websocket::encode).collect()
}
