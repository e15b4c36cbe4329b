//! What a server is told about the login of XEP-0388 and its companions.
//!
//! Leaves out the mechanisms themselves.

use super::ServerBuilder;

impl ServerBuilder {
    /// Leaves SASL2 (XEP-0388) out, and with it all that goes into such a login.
    pub fn without_sasl2(mut self) -> Self {
        self.0.sasl2.enabled = false;
        self
    }

    /// Offers SASL2 on channels that are not encrypted, too, as a server may on the same machine.
    pub fn sasl2_unencrypted(mut self) -> Self {
        self.0.sasl2.unencrypted = true;
        self
    }

    /// The mechanisms that SASL2 offers, in this order. Default those of RFC 6120's profile.
    pub fn sasl2_mechanisms<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.0.sasl2.mechanisms = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves Bind 2 (XEP-0386) out: after a login by SASL2, an address is bound as RFC 6120 does.
    pub fn without_bind2(mut self) -> Self {
        self.0.sasl2.bind = false;
        self
    }

    /// Has stream management enabled and resumed after the login alone, not within it (XEP-0198,
    /// section 9).
    pub fn without_inline_stream_management(mut self) -> Self {
        self.0.sasl2.inline_management = false;
        self
    }
}
