//! What a client is offered before its login: mechanisms, and types of channel binding.
//!
//! Leaves out the XML of the features, which the session writes.

use base64ct::{Base64, Encoding};

use crate::sasl::hash::Hash;
use crate::session::{Binding, SessionChannel};

/// Which types of channel binding a server lists beside its mechanisms (XEP-0440).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingList {
    /// Those that the channel has, if a mechanism with channel binding is offered.
    #[default]
    Honest,
    /// None, as a server does that knows nothing of XEP-0440. It takes every type that the
    /// channel has.
    Absent,
    /// These, on each encrypted channel, whatever else is offered. Of them, the server takes those
    /// that the channel has.
    These(Vec<String>),
}

/// Whether SCRAM's first message tells the client what it was offered (XEP-0474, attribute `h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DowngradeHash {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Right,
    /// It tells of another offer, as if somebody had changed this one on its way.
    Wrong,
}

/// Whether SCRAM's first message tells the client the version of TLS (XEP-0515, attribute `t`),
/// where the server knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionClaim {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Right,
    /// It tells of another version, as if somebody sat between two connections.
    Wrong,
}

/// One offer, remembered, because what the client makes of it is checked against it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offer {
    mechanisms: Vec<String>,
    listed: Option<Vec<String>>,
    bindings: Vec<Binding>,
    tls_version: Option<u16>,
}

impl BindingList {
    /// These types, in this order.
    pub fn these<I>(types: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        Self::These(types.into_iter().map(Into::into).collect())
    }
}

impl Offer {
    pub(crate) fn new(
        mechanisms: Vec<String>,
        list: &BindingList,
        channel: &SessionChannel,
    ) -> Self {
        let known = channel.bindings();
        let tls_version = channel.tls_version();
        let mut offer = Self { mechanisms, listed: None, bindings: known.to_vec(), tls_version };
        match list {
            BindingList::Honest if offer.has_plus() => {
                let types = known.iter().map(|binding| binding.kind().to_owned());
                offer.listed = Some(types.collect());
            }
            BindingList::Honest => offer.bindings.clear(),
            BindingList::Absent => {}
            BindingList::These(types) => {
                offer.bindings.retain(|binding| types.iter().any(|it| it == binding.kind()));
                offer.listed = channel.is_encrypted().then(|| types.clone());
            }
        }
        offer
    }

    /// The names of the mechanisms, in the order of the features.
    pub(crate) fn mechanisms(&self) -> &[String] {
        &self.mechanisms
    }

    /// The types of channel binding that are listed, if there is a list.
    pub(crate) fn listed(&self) -> Option<&[String]> {
        self.listed.as_deref()
    }

    /// Whether a mechanism with channel binding is offered.
    pub(crate) fn has_plus(&self) -> bool {
        self.mechanisms.iter().any(|name| Hash::is_plus(name))
    }

    /// What a login is bound to by this type, if the server takes it.
    pub(crate) fn binding(&self, kind: &str) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.kind() == kind)
    }

    /// Makes the server's data of these types differ from the client's.
    pub(crate) fn mismatch(&mut self, types: &[String]) {
        for binding in &mut self.bindings {
            if types.iter().any(|it| it == binding.kind()) {
                binding.spoil();
            }
        }
    }

    /// Takes the data of this channel in place of what it has of the same types.
    pub(crate) fn rebind(&mut self, channel: &SessionChannel) {
        for binding in &mut self.bindings {
            let found = channel.bindings().iter().find(|it| it.kind() == binding.kind());
            if let Some(found) = found {
                binding.clone_from(found);
            }
        }
    }

    /// The attribute `t` of SCRAM's first message, if it has one.
    pub(crate) fn version_claim(&self, rule: VersionClaim) -> Option<String> {
        let version = match (rule, self.tls_version?) {
            (VersionClaim::Absent, _) => return None,
            (VersionClaim::Right, version) => version,
            (VersionClaim::Wrong, TLS13) => TLS12,
            (VersionClaim::Wrong, _) => TLS13,
        };
        Some(format!("{version:04x}"))
    }

    /// Two offers in one stream have one list of types.
    pub(crate) fn share_list(&mut self, other: &mut Self) {
        let listed = self.listed.take().or_else(|| other.listed.take());
        other.listed.clone_from(&listed);
        self.listed = listed;
    }

    /// Keeps the mechanisms that fit.
    pub(crate) fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        self.mechanisms.retain(|name| fits(name));
    }

    /// The attribute `h` of SCRAM's first message, if it has one.
    pub(crate) fn downgrade_hash(&self, hash: Hash, rule: DowngradeHash) -> Option<String> {
        let mut lists = joined(&self.mechanisms);
        if let Some(types) = &self.listed {
            lists.extend(["\u{1f}", &joined(types)]);
        }
        match rule {
            DowngradeHash::Absent => return None,
            DowngradeHash::Right => {}
            DowngradeHash::Wrong => lists.push_str("\u{1e}one-more"),
        }
        Some(Base64::encode_string(&hash.digest(lists.as_bytes())))
    }
}

