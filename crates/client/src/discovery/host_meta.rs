//! Host-meta files (XEP-0156, RFC 6415): where a domain has WebSocket and BOSH.
//! Fetching them is in `https`; what is done with what they name is decided elsewhere.

use std::borrow::Cow;

use epode_proto::xml::{self, Limits, XmlError};
use serde_json::Value;

use super::{
    Candidate,
    note::{Finding, Note, Question, Unfit},
};
use crate::{
    https::{FetchError, shown},
    transport::{Endpoint, EndpointError},
};

/// Why a host-meta file is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostMetaError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not UTF-8.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// It is no XML, or XML of a kind that is not read: with a document type, or too deep.
    #[error("the file is not proper XML: {0}")]
    Xml(XmlError),
    /// It is XML, but of another kind.
    #[error("the file is XML, but no XRD document")]
    NotXrd,
    /// It is no JSON.
    #[error("the file is not proper JSON: {reason}")]
    Json {
        /// What the parser found.
        reason: String,
    },
    /// It is JSON, but of another kind.
    #[error("the file is JSON, but no JRD document")]
    NotJrd,
}

/// A link for XMPP, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    relation: Relation,
    href: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    WebSocket,
    Bosh,
}

impl Relation {
    fn named(name: &str) -> Option<Self> {
        match name {
            "urn:xmpp:alt-connections:websocket" => Some(Self::WebSocket),
            "urn:xmpp:alt-connections:xbosh" => Some(Self::Bosh),
            _ => None,
        }
    }
}

impl Link {
    fn new(relation: Option<&str>, href: Option<&str>) -> Option<Self> {
        let (relation, href) = (Relation::named(relation?.trim())?, href?.trim().to_owned());
        Some(Self { relation, href })
    }

    /// The way in that it names. Only URLs with TLS count (XEP-0156, section 2.2).
    fn candidate(&self) -> Result<Candidate, Unfit> {
        match self.relation {
            Relation::WebSocket => match self.href.parse::<Endpoint>() {
                Ok(endpoint) if endpoint.is_secure() && endpoint.is_web_socket() => {
                    Ok(Candidate::web_socket(endpoint))
                }
                Ok(_) | Err(EndpointError::MissingScheme | EndpointError::Scheme { .. }) => {
                    Err(Unfit::NotWss)
                }
                Err(error) => Err(Unfit::WebSocketUrl(error)),
            },
            Relation::Bosh => self.href.parse().map(Candidate::bosh).map_err(Unfit::BoshUrl),
        }
    }
}

/// The links of an XRD document. Comments and processing instructions are passed over, for people
/// write such files by hand; a document type is refused.
pub(super) fn read_xml(bytes: &[u8]) -> Result<Vec<Link>, HostMetaError> {
    let text = decode(bytes)?;
    let text = without_remarks(text.trim());
    let limits = Limits::default().with_depth(MAX_DEPTH);
    let root = xml::parse_document(text.trim().as_bytes(), &limits).map_err(HostMetaError::Xml)?;
    if !root.is("XRD", XRD) {
        return Err(HostMetaError::NotXrd);
    }
    let links = root.children().filter(|child| child.is("Link", XRD));
    let links = links.filter_map(|link| Link::new(link.attr("rel"), link.attr("href")));
    Ok(links.take(MAX_LINKS).collect())
}

/// The links of a JRD document.
pub(super) fn read_json(bytes: &[u8]) -> Result<Vec<Link>, HostMetaError> {
    let text = decode(bytes)?;
    let root: Value = serde_json::from_str(text)
        .map_err(|error| HostMetaError::Json { reason: error.to_string() })?;
    let root = root.as_object().ok_or(HostMetaError::NotJrd)?;
    let links = match root.get("links") {
        None => return Ok(Vec::new()),
        Some(links) => links.as_array().ok_or(HostMetaError::NotJrd)?,
    };
    let text = |link: &Value, name: &str| link.get(name)?.as_str().map(ToOwned::to_owned);
    let read = |link| Link::new(text(link, "rel").as_deref(), text(link, "href").as_deref());
    Ok(links.iter().filter_map(read).take(MAX_LINKS).collect())
}

