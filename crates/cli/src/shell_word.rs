//! Words for a command line that is to be pasted into a shell.

use std::borrow::Cow;

/// The text as one word of a POSIX shell.
pub(crate) fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn only_what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(shell_word("/tmp/alice.keys"), "/tmp/alice.keys");
        assert_eq!(shell_word("my keys"), "'my keys'");
        assert_eq!(shell_word("$HOME;it's"), r"'$HOME;it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
