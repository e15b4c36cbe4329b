//! The report for programs: one object, whose members docs/probe.md explains.

use serde::Serialize;

use super::{
    facts::{EndpointFacts, Facts, RecordFacts},
    findings::Finding,
};

/// The report.
#[derive(Serialize)]
pub(crate) struct Object<'a> {
    version: u32,
    domain: &'a str,
    records: Option<&'a RecordFacts>,
    endpoints: &'a [EndpointFacts],
    findings: &'a [Finding],
    /// The severity of the worst finding; null if there is none.
    worst: Option<&'static str>,
}

impl<'a> Object<'a> {
    pub(crate) fn of(facts: &'a Facts, findings: &'a [Finding]) -> Self {
        let Facts { domain, records, endpoints } = facts;
        let worst = findings.iter().map(|finding| finding.severity).max();
        Self {
            version: VERSION,
            domain,
            records: records.as_ref(),
            endpoints,
            findings,
            worst: worst.map(|severity| severity.name()),
        }
    }
}

/// Grows when a member is taken away or gets another meaning.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{
        super::{
            facts::{
                CertificateFacts, ChoiceFacts, ClearFacts, OfferFacts, PassedFacts, Stage,
                TlsFacts, Trouble, WayFacts,
            },
            findings::judge,
        },
        *,
    };

    /// Facts in which every member has a value.
    fn whole() -> Facts {
        let text = || "text".to_owned();
        let trouble = || Some(Trouble { stage: Stage::Stream, message: text() });
        let way = WayFacts { kind: "starttls", place: text(), origin: text() };
        let passed = PassedFacts { mechanism: text(), offered: true, reason: text() };
        let choice = ChoiceFacts { mechanism: text(), priority: 1, binding: Some(text()) };
        let offer = OfferFacts {
            channel_bindings: Some(vec![text()]),
            sasl2: Some(vec![text()]),
            choice: Some(choice),
            passed_over: vec![passed],
            ..OfferFacts::default()
        };
        let tls = TlsFacts {
            version: "1.2",
            spoken: true,
            trouble: trouble(),
            extended_master_secret: Some(true),
            offer: Some(offer),
        };
        let endpoint = EndpointFacts {
            endpoint: text(),
            origin: Some(text()),
            trouble: trouble(),
            before_tls: Some(ClearFacts { starttls: Some("required"), ..ClearFacts::default() }),
            tls: vec![tls],
            certificate: Some(CertificateFacts { problem: Some(text()), ..Default::default() }),
        };
        let records =
            RecordFacts { ways: vec![way], disagreement: Some(text()), ..RecordFacts::default() };
        Facts { domain: text(), records: Some(records), endpoints: vec![endpoint] }
    }

    /// `a.b[].c` for each member, however deep.
    fn paths(value: &Value, place: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let place =
                        if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                    paths(value, &place, found);
                    found.insert(place);
                }
            }
            Value::Array(items) => {
                items.iter().for_each(|item| paths(item, &format!("{place}[]"), found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_page_has_every_member_and_no_other() {
        let facts = whole();
        let findings = judge(&facts);
        let value = serde_json::to_value(Object::of(&facts, &findings)).unwrap();
        let mut members = BTreeSet::new();
        paths(&value, "", &mut members);

        let page = include_str!("../../../../docs/probe.md");
        let (_, table) = page.split_once("## The JSON").expect("the page has a part on the JSON");
        let table = table.split("\n## ").next().unwrap_or_default();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let documented: BTreeSet<_> =
            rows.filter_map(|row| row.split_once('`')).map(|(path, _)| path.to_owned()).collect();
        assert_eq!(documented, members);
    }

    #[test]
    fn the_worst_is_named() {
        let facts = whole();
        let findings = judge(&facts);
        let value = serde_json::to_value(Object::of(&facts, &findings)).unwrap();
        assert_eq!(value["worst"], "error");
        let value = serde_json::to_value(Object::of(&facts, &[])).unwrap();
        assert_eq!(value["worst"], Value::Null);
    }
}
