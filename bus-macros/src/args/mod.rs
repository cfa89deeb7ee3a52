//! The arguments of an attribute, as written.
//!
//! [`items`] splits the tokens into arguments and goes on after a wrong one, so that all wrong
//! ones are reported. [`arguments!`] declares what one macro knows: a struct of set-once
//! [`Slot`]s, with duplicates, unknown names and values of the wrong form refused in one place.
//! What the arguments mean is for the checks.

mod slot;
mod value;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, ExprLit, ExprPath, Lit, LitStr, Token, token};

pub(crate) use slot::{Slot, Value};
pub(crate) use value::{Count, Flag, Name, Time, Types};

use crate::errors::Errors;
use crate::near;

/// One argument.
#[derive(Debug)]
pub(crate) enum Item {
    /// `inline`, `queue = "…"` or `upcasts(…)`.
    Named(Argument),
    /// `"order.*.submit"` or `Order::SUBMIT`.
    Bare(Expr),
}

/// An argument with a name.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

impl Argument {
    /// Refuses the argument, naming the known ones; returns the one that was probably meant.
    pub(crate) fn unknown<'k>(&self, known: &[&'k str], errors: &Errors) -> Option<&'k str> {
        let name = self.name.unraw().to_string();
        let nearest = near::nearest(&name, known);
        let guess =
            nearest.map(|nearest| format!("did you mean `{nearest}`? ")).unwrap_or_default();
        let known = near::list(known);
        errors.at(&self.name, format!("unknown argument `{name}`; {guess}expected {known}"));
        nearest
    }
}

/// Splits `tokens` into arguments.
pub(crate) fn items(tokens: TokenStream, errors: &Errors) -> Vec<Item> {
    let parser = |input: ParseStream<'_>| {
        let mut items = Vec::new();
        while !input.is_empty() {
            match item(input, errors) {
                Ok(item) if input.is_empty() || input.peek(Token![,]) => items.push(item),
                Ok(item) => {
                    items.push(item);
                    errors.at_span(input.span(), "unexpected token; separate arguments by `,`");
                }
                Err(error) => errors.push(error),
            }
            skip_past_comma(input)?;
        }
        Ok(items)
    };
    errors.ok(parser.parse2(tokens)).unwrap_or_default()
}

fn item(input: ParseStream<'_>, errors: &Errors) -> syn::Result<Item> {
    if input.peek(Lit) || input.peek(token::Group) {
        return Ok(Item::Bare(peel(input.parse()?)));
    }
    if let Some(pattern) = unquoted(input, errors) {
        return Ok(Item::Bare(pattern));
    }
    if input.peek2(Token![::]) || input.peek(Token![::]) || input.peek(Token![<]) {
        return Ok(Item::Bare(Expr::Path(input.parse::<ExprPath>()?)));
    }
    if !input.peek(syn::Ident::peek_any) {
        return Err(input.error("expected an argument; write a name, a literal or a path"));
    }
    let name = input.call(Ident::parse_any)?;
    let value = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            Value::Missing
        } else if input.fork().parse::<Expr>().is_err()
            && let Some(text) = unquoted(input, errors)
        {
            Value::Assigned(text)
        } else {
            Value::Assigned(peel(input.parse()?))
        }
    } else if input.peek(token::Paren) {
        let content;
        syn::parenthesized!(content in input);
        Value::List(content.parse()?)
    } else {
        Value::None
    };
    Ok(Item::Named(Argument { name, value }))
}

/// The expression inside of parentheses, and inside of the invisible ones around what
/// `macro_rules!` captured as `$e:expr` or `$l:literal`.
pub(crate) fn peel(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => peel(*group.expr),
        Expr::Paren(paren) => peel(*paren.expr),
        other => other,
    }
}

/// Takes words delimited by dots as the string that they were meant to be, and reports that the
/// quotes were forgotten.
fn unquoted(input: ParseStream<'_>, errors: &Errors) -> Option<Expr> {
    let ahead = input.fork();
    let mut tokens = TokenStream::new();
    let mut has_dot = false;
    while !ahead.is_empty() && !ahead.peek(Token![,]) {
        let token: TokenTree = ahead.parse().ok()?;
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '.' => has_dot = true,
            TokenTree::Punct(punct) if matches!(punct.as_char(), '*' | '#' | '-') => {}
            TokenTree::Ident(_) | TokenTree::Literal(_) => {}
            TokenTree::Punct(_) | TokenTree::Group(_) => return None,
        }
        tokens.extend([token]);
    }
    let text: String = tokens.clone().into_iter().map(|token| token.to_string()).collect();
    if !(has_dot || text == "*" || text == "#") || text.contains('"') {
        return None;
    }
    let span = input.span();
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>().ok()?;
    }
    errors.at(tokens, format!("a string lacks its quotes; write `\"{text}\"`"));
    let lit = Lit::Str(LitStr::new(&text, span));
    Some(Expr::Lit(ExprLit { attrs: Vec::new(), lit }))
}

fn skip_past_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() {
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            break;
        }
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// Refuses every bare argument.
pub(crate) fn refuse_bare(bare: &[Expr], remedy: &str, errors: &Errors) {
    for expr in bare {
        errors.at(expr, format!("unexpected {}; {remedy}", describe(expr)));
    }
}

/// What a bare argument looks like.
pub(crate) fn describe(expr: &Expr) -> String {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(_) => "string".to_owned(),
            other => format!("literal `{}`", other.to_token_stream()),
        },
        _ => "path".to_owned(),
    }
}

