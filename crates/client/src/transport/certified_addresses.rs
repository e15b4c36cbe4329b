//! The XMPP addresses that a client certificate is for (RFC 6120, section 13.7.1.4), which decide
//! what EXTERNAL says (XEP-0178). Nobody is trusted for them: it is our own certificate.

use super::der::{
    Der, EXPLICIT_0, EXPLICIT_3, Malformed, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTF8_STRING,
};

/// The addresses, in the certificate's order; none where it names none, or cannot be read.
pub(super) fn certified_addresses(certificate: &[u8]) -> Vec<String> {
    read(certificate).unwrap_or_default()
}

/// ```text
/// Certificate ::= SEQUENCE { SEQUENCE { …, [3] { SEQUENCE OF Extension } }, … }
/// Extension ::= SEQUENCE { OBJECT IDENTIFIER, BOOLEAN OPTIONAL, OCTET STRING }
/// ```
fn read(certificate: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut certificate = Der(Der(certificate).take(SEQUENCE)?);
    let mut signed = Der(certificate.take(SEQUENCE)?);
    signed.take_optional(EXPLICIT_0)?; // the version
    signed.take(INTEGER)?;
    // Signature algorithm, issuer, validity, subject, public key.
    for _ in 0..5 {
        signed.take(SEQUENCE)?;
    }
    signed.take_optional(ISSUER_ID)?;
    signed.take_optional(SUBJECT_ID)?;
    let Some(extensions) = signed.take_optional(EXPLICIT_3)? else { return Ok(Vec::new()) };
    let mut extensions = Der(Der(extensions).take(SEQUENCE)?);
    while let Some(extension) = extensions.take_optional(SEQUENCE)? {
        let mut extension = Der(extension);
        let kind = extension.take(OBJECT_IDENTIFIER)?;
        extension.take_optional(BOOLEAN)?;
        if kind == SUBJECT_ALT_NAME {
            return addresses(Der(extension.take(OCTET_STRING)?));
        }
    }
    Ok(Vec::new())
}

/// ```text
/// SEQUENCE OF CHOICE { [0] { OBJECT IDENTIFIER, [0] { UTF8String } }, others }
/// ```
fn addresses(mut names: Der<'_>) -> Result<Vec<String>, Malformed> {
    let mut names = Der(names.take(SEQUENCE)?);
    let mut found = Vec::new();
    while let Some((tag, name)) = names.take_any()? {
        let mut name = Der(name);
        if tag != EXPLICIT_0 || name.take(OBJECT_IDENTIFIER)? != XMPP_ADDR {
            continue;
        }
        let mut value = Der(name.take(EXPLICIT_0)?);
        let address = String::from_utf8(value.take(UTF8_STRING)?.to_vec());
        found.push(address.map_err(|_| Malformed)?);
    }
    Ok(found)
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;

/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.3.6.1.5.5.7.8.5, id-on-xmppAddr.
const XMPP_ADDR: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 5];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, string::Ia5String};

    use super::*;

    const OID: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 5];

    fn certificate(names: &[SanType]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn address(text: &str) -> SanType {
        SanType::OtherName((OID.to_vec(), text.into()))
    }

    fn host(text: &str) -> SanType {
        SanType::DnsName(Ia5String::try_from(text).unwrap())
    }

    #[test]
    fn the_addresses_are_found_among_other_names() {
        let other = SanType::OtherName((vec![1, 2, 3], "bob@example.org".into()));
        let names =
            [host("a.example"), address("alice@example.org"), other, address("b@c.example")];
        assert_eq!(certified_addresses(&certificate(&names)), ["alice@example.org", "b@c.example"]);
        assert_eq!(certified_addresses(&certificate(&[host("a.example")])), [""; 0]);
        assert_eq!(certified_addresses(&certificate(&[])), [""; 0]);
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let whole = certificate(&[address("alice@example.org")]);
        for end in 0..whole.len() {
            assert_eq!(certified_addresses(&whole[..end]), [""; 0], "{end}");
        }
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 0xff;
            let _ = certified_addresses(&changed); // whatever it finds, it does not panic
        }
    }
}