/// The names in the order of their bytes, as XEP-0474, section 6.1, joins them.
fn joined(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.join("\u{1e}")
}

/// The numbers of RFC 8446, section 4.2.1.
const TLS13: u16 = 0x0304;
const TLS12: u16 = 0x0303;

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> SessionChannel {
        SessionChannel::encrypted().with_binding("a", "1").with_binding("b", "2")
    }

    fn offer(mechanism: &str, list: &BindingList, channel: &SessionChannel) -> Offer {
        Offer::new(vec![mechanism.to_owned()], list, channel)
    }

    #[test]
    fn the_hash_is_that_of_xep_0474() {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let offer = Offer {
            mechanisms: names(["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"]),
            listed: Some(names(["tls-server-end-point", "tls-exporter"])),
            bindings: Vec::new(),
            tls_version: None,
        };
        // The first is published in section 6.3; the others were computed with Python's hashlib.
        for (hash, expected) in [
            (Hash::Sha1, "G6k/rBLDqgOhRRaCuuatSDFkJ08="),
            (Hash::Sha256, "H6VEQ+6wl/eYKuTjJn4D9/e9GTn1AcYGw/oiSJ3Yhy0="),
            (
                Hash::Sha512,
                "Q1q0WwH927l2RRoYIMiDY0g7R21hTZK+bfBgkhqek9JSTfIzUlnUZQRB2A6lZL3ER7ZMWRRdQzEJKVH67\
                 1Bh0g==",
            ),
        ] {
            let right = offer.downgrade_hash(hash, DowngradeHash::Right);
            assert_eq!(right.as_deref(), Some(expected));
            assert_ne!(offer.downgrade_hash(hash, DowngradeHash::Wrong), right);
            assert_eq!(offer.downgrade_hash(hash, DowngradeHash::Absent), None);
            let unlisted = Offer { listed: None, ..offer.clone() };
            assert_ne!(unlisted.downgrade_hash(hash, DowngradeHash::Right), right);
        }
    }

    #[test]
    fn an_honest_list_comes_with_plus_alone() {
        let plus = offer("SCRAM-SHA-1-PLUS", &BindingList::Honest, &channel());
        assert_eq!(plus.listed().unwrap(), ["a", "b"]);
        assert_eq!(plus.binding("b").unwrap().data(), b"2");
        let plain = offer("SCRAM-SHA-1", &BindingList::Honest, &channel());
        assert_eq!(plain.listed(), None);
        assert_eq!(plain.binding("a"), None);
    }

    #[test]
    fn a_list_of_ones_own_bounds_what_is_taken() {
        let list = BindingList::these(["b", "c"]);
        let bounded = offer("SCRAM-SHA-1", &list, &channel());
        assert_eq!(bounded.listed().unwrap(), ["b", "c"]);
        assert!(bounded.binding("b").is_some());
        assert!(bounded.binding("a").is_none());
        assert!(bounded.binding("c").is_none());
        assert_eq!(offer("PLAIN", &list, &SessionChannel::plaintext()).listed(), None);

        let absent = offer("SCRAM-SHA-1-PLUS", &BindingList::Absent, &channel());
        assert_eq!(absent.listed(), None);
        assert!(absent.binding("a").is_some());
    }

    #[test]
    fn data_can_be_made_to_differ() {
        let mut spoiled = offer("SCRAM-SHA-1-PLUS", &BindingList::Honest, &channel());
        spoiled.mismatch(&["a".to_owned()]);
        assert_ne!(spoiled.binding("a").unwrap().data(), b"1");
        assert_eq!(spoiled.binding("b").unwrap().data(), b"2");
    }
}