/// Declares the arguments that one macro knows.
///
/// ```text
/// arguments! {
///     /// What `#[listener(..)]` may say.
///     pub(crate) struct Arguments {
///         /// The queue.
///         queue: LitStr = "queue",
///     }
/// }
/// ```
macro_rules! arguments {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_doc:meta])* $field:ident: $form:ty = $word:literal, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        $vis struct $name {
            $( $(#[$field_doc])* $vis $field: $crate::args::Slot<$form>, )*
            /// The arguments without a name, in order.
            $vis bare: Vec<syn::Expr>,
            /// The arguments that unknown names were probably meant to be.
            $vis misspelt: Vec<&'static str>,
        }

        impl $name {
            $vis const KNOWN: &'static [&'static str] = &[$($word),*];

            $vis fn parse(
                tokens: proc_macro2::TokenStream,
                errors: &$crate::errors::Errors,
            ) -> Self {
                let mut arguments = Self::default();
                for item in $crate::args::items(tokens, errors) {
                    match item {
                        $crate::args::Item::Bare(expr) => arguments.bare.push(expr),
                        $crate::args::Item::Named(argument) => match &*argument.name.to_string() {
                            $( $word => arguments.$field.set(argument, errors), )*
                            _ => arguments.misspelt.extend(argument.unknown(Self::KNOWN, errors)),
                        },
                    }
                }
                arguments
            }
        }
    };
}
pub(crate) use arguments;

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, Group};
    use quote::quote;

    use super::*;
    use crate::errors::testing::gather;

    arguments! {
        /// For the tests.
        struct Arguments {
            queue: LitStr = "queue",
            inline: Flag = "inline",
            retry: Count = "retry",
            root: syn::Path = "crate",
        }
    }

    fn parse(tokens: TokenStream) -> (Arguments, Vec<String>) {
        gather(|errors| Arguments::parse(tokens, errors))
    }

    #[test]
    fn arguments_stand_in_any_order() {
        let (arguments, messages) =
            parse(quote!(retry = 3, "order.#", inline, crate = ::other::bus, queue = "q",));
        assert_eq!(messages, [""; 0]);
        assert_eq!(arguments.bare.len(), 1);
        assert_eq!(arguments.retry.get().map(|count| count.value), Some(3));
        assert!(arguments.inline.is_given() && arguments.root.is_given());
        assert_eq!(arguments.queue.get().map(LitStr::value).as_deref(), Some("q"));
    }

    /// What `macro_rules!` makes of a capture.
    fn captured(tokens: TokenStream) -> TokenTree {
        Group::new(Delimiter::None, tokens).into()
    }

    #[test]
    fn captures_and_parentheses_are_looked_into() {
        let (pattern, queue, retry) =
            (captured(quote!("a.b")), captured(quote!(("q"))), captured(quote!(3)));
        let root = captured(quote!(::other::bus));
        let (arguments, messages) =
            parse(quote!(#pattern, queue = #queue, retry = (#retry), crate = #root));
        assert_eq!(messages, [""; 0]);
        assert!(matches!(&arguments.bare[..], [Expr::Lit(_)]), "{:?}", arguments.bare);
        assert_eq!(arguments.queue.get().map(LitStr::value).as_deref(), Some("q"));
        assert_eq!(arguments.retry.get().map(|count| count.value), Some(3));
        assert!(arguments.root.get().is_some());
        let event = captured(quote!(Order::SUBMIT));
        let (arguments, messages) = parse(quote!(#event));
        assert_eq!(messages, [""; 0]);
        assert!(matches!(&arguments.bare[..], [Expr::Path(_)]), "{:?}", arguments.bare);
    }

    #[test]
    fn forgotten_quotes_are_named() {
        for text in ["order.*.submit", "order.#", "#", "*", "order.v1.charge-back", "a.1.b"] {
            let tokens: TokenStream = text.parse().expect("the text is tokens");
            let (arguments, messages) = parse(quote!(#tokens, inline));
            assert_eq!(messages, [format!("a string lacks its quotes; write `\"{text}\"`")]);
            assert_eq!(arguments.bare.len(), 1);
            assert!(arguments.inline.is_given());
        }
        let (arguments, messages) = parse(quote!(queue = order.*.submit, retry = 3));
        assert_eq!(messages, ["a string lacks its quotes; write `\"order.*.submit\"`"]);
        assert!(arguments.queue.get().is_some() && arguments.retry.get().is_some());
    }

    #[test]
    fn every_wrong_argument_is_reported() {
        let (_, messages) = parse(quote!(queu = "q", retry = 1, retry = 2, inline = true, queue));
        assert_eq!(
            messages,
            [
                "unknown argument `queu`; \
                 did you mean `queue`? expected `queue`, `inline`, `retry` or `crate`",
                "duplicate argument `retry`; keep one",
                "`inline` takes no value; write `inline` alone",
                "`queue` takes a string; write `queue = \"…\"`",
            ]
        );
    }

    #[test]
    fn a_wrong_value_does_not_count_as_missing() {
        let (arguments, messages) = parse(quote!(queue = 3));
        assert_eq!(messages, ["`queue` takes a string; write `queue = \"…\"`"]);
        assert!(arguments.queue.is_given() && arguments.queue.get().is_none());
    }

    #[test]
    fn parsing_goes_on_after_an_error() {
        let (arguments, messages) = parse(quote!(retry =, = 3, inline queue, queue = "q"));
        assert_eq!(
            messages,
            [
                "expected an argument; write a name, a literal or a path",
                "unexpected token; separate arguments by `,`",
                "`retry` takes a whole number; write `retry = 3`",
            ]
        );
        assert!(arguments.inline.is_given() && arguments.queue.get().is_some());
    }
}
