//! XMPP addresses: `local@domain/resource` (RFC 7622).
//!
//! Lengths and characters that never are right are checked. PRECIS and IDNA are left to the
//! server: no part is ever rewritten, so what was typed is what is connected to.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The address of an account, a server, a room or a session of one of them.
///
/// Local part and domain are compared without regard to ASCII case, the resource exactly; `Hash`
/// and `Ord` agree with that. Sorted, domains come first, then accounts by name, then by domain.
///
/// ```
/// use epode_proto::Jid;
///
/// let jid: Jid = "alice@example.org/phone".parse()?;
/// assert_eq!(jid.local(), Some("alice"));
/// assert_eq!(jid.domain(), "example.org");
/// assert_eq!(jid.resource(), Some("phone"));
/// assert_eq!(jid.bare(), "Alice@EXAMPLE.org".parse()?);
/// assert_eq!(jid.to_string(), "alice@example.org/phone");
/// # Ok::<(), epode_proto::jid::JidError>(())
/// ```
#[derive(Clone)]
pub struct Jid {
    text: Box<str>,
    /// Length of the local part, if there is one; `@` follows it.
    local: Option<usize>,
    /// Where the domain ends; the end of the text, or a `/`.
    domain_end: usize,
}

/// Why a string is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JidError {
    /// The whole address is empty.
    #[error("the address is empty: write it as user@example.org")]
    Empty,
    /// Nothing before the `@`.
    #[error("nothing stands before the '@': write user@example.org, or only the domain")]
    LocalEmpty,
    /// More than 1023 bytes before the `@`.
    #[error("the part before the '@' has {length} bytes: at most 1023 are allowed")]
    LocalTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A character that may not stand before the `@`.
    #[error(
        "{character:?} cannot stand before the '@': leave it out, or escape it as XEP-0106 says, a space as \\20"
    )]
    LocalForbidden {
        /// The character.
        character: char,
    },
    /// A local part to escape begins or ends with a space.
    #[error("the part before the '@' begins or ends with a space: remove it")]
    LocalOuterSpace,
    /// No domain.
    #[error("the domain is missing: write user@example.org")]
    DomainEmpty,
    /// A domain of more than 1023 bytes.
    #[error("the domain has {length} bytes: at most 1023 are allowed")]
    DomainTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Two dots in a row, or one at the beginning.
    #[error(
        "the domain has nothing between two dots, or before the first: write it as example.org"
    )]
    DomainLabelEmpty,
    /// A `:` in the domain.
    #[error(
        "':' cannot stand in the domain: a port is not part of an address, and an IPv6 address goes into brackets"
    )]
    DomainColon,
    /// Brackets without an IPv6 address in them.
    #[error("the brackets in the domain hold no IPv6 address: write [2001:db8::1]")]
    DomainBadIpv6,
    /// A character that no domain has.
    #[error("{character:?} cannot stand in the domain: write it as user@example.org/resource")]
    DomainForbidden {
        /// The character.
        character: char,
    },
    /// Nothing after the `/`.
    #[error("nothing stands after the '/': write a resource there or leave the '/' out")]
    ResourceEmpty,
    /// More than 1023 bytes after the `/`.
    #[error("the resource has {length} bytes: at most 1023 are allowed")]
    ResourceTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A space directly after the `/`.
    #[error("the resource begins with a space: remove it")]
    ResourceLeadingSpace,
    /// A character that may not stand in a resource.
    #[error("{character:?} cannot stand in a resource: leave control characters out")]
    ResourceForbidden {
        /// The character.
        character: char,
    },
}

impl Jid {
    /// An address from its parts, which are not split any further.
    ///
    /// # Errors
    ///
    /// The first part that breaks a rule of RFC 7622, sections 3.2 to 3.4.
    ///
    /// ```
    /// use epode_proto::jid::{Jid, JidError};
    ///
    /// let jid = Jid::new(Some("alice"), "example.org", None).unwrap();
    /// assert_eq!(jid.to_string(), "alice@example.org");
    /// let error = Jid::new(Some("alice@home"), "example.org", None).unwrap_err();
    /// assert_eq!(error, JidError::LocalForbidden { character: '@' });
    /// ```
    pub fn new(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        // A final dot only says that the name is complete (RFC 7622, section 3.2).
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        local.map_or(Ok(()), check_local)?;
        check_domain(domain)?;
        resource.map_or(Ok(()), check_resource)?;
        let mut text = String::with_capacity(
            local.map_or(0, |local| local.len() + 1)
                + domain.len()
                + resource.map_or(0, |resource| 1 + resource.len()),
        );
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        let domain_end = text.len();
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Ok(Self { text: text.into_boxed_str(), local: local.map(str::len), domain_end })
    }

