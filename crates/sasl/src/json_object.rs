//! Reading the JSON objects in which keys, pins, tokens and sessions are kept.
//! What their members mean is said where each is.

use serde::Deserialize;

/// Where a text is not the object that it should be. Nothing of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wrong at line {line}, column {column}")]
pub struct Unreadable {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Reads an object. The parser alone would take a list for one.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use epode_sasl::json_object::{Unreadable, read};
///
/// let counts: BTreeMap<&str, u32> = read(r#"{"a":1}"#)?;
/// assert_eq!(counts["a"], 1);
/// assert_eq!(read::<(u32,)>("[1]"), Err(Unreadable { line: 1, column: 1 }));
/// # Ok::<(), Unreadable>(())
/// ```
///
/// # Errors
///
/// [`Unreadable`], which says where.
pub fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Unreadable> {
    if json.trim_ascii_start().starts_with('[') {
        return Err(Unreadable { line: 1, column: 1 });
    }
    serde_json::from_str(json)
        .map_err(|error| Unreadable { line: error.line(), column: error.column() })
}
