//! `#[listener]`: a function that hears events.

pub(crate) mod check;
pub(crate) mod expand;
pub(crate) mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, ExprPath, LitStr};

use crate::errors::Errors;
use crate::function::{Function, Home, Kind, Options, Parameter, Shape};
use crate::root::Root;

/// A listener, checked.
#[derive(Debug)]
pub(crate) struct Listener<'a> {
    pub(crate) root: Root,
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) source: Source<'a>,
    pub(crate) exchange: Option<&'a LitStr>,
    pub(crate) queue: Option<&'a LitStr>,
    pub(crate) broadcast: bool,
    pub(crate) service: Option<&'a LitStr>,
    pub(crate) shape: Shape,
    /// Whether the first parameter is the payload.
    pub(crate) has_payload: bool,
    pub(crate) options: Options<'a>,
}

/// What a listener hears.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Every event with a key that the pattern matches.
    Pattern(&'a LitStr),
    /// One event.
    Topic(&'a ExprPath),
    /// Every event of the payload's type.
    Payload,
}

impl Listener<'_> {
    pub(crate) fn payload(&self) -> Option<&Parameter> {
        self.shape.parameters.first().filter(|_| self.has_payload)
    }

    /// The parameters that the bus supplies.
    pub(crate) fn injected(&self) -> &[Parameter] {
        self.shape.parameters.get(usize::from(self.has_payload)..).unwrap_or_default()
    }
}

/// Expands `#[listener(arguments)] item`.
pub(crate) fn attribute(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let errors = Errors::new();
    let arguments = parse::Arguments::parse(arguments, &errors);
    let Some(function) = errors.ok(Function::read(item, Kind::Listener)) else {
        let errors = errors.into_compile_errors();
        return quote!(#item #errors);
    };
    let listener = check::check(&arguments, &function, &Home::Module, &errors);
    let is_right = errors.count() == 0;
    let generated = is_right.then(|| expand::expand(&listener));
    let function = if is_right { function.emit() } else { function.emit_wrong() };
    let errors = errors.into_compile_errors();
    quote!(#function #generated #errors)
}