    /// The part before the `@`: the account. A server's own address has none.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.local.map(|length| &self.text[..length])
    }

    /// The domain, as it was given but for one final dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.local.map_or(0, |length| length + 1)..self.domain_end]
    }

    /// The part after the first `/`: one session of the account. It may hold further `/` and `@`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.domain_end + 1..)
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address without its resource.
    #[must_use]
    pub fn bare(&self) -> Self {
        let text = self.text[..self.domain_end].into();
        Self { text, local: self.local, domain_end: self.domain_end }
    }

    /// The address with this resource in place of its own.
    ///
    /// # Errors
    ///
    /// A `Resource…` variant of [`JidError`].
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        Self::new(self.local(), self.domain(), Some(resource))
    }
}

impl FromStr for Jid {
    type Err = JidError;

    /// Splits at the first `/`, then at the first `@` before it (RFC 7622, section 3.2).
    fn from_str(text: &str) -> Result<Self, JidError> {
        if text.is_empty() {
            return Err(JidError::Empty);
        }
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        Self::new(local, domain, resource)
    }
}

impl TryFrom<&str> for Jid {
    type Error = JidError;

    fn try_from(text: &str) -> Result<Self, JidError> {
        text.parse()
    }
}

impl TryFrom<String> for Jid {
    type Error = JidError;

    fn try_from(text: String) -> Result<Self, JidError> {
        text.parse()
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Jid {}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        let locals = match (self.local(), other.local()) {
            (Some(ours), Some(theirs)) => folded(ours).cmp(folded(theirs)),
            (ours, theirs) => ours.cmp(&theirs),
        };
        locals
            .then_with(|| folded(self.domain()).cmp(folded(other.domain())))
            .then_with(|| self.resource().cmp(&other.resource()))
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        folded(&self.text[..self.domain_end]).for_each(|byte| state.write_u8(byte));
        state.write_u8(0xff); // no byte of UTF-8: the end of the one, the beginning of the other
        self.resource().hash(state);
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({:?})", self.as_str())
    }
}

impl AsRef<str> for Jid {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<Jid> for String {
    fn from(jid: Jid) -> Self {
        jid.text.into()
    }
}

/// Escapes what may not stand in a local part, so that any user name can (XEP-0106).
///
/// # Errors
///
/// [`JidError::LocalOuterSpace`]: a space at either end has no escaped form.
///
/// ```
/// use epode_proto::jid::escape_local;
///
/// assert_eq!(escape_local("d'artagnan").unwrap(), r"d\27artagnan");
/// assert_eq!(escape_local(r"c:\5commas").unwrap(), r"c\3a\5c5commas");
/// ```
pub fn escape_local(local: &str) -> Result<String, JidError> {
    if local.starts_with(' ') || local.ends_with(' ') {
        return Err(JidError::LocalOuterSpace);
    }
    let mut escaped = String::with_capacity(local.len());
    for (at, character) in local.char_indices() {
        let code = ESCAPES.iter().find(|(_, escape)| *escape == character).map(|(code, _)| code);
        match code {
            // A backslash is escaped only where it would be read as an escape.
            Some(_) if character == '\\' && escape_at(&local[at..]).is_none() => escaped.push('\\'),
            Some(code) => escaped.extend(["\\", code]),
            None => escaped.push(character),
        }
    }
    Ok(escaped)
}

/// The user name behind an escaped local part, to show to people (XEP-0106). Never compare or
/// send the result as an address.
///
/// ```
/// use epode_proto::jid::unescape_local;
///
/// assert_eq!(unescape_local(r"call\20me\20\22ishmael\22"), r#"call me "ishmael""#);
/// assert_eq!(unescape_local(r"\2plus\2is\4"), r"\2plus\2is\4");
/// ```
#[must_use]
pub fn unescape_local(local: &str) -> String {
    let mut plain = String::with_capacity(local.len());
    let mut rest = local;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let tail = &rest[at..];
        let outer = plain.is_empty() || tail.len() == ESCAPE_LENGTH;
        let (character, length) = match escape_at(tail) {
            // No escaper puts a space at either end, so this one was never escaped.
            Some(' ') if outer => ('\\', 1),
            Some(character) => (character, ESCAPE_LENGTH),
            None => ('\\', 1),
        };
        plain.push(character);
        rest = &tail[length..];
    }
    plain + rest
}

