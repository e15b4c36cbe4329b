//! From tokens to an element, and what is wrong with them in words that help.
//!
//! What Rust there is between braces is not looked at.

use std::slice;

use crate::name::{begins_name, continues_name, is_xml_char};
use crate::token::{Code, Kind, Mark, Token};

/// An element as it was written.
#[derive(Debug)]
pub(crate) struct Element<S, C> {
    pub(crate) name: String,
    /// `None` is the parent's.
    pub(crate) namespace: Option<Value<S, C>>,
    pub(crate) attributes: Vec<Attribute<S, C>>,
    pub(crate) nodes: Vec<Node<S, C>>,
}

#[derive(Debug)]
pub(crate) struct Attribute<S, C> {
    /// Whether it has the prefix `xml`.
    pub(crate) is_xml: bool,
    pub(crate) name: String,
    pub(crate) value: Value<S, C>,
}

#[derive(Debug)]
pub(crate) enum Value<S, C> {
    Text(String),
    Code(Mark, C, S),
}

#[derive(Debug)]
pub(crate) enum Node<S, C> {
    Element(Element<S, C>),
    Value(Value<S, C>),
}

/// What is wrong, and from where to where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error<S> {
    pub(crate) message: String,
    pub(crate) from: S,
    pub(crate) to: S,
}

/// Reads one element. What is missing at the end is missing at `end`.
pub(crate) fn parse<S: Copy, C: Clone>(
    tokens: Vec<Token<S, C>>,
    end: S,
) -> Result<Element<S, C>, Error<S>> {
    let mut parser = Parser { rest: tokens.iter(), end };
    if parser.rest.as_slice().is_empty() {
        return fail("there is nothing: write an element, as in stanza!(<presence/>)", end);
    }
    parser.punct('<', "an element begins with `<`")?;
    let root = parser.element(true)?;
    match parser.rest.next() {
        Some(token) => fail(
            format!(
                "{} stands after the end of `<{}>`: there is one element",
                token.kind, root.name
            ),
            token.span,
        ),
        None => Ok(root),
    }
}

/// A name with its prefix, and where it stands.
#[derive(Clone)]
struct Name<S> {
    prefix: Option<String>,
    local: String,
    from: S,
    to: S,
}

impl<S: Copy> Name<S> {
    fn full(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}:{}", self.local),
            None => self.local.clone(),
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, Error<S>> {
        Err(Error { message: message.into(), from: self.from, to: self.to })
    }
}

struct Parser<'a, S, C> {
    rest: slice::Iter<'a, Token<S, C>>,
    end: S,
}

impl<'a, S: Copy, C: Clone> Parser<'a, S, C> {
    /// What follows the `<` of an element. The outermost one has no parent.
    fn element(&mut self, is_outermost: bool) -> Result<Element<S, C>, Error<S>> {
        let name = self.element_name()?;
        let mut attributes = self.attributes(&name.local)?;
        let declared = attributes.iter().position(|attribute| attribute.name == "xmlns");
        let mut namespace = declared.map(|at| attributes.remove(at).value);
        if is_outermost && namespace.is_none() {
            if !STANZAS.contains(&name.local.as_str()) {
                return name.error(format!(
                    "`<{0}>` has no namespace: write <{0} xmlns=\"…\">; only message, presence and \
                     iq have one by themselves",
                    name.local
                ));
            }
            namespace = Some(Value::Text(CLIENT.into()));
        }
        let is_empty = self.take_punct('/');
        self.punct('>', &format!("the tag of `<{}>` ends with `>` or `/>`", name.local))?;
        let nodes = if is_empty { Vec::new() } else { self.nodes(&name)? };
        Ok(Element { name: name.local, namespace, attributes, nodes })
    }

    fn element_name(&mut self) -> Result<Name<S>, Error<S>> {
        if let Some(Token { kind: Kind::Punct('!' | '?'), span }) = self.peek() {
            return fail(
                "XMPP has neither comments nor instructions: a comment is // or /* */",
                *span,
            );
        }
        let name = self.name("the tag of an element goes on with its name")?;
        if name.prefix.is_some() {
            return name.error(format!(
                "`{}` has a prefix: write <{} xmlns=\"…\"> instead",
                name.full(),
                name.local
            ));
        }
        Ok(name)
    }

