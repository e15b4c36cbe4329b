//! What people expect of a client beside its connection, a module for each specification.
//!
//! They use nothing that another program could not: [`Outbox`] and [`Handlers`]. None is there
//! unless it is asked for, and what is to be asked again in a new session is left to the
//! application, which [watches](crate::Builder::watch) for one.
//!
//! ```
//! use epode::{Element, services::{disco, version::{self, Version}}, stanza::Presence};
//! # use epode::{Client, sasl::Channel};
//! # use epode_testpeer::{Server, SessionChannel};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Server::builder("localhost").account("alice", "secret").build();
//! # let link = server.memory_link(SessionChannel::encrypted());
//! # let client = Client::builder("alice@localhost")?.password("secret");
//! # let client = client.endpoint("wss://localhost/xmpp-websocket")?;
//! # let session = client.over(link, Channel::encrypted()).connect().await?;
//! let outbox = session.outbox();
//!
//! // Say what we are, and answer when we are asked.
//! let identity = disco::Identity::new("client", "bot").with_name("Example");
//! let registry = disco::Registry::new("https://example.org/bot", identity);
//! registry.add_feature(version::NAMESPACE);
//! let _answering = [
//!     registry.answer(&outbox)?,
//!     version::answer(&outbox, Version::new("Example", "1.0"))?,
//! ];
//! outbox.send(Presence::available().with(registry.capabilities())).await?;
//!
//! // Ask somebody else.
//! let info = disco::info(&outbox, &"localhost".parse()?, None).await?;
//! assert!(info.has_feature("urn:xmpp:carbons:2"));
//! # session.disconnect().await?;
//! # Ok(())
//! # }
//! ```

pub mod carbons;
pub mod disco;
pub mod entity_caps;
pub mod ping;
pub mod presence;
pub mod receipts;
pub mod roster;
pub mod version;

use std::{fmt, ops::ControlFlow};

use epode_proto::{
    Element,
    dispatch::{HandlerId, Pattern, TooManyHandlers},
    stanza::{Iq, StanzaError},
};

use crate::{Handlers, Outbox, RequestError};

/// Why a question has no good answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// There is no answer, or it is a refusal.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Whoever answered did so wrongly.
    #[error("the answer is not as it should be: {0}")]
    BadAnswer(&'static str),
}

/// Answers requests for as long as it lives. As an [`Outbox`], it keeps the session connected.
#[must_use = "to drop it is to answer no more"]
pub struct Answering {
    handlers: Handlers,
    ids: Vec<HandlerId>,
}

impl Answering {
    /// Answers each request of this type whose content is `name` of `namespace`.
    fn requests<F>(
        outbox: &Outbox,
        kind: &str,
        (name, namespace): (&'static str, &'static str),
        answer: F,
    ) -> Result<Self, TooManyHandlers>
    where
        F: Fn(&Element, &Element) -> Result<Option<Element>, StanzaError> + Send + 'static,
    {
        let handlers = outbox.handlers().clone();
        let outbox = outbox.clone();
        let pattern = Pattern::iq().kind(kind).child(name, namespace);
        let id = handlers.add_async(pattern, move |request| {
            let content = request.child(name, namespace);
            let reply = content.map(|content| match answer(&request, content) {
                Ok(content) => content.into_iter().fold(Iq::result(&request), Iq::with),
                Err(error) => Iq::error(&request, error),
            });
            let outbox = outbox.clone();
            async move {
                if let Some(reply) = reply
                    && let Err(error) = outbox.send(reply).await
                {
                    tracing::debug!(%error, "a request is not answered");
                }
                ControlFlow::Continue(())
            }
        })?;
        Ok(Self { handlers, ids: vec![id] })
    }

    /// Both as one. They are of the same session.
    fn and(mut self, mut other: Self) -> Self {
        self.ids.append(&mut other.ids);
        self
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        for id in &self.ids {
            self.handlers.remove(*id);
        }
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").field("ids", &self.ids).finish_non_exhaustive()
    }
}

/// The first element of this name in an answer.
fn content<'a>(
    answer: &'a Element,
    name: &str,
    namespace: &str,
) -> Result<&'a Element, ServiceError> {
    answer.child(name, namespace).ok_or(ServiceError::BadAnswer("it lacks what was asked for"))
}
