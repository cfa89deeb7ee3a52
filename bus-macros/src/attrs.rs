//! The attributes of the user's item that generated items share.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token, parse_quote};

/// Whether the last word of `path` is `name`: `command` and `bus::command` alike.
pub(crate) fn is(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}

/// The conditions of an item: what is generated for it exists only together with it.
///
/// What is generated names the item. If that is deprecated, the users of the item are to be
/// warned, and not the item about itself.
pub(crate) fn conditions(attrs: &[Attribute]) -> Vec<Attribute> {
    let mut conditions: Vec<_> = attrs.iter().filter_map(|attr| shared(attr, &["cfg"])).collect();
    if attrs.iter().any(|attr| shared(attr, &["deprecated"]).is_some()) {
        let reason = "it is generated for what is deprecated";
        conditions.push(parse_quote!(#[allow(deprecated, reason = #reason)]));
    }
    conditions
}

/// The conditions and the documentation of an item, for its handle.
pub(crate) fn conditions_and_docs(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter_map(|attr| shared(attr, &["cfg", "doc", "deprecated"])).collect()
}

/// The attribute, if it is one of `names`; of a `cfg_attr` the part that is.
fn shared(attr: &Attribute, names: &[&str]) -> Option<Attribute> {
    if names.iter().any(|name| attr.path().is_ident(name)) {
        return Some(attr.clone());
    }
    let Meta::List(list) = &attr.meta else { return None };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone()).ok()?;
    let mut metas = metas.into_iter();
    let condition = metas.next()?;
    let kept: Vec<_> =
        metas.filter(|meta| names.iter().any(|name| meta.path().is_ident(name))).collect();
    (!kept.is_empty()).then(|| parse_quote!(#[cfg_attr(#condition, #(#kept),*)]))
}

/// Where an attribute of ours was met inside an item, its arguments.
pub(crate) fn arguments(attr: &Attribute) -> syn::Result<TokenStream> {
    match &attr.meta {
        Meta::Path(_) => Ok(quote!()),
        Meta::List(list) => Ok(list.tokens.clone()),
        Meta::NameValue(value) => Err(syn::Error::new_spanned(
            value,
            "an attribute of the bus takes its arguments in parentheses; write `(..)` for `= ..`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;

    fn texts(attrs: &[Attribute]) -> Vec<String> {
        attrs.iter().map(|attr| attr.to_token_stream().to_string().replace(' ', "")).collect()
    }

    #[test]
    fn conditions_are_taken_out_of_cfg_attr() {
        let attrs: Vec<Attribute> = vec![
            parse_quote!(#[cfg(unix)]),
            parse_quote!(#[inline]),
            parse_quote!(#[cfg_attr(test, cfg(windows), derive(Debug))]),
            parse_quote!(#[cfg_attr(test, derive(Debug))]),
            parse_quote!(#[doc = "x"]),
        ];
        assert_eq!(texts(&conditions(&attrs)), ["#[cfg(unix)]", "#[cfg_attr(test,cfg(windows))]"]);
        assert_eq!(texts(&conditions_and_docs(&attrs)).len(), 3);
    }

    #[test]
    fn attributes_are_known_by_their_last_word() {
        assert!(is(&parse_quote!(bus::command), "command"));
        assert!(is(&parse_quote!(command), "command"));
        assert!(!is(&parse_quote!(command::other), "command"));
    }

    #[test]
    fn arguments_stand_in_parentheses() {
        let attr: Attribute = parse_quote!(#[command = "x"]);
        let message = arguments(&attr).map_err(|error| error.to_string());
        assert_eq!(
            message.err().as_deref(),
            Some(
                "an attribute of the bus takes its arguments in parentheses; \
                 write `(..)` for `= ..`"
            )
        );
    }
}
