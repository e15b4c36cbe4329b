//! Reading the JSON objects in which sessions, tokens and the like are kept.
//! What their members mean is said where each is.

use serde::Deserialize;

/// Where a text is not the object that it should be. Nothing of the text is in it.
pub(crate) struct Unreadable {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1.
    pub(crate) column: usize,
}

/// Reads an object. The parser alone would take a list for one.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Unreadable> {
    if json.trim_ascii_start().starts_with('[') {
        return Err(Unreadable { line: 1, column: 1 });
    }
    serde_json::from_str(json)
        .map_err(|error| Unreadable { line: error.line(), column: error.column() })
}