    /// The attributes of a tag, the declaration of its namespace included.
    fn attributes(&mut self, element: &str) -> Result<Vec<Attribute<S, C>>, Error<S>> {
        let mut attributes: Vec<Attribute<S, C>> = Vec::new();
        while let Some(Token { kind: Kind::Word(_) | Kind::Number(_), .. }) = self.peek() {
            let name = self.name("the name of an attribute stands here")?;
            let (full, is_xml) = (name.full(), name.prefix.is_some());
            check_prefix(&name)?;
            if attributes.iter().any(|a| a.name == name.local && a.is_xml == is_xml) {
                return name
                    .error(format!("`{full}` stands twice in `<{element}>`: leave one out"));
            }
            if !self.take_punct('=') {
                return name.error(format!(
                    "`{full}` has no value: write {full}=\"…\", {full}={{value}} or \
                     {full}={{?option}}"
                ));
            }
            let value = self.attribute_value(&full)?;
            attributes.push(Attribute { is_xml, name: name.local, value });
        }
        Ok(attributes)
    }

    fn attribute_value(&mut self, name: &str) -> Result<Value<S, C>, Error<S>> {
        let is_namespace = name == "xmlns";
        let Some(token) = self.rest.next() else {
            return fail(format!("the value of `{name}` is missing"), self.end);
        };
        match value(token)? {
            Some(Value::Code(Mark::Each, ..)) => fail(
                format!("`..` is for what stands inside an element: `{name}` has one value"),
                token.span,
            ),
            Some(Value::Code(Mark::Optional, ..)) if is_namespace => {
                fail("a namespace cannot be left out: write xmlns={value}", token.span)
            }
            Some(Value::Text(text)) if is_namespace && text == XMLNS => {
                fail("nothing can be in the namespace of declarations", token.span)
            }
            Some(value) => Ok(value),
            None => fail(
                format!("{} is no value: write {name}=\"…\" or {name}={{value}}", token.kind),
                token.span,
            ),
        }
    }

    /// What stands between the tags of an element, and its end tag.
    fn nodes(&mut self, parent: &Name<S>) -> Result<Vec<Node<S, C>>, Error<S>> {
        let mut nodes = Vec::new();
        loop {
            let Some(token) = self.rest.next() else {
                return parent.error(format!(
                    "`<{0}>` is not closed: write </{0}> where it ends, or <{0}/>",
                    parent.local
                ));
            };
            if !matches!(token.kind, Kind::Punct('<')) {
                nodes.push(Node::Value(content(token)?));
            } else if self.take_punct('/') {
                self.end_tag(parent)?;
                return Ok(nodes);
            } else {
                nodes.push(Node::Element(self.element(false)?));
            }
        }
    }

    fn end_tag(&mut self, parent: &Name<S>) -> Result<(), Error<S>> {
        let name = self.name(&format!("`</` goes on as `</{}>`", parent.local))?;
        let (found, wanted) = (name.full(), &parent.local);
        if found != *wanted {
            return name.error(format!("`</{found}>` closes `<{wanted}>`: write </{wanted}>"));
        }
        self.punct('>', &format!("`</{found}` ends with `>`"))
    }

    /// A name: words and numbers with `-`, `.` and `:` between them.
    fn name(&mut self, what: &str) -> Result<Name<S>, Error<S>> {
        let first = self.expect(what, |kind| matches!(kind, Kind::Word(_) | Kind::Number(_)))?;
        let mut name =
            Name { prefix: None, local: String::new(), from: first.span, to: first.span };
        let mut token = Some(first);
        while let Some(Token { kind, span }) = token {
            name.to = *span;
            match kind {
                Kind::Word(text) | Kind::Number(text) => name.local += text,
                Kind::Punct(':') if name.prefix.is_none() => {
                    name.prefix = Some(std::mem::take(&mut name.local));
                }
                Kind::Punct(punct) => name.local.push(*punct),
                _ => {}
            }
            let is_joined = matches!(kind, Kind::Punct(_));
            token = self.take(|kind| match kind {
                Kind::Word(_) | Kind::Number(_) => is_joined,
                Kind::Punct(punct) => ['-', '.', ':'].contains(punct),
                _ => false,
            });
        }
        for part in name.prefix.iter().chain([&name.local]) {
            check_name(part).or_else(|message| name.error(message))?;
        }
        Ok(name)
    }

    fn punct(&mut self, punct: char, what: &str) -> Result<(), Error<S>> {
        self.expect(what, |kind| matches!(kind, Kind::Punct(found) if *found == punct)).map(drop)
    }

