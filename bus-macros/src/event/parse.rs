//! The arguments of `#[event(..)]`, in both of its forms.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned as _;
use syn::{Attribute, LitStr, Path};

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
    /// Whether its arguments stand in parentheses.
    pub(crate) is_readable: bool,
}

impl Declared {
    pub(crate) fn new(arguments: TokenStream, span: Span, errors: &Errors) -> Self {
        Self { arguments: Arguments::parse(arguments, errors), span, path: None, is_readable: true }
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
            let arguments = errors.ok(attrs::arguments(attr));
            let is_readable = arguments.is_some();
            let path = (attr.path().segments.len() > 1).then(|| attr.path().clone());
            let span = attr.path().span();
            let declared = Declared::new(arguments.unwrap_or_default(), span, errors);
            Declared { path, is_readable, ..declared }
        })
        .collect()
}

/// Where the derive of `Event` is listed among `attrs`.
pub(crate) fn derives_event(attrs: &[Attribute]) -> Option<Path> {
    derives::derived(attrs).into_iter().find(|path| attrs::is(path, "Event"))
}
