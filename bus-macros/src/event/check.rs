//! The rules of `#[event]` and `#[derive(Event)]`.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::{Data, DeriveInput, LitStr, Path, Type};

use super::parse::{self, Declared};
use super::{Event, Events, Form, Names, fields};
use crate::args::{self, Slot};
use crate::errors::Errors;
use crate::root::Root;
use crate::{attrs, names, payload};

/// Checks the events of an item; what comes back is as good as the item lets it be.
pub(crate) fn check<'a>(
    input: &'a DeriveInput,
    declared: &'a [Declared],
    form: Form,
    errors: &Errors,
) -> Events<'a> {
    payload::not_a_union(input, "an event", errors);
    let generics = &input.generics;
    if !generics.params.is_empty() {
        errors.at(
            generics,
            "an event is one type on the bus and cannot be generic; write the types out, \
             and own what it borrows",
        );
    }
    if form == Form::Derive {
        helpers(declared, errors);
    }
    let mut each = Vec::new();
    for declared in declared {
        let event = event(input, declared, each.first(), errors);
        unlike(&event, &each, errors);
        each.push(event);
    }
    let roots = declared.iter().map(|declared| Root::new(&declared.arguments.root));
    Events {
        root: roots.reduce(Root::or).unwrap_or_default(),
        conditions: attrs::conditions(&input.attrs),
        vis: input.vis.clone(),
        ident: input.ident.clone(),
        each,
        fields: fields::of(input),
        can_be_event: generics.params.is_empty()
            && !matches!(input.data, Data::Union(_))
            && (form == Form::Attribute || foreign_helpers(declared).next().is_none()),
    }
}

/// The derive form names its events below the derive.
fn helpers(declared: &[Declared], errors: &Errors) {
    if declared.is_empty() {
        errors.at_span(
            Span::call_site(),
            "`Event` is derived and no event is named; \
             write `#[event(exchange = \"…\", key = \"…\")]` below the derives",
        );
    }
    for path in foreign_helpers(declared) {
        errors.at(path, "below `#[derive(Event)]` the helper has no path; write `#[event(..)]`");
    }
}

/// The paths of helpers that are no helpers: they are the attribute macro, which runs as well.
fn foreign_helpers(declared: &[Declared]) -> impl Iterator<Item = &Path> {
    declared.iter().filter_map(|declared| declared.path.as_ref())
}

/// Checks one event; one that names no exchange takes that of the `first`.
fn event<'a>(
    input: &DeriveInput,
    declared: &'a Declared,
    first: Option<&Event<'a>>,
    errors: &Errors,
) -> Event<'a> {
    let Declared { arguments, span, is_readable, .. } = declared;
    let remedy = "write `exchange = \"…\"` and `key = \"…\"`";
    args::refuse_bare(&arguments.bare, remedy, errors);
    for (name, slot) in [("exchange", &arguments.exchange), ("key", &arguments.key)] {
        let is_inherited = name == "exchange" && first.is_some();
        let is_missing = !slot.is_given() && !arguments.misspelt.contains(&name);
        if is_missing && *is_readable && !is_inherited {
            errors.at_span(*span, format!("an event lacks its `{name}`; write `{name} = \"…\"`"));
        }
    }
    let right = |slot: &'a Slot<LitStr>, rule: fn(&str) -> Result<(), String>| {
        let before = errors.count();
        let text = slot.get()?;
        names::check(text, rule, errors);
        (errors.count() == before).then_some(text)
    };
    let exchange = if arguments.exchange.is_given() {
        right(&arguments.exchange, names::exchange)
    } else {
        first.and_then(|first| first.exchange)
    };
    let key = right(&arguments.key, names::key);
    Event {
        exchange,
        key,
        names: names(arguments, key.is_some(), errors),
        upcasts: upcasts(input, arguments, errors),
        local: arguments.local.is_given(),
        span: arguments.key.get().map_or(*span, LitStr::span),
    }
}

/// What the event is called in code: `name`, else the last word of its key. A wrong key names it
/// too, so that its users are not reported as well; that it names nothing is no error of its own.
fn names(arguments: &parse::Arguments, right_key: bool, errors: &Errors) -> Option<Names> {
    let (text, span) = match (arguments.name.get(), arguments.key.get()) {
        (Some(name), _) => (name.text.clone(), name.span),
        (None, Some(key)) if !arguments.name.is_given() => {
            (names::of_key(&key.value()), key.span())
        }
        _ => return None,
    };
    if let Err(message) = names::event(&text) {
        if right_key || arguments.name.is_given() {
            errors.at_span(span, message);
        }
        return None;
    }
    let span = span.resolved_at(Span::mixed_site());
    // `gen` is a keyword since the edition of 2024 alone, which the parser does not know.
    let method = match syn::parse_str::<Ident>(&text) {
        Ok(_) if text != "gen" => Ident::new(&text, span),
        _ => Ident::new_raw(&text, span),
    };
    Some(Names { constant: Ident::new(&text.to_uppercase(), span), method })
}

fn upcasts<'a>(
    input: &DeriveInput,
    arguments: &'a parse::Arguments,
    errors: &Errors,
) -> &'a [Type] {
    let types = arguments.upcasts.get().map_or(&[][..], |types| &types.0);
    let text = |ty: &Type| ty.to_token_stream().to_string();
    for (index, ty) in types.iter().enumerate() {
        if text(ty) == "Self" || input.ident == text(ty) {
            errors.at(ty, "a type needs no upcast to itself; name an older type, or remove it");
        } else if types[..index].iter().any(|earlier| text(earlier) == text(ty)) {
            errors.at(ty, format!("`{}` is named twice; keep one", text(ty)));
        }
    }
    types
}

/// Two events of one struct have two names and two keys.
fn unlike(event: &Event<'_>, earlier: &[Event<'_>], errors: &Errors) {
    let same_key = |other: &Event<'_>| {
        event.key.is_some()
            && event.key.map(LitStr::value) == other.key.map(LitStr::value)
            && event.exchange.map(LitStr::value) == other.exchange.map(LitStr::value)
    };
    if earlier.iter().any(same_key) {
        errors.at_span(event.span, "this event is there already; remove one of the two");
        return;
    }
    let Some(Names { constant, method }) = &event.names else { return };
    let same_name =
        |other: &Event<'_>| other.names.as_ref().is_some_and(|names| names.constant == *constant);
    if earlier.iter().any(same_name) {
        errors.at_span(
            method.span(),
            format!("two events of this type are called `{method}`; write another `name = \"…\"`"),
        );
    }
}
