//! The name and version of a program (XEP-0092).
//!
//! The operating system is told only if the application says so.

use epode_proto::{Element, Jid, dispatch::TooManyHandlers, stanza::Iq};

use super::{Answering, ServiceError, content};
use crate::Outbox;

/// What a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it runs on, if it tells.
    pub os: Option<String>,
}

impl Version {
    /// A program that does not tell what it runs on.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), os: None }
    }

    /// Tells what it runs on.
    #[must_use]
    pub fn with_os(mut self, os: impl Into<String>) -> Self {
        self.os = Some(os.into());
        self
    }
}

impl From<Version> for Element {
    fn from(version: Version) -> Self {
        let Version { name, version, os } = version;
        let parts = [("name", Some(name)), ("version", Some(version)), ("os", os)];
        let mut query = Self::new("query", NAMESPACE);
        for (part, text) in parts {
            if let Some(text) = text {
                query.push(Self::new(part, NAMESPACE).with_text(text));
            }
        }
        query
    }
}

/// Asks somebody.
///
/// # Errors
///
/// [`ServiceError::BadAnswer`] if name or version is missing; else as [`Outbox::send_iq`].
pub async fn ask(outbox: &Outbox, to: &Jid) -> Result<Version, ServiceError> {
    let answer = outbox.send_iq(Iq::get(Element::new("query", NAMESPACE)).to(to)).await?;
    let query = content(&answer, "query", NAMESPACE)?;
    let part = |name| query.child(name, NAMESPACE).map(Element::text);
    let name = part("name").ok_or(ServiceError::BadAnswer("a version without a name"))?;
    let version = part("version").ok_or(ServiceError::BadAnswer("a name without a version"))?;
    Ok(Version { name, version, os: part("os") })
}

/// Answers whoever asks us.
///
/// # Errors
///
/// [`TooManyHandlers`] if as many handlers are registered as the session allows.
pub fn answer(outbox: &Outbox, version: Version) -> Result<Answering, TooManyHandlers> {
    let answer = Element::from(version);
    Answering::requests(outbox, "get", ("query", NAMESPACE), move |_, _| Ok(Some(answer.clone())))
}

/// The feature to announce ([`Registry::add_feature`](super::disco::Registry::add_feature)).
pub const NAMESPACE: &str = "jabber:iq:version";
