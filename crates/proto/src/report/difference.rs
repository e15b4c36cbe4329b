//! What two reports differ in: what has changed since the last attempt.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// A thing in which two reports differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key of the report's JSON, with those that it stands in: `chosen.mechanism`.
    pub key: String,
    /// What the earlier report has there, in JSON; none if it has nothing.
    pub before: Option<String>,
    /// What the later one has there.
    pub after: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} became {}", self.key, value(&self.before), value(&self.after))
    }
}

/// A text is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no report of a login in JSON")]
pub struct ReportError;

/// What two reports, as [`LoginReport::to_json`](super::LoginReport::to_json) wrote them, differ
/// in, apart from how long things took. Lists are compared as a whole, and those of the server
/// without their order, which some servers change each time.
///
/// ```
/// use epode_proto::report::differences;
///
/// let found = differences(r#"{"flights":3,"offered":["A","B"]}"#, r#"{"flights":2,"offered":["B","A"]}"#)?;
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].to_string(), "flights: 3 became 2");
/// # Ok::<(), epode_proto::report::ReportError>(())
/// ```
///
/// # Errors
///
/// [`ReportError`] where one of the two is no object in JSON.
pub fn differences(before: &str, after: &str) -> Result<Vec<Difference>, ReportError> {
    let (before, after) = (leaves(before)?, leaves(after)?);
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    let mut found: Vec<_> = keys
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| Difference {
            key: key.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

/// Each value of an object and of those in it, by its key.
fn leaves(json: &str) -> Result<BTreeMap<String, String>, ReportError> {
    let object: Value = serde_json::from_str(json).map_err(|_| ReportError)?;
    if !object.is_object() {
        return Err(ReportError);
    }
    let mut found = BTreeMap::new();
    gather("", object, &mut found);
    Ok(found)
}

fn gather(key: &str, value: Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_top = key.is_empty();
                if is_top && IGNORED.contains(&name.as_str()) {
                    continue;
                }
                let key = if is_top { name } else { format!("{key}.{name}") };
                gather(&key, value, found);
            }
        }
        Value::Null => {}
        Value::Array(mut items) => {
            if UNORDERED.contains(&key) {
                items.sort_by_key(ToString::to_string);
            }
            found.insert(key.to_owned(), Value::Array(items).to_string());
        }
        other => drop(found.insert(key.to_owned(), other.to_string())),
    }
}

/// Differs each time, and what follows from the rest.
const IGNORED: [&str; 2] = ["stages", "passed_over"];

/// The server's lists.
const UNORDERED: [&str; 4] = ["offered", "offered_sasl2", "offered_tokens", "offered_bindings"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_gone_and_changed_is_found() {
        let before = r#"{"flights":5,"chosen":{"mechanism":"A"},"weaker":null,"text":"x"}"#;
        let after = r#"{"flights":5,"chosen":{"mechanism":"B"},"jid":"a@b/c","stages":[1]}"#;
        let found: Vec<_> =
            differences(before, after).unwrap().iter().map(ToString::to_string).collect();
        let expected = [
            r#"chosen.mechanism: "A" became "B""#,
            r#"jid: nothing became "a@b/c""#,
            r#"text: "x" became nothing"#,
        ];
        assert_eq!(found, expected);
        assert_eq!(differences(after, after), Ok(vec![]));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for wrong in ["", "[]", "3", "{", "null"] {
            assert_eq!(differences(wrong, "{}"), Err(ReportError), "{wrong}");
            assert_eq!(differences("{}", wrong), Err(ReportError), "{wrong}");
        }
    }
}