/// The bytes of a text without regard to ASCII case.
fn folded(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// The character whose escape a text begins with.
fn escape_at(text: &str) -> Option<char> {
    let code = text.strip_prefix('\\')?.get(..2)?;
    ESCAPES.iter().find(|(known, _)| *known == code).map(|(_, character)| *character)
}

fn check_local(local: &str) -> Result<(), JidError> {
    let forbidden = |c: &char| r#""&'/:<>@"#.contains(*c) || c.is_whitespace() || !is_visible(*c);
    match (local.len(), local.chars().find(forbidden)) {
        (0, _) => Err(JidError::LocalEmpty),
        (length, _) if length > MAX_PART => Err(JidError::LocalTooLong { length }),
        (_, Some(character)) => Err(JidError::LocalForbidden { character }),
        (_, None) => Ok(()),
    }
}

fn check_domain(domain: &str) -> Result<(), JidError> {
    if domain.is_empty() {
        return Err(JidError::DomainEmpty);
    }
    if domain.len() > MAX_PART {
        return Err(JidError::DomainTooLong { length: domain.len() });
    }
    if let Some(literal) = domain.strip_prefix('[') {
        let address = literal.strip_suffix(']').ok_or(JidError::DomainBadIpv6)?;
        return address.parse::<Ipv6Addr>().map(drop).map_err(|_| JidError::DomainBadIpv6);
    }
    let allowed = |c: char| match c {
        // Names with `_` break the rules of host names, and exist.
        '-' | '.' | '_' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric(),
        c => !c.is_whitespace() && is_visible(c),
    };
    match domain.chars().find(|c| !allowed(*c)) {
        Some(':') => Err(JidError::DomainColon),
        Some(character) => Err(JidError::DomainForbidden { character }),
        None if domain.split('.').any(str::is_empty) => Err(JidError::DomainLabelEmpty),
        None => Ok(()),
    }
}

fn check_resource(resource: &str) -> Result<(), JidError> {
    let forbidden = |c: &char| c.is_control() || is_noncharacter(*c);
    match (resource.len(), resource.chars().find(forbidden)) {
        (0, _) => Err(JidError::ResourceEmpty),
        (length, _) if length > MAX_PART => Err(JidError::ResourceTooLong { length }),
        (_, Some(character)) => Err(JidError::ResourceForbidden { character }),
        // RFC 7622, section 3.5, example 18.
        (_, None) if resource.starts_with(' ') => Err(JidError::ResourceLeadingSpace),
        (_, None) => Ok(()),
    }
}

/// Whether a character can be seen: no control, no format character that hides or reorders
/// others. PRECIS and IDNA allow none of these.
pub(crate) fn is_visible(character: char) -> bool {
    let hides = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}' | '\u{e0000}'..='\u{e0fff}');
    !(character.is_control() || hides || is_noncharacter(character))
}

/// The 66 code points that Unicode will never assign; XML cannot carry two of them.
fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe
}

