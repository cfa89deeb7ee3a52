//! A function as the macro receives it: its head parsed, its body left as tokens.
//!
//! A body that does not parse is the user's to mend and rustc's to report; the macro does not look
//! into it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ImplItemFn, Signature, Token, Visibility, parse_quote};

use super::Kind;

/// A function, or the signature of one.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Body,
}

/// What stands behind a signature.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Block(TokenTree),
    Missing(Token![;]),
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        let body = if input.peek(Token![;]) {
            Body::Missing(input.parse()?)
        } else {
            Body::Block(input.step(|cursor| match cursor.token_tree() {
                Some((TokenTree::Group(group), rest)) if group.delimiter() == Delimiter::Brace => {
                    Ok((TokenTree::Group(group), rest))
                }
                _ => Err(cursor.error("expected the body of the function, or `;`")),
            })?)
        };
        Ok(Self { attrs, vis, sig, body })
    }
}

impl Function {
    /// Reads `tokens`; the error says what `kind` stands above instead.
    pub(crate) fn read(tokens: &TokenStream, kind: Kind) -> syn::Result<Self> {
        let error = match syn::parse2(tokens.clone()) {
            Ok(function) => return Ok(function),
            Err(error) => error,
        };
        let attribute = kind.attribute();
        let is_impl = matches!(syn::parse2(tokens.clone()), Ok(syn::Item::Impl(_)));
        Err(match syn::parse2::<syn::Item>(tokens.clone()) {
            Ok(item) if is_impl => syn::Error::new_spanned(
                head(&item),
                format!(
                    "`#[{attribute}]` stands above a function; \
                     for an `impl` block write `#[service]`"
                ),
            ),
            Ok(item) => syn::Error::new_spanned(
                head(&item),
                format!("`#[{attribute}]` stands above a function; move it there"),
            ),
            // The user's syntax is wrong: the parser's words are the most precise ones.
            Err(_) => error,
        })
    }

    /// The function, as a method of an impl block.
    pub(crate) fn of_method(method: &ImplItemFn) -> Self {
        let block = method.block.to_token_stream().into_iter().next();
        Self {
            attrs: method.attrs.clone(),
            vis: method.vis.clone(),
            sig: method.sig.clone(),
            body: block.map_or_else(|| Body::Missing(<Token![;]>::default()), Body::Block),
        }
    }

    /// The function as the user wrote it, with leave for the lints that object to a signature
    /// which the bus prescribes.
    pub(crate) fn emit(&self) -> TokenStream {
        let Self { attrs, vis, sig, body } = self;
        let lints = lints();
        match body {
            Body::Block(block) => quote!(#(#attrs)* #lints #vis #sig #block),
            Body::Missing(_) => TokenStream::new(),
        }
    }
}

/// Leave for the lints that object to a signature which the bus prescribes.
pub(crate) fn lints() -> Attribute {
    parse_quote! {
        #[allow(
            clippy::needless_pass_by_value,
            clippy::unused_async,
            clippy::unused_self,
            reason = "the bus prescribes this signature"
        )]
    }
}

/// The word that begins an item, as the place for an error.
pub(crate) fn head(item: &syn::Item) -> TokenStream {
    let tokens = item.to_token_stream().into_iter();
    let mut from_the_word = tokens.skip_while(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '#',
        TokenTree::Group(_) => true,
        TokenTree::Ident(ident) => ident == "pub",
        TokenTree::Literal(_) => false,
    });
    from_the_word.next().map(TokenTree::into_token_stream).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tokens: &TokenStream) -> String {
        Function::read(tokens, Kind::Command)
            .map(|_| ())
            .expect_err("it is no function")
            .to_string()
    }

    #[test]
    fn a_body_that_does_not_parse_is_kept() {
        let function = Function::read(&quote!(pub fn f(x: u32) { let = ; }), Kind::Command);
        let text = function.map(|function| function.emit().to_string());
        assert!(text.as_deref().is_ok_and(|text| text.ends_with("pub fn f (x : u32) { let = ; }")));
    }

    #[test]
    fn a_signature_without_a_body_is_read() {
        let function = Function::read(
            &quote!(
                fn f(x: u32) -> u32;
            ),
            Kind::Command,
        );
        assert!(function.is_ok_and(|f| matches!(f.body, Body::Missing(_)) && f.emit().is_empty()));
    }

    #[test]
    fn another_item_is_refused() {
        assert_eq!(
            refused(&quote!(
                #[doc = "x"]
                struct S;
            )),
            "`#[command]` stands above a function; move it there"
        );
        assert_eq!(
            refused(&quote!(impl S {})),
            "`#[command]` stands above a function; for an `impl` block write `#[service]`"
        );
        assert_eq!(refused(&quote!(fn f() = 3)), "expected the body of the function, or `;`");
    }
}