    /// The next token if it is as it should be; else `what` says how it should be.
    fn expect(
        &mut self,
        what: &str,
        is_right: impl Fn(&Kind<C>) -> bool,
    ) -> Result<&'a Token<S, C>, Error<S>> {
        match self.rest.next() {
            Some(token) if is_right(&token.kind) => Ok(token),
            Some(token) => fail(format!("{what}, not with {}", token.kind), token.span),
            None => fail(format!("{what}; here is nothing"), self.end),
        }
    }

    fn peek(&self) -> Option<&'a Token<S, C>> {
        self.rest.as_slice().first()
    }

    fn take(&mut self, is_wanted: impl Fn(&Kind<C>) -> bool) -> Option<&'a Token<S, C>> {
        if self.peek().is_some_and(|token| is_wanted(&token.kind)) {
            self.rest.next()
        } else {
            None
        }
    }

    fn take_punct(&mut self, punct: char) -> bool {
        self.take(|kind| matches!(kind, Kind::Punct(found) if *found == punct)).is_some()
    }
}

/// What stands between tags, if it is no element.
fn content<S: Copy, C: Clone>(token: &Token<S, C>) -> Result<Value<S, C>, Error<S>> {
    match value(token)? {
        Some(Value::Code(Mark::Optional, ..)) => {
            fail("`?` is for attributes: inside an element {value} takes an Option", token.span)
        }
        Some(value) => Ok(value),
        None => fail(
            format!("{} stands between tags: write text as \"…\", a value as {{…}}", token.kind),
            token.span,
        ),
    }
}

/// A literal or an expression; `None` for any other token.
fn value<S: Copy, C: Clone>(token: &Token<S, C>) -> Result<Option<Value<S, C>>, Error<S>> {
    match &token.kind {
        Kind::Text(text) => match text.chars().find(|c| !is_xml_char(*c)) {
            Some(character) => fail(
                format!("XML cannot carry U+{:04X}: leave it out", u32::from(character)),
                token.span,
            ),
            None => Ok(Some(Value::Text(text.clone()))),
        },
        Kind::Code(Code { mark, body: Some(body) }) => {
            Ok(Some(Value::Code(*mark, body.clone(), token.span)))
        }
        Kind::Code(_) => fail("nothing stands between the braces: write a value", token.span),
        _ => Ok(None),
    }
}

