//! A function as the macro receives it: its head parsed, its body left as tokens.
//!
//! A body that does not parse is the user's to mend and rustc's to report; the macro does not look
//! into it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, ImplItemFn, Lifetime, ParenthesizedGenericArguments, Signature, Token, TypeFnPtr,
    TypeReference, Visibility, parse_quote,
};

use super::Kind;
use super::types::is_static;

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

    /// What stands for the function if it is wrong.
    pub(crate) fn emit_wrong(mut self) -> TokenStream {
        if matches!(self.body, Body::Block(_))
            && let Some((sig, body)) = stub(&self.sig)
        {
            self.attrs.push(unused());
            (self.sig, self.body) = (sig, Body::Block(body));
        }
        self.emit()
    }
}

/// Leave for a stub to use nothing.
pub(crate) fn unused() -> Attribute {
    parse_quote!(#[allow(unused, reason = "the function is wrong and this stands for it")])
}

/// A stub of a wrong function, where the compiler would report its signature as well.
///
/// Where an answer borrows and nobody can tell from what, the compiler misses a lifetime and shows
/// how to add one; the macro refuses the borrow, so that this would mislead. The stub has the same
/// parameters, an answer that borrows from nothing, and a body that is not looked at.
pub(crate) fn stub(sig: &Signature) -> Option<(Signature, TokenTree)> {
    let mut stub = sig.clone();
    let mut answer = Borrows::default();
    answer.visit_return_type_mut(&mut stub.output);
    let mut lent = Borrows::default();
    sig.inputs.clone().iter_mut().for_each(|input| lent.visit_fn_arg_mut(input));
    let is_clear = sig.receiver().is_some() || lent.elided + lent.named == 1;
    if answer.elided == 0 || is_clear {
        return None;
    }
    let body = Group::new(Delimiter::Brace, quote!(::core::unreachable!()));
    Some((stub, TokenTree::Group(body)))
}

/// Counts the lifetimes of a type and makes them `'static`; those of the calls of a function
/// pointer or of a closure are its own.
#[derive(Debug, Default)]
struct Borrows {
    elided: usize,
    named: usize,
}

impl VisitMut for Borrows {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference.lifetime.is_none() {
            self.elided += 1;
            reference.lifetime = Some(parse_quote!('static));
            self.visit_type_mut(&mut reference.elem);
        } else {
            visit_mut::visit_type_reference_mut(self, reference);
        }
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            self.elided += 1;
        } else if !is_static(lifetime) {
            self.named += 1;
        }
        *lifetime = parse_quote!('static);
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
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
    use crate::errors::testing::Code;

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
    fn an_answer_that_borrows_from_nobody_knows_whom_is_stubbed() {
        let emit = |tokens: TokenStream| {
            let function = Function::read(&tokens, Kind::Command);
            function.map(|function| Code::new(&function.emit_wrong()))
        };
        for (wrong, stub) in [
            (
                quote!(
                    fn f(x: Option<&str>, y: &mut u32) -> &str {
                        x
                    }
                ),
                "fn f(x: Option<&str>, y: &mut u32) -> &'static str { ::core::unreachable!() }",
            ),
            (
                quote!(
                    fn f() -> Option<Cow<'_, [&u8]>> {
                        x
                    }
                ),
                "fn f() -> Option<Cow<'static, [&'static u8]>> { ::core::unreachable!() }",
            ),
        ] {
            assert!(emit(wrong).is_ok_and(|code| code.has(stub)), "{stub}");
        }
        for kept in [
            quote!(
                fn f(x: &str, y: u32) -> &str {
                    x
                }
            ),
            quote!(
                fn f(&self, x: &str) -> &str {
                    x
                }
            ),
            quote!(
                fn f<'a>(x: &'a str, y: &'a str) -> &'a str {
                    x
                }
            ),
            quote!(
                fn f(x: Option<&str>, y: &str) -> fn(&str) -> &str {
                    x
                }
            ),
            quote!(
                fn f(x: &str, y: &str) {
                    x
                }
            ),
        ] {
            let text = kept.to_string();
            assert!(emit(kept).is_ok_and(|code| code.has(&text)), "{text}");
        }
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
