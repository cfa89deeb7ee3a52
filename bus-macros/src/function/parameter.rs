//! The parameters of a handler: how each is passed, and what the bus supplies of itself.

use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::ext::IdentExt as _;
use syn::{Pat, PatType, Type};

use super::types::{self, Position};
use crate::errors::Errors;
use crate::root::at;
use crate::{attrs, names};

/// One parameter of a handler, without the receiver.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    /// What the handle calls it.
    pub(crate) name: Ident,
    pub(crate) passing: Passing,
    /// What its name says that it is.
    pub(crate) role: Role,
    /// The whole type, as written.
    pub(crate) ty: Type,
}

/// How a parameter is passed.
#[derive(Debug, Clone)]
pub(crate) enum Passing {
    /// `&X`
    Lent(Type),
    /// `T`
    Owned(Type),
}

/// What a parameter is, as far as its type's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `&Context`
    Context,
    /// `State<T>`
    State,
    /// Anything else.
    Other,
}

impl Parameter {
    /// Whether the bus supplies it, by the name of its type.
    pub(crate) fn is_injected(&self) -> bool {
        self.role != Role::Other
    }

    /// Whether it can be an alias of what the bus supplies, at least.
    pub(crate) fn may_be_injected(&self) -> bool {
        let (Passing::Lent(ty) | Passing::Owned(ty)) = &self.passing;
        match types::peel(ty) {
            Type::Path(path) => path.path.segments.last().is_none_or(|last| {
                let name = last.ident.to_string();
                !names::is_primitive(&name) && !PAYLOADS.contains(&name.as_str())
            }),
            Type::Slice(_) | Type::Array(_) | Type::Tuple(_) => false,
            _ => true,
        }
    }
}

/// Types of std that nobody takes for an alias of `State<T>` or `Context`.
const PAYLOADS: &[&str] =
    &["String", "Vec", "Option", "Result", "Arc", "Box", "HashMap", "BTreeMap"];

/// Reads and checks the parameters `inputs`; `travels` tells whether they have to be read from
/// bytes.
pub(crate) fn check<'a>(
    inputs: impl Iterator<Item = &'a PatType>,
    travels: bool,
    errors: &Errors,
) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for (index, input) in inputs.enumerate() {
        conditional(input, errors);
        let passing = passing(&input.ty, travels, errors);
        let role = role(&passing);
        let taken = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
        let name = name(&input.pat, index, taken);
        parameters.push(Parameter { name, passing, role, ty: (*input.ty).clone() });
    }
    parameters
}

/// A parameter that exists under a condition would change what the command is called with.
fn conditional(input: &PatType, errors: &Errors) {
    for attr in &input.attrs {
        if attrs::is(attr.path(), "cfg") || attrs::is(attr.path(), "cfg_attr") {
            errors.at(
                attr,
                "a parameter cannot be conditional, since callers pass it by position; \
                 put the condition above the function",
            );
        }
    }
}

fn passing(ty: &Type, travels: bool, errors: &Errors) -> Passing {
    let Type::Reference(reference) = types::peel(ty) else {
        match types::peel(ty) {
            Type::TraitObject(object) => {
                errors.at(object, "a trait object has no size; write the type itself, or `Box` it");
            }
            ty => types::check(ty, Position::Parameter, travels, errors),
        }
        return Passing::Owned(ty.clone());
    };
    let inner = (*reference.elem).clone();
    if let Some(mutability) = &reference.mutability {
        errors.at(
            mutability,
            "what the bus hands to a handler is not lent mutably; take it by value or by `&`",
        );
    } else if let Some(lifetime) = reference.lifetime.as_ref().filter(|it| types::is_static(it)) {
        errors.at(
            lifetime,
            "what the bus lends to a handler ends with the call; write `&` without a lifetime",
        );
    } else if types::is_state(&inner) {
        errors.at(ty, "`State` is a cheap handle of its own; take it by value, as `State<T>`");
    }
    match types::peel(&inner) {
        Type::TraitObject(object) => {
            errors.at(
                object,
                "a trait object cannot be made anew where the handler runs; write the type itself",
            );
        }
        inner => types::check(inner, Position::Parameter, travels, errors),
    }
    Passing::Lent(inner)
}

