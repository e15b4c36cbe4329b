//! What a server learns of the program that logs in (XEP-0388, section 2.3).
//! Where the id is kept is the application's business.

use std::{fmt, str::FromStr};

use crate::{Element, xml::namespaces::SASL2};

/// What a server learns of the program that logs in, and of the device. It shows that to the
/// account's owner and to nobody else.
///
/// ```
/// use epode_proto::{UserAgent, UserAgentId};
///
/// let id: UserAgentId = "d4565fa7-4d72-4749-b3d3-740edbf87770".parse()?;
/// let agent = UserAgent::default().id(id).software("Reader").device("the one on the desk");
/// # Ok::<(), epode_proto::InvalidUserAgentId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
    id: Option<UserAgentId>,
    software: Option<String>,
    device: Option<String>,
}

impl UserAgent {
    /// By what the server knows this installation again. It must stay the same over restarts, and
    /// no two installations may share it; without one there are no logins by token.
    #[must_use]
    pub fn id(mut self, id: UserAgentId) -> Self {
        self.id = Some(id);
        self
    }

    /// The program's name.
    #[must_use]
    pub fn software(mut self, name: impl Into<String>) -> Self {
        self.software = Some(name.into());
        self
    }

    /// The device, in words for the account's owner.
    #[must_use]
    pub fn device(mut self, description: impl Into<String>) -> Self {
        self.device = Some(description.into());
        self
    }

    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// As an element; none where nothing is to be told.
    pub(crate) fn element(&self) -> Option<Element> {
        if *self == Self::default() {
            return None;
        }
        let mut element = Element::new("user-agent", SASL2);
        if let Some(id) = self.id {
            element.set_attr("id", id.to_string());
        }
        for (name, text) in [("software", &self.software), ("device", &self.device)] {
            if let Some(text) = text {
                element.push(Element::new(name, SASL2).with_text(text));
            }
        }
        Some(element)
    }
}

/// A UUID of version 4 (RFC 9562): 122 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserAgentId(u128);

impl UserAgentId {
    /// A new one, to be kept; none where the system has no randomness.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(u128::from_be_bytes(bytes) & !FIXED_BITS | VERSION_4))
    }
}

impl fmt::Display for UserAgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        f.write_str(&parts.join("-"))
    }
}

impl FromStr for UserAgentId {
    type Err = InvalidUserAgentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lengths = text.split('-').map(str::len);
        let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if !lengths.eq([8, 4, 4, 4, 12]) || !text.bytes().all(is_digit) {
            return Err(InvalidUserAgentId);
        }
        let bits = u128::from_str_radix(&text.replace('-', ""), 16);
        let bits = bits.map_err(|_| InvalidUserAgentId)?;
        if bits & FIXED_BITS == VERSION_4 { Ok(Self(bits)) } else { Err(InvalidUserAgentId) }
    }
}

/// The text is no UUID of version 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID of version 4, such as d4565fa7-4d72-4749-b3d3-740edbf87770")]
pub struct InvalidUserAgentId;

/// Version and variant stand here.
const FIXED_BITS: u128 = 0xf000_c000_0000_0000_0000;
const VERSION_4: u128 = 0x4000_8000_0000_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_read_back_and_differ() {
        let ids: Vec<_> = (0..100).filter_map(|_| UserAgentId::random()).collect();
        for id in &ids {
            assert_eq!(id.to_string().parse(), Ok(*id));
        }
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_is_no_uuid_of_version_4_is_refused() {
        let good = "D4565FA7-4d72-4749-b3d3-740edbf87770";
        let id: UserAgentId = good.parse().expect("it is one");
        assert_eq!(id.to_string(), good.to_lowercase());
        for bad in [
            "",
            "d4565fa74d724749b3d3740edbf87770",
            "d4565fa7-4d72-1749-b3d3-740edbf87770",
            "d4565fa7-4d72-4749-33d3-740edbf87770",
            "d4565fa7-4d72-4749-b3d3-740edbf8777g",
            "+4565fa7-4d72-4749-b3d3-740edbf87770",
            "d4565fa7-4d72-4749-b3d3-740edbf87770-",
        ] {
            assert_eq!(bad.parse::<UserAgentId>(), Err(InvalidUserAgentId), "{bad}");
        }
    }

    #[test]
    fn nothing_is_told_that_is_not_known() {
        assert_eq!(UserAgent::default().element(), None);
        let agent = UserAgent::default().software("a<b");
        let xml = "<user-agent xmlns='urn:xmpp:sasl:2'><software>a&lt;b</software></user-agent>";
        assert_eq!(agent.element().expect("it says something").to_xml(), xml);
    }
}
