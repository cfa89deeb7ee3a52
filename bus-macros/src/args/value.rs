//! The forms that values of arguments have: flags, strings, counts, durations, paths, types.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, ExprPath, Lit, LitStr, Path, Token, Type};

use super::peel;
use super::slot::{FromValue, Value};
use crate::function::types;

/// `inline`
#[derive(Debug)]
pub(crate) struct Flag;

/// `retry = 3`
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) value: u64,
    pub(crate) span: Span,
}

/// `timeout = "5s"`, or an expression of type `Duration`.
#[derive(Debug)]
pub(crate) enum Time {
    Literal(Duration, Span),
    Expression(Box<Expr>),
}

/// `name = "submit"`, or `name = submit`.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// `upcasts(OrderV1, OrderV2)`
#[derive(Debug)]
pub(crate) struct Types(pub(crate) Vec<Type>);

/// The error for a value of another form: `what` it takes, and how the whole argument is written.
fn wrong(name: &Ident, value: &Value, what: &str, example: &str) -> syn::Error {
    let message = format!("`{name}` takes {what}; write {example}");
    match value {
        Value::Assigned(expr) => syn::Error::new_spanned(expr, message),
        Value::List(tokens) if !tokens.is_empty() => syn::Error::new_spanned(tokens, message),
        Value::None | Value::Missing | Value::List(_) => syn::Error::new(name.span(), message),
    }
}

impl FromValue for Flag {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        match value {
            Value::None => Ok(Self),
            other => Err(wrong(name, &other, "no value", &format!("`{name}` alone"))),
        }
    }
}

impl FromValue for LitStr {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        match value {
            Value::Assigned(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(text),
            other => Err(wrong(name, &other, "a string", &format!("`{name} = \"…\"`"))),
        }
    }
}

impl FromValue for Name {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        match &value {
            Value::Assigned(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
                Ok(Self { text: text.value(), span: text.span() })
            }
            Value::Assigned(Expr::Path(path)) if path.path.get_ident().is_some() => {
                let text = path.path.to_token_stream().to_string();
                Ok(Self { text: text.trim_start_matches("r#").to_owned(), span: path.span() })
            }
            other => Err(wrong(name, other, "a name", &format!("`{name} = \"submit\"`"))),
        }
    }
}

impl FromValue for Count {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        if let Value::Assigned(Expr::Lit(ExprLit { lit: Lit::Int(int), .. })) = &value
            && int.suffix().is_empty()
            && let Ok(value) = int.base10_parse()
        {
            return Ok(Self { value, span: int.span() });
        }
        Err(wrong(name, &value, "a whole number", &format!("`{name} = 3`")))
    }
}

impl FromValue for Time {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        match value {
            Value::Assigned(expr) => time(name, expr),
            other => Err(wrong(name, &other, "a duration", &format!("`{name} = \"5s\"`"))),
        }
    }
}

impl FromValue for Vec<Time> {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        match value {
            Value::Assigned(Expr::Array(array)) => {
                gather(array.elems.into_iter().map(|expr| time(name, expr)))
            }
            Value::Assigned(expr) => Ok(vec![time(name, expr)?]),
            other => {
                let what = "a duration or an array of durations";
                Err(wrong(name, &other, what, &format!("`{name} = [\"1s\", \"5s\"]`")))
            }
        }
    }
}

fn time(name: &Ident, expr: Expr) -> syn::Result<Time> {
    let expr = peel(expr);
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            match humantime::parse_duration(&text.value()) {
                Ok(duration) => Ok(Time::Literal(duration, text.span())),
                Err(_) => Err(syn::Error::new(
                    text.span(),
                    format!(
                        "`{}` is no duration; \
                         write numbers with units, such as \"500ms\", \"2s\" or \"1m 30s\"",
                        text.value()
                    ),
                )),
            }
        }
        Expr::Lit(ExprLit { lit: lit @ (Lit::Int(_) | Lit::Float(_)), .. }) => {
            let number = lit.to_token_stream().to_string();
            let unit = if number.ends_with(|c: char| c.is_ascii_digit()) { "s" } else { "" };
            Err(syn::Error::new(
                lit.span(),
                format!("`{name}` lacks its quotes or its unit; write `\"{number}{unit}\"`"),
            ))
        }
        Expr::Path(_) | Expr::Call(_) | Expr::MethodCall(_) | Expr::Block(_) | Expr::Macro(_) => {
            Ok(Time::Expression(Box::new(expr)))
        }
        other => {
            Err(wrong(name, &Value::Assigned(other), "a duration", &format!("`{name} = \"5s\"`")))
        }
    }
}

