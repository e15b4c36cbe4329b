//! What the macro `stanza!` makes of what is written.
//!
//! What it refuses is tested where it is read, in the crate `epode-macros`.

use std::borrow::Cow;

use epode_proto::{
    Element, Jid, stanza,
    stanza::{Iq, Message, Presence, StanzaError, StanzaErrorCondition},
    xml::{Node, namespaces},
};

fn jid() -> Jid {
    "a@b/'x'".parse().expect("it is an address")
}

#[test]
fn literals_stand_as_they_are() {
    let element = stanza!(
        <a xmlns="urn:a" x-2.b="<&>'\"" xml:lang="en" type="\u{1f642}\n">
            "one " r#"<b>"two"</b>"# // not this
            <child-of.a/>
            <other xmlns="urn:o"><same/></other>
            <none xmlns=""/>
            " three"
        </a>
    );
    let other = Element::new("other", "urn:o").with_child(Element::new("same", "urn:o"));
    let expected = Element::new("a", "urn:a")
        .with_attr("x-2.b", "<&>'\"")
        .with_attr_ns(namespaces::XML, "lang", "en")
        .with_attr("type", "\u{1f642}\n")
        .with_text("one <b>\"two\"</b>")
        .with_child(Element::new("child-of.a", "urn:a"))
        .with_child(other)
        .with_child(Element::new("none", ""))
        .with_text(" three");
    assert_eq!(element, expected);
    assert_eq!(Element::parse(&element.to_xml()), Ok(expected));
}

#[test]
fn stanzas_have_a_namespace_by_themselves() {
    assert_eq!(stanza!(<message/>), Element::new("message", namespaces::CLIENT));
    assert_eq!(stanza!(<presence></presence>), Element::new("presence", namespaces::CLIENT));
    let iq = stanza!(<iq><iq xmlns="urn:x"/><x/></iq>);
    assert!(iq.child("iq", "urn:x").is_some() && iq.child("x", namespaces::CLIENT).is_some());
    assert_eq!(stanza!(<message xmlns="jabber:server"/>).namespace(), "jabber:server");
}

#[test]
fn text_never_becomes_markup() {
    let evil = "</body><x a='\"'>&amp;<![CDATA[]]>";
    let message = stanza!(
        <message to={evil} xml:lang={evil}><body>"<i>" {evil}</body><x xmlns={evil}/></message>
    );
    let expected = Element::new("message", namespaces::CLIENT)
        .with_attr("to", evil)
        .with_attr_ns(namespaces::XML, "lang", evil)
        .with_child(Element::new("body", namespaces::CLIENT).with_text("<i>".to_owned() + evil))
        .with_child(Element::new("x", evil));
    assert_eq!(message, expected);
    assert_eq!(Element::parse(&message.to_xml()), Ok(expected));
}

#[test]
fn attributes_take_whatever_is_displayed() {
    struct Account {
        name: String,
        nick: Option<String>,
        age: Option<u8>,
    }
    let account = Account { name: "n".into(), nick: Some("&".into()), age: None };
    let by_reference = &account;
    // Nothing is moved, and what a method lends lives long enough.
    let element = stanza!(
        <a xmlns={String::from("urn:") + "a"} name={by_reference.name} upper={account.name.to_uppercase().as_str()}
            nick={?by_reference.nick} same={?&account.nick} age={?account.age} at={jid()} n={1 + 1}/>
    );
    assert_eq!(
        element.to_xml(),
        "<a xmlns='urn:a' name='n' upper='N' nick='&amp;' same='&amp;' at='a@b/&apos;x&apos;' n='2'/>"
    );
}

