//! `#[payload]`: the derives of the attribute form, for the types inside of an event.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Path};

use crate::args::{self, arguments};
use crate::derives::{self, Needs};
use crate::errors::Errors;
use crate::root::Root;

arguments! {
    /// What `#[payload(..)]` may say.
    struct Arguments {
        /// The path of the bus.
        root: Path = "crate",
    }
}

/// Expands `#[payload] item`.
pub(crate) fn attribute(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let errors = Errors::new();
    let arguments = Arguments::parse(arguments, &errors);
    args::refuse_bare(&arguments.bare, "leave it out", &errors);
    let derives = match read(item, "payload") {
        Ok(input) => {
            let before = errors.count();
            not_a_union(&input, "a payload", &errors);
            let root = Root::new(&arguments.root);
            (errors.count() == before)
                .then(|| derives::missing(&input.attrs, Needs::Travels, &root))
        }
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let errors = errors.into_compile_errors();
    quote!(#derives #item #errors)
}

/// Reads a struct, an enum or a union.
pub(crate) fn read(item: &TokenStream, attribute: &str) -> syn::Result<DeriveInput> {
    syn::parse2(item.clone()).map_err(|_| {
        let message = format!("`#[{attribute}]` stands above a struct or an enum; move it there");
        match syn::parse2::<syn::Item>(item.clone()) {
            Ok(item) => syn::Error::new_spanned(crate::function::item::head(&item), message),
            Err(error) => error,
        }
    })
}

/// Nobody knows which field of a union holds the value.
pub(crate) fn not_a_union(input: &DeriveInput, what: &str, errors: &Errors) {
    if let Data::Union(data) = &input.data {
        errors.at(
            data.union_token,
            format!(
                "{what} is read from bytes and a union does not say which field holds; \
                 write an enum"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_derives_what_travels() {
        let text = attribute(
            TokenStream::new(),
            &quote!(
                struct Line {
                    id: u32,
                }
            ),
        )
        .to_string();
        assert!(
            text.contains("Clone") && text.contains("Serialize") && !text.contains("compile_error")
        );
    }

    #[test]
    fn another_item_is_refused() {
        let text = |item| attribute(TokenStream::new(), &item).to_string();
        assert!(
            text(quote!(
                fn f() {}
            ))
            .contains("`#[payload]` stands above a struct or an enum; move it there")
        );
        assert!(text(quote!(union U { a: u32 })).contains(
            "a payload is read from bytes and a union does not say which field holds; write an enum"
        ));
        assert!(
            attribute(
                quote!("x"),
                &quote!(
                    struct S;
                )
            )
            .to_string()
            .contains("unexpected string; leave it out")
        );
        assert!(
            attribute(
                quote!(local),
                &quote!(
                    struct S;
                )
            )
            .to_string()
            .contains("unknown argument `local`; expected `crate`")
        );
    }
}
