//! Which characters XML allows in names and in text (XML 1.0, sections 2.2 and 2.3).
//!
//! A name here has no prefix; which prefixes there are is the parser's business.

/// Whether a name can begin with it.
pub(crate) fn begins_name(character: char) -> bool {
    matches!(character,
        'a'..='z' | 'A'..='Z' | '_'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}' | '\u{200d}'
        | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Whether a name can go on with it.
pub(crate) fn continues_name(character: char) -> bool {
    begins_name(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}')
}

/// Whether text can have it.
pub(crate) fn is_xml_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_specification() {
        assert!(['a', 'Z', '_', '\u{c0}', '\u{1f642}'].into_iter().all(begins_name));
        assert!(!['-', '.', '0', '\u{b7}', '\u{aa}', '\u{d7}', ':'].into_iter().any(begins_name));
        assert!(['-', '.', '0', '\u{b7}', '\u{300}'].into_iter().all(continues_name));
        assert!(![':', ' ', '\u{aa}', '\u{37e}', '<'].into_iter().any(continues_name));
        assert!(['\t', '\r', ' ', '\u{7f}', '\u{fffd}', '\u{10ffff}'].into_iter().all(is_xml_char));
        assert!(!['\0', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'].into_iter().any(is_xml_char));
    }
}
