//! HT (draft-schmaus-kitten-sasl-ht-09) and its successor HT2, the server's side: names, the
//! client's message, and the hashes of both sides.
//!
//! Leaves out the tokens, which `fast` keeps, and where the data of a channel binding comes from.

use subtle::ConstantTimeEq;

use super::hash::Hash;
use super::{MALFORMED, SaslCondition, utf8};

/// A mechanism of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashedToken {
    hash: Hash,
    /// The type of channel binding, unless there is none.
    binding: Option<&'static str>,
    /// Both sides may say more than the hash: HT2.
    is_extended: bool,
}

/// The client's message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Initiator<'a> {
    pub(crate) user: &'a str,
    /// What HT2 has besides, which the hash covers.
    extra: &'a [u8],
    hash: &'a [u8],
}

impl HashedToken {
    /// The mechanism of this name, if it is one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (is_extended, rest) = match name.split_once('-')? {
            ("HT", rest) => (false, rest),
            ("HT2", rest) => (true, rest),
            _ => return None,
        };
        let (hash, class) = rest.rsplit_once('-')?;
        let hash = match hash {
            "SHA-512" => Hash::Sha512,
            "SHA-256" => Hash::Sha256,
            _ => return None,
        };
        let (_, binding) = CLASSES.into_iter().find(|(name, _)| *name == class)?;
        Some(Self { hash, binding, is_extended })
    }

    /// The type of channel binding that it needs.
    pub(crate) const fn binding(self) -> Option<&'static str> {
        self.binding
    }

    /// Reads the client's message (section 3.1).
    pub(crate) fn read(self, message: &[u8]) -> Result<Initiator<'_>, SaslCondition> {
        let cut = |bytes: &'_ [u8]| bytes.iter().position(|byte| *byte == 0).ok_or(MALFORMED);
        let end = cut(message)?;
        let (user, rest) = (utf8(&message[..end])?, &message[end + 1..]);
        let (extra, hash) = match self.is_extended {
            false => (&rest[..0], rest),
            true => {
                let end = cut(rest)?;
                (&rest[..end], &rest[end + 1..])
            }
        };
        if user.is_empty() || user.len() > LONGEST_NAME || hash.is_empty() {
            return Err(MALFORMED);
        }
        Ok(Initiator { user, extra, hash })
    }

    /// Whether the message is of somebody who has the token, on a channel with this data.
    pub(crate) fn accepts(self, message: &Initiator<'_>, token: &str, data: &[u8]) -> bool {
        let signed = [b"Initiator", data, message.extra].concat();
        self.hash.hmac(token.as_bytes(), &signed).ct_eq(message.hash).into()
    }

    /// What proves to the client that the server has the token, too (section 3.3).
    pub(crate) fn response(self, token: &str, data: &[u8]) -> Vec<u8> {
        let hash = self.hash.hmac(token.as_bytes(), &[b"Responder", data].concat());
        // In HT2: success, and nothing besides.
        let head: &[u8] = if self.is_extended { &[0, 0] } else { &[] };
        [head, &hash].concat()
    }
}

/// The mechanisms that a server offers for tokens unless it is told otherwise, the strongest first.
pub(crate) const ALL: [&str; 8] = [
    "HT-SHA-512-EXPR",
    "HT-SHA-256-EXPR",
    "HT-SHA-512-UNIQ",
    "HT-SHA-256-UNIQ",
    "HT-SHA-512-ENDP",
    "HT-SHA-256-ENDP",
    "HT-SHA-512-NONE",
    "HT-SHA-256-NONE",
];

const CLASSES: [(&str, Option<&str>); 4] = [
    ("EXPR", Some("tls-exporter")),
    ("UNIQ", Some("tls-unique")),
    ("ENDP", Some("tls-server-end-point")),
    ("NONE", None),
];

