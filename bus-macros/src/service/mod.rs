//! `#[service]`: an impl block whose methods are handlers, with state of its own.
//!
//! The attributes inside of the block are inert: this macro takes them out and expands what they
//! say, so that the handlers know the block around them.

pub(crate) mod check;
pub(crate) mod expand;
pub(crate) mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, LitStr, Type};

use crate::command::Command;
use crate::errors::Errors;
use crate::function::Shape;
use crate::listener::Listener;
use crate::root::Root;

/// A service with state, checked.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    pub(crate) root: Root,
    pub(crate) conditions: Vec<Attribute>,
    /// The type that is implemented.
    pub(crate) ty: Type,
    /// The type's name in `snake_case`.
    pub(crate) type_name: String,
    /// The whole name, where one is given.
    pub(crate) name: Option<&'a LitStr>,
    pub(crate) keeps_on_panic: bool,
    pub(crate) init: Option<Shape>,
    pub(crate) shutdown: Option<Shape>,
    pub(crate) handlers: Vec<Handler<'a>>,
    /// Where it was declared.
    pub(crate) span: Span,
}

/// A method that handles.
#[derive(Debug)]
pub(crate) enum Handler<'a> {
    Command(Command<'a>),
    Listener(Listener<'a>),
}

/// Expands `#[service(arguments)] item`.
pub(crate) fn attribute(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let errors = Errors::new();
    let arguments = parse::Arguments::parse(arguments, &errors);
    let Some(mut block) = errors.ok(parse::read(item)) else {
        let errors = errors.into_compile_errors();
        return quote!(#item #errors);
    };
    let methods = parse::take(&mut block, &errors);
    let service = check::check(&arguments, &block, &methods, &errors);
    let generated = if errors.count() == 0 {
        expand::expand(&service)
    } else if block.trait_.is_none() {
        expand::fallback(&service)
    } else {
        TokenStream::new()
    };
    if errors.count() > 0 {
        parse::stub(&mut block, &methods);
    }
    let errors = errors.into_compile_errors();
    quote!(#block #generated #errors)
}
