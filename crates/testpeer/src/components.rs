//! The external components of a server (XEP-0114): which there may be, and which are connected.
//!
//! Leaves out what is said on their streams.

use std::sync::{Mutex, MutexGuard, PoisonError};

use epode_proto::xml::Element;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc::{self, Receiver, Sender};
use zeroize::Zeroizing;

use crate::hub::Delivery;
use crate::sasl::hash::Hash;
use crate::server::Server;

/// The components of one server.
#[derive(Debug, Default)]
pub(crate) struct Components(Vec<Component>);

struct Component {
    domain: String,
    secret: Zeroizing<String>,
    connected: Mutex<Option<Sender<Delivery>>>,
}

/// A component's connection, given up when dropped.
#[derive(Debug)]
pub(crate) struct Attachment {
    server: Server,
    domain: String,
    mailbox: Receiver<Delivery>,
}

/// Why a component does not get its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not know the secret.
    Secret,
    /// It is connected already.
    Connected,
}

impl Components {
    /// One more, or another secret of one that there is.
    pub(crate) fn add(&mut self, domain: &str, secret: &str) {
        self.0.retain(|it| !it.domain.eq_ignore_ascii_case(domain));
        let secret = Zeroizing::new(secret.to_owned());
        self.0.push(Component { domain: domain.to_owned(), secret, connected: Mutex::default() });
    }

    pub(crate) fn domains(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|component| component.domain.as_str())
    }

    pub(crate) fn is_component(&self, domain: &str) -> bool {
        self.find(domain).is_some()
    }

    /// Delivers to the component; whether it got it.
    pub(crate) fn deliver(&self, domain: &str, stanza: &Element) -> bool {
        let Some(component) = self.find(domain) else { return false };
        let mut connected = component.lock();
        let Some(mailbox) = connected.as_ref() else { return false };
        let delivered = mailbox.try_send(Delivery::Stanza(Box::new(stanza.clone()))).is_ok();
        if !delivered {
            // One that does not read loses its place, and its mailbox closes.
            *connected = None;
        }
        delivered
    }

    fn find(&self, domain: &str) -> Option<&Component> {
        self.0.iter().find(|component| component.domain.eq_ignore_ascii_case(domain))
    }
}

impl Component {
    /// Whether this is the handshake of the stream with this id (XEP-0114, section 3).
    fn admits(&self, stream_id: &str, handshake: &str) -> bool {
        let message = Zeroizing::new([stream_id, &self.secret].concat());
        let digest = Hash::Sha1.digest(message.as_bytes());
        let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        expected.as_bytes().ct_eq(handshake.as_bytes()).into()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sender<Delivery>>> {
        // A single value is never half changed.
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachment {
    /// Connects the component of this domain, whose stream has this id.
    pub(crate) fn new(
        server: &Server,
        domain: &str,
        stream_id: &str,
        handshake: &str,
    ) -> Result<Self, Refused> {
        let component = server.components().find(domain).ok_or(Refused::Secret)?;
        if !component.admits(stream_id, handshake) {
            return Err(Refused::Secret);
        }
        let mut connected = component.lock();
        if connected.is_some() {
            return Err(Refused::Connected);
        }
        let (sender, mailbox) = mpsc::channel(server.limits().mailbox.max(1));
        *connected = Some(sender);
        Ok(Self { server: server.clone(), domain: component.domain.clone(), mailbox })
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Waits for the mailbox; `None` when it has overflown. Nothing is lost when dropped early.
    pub(crate) async fn delivery(&mut self) -> Option<Delivery> {
        self.mailbox.recv().await
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let Some(component) = self.server.components().find(&self.domain) else { return };
        let mut connected = component.lock();
        // After an overflow, another may be in its place.
        self.mailbox.close();
        if connected.as_ref().is_some_and(Sender::is_closed) {
            *connected = None;
        }
    }
}

impl std::fmt::Debug for Component {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("domain", &self.domain).finish_non_exhaustive()
    }
}
