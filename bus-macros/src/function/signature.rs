//! The rules of a handler's signature, whatever it handles.

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::visit_mut::{self, VisitMut};
use syn::{FnArg, Receiver, ReceiverKind, Safety, Signature, Type, TypePath, parse_quote};

use super::{Access, Home, Kind, Shape, output, parameter, source};
use crate::errors::Errors;

/// Reads and checks a signature.
///
/// `travels` tells whether parameters and answer have to be read from bytes. What is wrong is
/// reported; the shape that comes back is as good as the signature lets it be.
pub(crate) fn check(
    sig: &Signature,
    home: &Home,
    kind: Kind,
    travels: bool,
    errors: &Errors,
) -> Shape {
    qualifiers(sig, kind, errors);
    let mut named = sig.clone();
    if let Home::Service { ty } = home {
        NameSelf(ty).visit_signature_mut(&mut named);
    }
    let access = receiver(sig, home, kind, errors);
    let typed = named.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    Shape {
        home: home.clone(),
        name: sig.ident.clone(),
        is_async: sig.asyncness.is_some(),
        access,
        parameters: parameter::check(typed, travels, errors),
        output: output::check(&named.output, kind, travels, errors),
        list: sig.paren_token.span.join().resolved_at(Span::mixed_site()),
        text: text(sig),
    }
}

/// The signature as text, without the last comma of its list.
fn text(sig: &Signature) -> String {
    let mut sig = sig.clone();
    sig.inputs.pop_punct();
    source::text(sig.into_token_stream())
}

/// A handler is an ordinary function: the bus calls it without `unsafe`, and without types to
/// choose.
fn qualifiers(sig: &Signature, kind: Kind, errors: &Errors) {
    let a = kind.a();
    if let Some(constness) = &sig.constness {
        errors.at(constness, format!("{a} runs on the bus, never at compile time; remove `const`"));
    }
    match &sig.safety {
        Safety::Unsafe(token) => {
            errors.at(
                token,
                format!("the bus cannot uphold what {a} asks of its caller; remove `unsafe`"),
            );
        }
        Safety::Safe(token) => errors.at(token, "`safe` belongs to foreign functions; remove it"),
        Safety::Default => {}
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, format!("{a} is called by Rust alone; remove `extern`"));
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, format!("{a} has a fixed number of parameters; take a `Vec<T>`"));
    }
    if !sig.generics.params.is_empty() {
        let message = if sig.generics.lifetimes().count() == sig.generics.params.len() {
            format!("{a} borrows for the call alone; write `&` without a lifetime")
        } else {
            format!("{a} is one function on the bus and cannot be generic; write the types out")
        };
        errors.at(&sig.generics, message);
    } else if let Some(clause) = &sig.generics.where_clause {
        errors.at(
            clause,
            format!("{a} is not generic, so it has nothing to bound; remove the clause"),
        );
    }
}

/// How the function takes the state of its service.
fn receiver(sig: &Signature, home: &Home, kind: Kind, errors: &Errors) -> Access {
    let Some(FnArg::Receiver(receiver)) = sig.inputs.first() else {
        if kind == Kind::Shutdown {
            errors.at(&sig.ident, "`#[shutdown]` ends a state; take it as `&self` or `&mut self`");
        }
        return Access::Stateless;
    };
    let Receiver { self_token, kind: form, .. } = receiver;
    if kind == Kind::Init {
        errors.at(
            self_token,
            "`#[init]` makes the state and has none yet; remove `self` and return `Self`",
        );
        return Access::Stateless;
    }
    if !home.is_service() {
        let attribute = kind.attribute();
        errors.at(
            self_token,
            format!(
                "a method needs the state of a service; \
                 write `#[service]` above the `impl` block and keep `#[{attribute}]` inside"
            ),
        );
        return Access::Stateless;
    }
    match form {
        ReceiverKind::Reference(_, None, None) => Access::Shared,
        ReceiverKind::Reference(_, None, Some(_)) => Access::Exclusive,
        ReceiverKind::Reference(_, Some(lifetime), _) => {
            errors.at(
                lifetime,
                "the state is lent for the call alone; write `&self` without a lifetime",
            );
            Access::Shared
        }
        _ => {
            errors.at(
                self_token,
                "the state stays with its service; take it as `&self` or `&mut self`",
            );
            Access::Shared
        }
    }
}