const MAX_PART: usize = 1023;
const ESCAPE_LENGTH: usize = r"\20".len();
const ESCAPES: [(&str, char); 10] = [
    ("20", ' '),
    ("22", '"'),
    ("26", '&'),
    ("27", '\''),
    ("2f", '/'),
    ("3a", ':'),
    ("3c", '<'),
    ("3e", '>'),
    ("40", '@'),
    ("5c", '\\'),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    fn parts(text: &str) -> (Option<String>, String, Option<String>) {
        let jid: Jid = text.parse().unwrap();
        assert_eq!(jid.to_string(), text);
        (jid.local().map(Into::into), jid.domain().into(), jid.resource().map(Into::into))
    }

    fn error(text: &str) -> JidError {
        text.parse::<Jid>().unwrap_err()
    }

    #[test]
    fn the_examples_of_the_rfc_are_accepted() {
        let some = |text: &str| Some(text.to_owned());
        let domain = || "example.com".to_owned();
        assert_eq!(parts("juliet@example.com"), (some("juliet"), domain(), None));
        assert_eq!(parts("juliet@example.com/foo"), (some("juliet"), domain(), some("foo")));
        assert_eq!(parts("juliet@example.com/foo bar").2, some("foo bar"));
        assert_eq!(parts("juliet@example.com/foo@bar").2, some("foo@bar"));
        assert_eq!(parts(r"foo\20bar@example.com").0, some(r"foo\20bar"));
        assert_eq!(parts("fu\u{df}ball@example.com").0, some("fu\u{df}ball"));
        assert_eq!(parts("\u{3c0}@example.com").0, some("\u{3c0}"));
        assert_eq!(parts("king@example.com/\u{265a}").2, some("\u{265a}"));
        assert_eq!(parts("example.com"), (None, domain(), None));
        assert_eq!(parts("example.com/foobar"), (None, domain(), some("foobar")));
        assert_eq!(
            parts("a.example.com/b@example.net"),
            (None, "a.example.com".into(), some("b@example.net"))
        );
    }

    #[test]
    fn what_the_rfc_forbids_is_refused() {
        assert_eq!(error("\"juliet\"@example.com"), JidError::LocalForbidden { character: '"' });
        assert_eq!(error("foo bar@example.com"), JidError::LocalForbidden { character: ' ' });
        assert_eq!(error("juliet@example.com/ foo"), JidError::ResourceLeadingSpace);
        assert_eq!(error("@example.com/"), JidError::LocalEmpty);
        assert_eq!(error("juliet@"), JidError::DomainEmpty);
        assert_eq!(error("/foobar"), JidError::DomainEmpty);
    }

    #[test]
    fn empty_parts_are_told_apart() {
        assert_eq!(error(""), JidError::Empty);
        assert_eq!(error("@"), JidError::LocalEmpty);
        assert_eq!(error("@example.org"), JidError::LocalEmpty);
        assert_eq!(error("a@/x"), JidError::DomainEmpty);
        assert_eq!(error("a@."), JidError::DomainEmpty);
        assert_eq!(error("a@b/"), JidError::ResourceEmpty);
    }

    #[test]
    fn each_part_has_1023_bytes_at_most() {
        let (most, more) = ("x".repeat(1023), "x".repeat(1024));
        assert_eq!(format!("{most}@{most}/{most}").parse::<Jid>().unwrap().as_str().len(), 3071);
        assert_eq!(error(&format!("{more}@b/c")), JidError::LocalTooLong { length: 1024 });
        assert_eq!(error(&format!("a@{more}/c")), JidError::DomainTooLong { length: 1024 });
        assert_eq!(error(&format!("a@b/{more}")), JidError::ResourceTooLong { length: 1024 });
        let bytes = "\u{e9}".repeat(512);
        assert_eq!(error(&format!("{bytes}@b")), JidError::LocalTooLong { length: 1024 });
    }

    #[test]
    fn characters_of_the_local_part() {
        for character in
            ['"', '&', '\'', ':', '<', '>', '\0', '\t', '\u{a0}', '\u{202e}', '\u{feff}']
        {
            let forbidden = JidError::LocalForbidden { character };
            assert_eq!(error(&format!("a{character}b@c")), forbidden);
        }
        for character in ['/', '@'] {
            assert_eq!(
                Jid::new(Some(&format!("a{character}")), "b", None),
                Err(JidError::LocalForbidden { character })
            );
        }
    }

    #[test]
    fn characters_of_the_domain() {
        for domain in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::7]",
            "m\u{fc}nchen.example",
            "xn--mnchen-3ya.example",
            "my_host",
            "EXAMPLE.org",
            "\u{4f8b}\u{3048}.jp",
        ] {
            assert_eq!(parts(domain).1, domain);
        }
        for character in
            ['@', '\\', '"', ' ', '\u{7f}', '\n', '?', '#', ']', '\u{3000}', '\u{200b}']
        {
            assert_eq!(error(&format!("a@b{character}c")), JidError::DomainForbidden { character });
        }
        for colon in ["a@localhost:5222", "::1", "a@2001:db8::1/x"] {
            assert_eq!(error(colon), JidError::DomainColon);
        }
        for bad in ["[", "[]", "[::1", "[1.2.3.4]", "[::1]x", "[::1%eth0]", "[g::1]"] {
            assert_eq!(error(bad), JidError::DomainBadIpv6, "{bad}");
        }
        for label in ["a@example..org", "a@.example.org", "a@example.org..", ".."] {
            assert_eq!(error(label), JidError::DomainLabelEmpty, "{label}");
        }
    }

    #[test]
    fn characters_of_the_resource() {
        for resource in ["a/b", "'&<\">", "x ", "@", "\u{1f642}", "\u{202e}x"] {
            assert_eq!(parts(&format!("a@b/{resource}")).2.as_deref(), Some(resource));
        }
        for character in ['\0', '\n', '\u{9f}', '\u{ffff}', '\u{fdd0}', '\u{1fffe}'] {
            assert_eq!(
                error(&format!("a@b/x{character}")),
                JidError::ResourceForbidden { character }
            );
        }
    }

    #[test]
    fn one_final_dot_of_the_domain_is_dropped() {
        let jid: Jid = "a@example.org./x".parse().unwrap();
        assert_eq!((jid.domain(), jid.as_str()), ("example.org", "a@example.org/x"));
    }

    #[test]
    fn comparison_ignores_ascii_case_but_not_in_the_resource() {
        let jid = |text: &str| text.parse::<Jid>().unwrap();
        assert_eq!(jid("Alice@Example.ORG/x"), jid("alice@example.org/x"));
        assert_ne!(jid("alice@example.org/X"), jid("alice@example.org/x"));
        assert_ne!(jid("alice@example.org"), jid("alice@example.org/x"));
        assert_ne!(jid("example.org"), jid("alice@example.org"));
        assert_ne!(jid("\u{c9}@b"), jid("\u{e9}@b"));
        let set = HashSet::from([jid("A@b/c"), jid("a@B/c"), jid("a@b/C"), jid("a@b")]);
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn order_is_that_of_a_contact_list_and_agrees_with_equality() {
        let sorted = ["a.org", "b.org", "b.org/x", "a@b", "A@c", "ab@a", "B@a", "b@A/X", "b@a/x"];
        let jids = sorted.map(|text| text.parse::<Jid>().unwrap());
        assert!(jids.is_sorted_by(|a, b| a < b), "{jids:?}");
        for (at, one) in jids.iter().enumerate() {
            for (beside, other) in jids.iter().enumerate() {
                assert_eq!(one.cmp(other), at.cmp(&beside), "{one} {other}");
                assert_eq!(one == other, at == beside);
            }
        }
        let map = BTreeMap::from(
            [("A@b/c", 1), ("a@B/c", 2), ("a@b/C", 3)]
                .map(|(text, n)| (text.parse::<Jid>().unwrap(), n)),
        );
        assert_eq!(map.into_values().collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn bare_and_with_resource() {
        let jid: Jid = "a@b/c/d@e".parse().unwrap();
        assert_eq!(jid.bare().as_str(), "a@b");
        assert_eq!(jid.bare().resource(), None);
        assert_eq!(jid.with_resource("'x&").unwrap().as_str(), "a@b/'x&");
        assert_eq!(jid.with_resource(""), Err(JidError::ResourceEmpty));
        assert_eq!(
            jid.with_resource("\u{1}"),
            Err(JidError::ResourceForbidden { character: '\u{1}' })
        );
        assert_eq!(String::from("b/x".parse::<Jid>().unwrap().bare()), "b");
    }

    #[test]
    fn escaping_follows_the_table_of_the_xep() {
        for (plain, escaped) in [
            ("space cadet", r"space\20cadet"),
            ("call me \"ishmael\"", r"call\20me\20\22ishmael\22"),
            ("at&t guy", r"at\26t\20guy"),
            ("/.fanboy", r"\2f.fanboy"),
            ("::foo::", r"\3a\3afoo\3a\3a"),
            ("<foo>", r"\3cfoo\3e"),
            ("user@host", r"user\40host"),
            (r"c:\net", r"c\3a\net"),
            (r"c:\\net", r"c\3a\\net"),
            (r"c:\cool stuff", r"c\3a\cool\20stuff"),
            (r"c:\5commas", r"c\3a\5c5commas"),
            (r"\3and\2is\5cool", r"\5c3and\2is\5c5cool"),
            (r"\2plus\2is\4", r"\2plus\2is\4"),
            (r"foob\41r\", r"foob\41r\"),
            ("\u{e9}\\\u{e9}", "\u{e9}\\\u{e9}"),
        ] {
            assert_eq!(escape_local(plain).as_deref(), Ok(escaped));
            assert_eq!(unescape_local(escaped), plain);
            assert!(Jid::new(Some(escaped), "example.org", None).is_ok());
        }
    }

    #[test]
    fn a_space_at_either_end_is_neither_escaped_nor_unescaped() {
        for outer in [" a", "a ", " "] {
            assert_eq!(escape_local(outer), Err(JidError::LocalOuterSpace));
        }
        for outer in [r"\20a", r"a\20", r"\20"] {
            assert_eq!(unescape_local(outer), outer);
        }
    }
}
