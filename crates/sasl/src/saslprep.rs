//! SASLprep (RFC 4013): one spelling for each user name and password.
//! The tables are the `stringprep` crate's, the normal form is another module's.

use stringprep::tables;
use zeroize::Zeroizing;

use crate::normalization::nfkc;

/// Prepares a user name or password. Code points that Unicode 3.2 did not assign, which includes
/// most emoji, are refused as RFC 5802 asks of stored strings.
pub(crate) fn prepare(text: &str) -> Result<Zeroizing<String>, PreparationError> {
    // Looked for before normalisation, which knows today's Unicode and would turn some newer
    // characters into older ones.
    if text.chars().any(tables::unassigned_code_point) {
        return Err(PreparationError::Unassigned);
    }
    let mapped = mapped(text);
    let prepared = if mapped.is_ascii() { mapped } else { Zeroizing::new(nfkc(&mapped)) };
    if prepared.is_empty() {
        Err(PreparationError::Empty)
    } else if prepared.chars().any(is_prohibited) {
        Err(PreparationError::Prohibited)
    } else if !has_one_direction(&prepared) {
        Err(PreparationError::Bidirectional)
    } else {
        Ok(prepared)
    }
}

/// Why SASLprep refuses a user name or password. The text itself is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreparationError {
    /// Nothing is left of it.
    #[error("it is empty, or empty once characters without a meaning of their own are removed")]
    Empty,
    /// It has a control character, a private one or another that must not appear.
    #[error("it has a character that is not allowed there, such as a control character")]
    Prohibited,
    /// It has a character, such as an emoji, that Unicode 3.2 does not know.
    #[error("it has a character newer than Unicode 3.2, such as an emoji, which SASLprep refuses")]
    Unassigned,
    /// It mixes writing directions in a way that could be read in two ways.
    #[error("it mixes left-to-right and right-to-left writing")]
    Bidirectional,
}

/// Section 2.1: what becomes a space, and what is removed; U+200B stands in both tables, and becomes
/// one. There is room for all of it from the start, so that no copy is left behind.
fn mapped(text: &str) -> Zeroizing<String> {
    let mut mapped = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars() {
        if tables::non_ascii_space_character(c) {
            mapped.push(' ');
        } else if !tables::commonly_mapped_to_nothing(c) {
            mapped.push(c);
        }
    }
    mapped
}

/// Section 2.3.
fn is_prohibited(c: char) -> bool {
    tables::ascii_control_character(c)
        || tables::non_ascii_space_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// Section 2.4: what is written from right to left is so from its first character to its last.
fn has_one_direction(text: &str) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    !text.contains(tables::bidi_r_or_al)
        || (!text.contains(tables::bidi_l) && ends.into_iter().flatten().all(tables::bidi_r_or_al))
}