fn role(passing: &Passing) -> Role {
    match passing {
        Passing::Lent(ty) if types::is_context(ty) => Role::Context,
        Passing::Owned(ty) | Passing::Lent(ty) if types::is_state(ty) => Role::State,
        _ => Role::Other,
    }
}

/// The name that a handle gives to a parameter: the user's, where there is one, without the
/// underscores that say that the function does not use it.
fn name(pat: &Pat, index: usize, taken: impl Fn(&str) -> bool) -> Ident {
    let fallback = || format_ident!("arg{index}", span = Span::mixed_site());
    let Pat::Ident(pat) = pat else { return fallback() };
    let span = pat.ident.span().resolved_at(Span::mixed_site());
    let text = pat.ident.to_string();
    if text.starts_with("r#") {
        let mut raw = pat.ident.clone();
        raw.set_span(span);
        return raw;
    }
    let stripped = text.trim_start_matches('_');
    match syn::parse_str::<Ident>(stripped) {
        Ok(name) if !taken(stripped) => Ident::new(&name.to_string(), span),
        _ => fallback(),
    }
}

/// The name as text, without `r#`.
pub(crate) fn text(parameter: &Parameter) -> String {
    parameter.name.unraw().to_string()
}

/// The place of a parameter's type, with the hygiene of generated code.
pub(crate) fn place(parameter: &Parameter) -> Span {
    let (Passing::Lent(ty) | Passing::Owned(ty)) = &parameter.passing;
    at(ty)
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::{FnArg, Signature};

    use super::*;
    use crate::errors::testing::gather;

    fn read(parameters: &proc_macro2::TokenStream) -> (Vec<Parameter>, Vec<String>) {
        let sig: Signature = syn::parse_quote!(fn f(#parameters));
        gather(|errors| {
            let typed = sig.inputs.iter().filter_map(|input| match input {
                FnArg::Typed(typed) => Some(typed),
                FnArg::Receiver(_) => None,
            });
            check(typed, true, errors)
        })
    }

    fn names(parameters: &proc_macro2::TokenStream) -> Vec<String> {
        read(parameters).0.iter().map(|parameter| parameter.name.to_string()).collect()
    }

    fn messages(parameters: &proc_macro2::TokenStream) -> Vec<String> {
        read(parameters).1
    }

    #[test]
    fn parameters_keep_their_names() {
        assert_eq!(names(&quote!(a: u32, mut b: u32, _c: u32)), ["a", "b", "c"]);
        assert_eq!(
            names(&quote!(_: u32, (x, y): (u32, u32), r#type: u8)),
            ["arg0", "arg1", "r#type"]
        );
        assert_eq!(
            names(&quote!(x: u32, _x: u32, _self: u32, _0: u32)),
            ["x", "arg1", "arg2", "arg3"]
        );
    }

    #[test]
    fn what_the_bus_supplies_is_known_by_name() {
        let (parameters, messages) = read(&quote!(a: &str, c: &bus::Context, s: State<Db>));
        assert_eq!(messages, [""; 0]);
        let roles: Vec<_> = parameters.iter().map(|parameter| parameter.role).collect();
        assert_eq!(roles, [Role::Other, Role::Context, Role::State]);
    }

    #[test]
    fn what_cannot_be_lent_is_refused() {
        assert_eq!(
            messages(&quote!(a: &mut u32)),
            ["what the bus hands to a handler is not lent mutably; take it by value or by `&`"]
        );
        assert_eq!(
            messages(&quote!(a: &'static str)),
            ["what the bus lends to a handler ends with the call; write `&` without a lifetime"]
        );
        assert_eq!(
            messages(&quote!(s: &State<Db>)),
            ["`State` is a cheap handle of its own; take it by value, as `State<T>`"]
        );
        assert_eq!(
            messages(&quote!(s: &dyn Display)),
            ["a trait object cannot be made anew where the handler runs; write the type itself"]
        );
        assert_eq!(
            messages(&quote!(s: dyn Display)),
            ["a trait object has no size; write the type itself, or `Box` it"]
        );
    }

    #[test]
    fn a_parameter_is_not_conditional() {
        assert_eq!(
            messages(&quote!(#[cfg(unix)] a: u32)),
            ["a parameter cannot be conditional, since callers pass it by position; \
              put the condition above the function"]
        );
    }
}
