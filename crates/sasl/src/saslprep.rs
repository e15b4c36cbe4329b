//! SASLprep (RFC 4013): one spelling for each user name and password.
//! The tables are the `stringprep` crate's; here is what its failures mean to a person.

use stringprep::tables;
use zeroize::Zeroizing;

/// Prepares a user name or password. Code points that Unicode 3.2 did not assign, which includes
/// most emoji, are refused as RFC 5802 asks of stored strings.
pub(crate) fn prepare(text: &str) -> Result<Zeroizing<String>, PreparationError> {
    // Looked for before normalisation, which knows today's Unicode and would turn some newer
    // characters into older ones.
    if text.chars().any(tables::unassigned_code_point) {
        return Err(PreparationError::Unassigned);
    }
    let prepared = match stringprep::saslprep(text) {
        Ok(prepared) => Zeroizing::new(prepared.into_owned()),
        Err(_) => return Err(reason(text)),
    };
    if prepared.is_empty() { Err(PreparationError::Empty) } else { Ok(prepared) }
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

/// Which rule a text without unassigned characters breaks: the crate says why in words only, and
/// its words quote the text.
fn reason(text: &str) -> PreparationError {
    let refused = |c: char| {
        tables::ascii_control_character(c)
            || tables::non_ascii_control_character(c)
            || tables::private_use(c)
            || tables::non_character_code_point(c)
            || tables::inappropriate_for_plain_text(c)
            || tables::inappropriate_for_canonical_representation(c)
            || tables::change_display_properties_or_deprecated(c)
            || tables::tagging_character(c)
    };
    // Some of what is removed beforehand, as U+FEFF, stands in the tables of the refused too.
    let removed = |c: &char| tables::commonly_mapped_to_nothing(*c);
    if text.chars().filter(|c| !removed(c)).any(refused) {
        PreparationError::Prohibited
    } else {
        PreparationError::Bidirectional
    }
}
