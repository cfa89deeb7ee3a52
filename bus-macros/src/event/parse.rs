//! The arguments of `#[event(..)]`, in both of its forms.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned as _;
use syn::{Attribute, LitStr, Meta, Path};

use crate::args::{Flag, Name, Types, arguments};
use crate::errors::Errors;
use crate::{attrs, derives};

arguments! {
    /// What `#[event(..)]` may say.
    pub(crate) struct Arguments {
        /// The exchange that it is fired on.
        exchange: LitStr = "exchange",
        /// The routing key.
        key: LitStr = "key",
        /// What it is called in code.
        name: Name = "name",
        /// The older types that become this one.
        upcasts: Types = "upcasts",
        /// Never leaves the process.
        local: Flag = "local",
        /// The path of the bus.
        root: Path = "crate",
    }
}

/// One `#[event(..)]`.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) arguments: Arguments,
    /// The attribute, as the place for what is missing.
    pub(crate) span: Span,
    /// Its path, where it is longer than `event`.
    pub(crate) path: Option<Path>,
}

impl Declared {
    pub(crate) fn new(arguments: TokenStream, span: Span, errors: &Errors) -> Self {
        Self { arguments: Arguments::parse(arguments, errors), span, path: None }
    }
}

/// Takes every `#[event(..)]` out of `attrs`.
pub(crate) fn take(attrs: &mut Vec<Attribute>, errors: &Errors) -> Vec<Declared> {
    let (taken, kept) =
        std::mem::take(attrs).into_iter().partition(|attr| attrs::is(attr.path(), "event"));
    *attrs = kept;
    let taken: Vec<Attribute> = taken;
    taken
        .iter()
        .map(|attr| {
            let arguments = errors.ok(attrs::arguments(attr)).unwrap_or_default();
            let declared = Declared::new(arguments, attr.path().span(), errors);
            let path = (attr.path().segments.len() > 1).then(|| attr.path().clone());
            Declared { path, ..declared }
        })
        .collect()
}

/// Where the derive of `Event` is listed among `attrs`.
pub(crate) fn derives_event(attrs: &[Attribute]) -> Option<Path> {
    derives::derived(attrs).into_iter().find(|path| attrs::is(path, "Event"))
}

/// Takes `Event` out of the derives.
pub(crate) fn drop_derive(attrs: &mut [Attribute]) {
    for attr in attrs.iter_mut().filter(|attr| attrs::is(attr.path(), "derive")) {
        let kept = derives::derived(std::slice::from_ref(attr))
            .into_iter()
            .filter(|path| !attrs::is(path, "Event"))
            .map(ToTokens::into_token_stream);
        if let Meta::List(list) = &mut attr.meta {
            list.tokens = quote!(#(#kept),*);
        }
    }
}
