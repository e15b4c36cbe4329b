//! Literals of Rust: what a string says once its quotes and escapes are gone.
//!
//! The compiler has accepted the literal already, so nothing is refused here.

use std::str::Chars;

use crate::token::Kind;

/// Reads a literal as it stands in the source.
pub(crate) fn read<C>(source: &str) -> Kind<C> {
    let text = match source.as_bytes() {
        [b'"', ..] => quoted(source).map(plain),
        [b'r', b'"' | b'#', ..] => quoted(source).map(newlines),
        [b'0'..=b'9', ..] => return Kind::Number(source.into()),
        _ => None,
    };
    text.map_or_else(|| Kind::Other(source.into()), Kind::Text)
}

/// What stands between the quotes, or nothing if more than `#` stands after them.
fn quoted(source: &str) -> Option<&str> {
    let (_, rest) = source.split_once('"')?;
    let (text, hashes) = rest.rsplit_once('"')?;
    hashes.bytes().all(|byte| byte == b'#').then_some(text)
}

/// A line ends in one character, however the file has it.
fn newlines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn plain(text: &str) -> String {
    let text = newlines(text);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => plain.extend(escaped(&mut rest)),
            character => plain.push(character),
        }
    }
    plain
}

/// The character that an escape stands for; none, if it only hides the end of a line.
fn escaped(rest: &mut Chars<'_>) -> Option<char> {
    let code = match rest.next()? {
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        '0' => return Some('\0'),
        '\n' => {
            *rest = rest.as_str().trim_start_matches([' ', '\t', '\n', '\r']).chars();
            return None;
        }
        'x' => rest.by_ref().take(2).collect::<String>(),
        'u' => rest.by_ref().skip(1).take_while(|c| *c != '}').filter(|c| *c != '_').collect(),
        character => return Some(character),
    };
    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Option<String> {
        match read::<()>(source) {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The compiler's reading beside ours.
    macro_rules! same {
        ($($literal:literal)+) => { $(assert_eq!(text(stringify!($literal)).as_deref(), Some($literal));)+ };
    }

    #[test]
    fn strings_are_read_as_the_compiler_reads_them() {
        same!("" "a" "\"" "\\n" "\n\r\t\0\\\'\"" "\x41\x7f" "\u{e9}\u{1_F642}" "é\u{0}🙂"
            "a \
             b\
            " r"" r"\n" r#"a "b" \"# r##""#"##);
        assert_eq!(text("\"a\r\nb\"").as_deref(), Some("a\nb"));
        assert_eq!(text("r\"a\r\nb\"").as_deref(), Some("a\nb"));
    }

    #[test]
    fn other_literals_are_no_text() {
        for source in ["b\"a\"", "c\"a\"", "br\"a\"", "'a'", "b'a'", "\"a\"suffix"] {
            assert!(matches!(read::<()>(source), Kind::Other(other) if other == source));
        }
        for source in ["1", "1.5", "2e3", "0x1f", "2a"] {
            assert!(matches!(read::<()>(source), Kind::Number(number) if number == source));
        }
    }
}
