//! The `tls-server-end-point` data of a certificate (RFC 5929, section 4.1): its hash.
//! Whether the certificate is one to trust has been decided before.

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::der::{
    BIT_STRING, Der, EXPLICIT_0, EXPLICIT_1, EXPLICIT_2, EXPLICIT_3, Malformed, OBJECT_IDENTIFIER,
    SEQUENCE,
};

/// Hashes a certificate as its signature algorithm demands; it is looked at no further than to
/// find that out.
pub(super) fn server_end_point(certificate: &[u8]) -> Result<Vec<u8>, NoEndPoint> {
    Ok(match hash(certificate)? {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

/// Why a certificate has no such data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoEndPoint {
    #[error("the server's certificate is not in DER")]
    Malformed(#[from] Malformed),
    #[error("the server's certificate is signed with no hash, several, or an unknown one")]
    NoHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By the identifier of a hash function; MD5 and SHA-1 are replaced (RFC 5929, section 4.1).
    fn of_digest(oid: &[u8]) -> Result<Self, NoEndPoint> {
        match oid {
            MD5 | SHA_1 | SHA_256 => Ok(Self::Sha256),
            SHA_384 => Ok(Self::Sha384),
            SHA_512 => Ok(Self::Sha512),
            _ => Err(NoEndPoint::NoHash),
        }
    }
}

/// ```text
/// Certificate ::= SEQUENCE { what is signed, AlgorithmIdentifier, BIT STRING }
/// AlgorithmIdentifier ::= SEQUENCE { OBJECT IDENTIFIER, parameters }
/// ```
fn hash(certificate: &[u8]) -> Result<Hash, NoEndPoint> {
    let mut outermost = Der(certificate);
    let mut certificate = Der(outermost.take(SEQUENCE)?);
    outermost.end()?;
    certificate.take(SEQUENCE)?;
    let mut algorithm = Der(certificate.take(SEQUENCE)?);
    certificate.take(BIT_STRING)?;
    certificate.end()?;
    let oid = algorithm.take(OBJECT_IDENTIFIER)?;
    if let Some(last) = oid.strip_prefix(PKCS_1) {
        return match last {
            [4 | 5 | 11] => Ok(Hash::Sha256), // with MD5, SHA-1, SHA-256
            [12] => Ok(Hash::Sha384),
            [13] => Ok(Hash::Sha512),
            [10] => pss_hash(algorithm),
            _ => Err(NoEndPoint::NoHash),
        };
    }
    match oid.strip_prefix(ECDSA) {
        Some([1] | [3, 2]) => Ok(Hash::Sha256), // with SHA-1, SHA-256
        Some([3, 3]) => Ok(Hash::Sha384),
        Some([3, 4]) => Ok(Hash::Sha512),
        _ => Err(NoEndPoint::NoHash),
    }
}

/// RSA-PSS names its hash in the parameters (RFC 4055, section 3.1), and a second one in its mask:
///
/// ```text
/// SEQUENCE { [0] hash or SHA-1, [1] mask generation or MGF1 with SHA-1, [2] INTEGER, [3] INTEGER }
/// ```
fn pss_hash(mut algorithm: Der<'_>) -> Result<Hash, NoEndPoint> {
    let mut parameters = Der(algorithm.take(SEQUENCE)?);
    algorithm.end()?;
    let hash = match parameters.take_optional(EXPLICIT_0)? {
        None => SHA_1,
        Some(hash) => digest(Der(hash))?,
    };
    let mask_hash = match parameters.take_optional(EXPLICIT_1)? {
        None => SHA_1,
        Some(mask) => {
            let mut outermost = Der(mask);
            let mut mask = Der(outermost.take(SEQUENCE)?);
            outermost.end()?;
            if mask.take(OBJECT_IDENTIFIER)? != MGF_1 {
                return Err(NoEndPoint::NoHash);
            }
            digest(mask)?
        }
    };
    parameters.take_optional(EXPLICIT_2)?;
    parameters.take_optional(EXPLICIT_3)?;
    parameters.end()?;
    if hash == mask_hash { Hash::of_digest(hash) } else { Err(NoEndPoint::NoHash) }
}

/// The identifier in a lone AlgorithmIdentifier.
fn digest(mut algorithm: Der<'_>) -> Result<&[u8], Malformed> {
    let mut inner = Der(algorithm.take(SEQUENCE)?);
    algorithm.end()?;
    inner.take(OBJECT_IDENTIFIER)
}

/// 1.2.840.113549.1.1, signatures with RSA (RFC 8017, appendix C).
const PKCS_1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
/// 1.2.840.10045.4, signatures with ECDSA (RFC 5758, section 3.2).
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
/// 1.2.840.113549.1.1.8, the mask generation function of RSA-PSS.
const MGF_1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
/// 1.2.840.113549.2.5.
const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5];
/// 1.3.14.3.2.26.
const SHA_1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
/// 2.16.840.1.101.3.4.2.1, and so on.
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA_384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA_512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    const VECTORS: &str = include_str!("testdata/end-point.pem");

    /// The signature algorithm, the hash in hexadecimal or `none`, and the DER.
    fn vectors() -> Vec<(&'static str, &'static str, CertificateDer<'static>)> {
        let sections = VECTORS.split_inclusive("-----END CERTIFICATE-----\n");
        sections
            .map(|section| {
                let (above, _) = section.split_once("-----BEGIN").expect("a certificate");
                let title = above.lines().last().expect("a title");
                let (name, hash) = title.split_once(": ").expect("a name and a hash");
                let der = CertificateDer::from_pem_slice(section.as_bytes()).expect("PEM");
                (name, hash, der)
            })
            .collect()
    }

    fn certificate(name: &str) -> CertificateDer<'static> {
        let found = vectors().into_iter().find(|vector| vector.0 == name);
        found.expect("such a certificate").2
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_hash_is_that_of_the_signature_algorithm() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 19);
        for (name, hash, der) in vectors {
            let found = server_end_point(&der).map(|hash| hex(&hash));
            let expected = if hash == "none" { Err(NoEndPoint::NoHash) } else { Ok(hash.into()) };
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_off_or_goes_on_is_refused() {
        for name in ["RSA-PSS-SHA384", "ECDSA-SHA256"] {
            let der = certificate(name);
            for length in 0..der.len() {
                let found = server_end_point(&der[..length]);
                assert_eq!(found, Err(NoEndPoint::Malformed(Malformed)), "{name} {length}");
            }
            let longer = [&der[..], &[0]].concat();
            assert_eq!(server_end_point(&longer), Err(NoEndPoint::Malformed(Malformed)), "{name}");
        }
    }

    #[test]
    fn no_byte_changed_makes_it_fail_otherwise() {
        // No panic, no hash that is not one of the three.
        let der = certificate("RSA-PSS-SHA256");
        for index in 0..der.len() {
            for byte in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = der.to_vec();
                changed[index] = byte;
                if let Ok(hash) = server_end_point(&changed) {
                    assert!(matches!(hash.len(), 32 | 48 | 64));
                }
            }
        }
    }

    /// A value with its length in the shortest form.
    fn value(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let length = contents.len().to_be_bytes();
        let digits = &length[length.iter().take_while(|digit| **digit == 0).count()..];
        let mut value = vec![tag];
        match digits {
            [] => value.push(0),
            [short @ 0..=0x7f] => value.push(*short),
            long => {
                value.push(0x80 | u8::try_from(long.len()).unwrap());
                value.extend(long);
            }
        }
        value.extend(contents);
        value
    }

    /// A certificate that is nothing but its signature algorithm.
    fn signed(algorithm: &[u8]) -> Vec<u8> {
        value(SEQUENCE, &[&value(SEQUENCE, &[]), algorithm, &value(BIT_STRING, &[])])
    }

    fn algorithm(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
        value(SEQUENCE, &[&value(OBJECT_IDENTIFIER, &[oid]), parameters])
    }

    #[test]
    fn lengths_have_one_form_only() {
        let ecdsa = algorithm(&[ECDSA, &[3, 2]].concat(), &[]);
        assert_eq!(hash(&signed(&ecdsa)), Ok(Hash::Sha256));

        let inside = [value(SEQUENCE, &[]), ecdsa, value(BIT_STRING, &[])].concat();
        let short = u8::try_from(inside.len()).unwrap();
        for length in [
            &[0x81, short][..],
            &[0x82, 0, short],
            &[0x83, 0, 0, short],
            &[0x84, 0, 0, 0, short],
            &[0x80],
            &[0xff],
        ] {
            let wrong = [&[SEQUENCE], length, &inside, &[0, 0]].concat();
            assert_eq!(hash(&wrong), Err(NoEndPoint::Malformed(Malformed)), "{length:x?}");
            assert_eq!(
                hash(&wrong[..wrong.len() - 2]),
                Err(NoEndPoint::Malformed(Malformed)),
                "{length:x?}"
            );
        }
        // Claims of what is not there.
        for length in [&[0x7f][..], &[0x81, 0x80], &[0x82, 0xff, 0xff], &[0x83, 0xff, 0xff, 0xff]] {
            let wrong = [&[SEQUENCE], length].concat();
            assert_eq!(hash(&wrong), Err(NoEndPoint::Malformed(Malformed)), "{length:x?}");
        }
    }

    #[test]
    fn another_shape_is_no_certificate() {
        let sequence = value(SEQUENCE, &[]);
        let bits = value(BIT_STRING, &[]);
        let ecdsa = algorithm(&[ECDSA, &[3, 3]].concat(), &[]);
        let bare_oid = value(OBJECT_IDENTIFIER, &[ECDSA, &[3, 3]]);
        for parts in [
            &[][..],
            &[&sequence],
            &[&sequence, &ecdsa],
            &[&sequence, &bits],
            &[&ecdsa, &bits], // a bare public key (RFC 7250)
            &[&sequence, &bare_oid, &bits],
            &[&sequence, &sequence, &bits],
            &[&sequence, &ecdsa, &bits, &bits],
            &[&bits, &ecdsa, &bits],
        ] {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
            assert_eq!(
                hash(&value(SEQUENCE, &parts)),
                Err(NoEndPoint::Malformed(Malformed)),
                "{parts:x?}"
            );
        }
        let set = signed(&ecdsa).split_off(1);
        assert_eq!(hash(&[&[0x31], &set[..]].concat()), Err(NoEndPoint::Malformed(Malformed)));
    }

    #[test]
    fn the_parameters_of_rsa_pss_name_its_hash() {
        let pss = |parameters: &[&[u8]]| {
            let parameters = value(SEQUENCE, parameters);
            hash(&signed(&algorithm(&[PKCS_1, &[10]].concat(), &parameters)))
        };
        let hashed = |oid: &[u8]| value(EXPLICIT_0, &[&algorithm(oid, &value(5, &[]))]);
        let masked = |oid: &[u8]| value(EXPLICIT_1, &[&algorithm(MGF_1, &algorithm(oid, &[]))]);
        let salt = value(EXPLICIT_2, &[&value(2, &[&[32]])]);
        let trailer = value(EXPLICIT_3, &[&value(2, &[&[1]])]);

        // Everything left out means SHA-1, which is replaced.
        assert_eq!(pss(&[]), Ok(Hash::Sha256));
        for (oid, expected) in [
            (SHA_1, Hash::Sha256),
            (SHA_256, Hash::Sha256),
            (SHA_384, Hash::Sha384),
            (SHA_512, Hash::Sha512),
        ] {
            assert_eq!(pss(&[&hashed(oid), &masked(oid)]), Ok(expected));
            assert_eq!(pss(&[&hashed(oid), &masked(oid), &salt, &trailer]), Ok(expected));
        }
        // Two hashes are none, and so are functions of another kind.
        let other_mask = value(EXPLICIT_1, &[&algorithm(SHA_256, &algorithm(SHA_256, &[]))]);
        for parameters in [
            &[&hashed(SHA_256)][..],
            &[&masked(SHA_256)],
            &[&hashed(SHA_256), &masked(SHA_384)],
            &[&hashed(SHA_256), &other_mask],
            &[&hashed(MGF_1), &masked(MGF_1)],
        ] {
            let parameters: Vec<&[u8]> = parameters.iter().map(|part| part.as_slice()).collect();
            assert_eq!(pss(&parameters), Err(NoEndPoint::NoHash), "{parameters:x?}");
        }
        // Out of order, twice, or followed by something else.
        for parameters in [
            &[&masked(SHA_256), &hashed(SHA_256)][..],
            &[&hashed(SHA_256), &hashed(SHA_256)],
            &[&hashed(SHA_256), &masked(SHA_256), &trailer, &salt],
            &[&hashed(SHA_256), &masked(SHA_256), &value(4, &[])],
        ] {
            let parameters: Vec<&[u8]> = parameters.iter().map(|part| part.as_slice()).collect();
            assert_eq!(pss(&parameters), Err(NoEndPoint::Malformed(Malformed)), "{parameters:x?}");
        }
        let without = signed(&algorithm(&[PKCS_1, &[10]].concat(), &[]));
        assert_eq!(hash(&without), Err(NoEndPoint::Malformed(Malformed)));
    }
}
