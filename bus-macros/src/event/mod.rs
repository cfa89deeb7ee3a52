//! `#[event]` and `#[derive(Event)]`: a struct that is fired as an event.
//!
//! One model serves both forms. The attribute form takes every `#[event]` of the item and derives
//! what a payload needs; in the derive form `#[event]` is a helper, and nothing is derived behind
//! the user's back.

pub(crate) mod check;
pub(crate) mod expand;
pub(crate) mod fields;
pub(crate) mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, DeriveInput, LitStr, Type, Visibility, parse_quote};

use self::fields::Field;
use crate::derives::{self, Needs};
use crate::errors::Errors;
use crate::root::Root;
use crate::{attrs, payload};

/// The events of a struct, checked.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    pub(crate) root: Root,
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) each: Vec<Event<'a>>,
    /// The fields, if each of them can be named and borrowed.
    pub(crate) fields: Option<Vec<Field<'a>>>,
    /// Whether a trait impl for the struct can be written at all.
    pub(crate) can_be_event: bool,
}

/// One event of a struct.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) exchange: Option<&'a LitStr>,
    pub(crate) key: Option<&'a LitStr>,
    /// The constant and the method, where the name is right.
    pub(crate) names: Option<Names>,
    pub(crate) upcasts: &'a [Type],
    pub(crate) local: bool,
    /// Where it was declared.
    pub(crate) span: Span,
}

/// What an event is called in code.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) constant: Ident,
    pub(crate) method: Ident,
}

/// Which of the two macros runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Attribute,
    Derive,
}

/// Expands `#[event(arguments)] item`.
pub(crate) fn attribute(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let errors = Errors::new();
    let mut input = match payload::read(item, "event") {
        Ok(input) => input,
        Err(error) => {
            errors.push(error);
            let errors = errors.into_compile_errors();
            return quote!(#item #errors);
        }
    };
    if let Some(derive) = parse::derives_event(&input.attrs) {
        errors.at(
            derive,
            "`#[event]` above the derives is the attribute form and implements `Event` itself; \
             remove `Event` here, or move the derives above `#[event]`",
        );
        return as_derive_form(&arguments, input, errors);
    }
    let first = parse::Declared::new(arguments, Span::call_site(), &errors);
    let others = parse::take(&mut input.attrs, &errors);
    let declared: Vec<_> = std::iter::once(first).chain(others).collect();
    let events = check::check(&input, &declared, Form::Attribute, &errors);
    let derives = events.can_be_event.then(|| {
        let all_local = events.each.iter().all(|event| event.local);
        let needs = if all_local { Needs::Local } else { Needs::Travels };
        derives::missing(&input.attrs, needs, &events.root)
    });
    let generated = expand(&events, &errors);
    let errors = errors.into_compile_errors();
    quote!(#derives #input #generated #errors)
}

/// Both forms at once: the derive below does the work, so that the users of the event are not
/// reported as well.
fn as_derive_form(arguments: &TokenStream, mut input: DeriveInput, errors: Errors) -> TokenStream {
    let derives = derives::missing(&input.attrs, Needs::Travels, &Root::default());
    let (others, mut attrs): (Vec<_>, Vec<_>) =
        input.attrs.into_iter().partition(|attr| attrs::is(attr.path(), "event"));
    attrs.push(parse_quote!(#[event(#arguments)]));
    attrs.extend(others);
    input.attrs = attrs;
    let errors = errors.into_compile_errors();
    quote!(#derives #input #errors)
}

/// Expands `#[derive(Event)] item`.
pub(crate) fn derive(item: &TokenStream) -> TokenStream {
    let errors = Errors::new();
    let generated = match payload::read(item, "derive(Event)") {
        Ok(mut input) => {
            let declared = parse::take(&mut input.attrs, &errors);
            let events = check::check(&input, &declared, Form::Derive, &errors);
            expand(&events, &errors)
        }
        Err(error) => {
            errors.push(error);
            TokenStream::new()
        }
    };
    let errors = errors.into_compile_errors();
    quote!(#generated #errors)
}

fn expand(events: &Events<'_>, errors: &Errors) -> TokenStream {
    if errors.count() == 0 { expand::expand(events) } else { expand::fallback(events) }
}