const LONGEST_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_hash_binding_and_generation() {
        let ht = |hash, binding, is_extended| Some(HashedToken { hash, binding, is_extended });
        assert!(ALL.into_iter().all(|name| HashedToken::named(name).is_some()));
        assert_eq!(HashedToken::named("HT-SHA-256-NONE"), ht(Hash::Sha256, None, false));
        let unique = ht(Hash::Sha512, Some("tls-unique"), false);
        assert_eq!(HashedToken::named("HT-SHA-512-UNIQ"), unique);
        let exporter = ht(Hash::Sha256, Some("tls-exporter"), true);
        assert_eq!(HashedToken::named("HT2-SHA-256-EXPR"), exporter);
        for wrong in ["HT-SHA-1-NONE", "HT-SHA-256", "HT-SHA-256-none", "HT3-SHA-256-NONE", "HT"] {
            assert_eq!(HashedToken::named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn messages_have_their_parts() {
        let [first, second] =
            ["HT-SHA-256-NONE", "HT2-SHA-256-NONE"].map(|name| HashedToken::named(name).unwrap());
        let parts = |user, extra, hash| Ok(Initiator { user, extra, hash });
        assert_eq!(first.read(b"alice\0a\0b"), parts("alice", b"", b"a\0b"));
        assert_eq!(second.read(b"alice\0a=1\0b\0"), parts("alice", b"a=1", b"b\0"));
        assert_eq!(second.read(b"alice\0\0b"), parts("alice", b"", b"b"));
        let long = [&[b'a'; 256][..], b"\0x"].concat();
        for wrong in [&b""[..], b"alice", b"\0x", b"alice\0", b"\xff\0x", &long] {
            assert_eq!(first.read(wrong), Err(MALFORMED), "{wrong:?}");
        }
        assert_eq!(second.read(b"alice\0x"), Err(MALFORMED));
        assert_eq!(second.read(b"alice\0x\0"), Err(MALFORMED));
    }

    /// Computed with Python's `hmac`, as the whole of the mechanism is: HMAC over a label and the
    /// data of the channel.
    #[test]
    fn hashes_are_those_of_another_implementation() {
        for (name, data, initiator, responder) in VECTORS {
            let ht = HashedToken::named(name).unwrap();
            let hash = hex(initiator);
            let message = [b"alice\0", &hash[..]].concat();
            let message = ht.read(&message).unwrap();
            assert!(ht.accepts(&message, TOKEN, data), "{name}");
            assert_eq!(ht.response(TOKEN, data), hex(responder), "{name}");
            assert!(!ht.accepts(&message, "x", data));
            assert!(!ht.accepts(&message, TOKEN, b"other"));
            assert!(!ht.accepts(&Initiator { hash: &hash[1..], ..message }, TOKEN, data));
        }
    }

    #[test]
    fn the_successor_signs_what_it_says_besides() {
        let ht = HashedToken::named("HT2-SHA-256-NONE").unwrap();
        let hash = Hash::Sha256.hmac(TOKEN.as_bytes(), b"Initiatora=1");
        let message = |extra: &[u8]| [b"alice\0", extra, b"\0", &hash].concat();
        let accepts = |bytes: &[u8]| ht.accepts(&ht.read(bytes).unwrap(), TOKEN, b"");
        assert!(accepts(&message(b"a=1")));
        assert!(!accepts(&message(b"a=2")));
        let hash = Hash::Sha256.hmac(TOKEN.as_bytes(), b"Responder");
        assert_eq!(ht.response(TOKEN, b""), [&[0, 0], &hash[..]].concat());
    }

    fn hex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        pairs.map(byte).collect()
    }

    const TOKEN: &str = "WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm";

    const VECTORS: [(&str, &[u8], &str, &str); 3] = [
        (
            "HT-SHA-256-NONE",
            b"",
            "9097787461a184e0fa84ec00c1381190b6c4d16a8ec4453c7b2ac5e7fcf935ed",
            "4e513409631474863b986c9f3e8c1e27ca29d1d7ab9ed4097e7afd6007bf9c62",
        ),
        (
            "HT-SHA-256-EXPR",
            b"exporter",
            "6c0592ae3ee84ace57194e3c3c435d76865c8166b8415543708bad3f3ca5afbe",
            "f88882403809e5680effb322d36bb70db61b55c83fc6e1260315aaa869e8565a",
        ),
        (
            "HT-SHA-512-ENDP",
            b"certificate",
            "8538112d56aa470b78a6ba3cf3d3e0176be6209ba12657dbf767077c09bc004e\
         32d97a5b91bae9247c5482003d45f3dad58a15fe7a1f892611d75674db85d2ac",
            "42a9253dc177383971332eeaf09a1243345ffdd08c7f13df8c6759cee4d97fc6\
         7bd6124eef7f82de4e6237797db30db44068f0f41a18465464ef7c0805b209f9",
        ),
    ];
}
