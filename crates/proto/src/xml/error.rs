//! Why XML was refused.
//!
//! What a well-formed element means is not judged here.

use rxml::error::ErrorContext;

/// Why bytes are not XML that XMPP allows, or why an element cannot be written.
///
/// No variant carries text of the peer, so each is safe to log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Elements are nested deeper than [`Limits::depth`](super::Limits::depth).
    #[error(
        "elements are nested deeper than the limit of {limit}: raise `Limits::depth` if the peer is honest"
    )]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// An element has more attributes than [`Limits::attributes`](super::Limits::attributes).
    #[error(
        "an element has more attributes than the limit of {limit}: raise `Limits::attributes` if the peer is honest"
    )]
    TooManyAttributes {
        /// The limit.
        limit: usize,
    },
    /// More declarations are in force than [`Limits::namespaces`](super::Limits::namespaces).
    #[error(
        "more namespace declarations are in force than the limit of {limit}: raise `Limits::namespaces` if the peer is honest"
    )]
    TooManyNamespaces {
        /// The limit.
        limit: usize,
    },
    /// A name or attribute value is longer than [`Limits::token`](super::Limits::token).
    #[error(
        "a name or attribute value is longer than the limit of {limit} bytes: raise `Limits::token` if the peer is honest"
    )]
    TokenTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A stanza or frame is larger than [`Limits::stanza`](super::Limits::stanza).
    #[error(
        "a stanza is larger than the limit of {limit} bytes: raise `Limits::stanza` if the peer is honest"
    )]
    StanzaTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// More bytes were fed than [`Limits::backlog`](super::Limits::backlog) before the events
    /// in them were taken. This is the caller's fault, not the peer's.
    #[error(
        "more than {limit} bytes were fed before their events were taken: call `next_event` until it has none after each `feed`"
    )]
    Backlog {
        /// The limit in bytes.
        limit: usize,
    },
    /// There is nothing where an element should be.
    #[error("there is no XML: a frame must hold one element")]
    Empty,
    /// The first byte cannot begin XML; the peer may speak another protocol.
    #[error(
        "the first byte is 0x{byte:02x} where XML begins with '<': does this address speak XMPP?"
    )]
    NotXml {
        /// The first byte.
        byte: u8,
    },
    /// The first byte is that of a byte order mark, which XMPP does not use.
    #[error(
        "the XML begins with a byte order mark: XMPP is UTF-8 without one (RFC 6120, section 11.6)"
    )]
    ByteOrderMark,
    /// The bytes are not UTF-8.
    #[error("the XML is not valid UTF-8 (RFC 6120, section 11.6)")]
    InvalidUtf8,
    /// The XML declaration asks for something else than XML 1.0, UTF-8, standalone.
    #[error(
        "the XML declaration does not say version 1.0 in UTF-8: XMPP has no other (RFC 6120, section 11.5)"
    )]
    UnsupportedDeclaration,
    /// A document type or another markup declaration.
    #[error("a document type declaration is not allowed in XMPP (RFC 6120, section 11.1)")]
    Doctype,
    /// A processing instruction, or an XML declaration in the wrong place.
    #[error("a processing instruction is not allowed in XMPP (RFC 6120, section 11.1)")]
    ProcessingInstruction,
    /// A comment.
    #[error("a comment is not allowed in XMPP (RFC 6120, section 11.1)")]
    Comment,
    /// An entity other than the five that XML predefines.
    #[error(
        "an entity is used that XML does not predefine: XMPP has `&lt;`, `&gt;`, `&amp;`, `&apos;` and `&quot;` only"
    )]
    UndeclaredEntity,
    /// A character that XML 1.0 cannot carry, not even as a reference.
    #[error("the character U+{code:04X} cannot stand in XML: leave it out or encode the text")]
    ForbiddenCharacter {
        /// The code point.
        code: u32,
    },
    /// `]]>` in text.
    #[error("`]]>` stands in text: it is written `]]&gt;`")]
    CdataEndInText,
    /// A prefix without a declaration.
    #[error("a namespace prefix is used that no `xmlns:` attribute declares")]
    UnboundPrefix,
    /// A declaration that XML reserves or forbids.
    #[error("a namespace declaration rebinds a reserved name or unbinds a prefix")]
    ReservedNamespace,
    /// An attribute occurs twice, perhaps under two prefixes.
    #[error("an element has the same attribute twice")]
    DuplicateAttribute,
    /// An end tag does not match its start tag.
    #[error("an end tag does not match the start tag before it")]
    MismatchedEndTag,
    /// A name in the input breaks the rules of XML.
    #[error("an element or attribute has a malformed name")]
    MalformedName,
    /// Text between stanzas, or between the stream header and the first stanza.
    #[error("there is text outside of stanzas: only whitespace may stand there")]
    TextOutsideStanza,
    /// Something follows the root element.
    #[error(
        "something follows the root element: a frame holds one element (RFC 7395, section 3.3.3)"
    )]
    ContentAfterRoot,
    /// The input ends before the root element does.
    #[error("the XML ends before its root element is closed")]
    Truncated,
    /// Another violation of the XML grammar.
    #[error("the XML is malformed: {reason}")]
    Malformed {
        /// What is wrong, without the peer's text.
        reason: String,
    },
    /// A name in an element of ours cannot be written.
    #[error(
        "{name:?} is not a name in XML: begin with a letter, then letters, digits, '-', '_' and '.'"
    )]
    InvalidName {
        /// The name.
        name: String,
    },
    /// A namespace in an element of ours cannot be written.
    #[error("nothing can be put into the namespace {namespace:?}: choose another")]
    InvalidNamespace {
        /// The namespace.
        namespace: String,
    },
}

