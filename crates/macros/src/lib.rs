//! The compile-time half of epode's macro `stanza!`: reads XML and writes the code that builds it.
//!
//! Use it as `epode::stanza!` or `epode_proto::stanza!`, where it is explained. This crate knows none
//! of their types; the code that it writes names them.

mod generate;
mod literal;
mod name;
mod parse;
mod token;

use proc_macro::{Span, TokenStream};

/// The code for one element. The input is the crate that has `Element`, a `;`, and the XML.
///
/// This is what `epode_proto::stanza!` calls, and adds the crate to.
#[proc_macro]
pub fn stanza(input: TokenStream) -> TokenStream {
    let mut input = input.into_iter();
    let home: TokenStream = input.by_ref().take_while(|token| token.to_string() != ";").collect();
    match parse::parse(token::tokens(input.collect()), Span::call_site()) {
        Ok(root) => generate::element(&home, &root),
        Err(error) => generate::error(&error),
    }
}