#[test]
fn everything_that_can_stand_inside_does() {
    let child = Element::new("c", "urn:c");
    let (owned, short): (String, &str) = ("s".into(), "r");
    let error = StanzaError::new(StanzaErrorCondition::Gone);
    let inside = |node: Element| node.nodes().to_vec();
    let text = |text: &str| vec![Node::Text(text.into())];
    assert_eq!(inside(stanza!(<a xmlns="">{child.clone()}{&child}</a>)).len(), 2);
    assert_eq!(inside(stanza!(<a xmlns="">{&owned}{owned.as_str()}{owned}</a>)), text("sss"));
    assert_eq!(inside(stanza!(<a xmlns="">{short}{&short}{Cow::Borrowed(short)}</a>)), text("rrr"));
    assert_eq!(
        inside(stanza!(<a xmlns="">{-1_i8}{u64::MAX}{true}{'x'}</a>)),
        text("-118446744073709551615truex")
    );
    assert_eq!(inside(stanza!(<a xmlns="">{jid()}{&jid()}</a>)), text("a@b/'x'a@b/'x'"));
    assert_eq!(inside(stanza!(<a xmlns="">{None::<Element>}{None::<&str>}{""}</a>)), []);
    assert_eq!(inside(stanza!(<a xmlns="">{Some("x")}{&Some(Some(2))}</a>)), text("x2"));
    assert_eq!(
        inside(stanza!(<a xmlns="">{vec!["a", "b"]}{Vec::<Element>::new()}</a>)),
        text("ab")
    );
    let stanzas = stanza!(
        <a xmlns="">
            {Message::chat(jid())}{Presence::available()}{Iq::get(child.clone())}{error}
            {Node::Text("t".into())}
        </a>
    );
    let names: Vec<_> = stanzas.children().map(Element::name).collect();
    assert_eq!((names, stanzas.text()), (vec!["message", "presence", "iq", "error"], "t".into()));
}

#[test]
fn iterators_spread() {
    let lines = ["a".to_owned(), "<b>".to_owned()];
    let element = stanza!(
        <lines xmlns="urn:x">
            {..lines.iter().map(|line| stanza!(<line xmlns="urn:x">{line}</line>))}
            {..lines.iter().filter(|line| line.len() == 1)}
            {.. 1..=3}
            {..Some("x")}
            {..[Element::new("end", "urn:x")]}
        </lines>
    );
    assert_eq!(
        element.to_xml(),
        "<lines xmlns='urn:x'><line>a</line><line>&lt;b&gt;</line>a123x<end/></lines>"
    );
}

#[test]
fn a_namespace_that_is_an_expression_is_inherited() {
    let outer = String::from("urn:outer");
    let inner = ["urn:inner"];
    // A name of the program is not mistaken for one of the macro's.
    let namespace = "kept";
    let element = stanza!(
        <a xmlns={outer}><b x={namespace}/><c xmlns={inner[0]}><d/></c><e xmlns="urn:e"><f/></e><g/></a>
    );
    assert_eq!(
        element.to_xml(),
        "<a xmlns='urn:outer'><b x='kept'/><c xmlns='urn:inner'><d/></c>\
         <e xmlns='urn:e'><f/></e><g/></a>"
    );
}

#[test]
fn control_flow_goes_through() {
    fn read(text: &str) -> Result<Element, epode_proto::JidError> {
        Ok(stanza!(<presence to={text.parse::<Jid>()?}>{text.parse::<Jid>()?.bare()}</presence>))
    }
    assert!(read("a@b/c").is_ok_and(|element| element.text() == "a@b"));
    assert_eq!(read("@b"), Err(epode_proto::JidError::LocalEmpty));
}

/// Another macro may hand on what it was given.
macro_rules! body {
    ($to:expr, $type:literal, $($text:expr),+) => {
        stanza!(<message to={$to} type=$type>$(<body>{$text}</body>)+</message>)
    };
}

#[test]
fn it_stands_inside_other_macros() {
    assert_eq!(
        body!(jid().bare(), "chat", "a", 1 + 1).to_xml(),
        "<message xmlns='jabber:client' to='a@b' type='chat'><body>a</body><body>2</body></message>"
    );
}
