//! The tokens that XML is made of here, in a form that does not need the compiler.
//!
//! That makes the parser one that can be tested: outside a macro there are no tokens of the compiler.

use std::fmt;

use proc_macro::{Delimiter, Span, TokenStream, TokenTree};

use crate::literal;

/// A token and where it stands. `S` is a place and `C` Rust code; both are opaque.
#[derive(Clone, Debug)]
pub(crate) struct Token<S, C> {
    pub(crate) kind: Kind<C>,
    pub(crate) span: S,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind<C> {
    /// A word of letters, digits and `_`.
    Word(String),
    /// A literal that is a number: it may go on with a name.
    Number(String),
    Punct(char),
    /// A string, without its quotes and escapes.
    Text(String),
    /// What stands between braces.
    Code(Code<C>),
    /// Anything else, as it was written.
    Other(String),
}

/// Rust between braces, and how it wants to be used.
#[derive(Clone, Debug)]
pub(crate) struct Code<C> {
    pub(crate) mark: Mark,
    /// `None` if there is nothing.
    pub(crate) body: Option<C>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `{value}`
    One,
    /// `{?value}`
    Optional,
    /// `{..value}`
    Each,
}

impl<C> fmt::Display for Kind<C> {
    /// As it was written, more or less: for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Other(text) => write!(f, "`{text}`"),
            Self::Punct(character) => write!(f, "`{character}`"),
            Self::Text(_) => f.write_str("a text"),
            Self::Code(_) => f.write_str("an expression"),
        }
    }
}

/// The compiler's tokens as ours.
pub(crate) fn tokens(stream: TokenStream) -> Vec<Token<Span, TokenStream>> {
    let mut tokens = Vec::new();
    for tree in stream {
        let span = tree.span();
        let kind = match tree {
            TokenTree::Ident(word) => Kind::Word(word.to_string()),
            TokenTree::Punct(punct) => Kind::Punct(punct.as_char()),
            TokenTree::Literal(literal) => literal::read(&literal.to_string()),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                Kind::Code(code(group.stream()))
            }
            // What another macro puts in, as `$text`, stands in a group that nobody sees.
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                tokens.append(&mut self::tokens(group.stream()));
                continue;
            }
            TokenTree::Group(group) => Kind::Other(group.to_string()),
        };
        tokens.push(Token { kind, span });
    }
    tokens
}

fn code(stream: TokenStream) -> Code<TokenStream> {
    let dot = |tree: &TokenTree| matches!(tree, TokenTree::Punct(p) if p.as_char() == '.');
    let mut trees: Vec<_> = stream.into_iter().collect();
    let (mark, length) = match &trees[..] {
        [TokenTree::Punct(punct), ..] if punct.as_char() == '?' => (Mark::Optional, 1),
        [first, second, ..] if dot(first) && dot(second) => (Mark::Each, 2),
        _ => (Mark::One, 0),
    };
    trees.drain(..length);
    Code { mark, body: (!trees.is_empty()).then(|| trees.into_iter().collect()) }
}
