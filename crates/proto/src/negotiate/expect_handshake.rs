//! Waiting for the server to take an external component (XEP-0114, section 3): for its stream
//! header, and for its word on the handshake. There is neither SASL nor binding.

use std::fmt::Write as _;

use epode_sasl::{Channel, Credentials, Secret};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::State;
use crate::{
    Element, Error, Status,
    action::{Action, Frame},
    core::Core,
    error::{PeerFault, Wait},
    session::{self, Online},
    stream::{HeaderError, StreamHeader},
    xml::namespaces::COMPONENT,
};

pub(crate) struct ExpectComponentHeader {
    credentials: Credentials,
}

impl ExpectComponentHeader {
    /// Begins, if nobody else can hear what is said.
    pub(crate) fn begin(
        core: &mut Core,
        channel: &Channel,
        credentials: Credentials,
    ) -> Result<State, Error> {
        if !channel.is_confidential() && !core.settings().unencrypted_allowed {
            return Err(Error::Unencrypted);
        }
        core.open_stream();
        Ok(State::ComponentHeader(Self { credentials }))
    }

    /// Neither version nor sender are asked for (XEP-0114, section 3). Of a server that refuses the
    /// domain the header may lack an id, too, and the next thing is the error that says why.
    pub(crate) fn handle(self, core: &mut Core, header: &StreamHeader) -> State {
        core.set_language(header.lang.as_deref());
        let id = header.id.as_deref().filter(|id| !id.is_empty());
        if let (Some(id), Secret::Password(secret)) = (id, self.credentials.secret()) {
            core.transmit(handshake(id, secret));
        }
        State::Handshake(ExpectHandshake { is_sent: id.is_some() })
    }
}

pub(crate) struct ExpectHandshake {
    /// There was an id to make it from.
    is_sent: bool,
}

impl ExpectHandshake {
    pub(crate) fn handle(self, core: &mut Core, element: &Element) -> Result<State, Error> {
        if !self.is_sent {
            return Err(Error::PeerMisbehaved(PeerFault::Header(HeaderError::MissingId)));
        }
        if !element.is("handshake", COMPONENT) || !element.nodes().is_empty() {
            return Err(Error::unexpected(element, Wait::Handshake));
        }
        let jid = core.domain_jid();
        core.session.jid = Some(jid.clone());
        session::begin_anew(core);
        core.push(Action::Report(Status::ComponentConnected(jid)));
        Ok(State::Online(Online::begin(core)))
    }
}

/// `<handshake/>` with the SHA-1 of stream id and secret in lower-case hexadecimal.
fn handshake(id: &str, secret: &str) -> Frame {
    let hash = Sha1::new().chain_update(id).chain_update(secret).finalize();
    let hash: Zeroizing<[u8; 20]> = Zeroizing::new(hash.into());
    let mut text = Zeroizing::new(String::with_capacity(LENGTH));
    text.push_str("<handshake>");
    for byte in *hash {
        write!(text, "{byte:02x}").expect("a string takes all that is written to it");
    }
    text.push_str("</handshake>");
    Frame::from(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
}

/// Enough for the whole, so that the text never moves and leaves a copy behind.
const LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of XEP-0114 does not name its secret; these were made with `sha1sum`.
    #[test]
    fn the_handshake_is_the_hash_of_both() {
        for (id, secret, hash) in VECTORS {
            let frame = handshake(id, secret);
            let expected = format!("<handshake>{hash}</handshake>");
            assert_eq!(frame.as_bytes(), expected.as_bytes());
            assert!(frame.as_bytes().len() <= LENGTH);
        }
    }

    const VECTORS: [(&str, &str, &str); 3] = [
        ("3BF96D32", "secret", "b09ea9b3b7f586be8a08d0a3dd7466f110aeb136"),
        ("s1", "", "640d87e741e6aa4c669a82a4cd304787960513ab"),
        ("é", "päss & <word>", "2ed2d8acaa47bd0b1125c50b04447c84f7e265d7"),
    ];
}
