//! Compares what the client sent with what it should have sent, as XML.
//!
//! Leaves out where text stands between child elements: XMPP has no mixed content.

use epode_proto::xml::{Element, Node};

use super::Mismatch;

/// Finds the first difference, outside in, attributes before content.
pub(super) fn compare(line: usize, expected: &Element, found: &Element) -> Result<(), Mismatch> {
    Comparison { line, place: String::new() }.element(expected, found)
}

struct Comparison {
    line: usize,
    place: String,
}

impl Comparison {
    fn element(mut self, expected: &Element, found: &Element) -> Result<(), Mismatch> {
        if !found.is(expected.name(), expected.namespace()) {
            return Err(Mismatch::OtherElement {
                line: self.line,
                place: if self.place.is_empty() { "/".into() } else { self.place },
                expected: qualified(Some(expected.namespace()), expected.name()),
                found: qualified(Some(found.namespace()), found.name()),
            });
        }
        self.place = format!("{}/{}", self.place, expected.name());
        self.attributes(expected, found)?;
        if is_wildcard(expected) { Ok(()) } else { self.content(expected, found) }
    }

    fn attributes(&self, expected: &Element, found: &Element) -> Result<(), Mismatch> {
        let place = |namespace, name| format!("{}@{}", self.place, qualified(namespace, name));
        for (namespace, name, value) in expected.attributes() {
            match attribute(found, namespace, name) {
                None => {
                    let place = place(namespace, name);
                    return Err(Mismatch::MissingAttribute { line: self.line, place });
                }
                Some(sent) if value != "*" && sent != value => {
                    return Err(Mismatch::OtherValue {
                        line: self.line,
                        place: place(namespace, name),
                        expected: value.to_owned(),
                        found: sent.to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
        for (namespace, name, _) in found.attributes() {
            if attribute(expected, namespace, name).is_none() {
                let place = place(namespace, name);
                return Err(Mismatch::ExtraAttribute { line: self.line, place });
            }
        }
        Ok(())
    }

    fn content(self, expected: &Element, found: &Element) -> Result<(), Mismatch> {
        let (mut wanted, mut sent) = (expected.text(), found.text());
        if expected.children().next().is_some() || found.children().next().is_some() {
            wanted = wanted.trim().to_owned();
            sent = sent.trim().to_owned();
        }
        if wanted != sent {
            let (line, place) = (self.line, self.place);
            return Err(Mismatch::OtherText { line, place, expected: wanted, found: sent });
        }
        let mut rest = found.children();
        for child in expected.children() {
            let Some(candidate) = rest.next() else {
                let child = qualified(Some(child.namespace()), child.name());
                return Err(Mismatch::MissingChild { line: self.line, place: self.place, child });
            };
            Self { line: self.line, place: self.place.clone() }.element(child, candidate)?;
        }
        if let Some(child) = rest.next() {
            let child = qualified(Some(child.namespace()), child.name());
            return Err(Mismatch::ExtraChild { line: self.line, place: self.place, child });
        }
        Ok(())
    }
}

fn is_wildcard(element: &Element) -> bool {
    element.nodes().iter().all(|node| matches!(node, Node::Text(_))) && element.text() == "*"
}

fn attribute<'a>(element: &'a Element, namespace: Option<&str>, name: &str) -> Option<&'a str> {
    match namespace {
        None => element.attr(name),
        Some(namespace) => element.attr_ns(namespace, name),
    }
}

fn qualified(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        None => name.to_owned(),
        Some(namespace) => format!("{{{namespace}}}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(expected: &str, found: &str) -> Result<(), Mismatch> {
        compare(3, &Element::parse(expected).unwrap(), &Element::parse(found).unwrap())
    }

    #[test]
    fn prefixes_order_and_wildcards_do_not_matter() {
        run("<a xmlns='u' x='1' y='*'/>", "<p:a xmlns:p='u' y='2' x='1'/>").unwrap();
        run("<a xmlns='u'>*</a>", "<a xmlns='u'>anything</a>").unwrap();
        run("<a xmlns='u'>*</a>", "<a xmlns='u'/>").unwrap();
        run("<a xmlns='u'>*</a>", "<a xmlns='u'><b/></a>").unwrap();
        run("<a xmlns='u'> <b/> </a>", "<a xmlns='u'><b/></a>").unwrap();
    }

    #[test]
    fn each_difference_has_its_name() {
        assert_eq!(
            run("<a xmlns='u'/>", "<a xmlns='v'/>"),
            Err(Mismatch::OtherElement {
                line: 3,
                place: "/".into(),
                expected: "{u}a".into(),
                found: "{v}a".into()
            })
        );
        assert_eq!(
            run("<a xmlns='u'><b x='1'/></a>", "<a xmlns='u'><b x='2'/></a>"),
            Err(Mismatch::OtherValue {
                line: 3,
                place: "/a/b@x".into(),
                expected: "1".into(),
                found: "2".into()
            })
        );
        assert_eq!(
            run("<a xmlns='u' x='*'/>", "<a xmlns='u'/>"),
            Err(Mismatch::MissingAttribute { line: 3, place: "/a@x".into() })
        );
        assert_eq!(
            run("<a xmlns='u'/>", "<a xmlns='u' xml:lang='en'/>"),
            Err(Mismatch::ExtraAttribute {
                line: 3,
                place: "/a@{http://www.w3.org/XML/1998/namespace}lang".into()
            })
        );
        assert_eq!(
            run("<a xmlns='u'>x</a>", "<a xmlns='u'>x </a>"),
            Err(Mismatch::OtherText {
                line: 3,
                place: "/a".into(),
                expected: "x".into(),
                found: "x ".into()
            })
        );
        assert_eq!(
            run("<a xmlns='u'><b/><c/></a>", "<a xmlns='u'><b/></a>"),
            Err(Mismatch::MissingChild { line: 3, place: "/a".into(), child: "{u}c".into() })
        );
        assert_eq!(
            run("<a xmlns='u'><b/></a>", "<a xmlns='u'><b/><c/></a>"),
            Err(Mismatch::ExtraChild { line: 3, place: "/a".into(), child: "{u}c".into() })
        );
    }
}