impl FromValue for Path {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        match value {
            Value::Assigned(Expr::Path(ExprPath { qself: None, path, .. })) => Ok(path),
            other => Err(wrong(name, &other, "a path", &format!("`{name} = path::to::it`"))),
        }
    }
}

impl FromValue for Ident {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        if let Value::Assigned(Expr::Path(path)) = &value
            && path.qself.is_none()
            && let Some(ident) = path.path.get_ident()
        {
            return Ok(ident.clone());
        }
        Err(wrong(name, &value, "an identifier", &format!("`{name} = some_name`")))
    }
}

impl FromValue for Types {
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self> {
        if let Value::List(tokens) = &value
            && !tokens.is_empty()
            && let Ok(named) =
                Punctuated::<Type, Token![,]>::parse_terminated.parse2(tokens.clone())
        {
            return Ok(Self(named.iter().map(types::peel).cloned().collect()));
        }
        Err(wrong(name, &value, "types", &format!("`{name}(OlderType)`")))
    }
}

/// All values, or all errors as one.
fn gather<T>(results: impl Iterator<Item = syn::Result<T>>) -> syn::Result<Vec<T>> {
    let (mut values, mut gathered) = (Vec::new(), None::<syn::Error>);
    for result in results {
        match (result, &mut gathered) {
            (Ok(value), _) => values.push(value),
            (Err(error), None) => gathered = Some(error),
            (Err(error), Some(errors)) => errors.combine(error),
        }
    }
    gathered.map_or(Ok(values), Err)
}

#[cfg(test)]
mod tests {
    use quote::{format_ident, quote};
    use syn::parse_quote;

    use super::*;

    fn refused<T: FromValue>(value: Value) -> String {
        match T::from_value(&format_ident!("it"), value) {
            Ok(_) => panic!("the value is wrong"),
            Err(error) => {
                error.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join(" / ")
            }
        }
    }

    #[test]
    fn durations_carry_their_unit() {
        let name = format_ident!("timeout");
        let time = Time::from_value(&name, Value::Assigned(parse_quote!("1m 30s")));
        assert!(matches!(time, Ok(Time::Literal(duration, _)) if duration.as_secs() == 90));
        let time = Time::from_value(&name, Value::Assigned(parse_quote!(LIMITS.timeout())));
        assert!(matches!(time, Ok(Time::Expression(_))));
        assert_eq!(
            refused::<Time>(Value::Assigned(parse_quote!(5))),
            "`it` lacks its quotes or its unit; write `\"5s\"`"
        );
        assert_eq!(
            refused::<Time>(Value::Assigned(parse_quote!(5ms))),
            "`it` lacks its quotes or its unit; write `\"5ms\"`"
        );
        assert_eq!(
            refused::<Time>(Value::Assigned(parse_quote!("soon"))),
            "`soon` is no duration; \
             write numbers with units, such as \"500ms\", \"2s\" or \"1m 30s\""
        );
        assert_eq!(
            refused::<Time>(Value::Assigned(parse_quote!(["1s"]))),
            "`it` takes a duration; write `it = \"5s\"`"
        );
    }

    #[test]
    fn every_wrong_duration_of_an_array_is_reported() {
        assert_eq!(
            refused::<Vec<Time>>(Value::Assigned(parse_quote!([1, "2s", "x"]))),
            "`it` lacks its quotes or its unit; write `\"1s\"` / \
             `x` is no duration; write numbers with units, such as \"500ms\", \"2s\" or \"1m 30s\""
        );
        assert_eq!(
            refused::<Vec<Time>>(Value::None),
            "`it` takes a duration or an array of durations; write `it = [\"1s\", \"5s\"]`"
        );
    }

    #[test]
    fn other_forms_are_refused_with_an_example() {
        assert_eq!(
            refused::<Flag>(Value::List(quote!(x))),
            "`it` takes no value; write `it` alone"
        );
        assert_eq!(
            refused::<Count>(Value::Assigned(parse_quote!(-1))),
            "`it` takes a whole number; write `it = 3`"
        );
        assert_eq!(
            refused::<Path>(Value::Assigned(parse_quote!("a::b"))),
            "`it` takes a path; write `it = path::to::it`"
        );
        assert_eq!(
            refused::<Ident>(Value::Assigned(parse_quote!(a::b))),
            "`it` takes an identifier; write `it = some_name`"
        );
        assert_eq!(
            refused::<Types>(Value::Assigned(parse_quote!(Old))),
            "`it` takes types; write `it(OlderType)`"
        );
        assert_eq!(
            refused::<Name>(Value::Assigned(parse_quote!(a::b))),
            "`it` takes a name; write `it = \"submit\"`"
        );
        assert_eq!(
            refused::<Types>(Value::List(quote!())),
            "`it` takes types; write `it(OlderType)`"
        );
    }
}
