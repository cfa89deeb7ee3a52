//! The block of a service: its arguments, and the attributes inside of it.

use proc_macro2::TokenStream;
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, Path, parse_quote};

use crate::args::arguments;
use crate::errors::Errors;
use crate::function::item::{self, head, lints};
use crate::function::{Function, Kind};
use crate::{attrs, command, listener};

arguments! {
    /// What `#[service(..)]` may say, beside its name.
    pub(crate) struct Arguments {
        /// What becomes of the state after a panic.
        on_panic: Ident = "on_panic",
        /// The path of the bus.
        root: Path = "crate",
    }
}

/// A method that an attribute of ours stands above.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) function: Function,
    pub(crate) role: Role,
}

/// What the attribute makes of a method.
#[derive(Debug)]
pub(crate) enum Role {
    Command(command::parse::Arguments),
    Listener(listener::parse::Arguments),
    Init,
    Shutdown,
}

const KINDS: [Kind; 4] = [Kind::Command, Kind::Listener, Kind::Init, Kind::Shutdown];

/// Reads an impl block.
pub(crate) fn read(item: &TokenStream) -> syn::Result<ItemImpl> {
    syn::parse2(item.clone()).map_err(|error| match syn::parse2::<syn::Item>(item.clone()) {
        Ok(item) => syn::Error::new_spanned(
            head(&item),
            "`#[service]` stands above an `impl` block; move it there, \
             a module's service is named by `service_name!`",
        ),
        Err(_) => error,
    })
}

/// Takes our attributes out of the block, with the methods they stand above.
pub(crate) fn take(block: &mut ItemImpl, errors: &Errors) -> Vec<Method> {
    let mut methods = Vec::new();
    block.items.retain_mut(|item| match item {
        ImplItem::Fn(method) => {
            methods.extend(role(method, errors));
            true
        }
        ImplItem::Verbatim(tokens) => !is_contract(tokens, errors),
        ImplItem::Const(item) => misplaced(&mut item.attrs, errors),
        ImplItem::Type(item) => misplaced(&mut item.attrs, errors),
        _ => true,
    });
    methods
}

fn role(method: &mut ImplItemFn, errors: &Errors) -> Option<Method> {
    let mut ours = split(&mut method.attrs).into_iter();
    let (kind, attr) = ours.next()?;
    for (_, surplus) in ours {
        errors.at(
            surplus.path(),
            format!(
                "a method is one thing to the bus and this one is {}; keep one attribute",
                kind.a()
            ),
        );
    }
    let arguments = errors.ok(attrs::arguments(&attr)).unwrap_or_default();
    let role = match kind {
        Kind::Command => Role::Command(command::parse::Arguments::parse(arguments, errors)),
        Kind::Listener => Role::Listener(listener::parse::Arguments::parse(arguments, errors)),
        Kind::Init | Kind::Shutdown => {
            if !arguments.is_empty() {
                let name = kind.attribute();
                errors.at(
                    arguments,
                    format!("`#[{name}]` takes no arguments; write `#[{name}]` alone"),
                );
            }
            if kind == Kind::Init { Role::Init } else { Role::Shutdown }
        }
    };
    let function = Function::of_method(method);
    method.attrs.push(lints());
    Some(Method { function, role })
}

/// Replaces the handlers whose signature the compiler would report as well.
pub(crate) fn stub(block: &mut ItemImpl, methods: &[Method]) {
    let is_handler = |name: &Ident| methods.iter().any(|it| it.function.sig.ident == *name);
    for item in &mut block.items {
        if let ImplItem::Fn(method) = item
            && is_handler(&method.sig.ident)
            && let Some((sig, body)) = item::stub(&method.sig)
        {
            method.attrs.push(item::unused());
            method.sig = sig;
            method.block = parse_quote!(#body);
        }
    }
}

/// Takes our attributes out of `attrs`.
fn split(attrs: &mut Vec<Attribute>) -> Vec<(Kind, Attribute)> {
    let mut ours = Vec::new();
    attrs.retain(|attr| {
        let kind = KINDS.into_iter().find(|kind| attrs::is(attr.path(), kind.attribute()));
        ours.extend(kind.map(|kind| (kind, attr.clone())));
        kind.is_none()
    });
    ours
}

/// A signature without a body has no place in an impl block.
fn is_contract(tokens: &TokenStream, errors: &Errors) -> bool {
    let Ok(mut function) = syn::parse2::<Function>(tokens.clone()) else { return false };
    let ours = split(&mut function.attrs);
    if !ours.is_empty() {
        errors.at(
            &function.sig.ident,
            "a contract has no state and stands in a module; move it out of the `impl` block, \
             or write a body",
        );
    }
    !ours.is_empty()
}

fn misplaced(attrs: &mut Vec<Attribute>, errors: &Errors) -> bool {
    for (kind, attr) in split(attrs) {
        let name = kind.attribute();
        errors.at(attr.path(), format!("`#[{name}]` stands above a method; move it there"));
    }
    true
}
