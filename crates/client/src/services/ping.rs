//! Asking whether somebody is there (XEP-0199).
//!
//! To be asked needs nothing: a session answers pings by itself.

use std::time::Duration;

use epode_proto::{Element, Jid, stanza::Iq, xml::namespaces::PING};
use tokio::time::Instant;

use crate::{Outbox, RequestError};

/// Asks, and says how long the answer took.
///
/// Not everybody who is there knows pings: a [refusal](RequestError::Refused) is an answer too,
/// though it may be that of a server which does not find whom it should ask.
///
/// # Errors
///
/// As [`Outbox::send_iq`].
pub async fn ping(outbox: &Outbox, to: &Jid) -> Result<Duration, RequestError> {
    let begun = Instant::now();
    outbox.send_iq(Iq::get(Element::new("ping", PING)).to(to)).await?;
    Ok(begun.elapsed())
}
