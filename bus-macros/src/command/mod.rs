//! `#[command]`: a function that is called through the bus.

pub(crate) mod check;
pub(crate) mod expand;
pub(crate) mod handle;
pub(crate) mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, LitStr, Path, Visibility, parse_quote};

use crate::errors::Errors;
use crate::function::{Function, Home, Kind, Options, Parameter, Shape};
use crate::root::Root;

/// A command, checked.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) root: Root,
    /// The conditions and the documentation of the function.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) conditions: Vec<Attribute>,
    /// The visibility of the handle.
    pub(crate) vis: Visibility,
    pub(crate) handle: Ident,
    pub(crate) name: Option<&'a LitStr>,
    pub(crate) service: Option<&'a LitStr>,
    pub(crate) shape: Shape,
    pub(crate) options: Options<'a>,
    pub(crate) local: bool,
    /// The name that no other command of the program may have, where the macro knows it.
    pub(crate) unique: Option<String>,
    pub(crate) code: Code<'a>,
}

/// Where the code of a command is.
#[derive(Debug)]
pub(crate) enum Code<'a> {
    /// Here.
    Here,
    /// Here, for a contract that was declared elsewhere.
    Serves(&'a Path),
    /// In another process: this is the contract.
    Elsewhere,
}

impl Command<'_> {
    /// The parameters that travel.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Parameter> {
        self.shape.parameters.iter().filter(|parameter| !parameter.is_injected())
    }

    /// The parameters that the bus supplies.
    pub(crate) fn injected(&self) -> impl Iterator<Item = &Parameter> {
        self.shape.parameters.iter().filter(|parameter| parameter.is_injected())
    }
}

/// Expands `#[command(arguments)] item`.
pub(crate) fn attribute(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let errors = Errors::new();
    let arguments = parse::Arguments::parse(arguments, &errors);
    let Some(mut function) = errors.ok(Function::read(item, Kind::Command)) else {
        let errors = errors.into_compile_errors();
        return quote!(#item #errors);
    };
    let command = check::check(&arguments, &function, &Home::Module, &errors);
    let is_right = errors.count() == 0;
    let generated = if is_right {
        expand::expand(&command)
    } else if function.sig.receiver().is_none() {
        handle::fallback(&command)
    } else {
        // In an impl block nothing but methods can stand beside a method.
        TokenStream::new()
    };
    if matches!(command.code, Code::Serves(_)) {
        // The contract prescribes that it can fail, also where this one never does.
        function.attrs.push(parse_quote!(#[allow(
            clippy::unnecessary_wraps,
            reason = "the contract prescribes the signature"
        )]));
    }
    let function = if is_right { function.emit() } else { function.emit_wrong() };
    let errors = errors.into_compile_errors();
    quote!(#function #generated #errors)
}
