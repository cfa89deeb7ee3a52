//! `link!` and `service_name!`: what is said of crates and modules, not of items.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

use crate::args::arguments;
use crate::errors::Errors;
use crate::function::expand::{place, submit};
use crate::names;
use crate::root::{Root, at, code};

/// Expands `link!(billing, logistic)`.
pub(crate) fn link(tokens: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let (root, crates) = errors.ok(read.parse2(tokens)).unwrap_or_default();
    for (index, krate) in crates.iter().enumerate() {
        if crates[..index].contains(krate) {
            errors.at(krate, format!("`{krate}` is linked twice; keep one"));
        }
    }
    if errors.count() > 0 {
        return errors.into_compile_errors();
    }
    errors.read();
    let p = &root.map(Root::of).unwrap_or_default().private();
    crates
        .iter()
        .map(|krate| {
            let name = krate.unraw().to_string();
            let place = place(p, krate.span());
            let submit = submit(p, &code!(Link(&__LINK)));
            let krate = quote_spanned!(at(krate)=> ::#krate);
            code! {
                const _: () = {
                    use #krate as _;
                    static __LINK: #p::Link = #p::Link { place: #place, krate: #name };
                    #submit
                };
            }
        })
        .collect()
}

/// The path of the bus and the crates.
fn read(input: ParseStream<'_>) -> syn::Result<(Option<Path>, Vec<Ident>)> {
    if input.is_empty() {
        let message = "no crate is named; write `link!(billing, logistic)`";
        return Err(syn::Error::new(proc_macro2::Span::call_site(), message));
    }
    let (mut root, mut crates) = (None, Vec::new());
    while !input.is_empty() {
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            root = Some(input.parse()?);
        } else if input.peek(Ident) && !input.peek2(Token![::]) {
            crates.push(input.parse()?);
        } else {
            let message = "a crate is linked as a whole; write its name, as in `link!(billing)`";
            return Err(match input.parse::<Path>() {
                Ok(path) => syn::Error::new_spanned(path, message),
                Err(_) => input.error(message),
            });
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok((root, crates))
}

arguments! {
    /// What `service_name!(..)` may say, beside the name.
    struct Arguments {
        /// The path of the bus.
        root: Path = "crate",
    }
}

/// Expands `service_name!("billing")`.
pub(crate) fn service_name(tokens: TokenStream) -> TokenStream {
    let errors = Errors::new();
    let arguments = Arguments::parse(tokens, &errors);
    let name = name(&arguments, &errors);
    if errors.count() > 0 {
        return errors.into_compile_errors();
    }
    errors.read();
    let Some(name) = name else { return TokenStream::new() };
    let p = &Root::new(&arguments.root).private();
    let place = place(p, name.span());
    let submit = submit(p, &code!(ServiceName(&__SERVICE_NAME)));
    code! {
        const _: () = {
            static __SERVICE_NAME: #p::ServiceName = #p::ServiceName { place: #place, name: #name };
            #submit
        };
    }
}

fn name(arguments: &Arguments, errors: &Errors) -> Option<LitStr> {
    let remedy = "write one name, as in `service_name!(\"billing\")`";
    match &arguments.bare[..] {
        [Expr::Lit(ExprLit { lit: Lit::Str(name), .. })] => {
            names::check(name, |text| names::on_the_bus("a service", text), errors);
            Some(name.clone())
        }
        [other] => {
            errors.at(other, format!("the name of a service is a string; {remedy}"));
            None
        }
        [] => {
            errors.at_span(proc_macro2::Span::call_site(), format!("no name is given; {remedy}"));
            None
        }
        [_, second, ..] => {
            errors.at(second, format!("a module is in one service; {remedy}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn contains(tokens: &TokenStream, text: &str) {
        assert!(tokens.to_string().contains(text), "{tokens}");
    }

    #[test]
    fn crates_are_used_and_registered() {
        let tokens = link(quote!(billing, logistic));
        contains(&tokens, "use :: billing as _");
        contains(&tokens, "krate : \"logistic\"");
    }

    #[test]
    fn what_is_no_crate_is_refused() {
        contains(&link(quote!()), "no crate is named; write `link!(billing, logistic)`");
        contains(
            &link(quote!(a::b)),
            "a crate is linked as a whole; write its name, as in `link!(billing)`",
        );
        contains(
            &link(quote!("a")),
            "a crate is linked as a whole; write its name, as in `link!(billing)`",
        );
        contains(&link(quote!(a, b, a)), "`a` is linked twice; keep one");
    }

    #[test]
    fn a_module_has_one_service() {
        contains(&service_name(quote!("billing")), "name : \"billing\"");
        contains(
            &service_name(quote!()),
            "no name is given; write one name, as in `service_name!(",
        );
        contains(&service_name(quote!(3)), "the name of a service is a string");
        contains(&service_name(quote!("a", "b")), "a module is in one service");
        contains(&service_name(quote!("a b")), "cannot stand in the name of a service");
    }
}
