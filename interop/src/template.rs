//! Configuration files with `@name@` placeholders.
//!
//! No conditions and no loops: a template is the file that the server reads, but for its paths
//! and ports. An at-sign that is meant must be written `@@`.

use crate::Error;

/// Fills the placeholders of a template with values.
///
/// # Errors
/// [`Error::Placeholder`] for a name without a value, and for an at-sign without its partner.
pub(crate) fn fill(
    template: &'static str,
    text: &str,
    values: &[(&str, &str)],
) -> Result<String, Error> {
    let mut filled = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        // Odd pieces stand between two at-signs.
        let mut pieces = line.split('@');
        filled.push_str(pieces.next().unwrap_or_default());
        while let Some(name) = pieces.next() {
            let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            match (name, value, pieces.next()) {
                ("", _, Some(rest)) => filled.extend(["@", rest]),
                (_, Some(value), Some(rest)) => filled.extend([value, rest]),
                _ => {
                    let name = name.to_owned();
                    return Err(Error::Placeholder { template, line: index + 1, name });
                }
            }
        }
        filled.push('\n');
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::fill;
    use crate::Error;

    #[test]
    fn values_go_where_their_names_are() {
        let text = "port = @port@\nadmin = \"root@@@host@\"\n@port@@host@\n";
        let filled = fill("t", text, &[("port", "1"), ("host", "a.example")]);
        assert_eq!(filled.unwrap(), "port = 1\nadmin = \"root@a.example\"\n1a.example\n");
    }

    #[test]
    fn a_name_without_a_value_is_refused() {
        for text in ["x\n@absent@", "x\n1 @absent", "x\n@@ @absent@ @port@"] {
            match fill("t", text, &[("port", "1")]) {
                Err(Error::Placeholder { template: "t", line: 2, name }) => {
                    assert_eq!(name, "absent");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
