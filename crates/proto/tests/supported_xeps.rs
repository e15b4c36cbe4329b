//! `docs/supported-xeps.md`, for people, says of each XEP what `doap.xml`, for programs, says.

use std::{collections::BTreeMap, fs, path::PathBuf};

use epode_proto::Element;

#[test]
fn both_lists_say_the_same() {
    let table = in_table(&read("docs/supported-xeps.md"));
    let doap = in_doap(&read("doap.xml"));
    assert!(table.len() > 20, "the table was not found: {table:?}");
    assert_eq!(table, doap, "left: docs/supported-xeps.md; right: doap.xml");
}

/// From a XEP's number to the status that DOAP knows.
type Statuses = BTreeMap<String, String>;

/// Rows as `| 0124, 0206 | BOSH | partly | … |`. What is not planned is not in DOAP.
fn in_table(page: &str) -> Statuses {
    let (_, xeps) = page.split_once("\n## XEPs\n").expect("the page has a section for XEPs");
    let mut statuses = Statuses::new();
    for row in xeps.lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, numbers, _, status, ..] = cells[..] else { continue };
        let status = match status {
            "done" => "complete",
            "partly" => "partial",
            "not yet" => "planned",
            _ => continue,
        };
        for number in numbers.split(", ").filter(|number| is_number(number)) {
            let earlier = statuses.insert(number.to_owned(), status.to_owned());
            assert_eq!(earlier, None, "XEP-{number} is there twice");
        }
    }
    statuses
}

/// A row on sections of a XEP begins with its number as well, and says more.
fn is_number(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn in_doap(file: &str) -> Statuses {
    let (_, root) = file.split_once("?>").expect("it begins with an XML declaration");
    let root = Element::parse(root.trim()).expect("it is XML");
    let project = root.child("Project", DOAP).expect("it describes a project");
    let supported = project.children().filter_map(|child| child.child("SupportedXep", XMPP));
    let mut statuses = Statuses::new();
    for xep in supported {
        let link = xep.child("xep", XMPP).and_then(|link| link.attr_ns(RDF, "resource"));
        let link = link.expect("it names the XEP");
        let number = link.strip_prefix("https://xmpp.org/extensions/xep-");
        let number = number.and_then(|rest| rest.strip_suffix(".html")).expect("its page");
        let status = xep.child("status", XMPP).expect("it has a status").text();
        assert!(xep.child("version", XMPP).is_some_and(|version| !version.text().is_empty()));
        let earlier = statuses.insert(number.to_owned(), status);
        assert_eq!(earlier, None, "XEP-{number} is there twice");
    }
    statuses
}

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const DOAP: &str = "http://usefulinc.com/ns/doap#";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const XMPP: &str = "https://linkmauve.fr/ns/xmpp-doap#";
