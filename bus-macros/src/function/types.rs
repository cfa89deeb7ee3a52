//! What a type may hold that travels between threads and processes.

use syn::visit::{self, Visit};
use syn::{
    GenericArgument, Lifetime, ParenthesizedGenericArguments, Path, PathArguments, Type, TypeFnPtr,
    TypeImplTrait, TypeInfer, TypeReference,
};

use crate::errors::Errors;

/// Where a type stands, which decides the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Parameter,
    Output,
}

/// Refuses whatever in `ty` cannot leave the call: borrows, `impl Trait`, `_`.
///
/// What is `'static` stays, unless it has to be read from bytes (`travels`), which nothing borrowed
/// can.
pub(crate) fn check(ty: &Type, position: Position, travels: bool, errors: &Errors) {
    Owned { position, travels, errors }.visit_type(ty);
}

struct Owned<'e> {
    position: Position,
    travels: bool,
    errors: &'e Errors,
}

impl Owned<'_> {
    fn stays(&self, lifetime: Option<&Lifetime>) -> bool {
        !self.travels && lifetime.is_some_and(is_static)
    }
}

impl<'ast> Visit<'ast> for Owned<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if !self.stays(reference.lifetime.as_ref()) {
            self.errors.at(
                reference,
                match self.position {
                    Position::Parameter => {
                        "a borrow inside a type cannot be made anew where the handler runs; \
                         own the value, such as `String` for `&str`"
                    }
                    Position::Output => {
                        "a borrow cannot leave the function; \
                         return an owned value, such as `String` for `&str`"
                    }
                },
            );
            return;
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if !is_static(lifetime) {
            self.errors.at(
                lifetime,
                "a type that borrows cannot be made anew where it is needed; \
                 use `'static`, or a type that owns",
            );
        }
    }

    fn visit_type_impl_trait(&mut self, impl_trait: &'ast TypeImplTrait) {
        let is_future = impl_trait.bounds.iter().any(|bound| match bound {
            syn::TypeParamBound::Trait(bound) => last_is(&bound.path, "Future"),
            _ => false,
        });
        self.errors.at(
            impl_trait,
            match self.position {
                Position::Output if is_future => {
                    "the future has no name; write `async fn` and its output"
                }
                _ => "`impl Trait` names no type; write the type itself",
            },
        );
    }

    fn visit_type_infer(&mut self, infer: &'ast TypeInfer) {
        self.errors.at(infer, "`_` names no type; write the type itself");
    }

    // What a function pointer or a closure takes is borrowed in each of its own calls.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}

/// Whether a lifetime is `'static`.
pub(crate) fn is_static(lifetime: &Lifetime) -> bool {
    lifetime.ident == "static"
}

/// The type without the invisible or visible parentheses around it.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

/// Whether the last word of `path` is `name`.
pub(crate) fn last_is(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}

/// The type arguments of `ty`, if the last word of its path is `name`.
pub(crate) fn arguments<'t>(ty: &'t Type, name: &str) -> Option<Vec<&'t Type>> {
    let Type::Path(path) = peel(ty) else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == name)?;
    Some(match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments
            .args
            .iter()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    })
}

/// Whether `ty` is `Context`, by its name.
pub(crate) fn is_context(ty: &Type) -> bool {
    arguments(ty, "Context").is_some_and(|arguments| arguments.is_empty())
}

/// Whether `ty` is `State<T>`, by its name.
pub(crate) fn is_state(ty: &Type) -> bool {
    arguments(ty, "State").is_some_and(|arguments| arguments.len() == 1)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;
    use crate::errors::testing::gather;

    fn messages(ty: &Type, position: Position, travels: bool) -> Vec<String> {
        gather(|errors| check(ty, position, travels, errors)).1
    }

    #[test]
    fn borrows_inside_types_are_refused() {
        for ty in [
            parse_quote!(Option<&str>),
            parse_quote!((u32, &[u8])),
            parse_quote!(Vec<&'static str>),
        ] {
            assert_eq!(
                messages(&ty, Position::Parameter, true),
                ["a borrow inside a type cannot be made anew where the handler runs; \
                  own the value, such as `String` for `&str`"]
            );
        }
        assert_eq!(
            messages(&parse_quote!(&str), Position::Output, true),
            ["a borrow cannot leave the function; \
                 return an owned value, such as `String` for `&str`"]
        );
        assert_eq!(
            messages(&parse_quote!(Cow<'_, str>), Position::Output, false),
            ["a type that borrows cannot be made anew where it is needed; \
                 use `'static`, or a type that owns"]
        );
    }

    #[test]
    fn static_borrows_stay_in_the_process() {
        assert_eq!(
            messages(&parse_quote!(Option<&'static str>), Position::Parameter, false),
            [""; 0]
        );
        assert_eq!(messages(&parse_quote!(Cow<'static, str>), Position::Output, true), [""; 0]);
    }

    #[test]
    fn callbacks_may_borrow_in_their_own_calls() {
        assert_eq!(
            messages(&parse_quote!(Box<dyn Fn(&str) -> &str + Send>), Position::Parameter, false),
            [""; 0]
        );
        assert_eq!(messages(&parse_quote!(fn(&str)), Position::Parameter, false), [""; 0]);
    }

    #[test]
    fn types_without_a_name_are_refused() {
        assert_eq!(
            messages(&parse_quote!(impl Iterator<Item = u32>), Position::Output, true),
            ["`impl Trait` names no type; write the type itself"]
        );
        assert_eq!(
            messages(&parse_quote!(impl Future<Output = u32>), Position::Output, true),
            ["the future has no name; write `async fn` and its output"]
        );
        assert_eq!(
            messages(&parse_quote!(Vec<_>), Position::Parameter, true),
            ["`_` names no type; write the type itself"]
        );
    }

    #[test]
    fn injected_types_are_known_by_name() {
        assert!(is_context(&parse_quote!(bus::Context)));
        assert!(!is_context(&parse_quote!(Context<u32>)));
        assert!(is_state(&parse_quote!(bus::State<Db>)));
        assert!(!is_state(&parse_quote!(State)));
    }
}
