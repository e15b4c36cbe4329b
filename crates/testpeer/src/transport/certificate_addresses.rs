//! Reads the XMPP addresses out of a client certificate (RFC 6120, section 13.7.1.4).
//!
//! Leaves out everything else in it: by the time it is read, TLS has verified the certificate.

/// The `id-on-xmppAddr` names in the subject alternative names of a DER certificate.
pub(super) fn addresses(certificate: &[u8]) -> Vec<String> {
    names(certificate).unwrap_or_default()
}

fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let mut signed = Der(Der(certificate).value_of(SEQUENCE)?);
    let mut to_be_signed = Der(signed.value_of(SEQUENCE)?);
    let extensions = Der(Der(to_be_signed.find(EXTENSIONS)?).value_of(SEQUENCE)?);
    let mut found = Vec::new();
    for (_, extension) in extensions {
        let mut extension = Der(extension);
        if extension.value_of(OBJECT_IDENTIFIER)? == SUBJECT_ALT_NAME {
            let names = Der(Der(extension.find(OCTET_STRING)?).value_of(SEQUENCE)?);
            for (tag, name) in names {
                found.extend((tag == OTHER_NAME).then(|| address(name)).flatten());
            }
        }
    }
    Some(found)
}

fn address(other_name: &[u8]) -> Option<String> {
    let mut parts = Der(other_name);
    if parts.value_of(OBJECT_IDENTIFIER)? != XMPP_ADDR {
        return None;
    }
    let text = Der(parts.value_of(EXPLICIT_0)?).value_of(UTF8_STRING)?;
    String::from_utf8(text.to_vec()).ok()
}

/// What is left of a row of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value, if it has this tag.
    fn value_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// The next value that has this tag.
    fn find(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == tag).then_some(value))
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    /// The next tag and value. Tags of several bytes do not occur where we look.
    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }
}

const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_0: u8 = 0xa0;
/// `[0]` among the general names.
const OTHER_NAME: u8 = 0xa0;
/// `[3]` in the certificate.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.3.6.1.5.5.7.8.5
const XMPP_ADDR: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x05];

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, OtherNameValue, SanType};

    fn certificate(addresses: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let name = |oid: &[u64], text: &str| {
            SanType::OtherName((oid.to_vec(), OtherNameValue::Utf8String(text.to_owned())))
        };
        params.subject_alt_names.push(name(&[1, 2, 3], "another@kind"));
        for address in addresses {
            params.subject_alt_names.push(name(&super::super::certificates::XMPP_ADDR, address));
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn reads_every_address() {
        assert!(addresses(&certificate(&[])).is_empty());
        let long = format!("{}@example.org", "ä".repeat(300));
        assert_eq!(addresses(&certificate(&["a@b", &long])), ["a@b", long.as_str()]);
    }

    #[test]
    fn a_truncated_certificate_has_none() {
        let der = certificate(&["a@b"]);
        assert!((0..der.len()).all(|end| addresses(&der[..end]).is_empty()));
    }
}
