//! The paths that generated code begins with, and the hygiene that it has.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned as _;
use syn::{LitStr, Path};

use crate::args::Slot;

/// `quote!`, with the hygiene of generated code.
macro_rules! code {
    ($($tokens:tt)*) => {
        quote::quote_spanned!(proc_macro2::Span::mixed_site()=> $($tokens)*)
    };
}
pub(crate) use code;

/// The crate that generated code names: `::bus`, or what `crate = path` says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Root(Option<Path>);

impl Root {
    pub(crate) fn new(argument: &Slot<Path>) -> Self {
        Self(argument.get().cloned())
    }

    pub(crate) fn of(path: Path) -> Self {
        Self(Some(path))
    }

    /// The first of two that says anything.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    /// The module that generated code may name.
    pub(crate) fn private(&self) -> TokenStream {
        match &self.0 {
            None => code!(::bus::__private),
            Some(path) => code!(#path::__private),
        }
    }

    /// The path of serde, as `#[serde(crate = "…")]` takes it.
    pub(crate) fn serde(&self) -> LitStr {
        let path: String = self.private().into_iter().map(|token| token.to_string()).collect();
        LitStr::new(&format!("{path}::serde"), Span::mixed_site())
    }
}

/// The same tokens at another place, so that errors about them are reported there.
pub(crate) fn respan(tokens: &TokenStream, span: Span) -> TokenStream {
    tokens
        .clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

/// The place of `tokens` for errors, with the hygiene of generated code.
///
/// rustc takes what carries this hygiene for foreign code: lints stay silent about it, and locals
/// do not meet those of the user.
pub(crate) fn at(tokens: &impl ToTokens) -> Span {
    tokens.span().resolved_at(Span::mixed_site())
}
