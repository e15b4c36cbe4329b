//! How much of a peer's XML is taken before the stream is given up.
//!
//! Time is not limited here; the connection has a deadline for each of its waits.

/// Limits on what a peer may send. Every one of them is checked before memory is used for what
/// exceeds it.
///
/// ```
/// use epode_proto::xml::Limits;
///
/// let limits = Limits::default().with_depth(16).with_stanza(64 * 1024);
/// assert_eq!((limits.depth, limits.stanza, limits.attributes), (16, 65_536, 64));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep elements may be nested; a stanza itself is at depth 1. Default 64.
    pub depth: usize,
    /// How many attributes one element may have, namespace declarations included. Default 64.
    pub attributes: usize,
    /// How many namespace declarations may be in force at one place. Default 128.
    pub namespaces: usize,
    /// How many bytes one name or one attribute value may have. Longer text is taken in pieces,
    /// so only [`stanza`](Self::stanza) limits text. Default 8 KiB.
    pub token: usize,
    /// How many bytes one stanza, frame or stream header may take on the wire. Default 256 KiB.
    pub stanza: usize,
    /// How many unread bytes a [`StreamReader`](super::StreamReader) holds. Default 1 MiB.
    pub backlog: usize,
}

impl Limits {
    /// Sets [`depth`](Self::depth), at most 512: some operations on elements recurse.
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth.clamp(1, MAX_DEPTH);
        self
    }

    /// Sets [`attributes`](Self::attributes), at most 1024.
    #[must_use]
    pub fn with_attributes(mut self, attributes: usize) -> Self {
        self.attributes = attributes.min(MAX_ATTRIBUTES);
        self
    }

    /// Sets [`namespaces`](Self::namespaces), at most 1024.
    #[must_use]
    pub fn with_namespaces(mut self, namespaces: usize) -> Self {
        self.namespaces = namespaces.min(MAX_ATTRIBUTES);
        self
    }

    /// Sets [`token`](Self::token), at least 64 bytes: shorter ones would refuse XMPP's own
    /// namespaces.
    #[must_use]
    pub fn with_token(mut self, token: usize) -> Self {
        self.token = token.max(MIN_TOKEN);
        self
    }

    /// Sets [`stanza`](Self::stanza). RFC 6120, section 13.12 asks servers to take 10,000 bytes.
    #[must_use]
    pub fn with_stanza(mut self, stanza: usize) -> Self {
        self.stanza = stanza;
        self
    }

    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn with_backlog(mut self, backlog: usize) -> Self {
        self.backlog = backlog;
        self
    }

    /// The same limits inside the bounds that the setters keep; the fields are public.
    pub(crate) fn bounded(self) -> Self {
        self.with_depth(self.depth)
            .with_attributes(self.attributes)
            .with_namespaces(self.namespaces)
            .with_token(self.token)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            attributes: 64,
            namespaces: 128,
            token: 8 * 1024,
            stanza: 256 * 1024,
            backlog: 1024 * 1024,
        }
    }
}

const MAX_DEPTH: usize = 512;
const MAX_ATTRIBUTES: usize = 1024;
const MIN_TOKEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setters_keep_the_reader_safe() {
        let limits = Limits::default().with_depth(0).with_token(1).with_attributes(1 << 20);
        assert_eq!((limits.depth, limits.token, limits.attributes), (1, 64, 1024));
        assert_eq!(Limits::default().with_depth(usize::MAX).depth, 512);
    }

    #[test]
    fn public_fields_are_bounded_too() {
        let limits = Limits { depth: usize::MAX, namespaces: usize::MAX, ..Limits::default() };
        assert_eq!((limits.bounded().depth, limits.bounded().namespaces), (512, 1024));
    }
}