/// The ways in that both files name, each once, WebSocket first; what is left out is noted, and
/// where the files differ.
pub(super) fn candidates(
    xml: Option<Vec<Link>>,
    json: Option<Vec<Link>>,
    notes: &mut Vec<Note>,
) -> Vec<Candidate> {
    if let (Some(xml), Some(json)) = (&xml, &json) {
        notes.extend(difference(xml, json));
    }
    let both = [(Question::HostMetaXml, xml), (Question::HostMetaJson, json)];
    let (mut web_sockets, mut bosh, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for (about, links) in both {
        for link in links.unwrap_or_default() {
            if seen.contains(&link) {
                continue;
            }
            let list = match link.relation {
                Relation::WebSocket => &mut web_sockets,
                Relation::Bosh => &mut bosh,
            };
            let why = match link.candidate() {
                Ok(known) if list.contains(&known) => None,
                Ok(_) if list.len() == MAX_OF_A_KIND => {
                    Some(Unfit::TooMany { limit: MAX_OF_A_KIND })
                }
                Ok(new) => {
                    list.push(new);
                    None
                }
                Err(why) => Some(why),
            };
            if let Some(why) = why {
                let what = shown(&link.href);
                notes.push(Note::new(about, Finding::Dropped { what, why }));
            }
            seen.push(link);
        }
    }
    web_sockets.append(&mut bosh);
    web_sockets
}

fn difference(xml: &[Link], json: &[Link]) -> Option<Note> {
    let alone = |these: &[Link], those: &[Link]| -> Vec<String> {
        let alone = these.iter().filter(|link| !those.contains(link));
        alone.take(MAX_SHOWN).map(|link| shown(&link.href)).collect()
    };
    let (only_xml, only_json) = (alone(xml, json), alone(json, xml));
    let differs = !only_xml.is_empty() || !only_json.is_empty();
    differs.then(|| Note::new(Question::HostMetaJson, Finding::Differs { only_xml, only_json }))
}

fn decode(bytes: &[u8]) -> Result<&str, HostMetaError> {
    let text = str::from_utf8(bytes).map_err(|_| HostMetaError::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Leaves out comments and processing instructions, the XML declaration among them. What does not
/// end is left in, for the parser to refuse.
fn without_remarks(text: &str) -> Cow<'_, str> {
    if !text.contains("<!--") && !text.contains("<?") {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find('<') {
        let (before, markup) = rest.split_at(start);
        kept.push_str(before);
        let known = MARKUP.iter().find(|(begin, ..)| markup.starts_with(begin));
        let (length, keep) = match known {
            None => (1, true),
            Some((begin, end, keep)) => match markup[begin.len()..].find(end) {
                Some(inside) => (begin.len() + inside + end.len(), *keep),
                None => (markup.len(), true),
            },
        };
        if keep {
            kept.push_str(&markup[..length]);
        }
        rest = &markup[length..];
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// How markup begins and ends in which `<` may stand for itself, and whether it is kept.
const MARKUP: [(&str, &str, bool); 3] =
    [("<!--", "-->", false), ("<?", "?>", false), ("<![CDATA[", "]]>", true)];

/// How long a host-meta file may be.
pub(super) const MAX_DOCUMENT: usize = 64 * 1024;
/// How many WebSockets, and how many BOSH services, are tried.
pub(super) const MAX_OF_A_KIND: usize = 2;
/// How many links for XMPP are looked at in one file.
const MAX_LINKS: usize = 32;
const MAX_DEPTH: usize = 16;
const MAX_SHOWN: usize = 8;
const XRD: &str = "http://docs.oasis-open.org/ns/xri/xrd-1.0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::HttpsUrlError;

    const WS: &str = "urn:xmpp:alt-connections:websocket";
    const BOSH: &str = "urn:xmpp:alt-connections:xbosh";

    fn web_socket(href: &str) -> Link {
        Link { relation: Relation::WebSocket, href: href.to_owned() }
    }

    fn bosh(href: &str) -> Link {
        Link { relation: Relation::Bosh, href: href.to_owned() }
    }

    fn xrd(content: &str) -> String {
        format!("<XRD xmlns='{XRD}'>{content}</XRD>")
    }

    fn link(relation: &str, href: &str) -> String {
        format!("<Link rel='{relation}' href='{href}'/>")
    }

    #[test]
    fn links_are_read_from_xml() {
        let both = || vec![bosh("https://a.example/b"), web_socket("wss://a.example/w")];
        let links = link(BOSH, "https://a.example/b") + &link(WS, "wss://a.example/w");
        let plain = xrd(&links);
        let by_hand = format!(
            "\u{feff}\n<?xml version='1.0' encoding='utf-8'?>\n<!-- <XRD> by hand -->\n\
             <x:XRD xmlns:x='{XRD}'><x:Subject>example.org</x:Subject>\
             <?target data?><!-- <Link/> -->\
             <x:Link rel='lrdd' template='https://a.example/{{uri}}'/>\
             <x:Link  rel=' {BOSH} '\n href=' https://a.example/b '><x:Title>x</x:Title></x:Link>\
             <x:Property><![CDATA[<!-- not a comment]]></x:Property>\
             <x:Link rel='{WS}' href='wss://a.example/w'/></x:XRD>\n"
        );
        for text in [&plain, &by_hand] {
            assert_eq!(read_xml(text.as_bytes()), Ok(both()), "{text}");
        }
        let useless = xrd("<Link/><Link rel='a'/><Link href='b'/><Link xmlns='c' rel='d'/>");
        assert_eq!(read_xml(useless.as_bytes()), Ok(vec![]));
        assert_eq!(read_xml(xrd(&format!("<Link rel='{WS}'/>")).as_bytes()), Ok(vec![]));
    }

    #[test]
    fn hostile_xml_is_refused() {
        let error = |text: &str| read_xml(text.as_bytes()).unwrap_err();
        let xml = |text: &str| match error(text) {
            HostMetaError::Xml(error) => error,
            other => panic!("{other:?}"),
        };
        let laughs = "<!DOCTYPE XRD [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]>".to_owned();
        assert_eq!(xml(&(laughs + &xrd("&b;"))), XmlError::Doctype);
        let external = "<!DOCTYPE XRD SYSTEM 'file:///etc/passwd'>".to_owned();
        assert_eq!(xml(&(external + &xrd(""))), XmlError::Doctype);
        let deep = xrd(&("<a>".repeat(20) + &"</a>".repeat(20)));
        assert_eq!(xml(&deep), XmlError::TooDeep { limit: MAX_DEPTH });
        assert_eq!(xml(""), XmlError::Empty);
        assert_eq!(xml(&(xrd("") + &xrd(""))), XmlError::ContentAfterRoot);
        for broken in ["<XRD", "<!-- no end", "<?no end", "<XRD><!-- --", "{}", "<a>&b;</a>"] {
            xml(broken);
        }
        assert_eq!(error("<html/>"), HostMetaError::NotXrd);
        assert_eq!(error("<XRD/>"), HostMetaError::NotXrd);
        assert_eq!(read_xml(b"<XRD\xff/>"), Err(HostMetaError::NotUtf8));
        assert_eq!(read_xml(b"\xff\xfe<\0X\0"), Err(HostMetaError::NotUtf8));
    }

    #[test]
    fn only_so_many_links_are_looked_at() {
        let text = xrd(&link(WS, "ws://a.example/").repeat(1000));
        assert_eq!(read_xml(text.as_bytes()).unwrap().len(), MAX_LINKS);
        let one = format!("{{\"rel\": \"{WS}\", \"href\": \"ws://a.example/\"}},");
        let text = format!("{{\"links\": [{}7]}}", one.repeat(1000));
        assert_eq!(read_json(text.as_bytes()).unwrap().len(), MAX_LINKS);
    }

    #[test]
    fn links_are_read_from_json() {
        let text = format!(
            "\u{feff}{{\"subject\": \"x\", \"links\": [{{\"rel\": \"{WS}\", \
             \"href\": \"wss://a.example/w\", \"properties\": {{}}}}, 7, null, {{}}, \
             {{\"rel\": \"{BOSH}\"}}, {{\"rel\": [], \"href\": 1}}, \
             {{\"href\": \"https://a.example/b\", \"rel\": \"{BOSH}\"}}]}}"
        );
        let expected = vec![web_socket("wss://a.example/w"), bosh("https://a.example/b")];
        assert_eq!(read_json(text.as_bytes()), Ok(expected));
        assert_eq!(read_json(b"{}"), Ok(vec![]));
        assert_eq!(read_json(b"{\"links\": []}"), Ok(vec![]));
    }

    #[test]
    fn hostile_json_is_refused() {
        let deep = "[".repeat(10_000);
        for text in ["", "<XRD/>", "{", "{\"links\": [}", &deep] {
            let error = read_json(text.as_bytes()).unwrap_err();
            assert!(matches!(error, HostMetaError::Json { .. }), "{error:?}");
        }
        for text in ["[]", "7", "\"links\"", "{\"links\": {}}", "{\"links\": null}"] {
            assert_eq!(read_json(text.as_bytes()), Err(HostMetaError::NotJrd), "{text}");
        }
        assert_eq!(read_json(b"\xff"), Err(HostMetaError::NotUtf8));
    }

    #[test]
    fn only_urls_with_tls_are_taken() {
        let mut notes = Vec::new();
        let links = vec![
            bosh("https://a.example/b"),
            web_socket("ws://a.example/w"),
            web_socket("http://a.example/w"),
            web_socket("https://a.example/w"),
            web_socket("/w"),
            web_socket("wss://"),
            web_socket("WSS://a.example/w"),
            web_socket("wss://a.example:443/w"),
            bosh("http://a.example/b"),
            bosh("wss://a.example/b"),
            bosh("https://u:p@a.example/b"),
        ];
        let found = candidates(Some(links), None, &mut notes);
        let expected = [
            Candidate::web_socket("wss://a.example/w".parse().unwrap()),
            Candidate::bosh("https://a.example/b".parse().unwrap()),
        ];
        assert_eq!(found, expected);
        let dropped = |what: &str, why| {
            let what = what.to_owned();
            Note::new(Question::HostMetaXml, Finding::Dropped { what, why })
        };
        let malformed = HttpsUrlError::Malformed(EndpointError::UserInfo);
        let expected = [
            dropped("ws://a.example/w", Unfit::NotWss),
            dropped("http://a.example/w", Unfit::NotWss),
            dropped("https://a.example/w", Unfit::NotWss),
            dropped("/w", Unfit::NotWss),
            dropped("wss://", Unfit::WebSocketUrl(EndpointError::NoHost)),
            dropped("http://a.example/b", Unfit::BoshUrl(HttpsUrlError::NotHttps)),
            dropped("wss://a.example/b", Unfit::BoshUrl(HttpsUrlError::NotHttps)),
            dropped("https://u:p@a.example/b", Unfit::BoshUrl(malformed)),
        ];
        assert_eq!(notes, expected);
    }

    #[test]
    fn files_that_disagree_are_put_together_and_noted() {
        let mut notes = Vec::new();
        let xml = vec![web_socket("wss://a.example/"), web_socket("wss://old.example/")];
        let json = vec![bosh("https://a.example/b"), web_socket("wss://a.example/")];
        let both = candidates(Some(xml), Some(json.clone()), &mut notes);
        assert_eq!(both.len(), 3);
        let differs = Finding::Differs {
            only_xml: vec!["wss://old.example/".to_owned()],
            only_json: vec!["https://a.example/b".to_owned()],
        };
        assert_eq!(notes, [Note::new(Question::HostMetaJson, differs)]);

        notes.clear();
        let reversed = json.iter().rev().cloned().collect();
        assert_eq!(candidates(Some(json.clone()), Some(reversed), &mut notes).len(), 2);
        assert_eq!(candidates(Some(json), None, &mut notes).len(), 2);
        assert_eq!(notes, []);
    }

    #[test]
    fn only_so_many_of_a_kind_are_taken() {
        let mut notes = Vec::new();
        let many = (0..5).map(|n| web_socket(&format!("wss://{n}.example/"))).collect();
        assert_eq!(candidates(Some(many), None, &mut notes).len(), MAX_OF_A_KIND);
        assert_eq!(notes.len(), 5 - MAX_OF_A_KIND);
        let (what, why) = ("wss://4.example/".to_owned(), Unfit::TooMany { limit: MAX_OF_A_KIND });
        let last = Note::new(Question::HostMetaXml, Finding::Dropped { what, why });
        assert_eq!(notes.last(), Some(&last));
    }
}