/// Replaces `Self`, since the types of a signature are named outside of the impl block too.
struct NameSelf<'t>(&'t Type);

impl VisitMut for NameSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        visit_mut::visit_type_mut(self, ty);
        let Type::Path(TypePath { qself: None, path, .. }) = &*ty else { return };
        let mut segments = path.segments.iter();
        if segments.next().is_none_or(|first| first.ident != "Self") {
            return;
        }
        let named = self.0;
        let rest: Vec<_> = segments.collect();
        *ty = if rest.is_empty() { named.clone() } else { parse_quote!(<#named>::#(#rest)::*) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::testing::gather;

    fn messages(sig: &Signature, home: &Home, kind: Kind) -> Vec<String> {
        gather(|errors| check(sig, home, kind, true, errors)).1
    }

    fn command(sig: &Signature) -> Vec<String> {
        messages(sig, &Home::Module, Kind::Command)
    }

    fn ledger() -> Home {
        Home::Service { ty: Box::new(parse_quote!(Ledger)) }
    }

    #[test]
    fn a_handler_is_an_ordinary_function() {
        assert_eq!(
            command(&parse_quote!(const unsafe extern "C" fn f())),
            [
                "a command runs on the bus, never at compile time; remove `const`",
                "the bus cannot uphold what a command asks of its caller; remove `unsafe`",
                "a command is called by Rust alone; remove `extern`",
            ]
        );
        assert_eq!(
            command(&parse_quote!(unsafe extern "C" fn f(x: u32, ...)))[2],
            "a command has a fixed number of parameters; take a `Vec<T>`"
        );
    }

    #[test]
    fn a_handler_is_not_generic() {
        assert_eq!(
            command(&parse_quote!(fn f<T: Clone>(x: T))),
            ["a command is one function on the bus and cannot be generic; write the types out"]
        );
        assert_eq!(
            command(&parse_quote!(fn f<'a>(x: u32))),
            ["a command borrows for the call alone; write `&` without a lifetime"]
        );
        assert_eq!(
            command(&parse_quote!(fn f(x: u32) where u32: Clone)),
            ["a command is not generic, so it has nothing to bound; remove the clause"]
        );
    }

    #[test]
    fn a_method_stands_in_a_service() {
        assert_eq!(
            command(&parse_quote!(fn f(&self))),
            ["a method needs the state of a service; \
              write `#[service]` above the `impl` block and keep `#[command]` inside"]
        );
        assert_eq!(messages(&parse_quote!(fn f(&self)), &ledger(), Kind::Command), [""; 0]);
        assert_eq!(
            messages(&parse_quote!(fn f(self)), &ledger(), Kind::Command),
            ["the state stays with its service; take it as `&self` or `&mut self`"]
        );
        assert_eq!(
            messages(&parse_quote!(fn f(&'a self)), &ledger(), Kind::Command),
            ["the state is lent for the call alone; write `&self` without a lifetime"]
        );
    }

    #[test]
    fn init_makes_the_state_and_shutdown_ends_it() {
        assert_eq!(
            messages(&parse_quote!(fn f(&self) -> Self), &ledger(), Kind::Init),
            ["`#[init]` makes the state and has none yet; remove `self` and return `Self`"]
        );
        assert_eq!(
            messages(&parse_quote!(fn f()), &ledger(), Kind::Shutdown),
            ["`#[shutdown]` ends a state; take it as `&self` or `&mut self`"]
        );
    }

    #[test]
    fn self_is_named_outside_of_its_block() {
        let sig = parse_quote!(fn f(a: Vec<Self>, b: Self::Row,) -> Result<Self, u32>);
        let (shape, _) = gather(|errors| check(&sig, &ledger(), Kind::Command, true, errors));
        let types: Vec<_> = shape
            .parameters
            .iter()
            .map(|parameter| source::text(parameter.ty.to_token_stream()))
            .collect();
        assert_eq!(types, ["Vec<Ledger>", "<Ledger>::Row"]);
        assert_eq!(shape.text, "fn f(a: Vec<Self>, b: Self::Row) -> Result<Self, u32>");
    }
}
