//! From an element to the code that builds it, or to the error that the compiler shows.
//!
//! Names in that code cannot clash with those of the program: they are not seen from there.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use crate::parse::{Attribute, Element, Error, Node, Value};
use crate::token::Mark;

/// An expression that makes the outermost element, with the types of the crate `home`.
pub(crate) fn element(home: &TokenStream, root: &Element<Span, TokenStream>) -> TokenStream {
    Generator { home }.element(root, &text(""))
}

/// What the compiler shows for an error.
pub(crate) fn error(error: &Error<Span>) -> TokenStream {
    let mut message = Literal::string(&error.message);
    message.set_span(error.to);
    let mut arguments = Group::new(Delimiter::Brace, TokenTree::from(message).into());
    arguments.set_span(error.to);
    let mut code = fixed("::core::compile_error!", error.from);
    code.extend([TokenTree::from(arguments)]);
    code
}

struct Generator<'a> {
    home: &'a TokenStream,
}

impl Generator<'_> {
    /// `inherited` is code for the namespace of the parent.
    fn element(
        &self,
        element: &Element<Span, TokenStream>,
        inherited: &TokenStream,
    ) -> TokenStream {
        let namespace = match &element.namespace {
            None => inherited.clone(),
            Some(Value::Text(namespace)) => text(namespace),
            Some(Value::Code(..)) => variable(),
        };
        let mut chain = self.function("Open::new");
        chain.extend(arguments([text(&element.name), namespace.clone()]));
        for attribute in &element.attributes {
            chain.extend(attribute_call(attribute));
        }
        for node in &element.nodes {
            let (method, value) = match node {
                Node::Element(child) => ("node", self.element(child, &namespace)),
                Node::Value(Value::Text(literal)) => ("node", text(literal)),
                Node::Value(Value::Code(Mark::Each, body, span)) => ("nodes", value(body, *span)),
                Node::Value(Value::Code(_, body, span)) => ("node", value(body, *span)),
            };
            chain.extend(call(method, [value]));
        }
        chain.extend(call("close", []));
        match &element.namespace {
            Some(Value::Code(_, body, span)) => self.with_namespace(body, *span, chain),
            _ => chain,
        }
    }

    /// `match namespace(&body) { namespace => chain }`: what is borrowed lives as long as it must.
    fn with_namespace(&self, body: &TokenStream, span: Span, chain: TokenStream) -> TokenStream {
        let mut arm = variable();
        arm.extend(fixed("=>", Span::mixed_site()));
        arm.extend(chain);
        let mut code = fixed("match", Span::mixed_site());
        code.extend(self.function("namespace"));
        code.extend(arguments([reference(body, span)]));
        code.extend([TokenTree::from(Group::new(Delimiter::Brace, arm))]);
        code
    }

    fn function(&self, name: &str) -> TokenStream {
        let mut path = self.home.clone();
        path.extend(fixed(&format!("::__macros::{name}"), Span::mixed_site()));
        path
    }
}

fn attribute_call(attribute: &Attribute<Span, TokenStream>) -> TokenStream {
    let namespace = if attribute.is_xml { XML } else { "" };
    let (method, value) = match &attribute.value {
        Value::Text(literal) => ("attribute", text(literal)),
        Value::Code(Mark::Optional, body, span) => ("optional", reference(body, *span)),
        Value::Code(_, body, span) => ("attribute", reference(body, *span)),
    };
    call(method, [text(namespace), text(&attribute.name), value])
}

/// `.method(arguments)`
fn call<const N: usize>(method: &str, values: [TokenStream; N]) -> TokenStream {
    let mut code = fixed(&format!(".{method}"), Span::mixed_site());
    code.extend(arguments(values));
    code
}

/// `(a, b)`
fn arguments<const N: usize>(values: [TokenStream; N]) -> TokenStream {
    let mut list = TokenStream::new();
    for value in values {
        list.extend(value);
        list.extend([TokenTree::from(Punct::new(',', Spacing::Alone))]);
    }
    TokenTree::from(Group::new(Delimiter::Parenthesis, list)).into()
}

/// An expression of the program, which an error is to point at.
fn value(body: &TokenStream, span: Span) -> TokenStream {
    let mut group = Group::new(Delimiter::Parenthesis, body.clone());
    group.set_span(Span::mixed_site().located_at(span));
    TokenTree::from(group).into()
}

fn reference(body: &TokenStream, span: Span) -> TokenStream {
    let mut code = fixed("&", Span::mixed_site().located_at(span));
    code.extend(value(body, span));
    code
}

fn variable() -> TokenStream {
    TokenTree::from(Ident::new("namespace", Span::mixed_site())).into()
}

fn text(text: &str) -> TokenStream {
    TokenTree::from(Literal::string(text)).into()
}

/// Code without groups.
fn fixed(source: &str, span: Span) -> TokenStream {
    let tokens: TokenStream = source.parse().expect("it is Rust");
    let placed = tokens.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    placed.collect()
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";