impl XmlError {
    /// Translates the parser's error; the version of rxml is pinned and each row is tested.
    pub(super) fn from_rxml(error: rxml::Error, token_limit: usize) -> Self {
        use rxml::Error as E;
        match error {
            E::InvalidEof(_) => Self::Truncated,
            E::UndeclaredEntity => Self::UndeclaredEntity,
            E::InvalidChar(_, code, _) => Self::ForbiddenCharacter { code },
            E::UnexpectedChar(_, character, _) if !is_xml_char(character) => {
                Self::ForbiddenCharacter { code: character.into() }
            }
            E::UnexpectedByte(_, 0, _) => Self::ForbiddenCharacter { code: 0 },
            E::UnexpectedChar(Some(ErrorContext::Name | ErrorContext::NameStart), ..) => {
                Self::MalformedName
            }
            E::MultiColonName(_) | E::EmptyNamePart(_) | E::InvalidLocalName(_) => {
                Self::MalformedName
            }
            E::UnexpectedToken(Some(ErrorContext::DocumentEnd), ..) => Self::ContentAfterRoot,
            E::DuplicateAttribute => Self::DuplicateAttribute,
            E::ElementMismatch => Self::MismatchedEndTag,
            E::UndeclaredNamespacePrefix(_) => Self::UnboundPrefix,
            E::ReservedNamespacePrefix | E::ReservedNamespaceName | E::EmptyNamespaceUri => {
                Self::ReservedNamespace
            }
            E::InvalidUtf8Byte(_) => Self::InvalidUtf8,
            E::InvalidSyntax("malformed cdata or comment section start") => Self::Doctype,
            E::InvalidSyntax("unescaped ']]>' forbidden in text") => Self::CdataEndInText,
            E::RestrictedXml("processing instructions") => Self::ProcessingInstruction,
            E::RestrictedXml("comments") => Self::Comment,
            E::RestrictedXml("long name or reference") => Self::TokenTooLong { limit: token_limit },
            E::RestrictedXml(
                "only XML version 1.0 is allowed"
                | "only utf-8 encoding is allowed"
                | "only standalone documents are allowed",
            ) => Self::UnsupportedDeclaration,
            other => Self::Malformed { reason: other.to_string() },
        }
    }
}

/// Whether XML 1.0 can carry a character (production 2, `Char`). Surrogates are no `char`.
pub(crate) fn is_xml_char(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => true,
    }
}