fn check_prefix<S: Copy>(name: &Name<S>) -> Result<(), Error<S>> {
    match name.prefix.as_deref() {
        None | Some("xml") if name.local != "xmlns" || name.prefix.is_none() => Ok(()),
        Some("xmlns") => name.error(format!(
            "`{}` declares a prefix, which is not possible here: write xmlns=\"…\" in the element",
            name.full()
        )),
        _ => name.error(format!(
            "`{}` has a prefix that is not known: there is only `xml:`",
            name.full()
        )),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    match characters.next() {
        None => Err("a part of the name is missing beside the `:`".into()),
        Some(first) if !begins_name(first) => {
            Err(format!("{name:?} is no name in XML: none begins with {first:?}"))
        }
        Some(_) => match characters.find(|c| !continues_name(*c)) {
            Some(bad) => Err(format!("{name:?} is no name in XML: none has {bad:?}")),
            None => Ok(()),
        },
    }
}

fn fail<T, S: Copy>(message: impl Into<String>, at: S) -> Result<T, Error<S>> {
    Err(Error { message: message.into(), from: at, to: at })
}

const CLIENT: &str = "jabber:client";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
const STANZAS: [&str; 3] = ["message", "presence", "iq"];

#[cfg(test)]
mod tests {
    use super::*;

    type Tokens = Vec<Token<usize, String>>;

    /// Stands in for the compiler: the tokens of a source, each with where it begins.
    fn tokens(source: &str) -> Tokens {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(first) = source[at..].chars().next() {
            let rest = &source[at..];
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (kind, length) = match first {
                ' ' | '\n' => {
                    at += 1;
                    continue;
                }
                '"' => {
                    let end = 2 + rest[1..].find('"').unwrap();
                    (crate::literal::read(&rest[..end]), end)
                }
                '{' => {
                    let end = rest.find('}').unwrap();
                    (Kind::Code(code(&rest[1..end])), end + 1)
                }
                '(' => (Kind::Other("(…)".into()), rest.find(')').unwrap() + 1),
                '0'..='9' => (Kind::Number(rest[..word].into()), word),
                _ if word > 0 => (Kind::Word(rest[..word].into()), word),
                punct => (Kind::Punct(punct), punct.len_utf8()),
            };
            tokens.push(Token { kind, span: at });
            at += length;
        }
        tokens
    }

    fn code(body: &str) -> Code<String> {
        let (mark, body) = match (body.strip_prefix('?'), body.strip_prefix("..")) {
            (Some(body), _) => (Mark::Optional, body),
            (_, Some(body)) => (Mark::Each, body),
            _ => (Mark::One, body),
        };
        Code { mark, body: Some(body.trim().to_owned()).filter(|body| !body.is_empty()) }
    }

    /// What was read, in a form of XML that shows what is what.
    fn shown(source: &str) -> String {
        show(&parse(tokens(source), source.len()).unwrap())
    }

    fn show(element: &Element<usize, String>) -> String {
        let value = |value: &Value<usize, String>| match value {
            Value::Text(text) => format!("{text:?}"),
            Value::Code(mark, body, _) => format!("{mark:?}({body})"),
        };
        let mut out = format!("<{}", element.name);
        if let Some(namespace) = &element.namespace {
            out += &format!(" xmlns={}", value(namespace));
        }
        for attribute in &element.attributes {
            let prefix = if attribute.is_xml { "xml:" } else { "" };
            out += &format!(" {prefix}{}={}", attribute.name, value(&attribute.value));
        }
        out += ">";
        for node in &element.nodes {
            out += &match node {
                Node::Element(child) => show(child),
                Node::Value(text) => value(text),
            };
        }
        out + "</>"
    }

    /// `«` is where the error has to be.
    fn refused(source: &str, message: &str) {
        let at = source.find('«').expect("the place is marked");
        let source = source.replace('«', "");
        let error = parse(tokens(&source), source.len()).expect_err(&source);
        assert_eq!((error.message.as_str(), error.from), (message, at), "{source}");
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for (source, expected) in [
            ("<presence/>", "<presence xmlns=\"jabber:client\"></>"),
            ("<iq></iq>", "<iq xmlns=\"jabber:client\"></>"),
            ("<message xmlns=\"urn:x\"/>", "<message xmlns=\"urn:x\"></>"),
            ("<a xmlns=\"\"/>", "<a xmlns=\"\"></>"),
            ("<a b={c} xmlns={d.e()}/>", "<a xmlns=One(d.e()) b=One(c)></>"),
            (
                "<iq xml:lang=\"en\" lang={?l}/>",
                "<iq xmlns=\"jabber:client\" xml:lang=\"en\" lang=Optional(l)></>",
            ),
            (
                "<a-b.c_2 xmlns=\"u\" x-2=\"1\" type=\"\"></a-b.c_2>",
                "<a-b.c_2 xmlns=\"u\" x-2=\"1\" type=\"\"></>",
            ),
            (
                "<iq>\"a\" {b}<c/><d>{..e}</d> \"f\"</iq>",
                "<iq xmlns=\"jabber:client\">\"a\"One(b)<c></><d>Each(e)</>\"f\"</>",
            ),
            (
                "<iq><iq><iq xmlns=\"x\"/></iq></iq>",
                "<iq xmlns=\"jabber:client\"><iq><iq xmlns=\"x\"></></></>",
            ),
            ("<iq>\"<&>]]>\"</iq>", "<iq xmlns=\"jabber:client\">\"<&>]]>\"</>"),
        ] {
            assert_eq!(shown(source), expected);
        }
    }

    #[test]
    fn tags_match() {
        refused("<iq><a></«b></iq>", "`</b>` closes `<a>`: write </a>");
        refused("<iq><a></«a-b></iq>", "`</a-b>` closes `<a>`: write </a>");
        refused("<«iq><a/>", "`<iq>` is not closed: write </iq> where it ends, or <iq/>");
        refused("<iq><«a>", "`<a>` is not closed: write </a> where it ends, or <a/>");
        refused("<iq></iq«", "`</iq` ends with `>`; here is nothing");
        refused("<iq></iq«/>", "`</iq` ends with `>`, not with `/`");
        refused("<iq></«>", "`</` goes on as `</iq>`, not with `>`");
        refused("<iq/>«<a/>", "`<` stands after the end of `<iq>`: there is one element");
        refused("<iq/>«x", "`x` stands after the end of `<iq>`: there is one element");
        refused("<iq/>«{x}", "an expression stands after the end of `<iq>`: there is one element");
    }

    #[test]
    fn something_has_to_be_there() {
        refused("«", "there is nothing: write an element, as in stanza!(<presence/>)");
        refused("«\"a\"", "an element begins with `<`, not with a text");
        refused("«{x}", "an element begins with `<`, not with an expression");
        refused("«message", "an element begins with `<`, not with `message`");
        refused("<«", "the tag of an element goes on with its name; here is nothing");
        refused("<«/>", "the tag of an element goes on with its name, not with `/`");
        refused("<iq«", "the tag of `<iq>` ends with `>` or `/>`; here is nothing");
        refused("<iq/«", "the tag of `<iq>` ends with `>` or `/>`; here is nothing");
        refused("<iq «\"x\">", "the tag of `<iq>` ends with `>` or `/>`, not with a text");
        refused("<iq a=«", "the value of `a` is missing");
    }

    #[test]
    fn namespaces_are_said() {
        refused(
            "<«ping/>",
            "`<ping>` has no namespace: write <ping xmlns=\"…\">; only message, presence and iq \
             have one by themselves",
        );
        refused("<iq xmlns=«{?x}/>", "a namespace cannot be left out: write xmlns={value}");
        refused("<iq xmlns=\"a\" «xmlns=\"a\"/>", "`xmlns` stands twice in `<iq>`: leave one out");
        refused(
            "<iq xmlns=«\"http://www.w3.org/2000/xmlns/\"/>",
            "nothing can be in the namespace of declarations",
        );
        refused(
            "<iq «xmlns:p=\"a\"/>",
            "`xmlns:p` declares a prefix, which is not possible here: write xmlns=\"…\" in the \
             element",
        );
        refused("<«p:iq/>", "`p:iq` has a prefix: write <iq xmlns=\"…\"> instead");
        refused("<iq «p:a=\"\"/>", "`p:a` has a prefix that is not known: there is only `xml:`");
        refused(
            "<iq «xml:xmlns=\"\"/>",
            "`xml:xmlns` has a prefix that is not known: there is only `xml:`",
        );
    }

    #[test]
    fn attributes_have_one_name_and_one_value() {
        refused("<iq a=\"\" «a={b}/>", "`a` stands twice in `<iq>`: leave one out");
        refused(
            "<iq xml:lang=\"\" «xml:lang=\"\"/>",
            "`xml:lang` stands twice in `<iq>`: leave one out",
        );
        refused("<iq «a b=\"\"/>", "`a` has no value: write a=\"…\", a={value} or a={?option}");
        refused("<iq a=«b/>", "`b` is no value: write a=\"…\" or a={value}");
        refused("<iq a=«5/>", "`5` is no value: write a=\"…\" or a={value}");
        refused("<iq a=«(b)/>", "`(…)` is no value: write a=\"…\" or a={value}");
        refused("<iq a=«{}/>", "nothing stands between the braces: write a value");
        refused("<iq a=«{?}/>", "nothing stands between the braces: write a value");
        refused("<iq a=«{..b}/>", "`..` is for what stands inside an element: `a` has one value");
    }

    #[test]
    fn names_are_those_of_xml() {
        refused("<«2a/>", "\"2a\" is no name in XML: none begins with '2'");
        refused("<iq «2=\"\"/>", "\"2\" is no name in XML: none begins with '2'");
        refused("<iq><«ª/></iq>", "\"ª\" is no name in XML: none begins with 'ª'");
        refused("<iq><«aª/></iq>", "\"aª\" is no name in XML: none has 'ª'");
        refused("<iq «a:b:c=\"\"/>", "\"b:c\" is no name in XML: none has ':'");
        refused("<iq «xml:=\"\"/>", "a part of the name is missing beside the `:`");
    }

    #[test]
    fn text_stands_in_quotes() {
        let between =
            |what| format!("{what} stands between tags: write text as \"…\", a value as {{…}}");
        refused("<iq>«Hello</iq>", &between("`Hello`"));
        refused("<iq>«5</iq>", &between("`5`"));
        refused("<iq>«&lt;</iq>", &between("`&`"));
        refused("<iq>«(x)</iq>", &between("`(…)`"));
        refused("<iq>«{}</iq>", "nothing stands between the braces: write a value");
        refused("<iq>«{..}</iq>", "nothing stands between the braces: write a value");
        refused(
            "<iq>«{?x}</iq>",
            "`?` is for attributes: inside an element {value} takes an Option",
        );
        refused("<iq>«\"a\\0\"</iq>", "XML cannot carry U+0000: leave it out");
        refused("<iq a=«\"\\u{ffff}\"/>", "XML cannot carry U+FFFF: leave it out");
        let comment = "XMPP has neither comments nor instructions: a comment is // or /* */";
        refused("<iq><«!-- x --></iq>", comment);
        refused("<«?xml?>", comment);
    }
}
