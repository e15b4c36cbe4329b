//! What a server offers: mechanisms, and what a login can be bound to.

use base64ct::{Base64, Encoding};

use crate::{BindingType, MechanismName, scram::Hash};

/// What a server offers.
///
/// ```
/// use epode_sasl::Offer;
///
/// let offer = Offer::new(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "not a name"])
///     .with_channel_bindings(["tls-exporter"]);
/// assert_eq!(offer.mechanisms().len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    mechanisms: Vec<MechanismName>,
    /// As the server wrote them, for the hash of XEP-0474.
    names: Vec<String>,
    channel_bindings: Option<Vec<String>>,
    by_sasl2: bool,
}

impl Offer {
    /// Takes the names as the server wrote them. Those that are no mechanism names are kept for
    /// [`downgrade_hash`](Self::downgrade_hash) alone.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let mechanisms = names.iter().filter_map(|name| name.parse().ok()).collect();
        Self { mechanisms, names, channel_bindings: None, by_sasl2: false }
    }

    /// The server lists the types of channel binding that it knows (XEP-0440).
    #[must_use]
    pub fn with_channel_bindings(
        mut self,
        types: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.channel_bindings = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// These are the mechanisms of SASL2 (XEP-0388). There a server that offers SCRAM bound to the
    /// channel lists the types as well: one that does not is refused (XEP-0440, rule 4).
    #[must_use]
    pub fn by_sasl2(mut self) -> Self {
        self.by_sasl2 = true;
        self
    }

    /// The mechanisms, in the server's order.
    #[must_use]
    pub fn mechanisms(&self) -> &[MechanismName] {
        &self.mechanisms
    }

    /// The types of channel binding, as the server wrote them, if it lists any.
    #[must_use]
    pub fn channel_bindings(&self) -> Option<&[String]> {
        self.channel_bindings.as_deref()
    }

    /// Whether this type of channel binding is listed.
    #[must_use]
    pub fn lists(&self, kind: BindingType) -> bool {
        self.channel_bindings.iter().flatten().any(|listed| listed == kind.name())
    }

    /// Whether a form of SCRAM with channel binding is among them.
    #[must_use]
    pub fn has_plus(&self) -> bool {
        self.mechanisms.iter().any(is_bound_scram)
    }

    /// Whether one of both lists is there, and what belongs to it is not (XEP-0440, rules 4 and 5).
    /// Servers list their types also for domains where nobody has a password.
    pub(crate) fn contradicts_itself(&self) -> bool {
        let could_bind = |name: &MechanismName| name.as_str().starts_with("SCRAM-");
        match (self.has_plus(), &self.channel_bindings) {
            (true, None) => self.by_sasl2,
            (false, Some(_)) => self.mechanisms.iter().any(could_bind),
            (true, Some(_)) | (false, None) => false,
        }
    }

    /// The hash of both lists (XEP-0474, section 6.1), in base64: what a server that was not
    /// tampered with sends as `h=`.
    #[must_use]
    pub fn downgrade_hash(&self, hash: Hash) -> String {
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort_unstable(); // by octets
            list.join("\x1e")
        };
        let mut text = sorted(&self.names);
        if let Some(types) = &self.channel_bindings {
            text.push('\x1f');
            text.push_str(&sorted(types));
        }
        Base64::encode_string(&hash.digest(text.as_bytes()))
    }
}

impl From<&[MechanismName]> for Offer {
    fn from(names: &[MechanismName]) -> Self {
        Self::new(names.iter().map(ToString::to_string))
    }
}

impl<const N: usize> From<&[MechanismName; N]> for Offer {
    fn from(names: &[MechanismName; N]) -> Self {
        Self::from(names.as_slice())
    }
}

impl From<&Vec<MechanismName>> for Offer {
    fn from(names: &Vec<MechanismName>) -> Self {
        Self::from(names.as_slice())
    }
}

fn is_bound_scram(name: &MechanismName) -> bool {
    name.as_str().starts_with("SCRAM-") && name.as_str().ends_with("-PLUS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_does_not_depend_on_the_servers_order() {
        let lists = |names: [&str; 2], types: [&str; 2]| {
            Offer::new(names).with_channel_bindings(types).downgrade_hash(Hash::Sha1)
        };
        let expected = "G6k/rBLDqgOhRRaCuuatSDFkJ08=";
        let (plain, plus) = ("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS");
        let (point, exporter) = ("tls-server-end-point", "tls-exporter");
        assert_eq!(lists([plain, plus], [point, exporter]), expected);
        assert_eq!(lists([plus, plain], [exporter, point]), expected);
        assert_ne!(lists([plain, "PLAIN"], [point, exporter]), expected);
    }
}
