//! The derives of the attribute form: what a payload needs to be shared and to travel.

use proc_macro2::TokenStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Path, Token};

use crate::attrs;
use crate::root::{Root, code};

/// Which traits an item needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// `Clone`, since it stays in the process.
    Local,
    /// `Clone`, `Serialize` and `Deserialize`.
    Travels,
}

/// The attributes that derive what the item needs and what no derive below derives already.
///
/// Serde is named through the bus, so that a crate needs nothing else in its manifest.
pub(crate) fn missing(attrs: &[Attribute], needs: Needs, root: &Root) -> TokenStream {
    let p = root.private();
    let derived = derived(attrs);
    let lacks = |name: &str| !derived.iter().any(|path| attrs::is(path, name));
    let travels = needs == Needs::Travels;
    let clone = lacks("Clone").then(|| code!(::core::clone::Clone,));
    let serialize = (travels && lacks("Serialize")).then(|| code!(#p::serde::Serialize,));
    let deserialize = (travels && lacks("Deserialize")).then(|| code!(#p::serde::Deserialize,));
    let by_us = serialize.is_some() || deserialize.is_some();
    let serde = (by_us && !names_serde(attrs)).then(|| {
        let path = root.serde();
        code!(#[serde(crate = #path)])
    });
    if clone.is_none() && !by_us {
        return TokenStream::new();
    }
    code! {
        #[derive(#clone #serialize #deserialize)]
        #serde
    }
}

/// The paths in the derives of `attrs`.
pub(crate) fn derived(attrs: &[Attribute]) -> Vec<Path> {
    attrs
        .iter()
        .filter(|attr| attrs::is(attr.path(), "derive"))
        .filter_map(|attr| {
            attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()
        })
        .flatten()
        .collect()
}

/// Whether the user says already where serde is.
fn names_serde(attrs: &[Attribute]) -> bool {
    attrs.iter().filter(|attr| attr.path().is_ident("serde")).any(|attr| {
        let mut named = false;
        let _ = attr.parse_nested_meta(|meta| {
            named |= meta.path.is_ident("crate");
            if meta.input.peek(Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.parse_nested_meta(|_| Ok(())).or(Ok::<(), syn::Error>(()))?;
            }
            Ok(())
        });
        named
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn text(attrs: &[Attribute], needs: Needs) -> String {
        missing(attrs, needs, &Root::default()).to_string().replace(' ', "")
    }

    #[test]
    fn what_is_derived_below_is_left_out() {
        let attrs = vec![parse_quote!(#[derive(Debug, Clone, serde::Serialize)])];
        assert_eq!(
            text(&attrs, Needs::Travels),
            "#[derive(::bus::__private::serde::Deserialize,)]\
             #[serde(crate=\"::bus::__private::serde\")]"
        );
        let attrs = vec![parse_quote!(#[derive(Clone, Serialize, Deserialize)])];
        assert_eq!(text(&attrs, Needs::Travels), "");
    }

    #[test]
    fn a_local_payload_needs_no_serde() {
        assert_eq!(text(&[], Needs::Local), "#[derive(::core::clone::Clone,)]");
    }

    #[test]
    fn serde_is_named_once() {
        let attrs = vec![parse_quote!(#[serde(rename_all = "camelCase", crate = "serde")])];
        assert!(!text(&attrs, Needs::Travels).contains("#[serde"));
    }
}
