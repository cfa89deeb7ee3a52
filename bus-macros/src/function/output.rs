//! What a handler returns: a value, or a `Result` by that name.

use syn::{ReturnType, Type, TypeParamBound};

use super::Kind;
use super::types::{self, Position};
use crate::errors::Errors;

/// What a handler returns.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// Nothing is written.
    Unit,
    /// A type that is not called `Result`.
    Plain(Box<Type>),
    /// A type that is called `Result`.
    Result {
        /// The whole type.
        ty: Box<Type>,
        /// The value, where it is written.
        ok: Option<Box<Type>>,
        /// The error, where it is written.
        err: Option<Box<Type>>,
    },
    /// A type that was refused.
    Wrong,
}

impl Output {
    pub(crate) fn is_result(&self) -> bool {
        matches!(self, Self::Result { .. } | Self::Wrong)
    }
}

/// Reads and checks what a function returns; `travels` tells whether it has to be read from bytes.
pub(crate) fn check(output: &ReturnType, kind: Kind, travels: bool, errors: &Errors) -> Output {
    let ReturnType::Type(_, ty) = output else { return Output::Unit };
    let before = errors.count();
    match types::peel(ty) {
        Type::Never(never) => errors.at(
            never,
            format!("{} that never returns answers nobody; return a value, or nothing", kind.a()),
        ),
        Type::TraitObject(object) => {
            errors.at(object, "a trait object has no size; write the type itself, or `Box` it");
        }
        ty => types::check(ty, Position::Output, travels, errors),
    }
    let read = read(ty);
    if kind == Kind::Command
        && let Output::Result { err: Some(err), .. } = &read
    {
        boxed_error(err, errors);
    }
    if errors.count() > before { Output::Wrong } else { read }
}

fn read(ty: &Type) -> Output {
    let ty = types::peel(ty);
    let whole = Box::new(ty.clone());
    let Some(arguments) = types::arguments(ty, "Result") else { return Output::Plain(whole) };
    let mut arguments = match arguments.len() {
        1 | 2 => arguments,
        // What it means is for the type itself to say.
        _ => Vec::new(),
    }
    .into_iter()
    .map(|argument| Box::new(argument.clone()));
    Output::Result { ty: whole, ok: arguments.next(), err: arguments.next() }
}

/// The error of a command crosses threads.
fn boxed_error(err: &Type, errors: &Errors) {
    let boxed = types::arguments(err, "Box").unwrap_or_default();
    let Some(Type::TraitObject(object)) = boxed.first().map(|ty| types::peel(ty)) else { return };
    let has = |name: &str| {
        object.bounds.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => types::last_is(&bound.path, name),
            _ => false,
        })
    };
    if has("Error") && !has("Send") {
        errors.at(
            object,
            "the error of a command crosses threads; write `Box<dyn Error + Send + Sync>`",
        );
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;
    use crate::errors::testing::gather;

    fn read(output: &ReturnType) -> (Output, Vec<String>) {
        gather(|errors| check(output, Kind::Command, true, errors))
    }

    #[test]
    fn a_result_is_known_by_its_name() {
        let both = read(&parse_quote!(-> ::std::result::Result<u32, String>)).0;
        assert!(matches!(both, Output::Result { ok: Some(_), err: Some(_), .. }));
        let one = read(&parse_quote!(-> io::Result<u32>)).0;
        assert!(matches!(one, Output::Result { ok: Some(_), err: None, .. }));
        let none = read(&parse_quote!(-> fmt::Result)).0;
        assert!(matches!(none, Output::Result { ok: None, err: None, .. }));
        assert!(matches!(read(&parse_quote!(-> Option<u32>)).0, Output::Plain(_)));
        assert!(matches!(read(&ReturnType::Default).0, Output::Unit));
    }

    #[test]
    fn a_boxed_error_crosses_threads() {
        let (output, messages) = read(&parse_quote!(-> Result<u32, Box<dyn std::error::Error>>));
        assert_eq!(
            messages,
            ["the error of a command crosses threads; write `Box<dyn Error + Send + Sync>`"]
        );
        assert!(matches!(output, Output::Wrong));
        assert_eq!(read(&parse_quote!(-> Result<u32, Box<dyn Error + Send + Sync>>)).1, [""; 0]);
    }

    #[test]
    fn a_listener_may_keep_its_error_to_itself() {
        let output = parse_quote!(-> Result<(), Box<dyn Error>>);
        let (_, messages) = gather(|errors| check(&output, Kind::Listener, false, errors));
        assert_eq!(messages, [""; 0]);
    }

    #[test]
    fn answers_are_owned_and_arrive() {
        assert_eq!(
            read(&parse_quote!(-> !)).1,
            ["a command that never returns answers nobody; return a value, or nothing"]
        );
        assert_eq!(
            read(&parse_quote!(-> Option<&str>)).1,
            ["a borrow cannot leave the function; \
                 return an owned value, such as `String` for `&str`"]
        );
    }
}
