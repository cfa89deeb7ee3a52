//! The options that commands and listeners share, and their rules.

use std::ops::RangeInclusive;

use proc_macro2::Ident;
use syn::Path;

use super::{Access, Kind, Shape};
use crate::args::{Count, Flag, Slot, Time};
use crate::errors::Errors;

/// The options of a handler, checked.
#[derive(Debug, Default)]
pub(crate) struct Options<'a> {
    pub(crate) inline: bool,
    pub(crate) retry: Option<u64>,
    pub(crate) backoff: &'a [Time],
    pub(crate) retry_if: Option<&'a Path>,
    pub(crate) timeout: Option<&'a Time>,
    pub(crate) concurrency: Option<u64>,
    pub(crate) prefetch: Option<u64>,
}

/// The options of a handler, as given.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) inline: &'a Slot<Flag>,
    pub(crate) retry: &'a Slot<Count>,
    pub(crate) backoff: &'a Slot<Vec<Time>>,
    pub(crate) retry_if: &'a Slot<Path>,
    pub(crate) timeout: &'a Slot<Time>,
    pub(crate) concurrency: &'a Slot<Count>,
    pub(crate) prefetch: Option<&'a Slot<Count>>,
}

/// Checks the options of a handler of this `shape`.
pub(crate) fn check<'a>(
    given: &Given<'a>,
    shape: &Shape,
    kind: Kind,
    errors: &Errors,
) -> Options<'a> {
    inline(given.inline.name(), shape, kind, errors);
    retries(given, shape, kind, errors);
    if let Some(Time::Literal(duration, span)) = given.timeout.get()
        && duration.is_zero()
    {
        errors.at_span(*span, "no attempt ends in no time; give it more, or leave `timeout` out");
    }
    if kind == Kind::Listener {
        concurrency(given.concurrency, shape, errors);
    }
    let ranged = |name, slot: &Slot<Count>, range| {
        slot.get().and_then(|count| ranged(name, count, range, errors))
    };
    Options {
        inline: given.inline.is_given(),
        retry: ranged("retry", given.retry, 0..=u32::MAX.into()),
        backoff: given.backoff.get().map_or(&[], Vec::as_slice),
        retry_if: given.retry_if.get(),
        timeout: given.timeout.get(),
        concurrency: ranged("concurrency", given.concurrency, 1..=u32::MAX.into()),
        prefetch: given.prefetch.and_then(|slot| ranged("prefetch", slot, 1..=u16::MAX.into())),
    }
}

/// The first attempt of an inline handler runs on the thread that fires or executes: it can
/// neither wait there nor reach the state of another thread.
fn inline(name: Option<&Ident>, shape: &Shape, kind: Kind, errors: &Errors) {
    let Some(name) = name else { return };
    if shape.is_async {
        errors.at(
            name,
            format!(
                "`inline` runs {} on the calling thread, which does not wait for futures; \
                 remove `inline`, or `async`",
                kind.a()
            ),
        );
    }
    if shape.access != Access::Stateless {
        errors.at(
            name,
            "`inline` runs on the calling thread, which has no state of the service; \
             remove `inline`, or `self`",
        );
    }
}

fn retries(given: &Given<'_>, shape: &Shape, kind: Kind, errors: &Errors) {
    let never = given.retry.get().is_some_and(|count| count.value == 0);
    if never {
        let message = |name: &str| {
            format!(
                "`retry = 0` makes one attempt, so `{name}` never applies; remove one of the two"
            )
        };
        given.backoff.refuse(&message("backoff"), errors);
        given.retry_if.refuse(&message("retry_if"), errors);
    }
    if let (Some([]), Some(name)) = (given.backoff.get().map(Vec::as_slice), given.backoff.name()) {
        errors.at(name, "`backoff` is empty; give at least one duration, or leave it out");
    }
    if !shape.output.is_result() {
        given.retry_if.refuse(
            &format!(
                "`retry_if` looks at an error and {} has none; return a `Result<…>`",
                kind.a()
            ),
            errors,
        );
    }
}

/// Only futures run beside each other: a service has one thread. (For the task of a command it says
/// besides how many a broker sends ahead, so that a synchronous one may ask for it.)
fn concurrency(slot: &Slot<Count>, shape: &Shape, errors: &Errors) {
    if slot.get().is_none_or(|count| count.value <= 1) {
        return;
    }
    if !shape.is_async {
        slot.refuse(
            "a service runs its synchronous handlers one after another; \
             write `async fn`, or remove `concurrency`",
            errors,
        );
    } else if shape.access == Access::Exclusive {
        slot.refuse(
            "`&mut self` excludes every other handler of the service; \
             take `&self`, or remove `concurrency`",
            errors,
        );
    }
}

/// The count, if it lies within `range`.
fn ranged(name: &str, count: &Count, range: RangeInclusive<u64>, errors: &Errors) -> Option<u64> {
    if range.contains(&count.value) {
        return Some(count.value);
    }
    let (least, most) = range.into_inner();
    let message = if count.value < least {
        format!("`{name}` is at least {least}; write `{name} = {least}`")
    } else {
        format!("`{name}` is at most {most}; write less")
    };
    errors.at_span(count.span, message);
    None
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;
    use crate::args::arguments;
    use crate::errors::testing::gather;
    use crate::function::{Home, signature};

    arguments! {
        /// For the tests.
        struct Arguments {
            inline: Flag = "inline",
            retry: Count = "retry",
            backoff: Vec<Time> = "backoff",
            retry_if: Path = "retry_if",
            timeout: Time = "timeout",
            concurrency: Count = "concurrency",
            prefetch: Count = "prefetch",
        }
    }

    fn messages(tokens: proc_macro2::TokenStream, sig: &syn::Signature) -> Vec<String> {
        of(Kind::Command, tokens, sig)
    }

    fn of(kind: Kind, tokens: proc_macro2::TokenStream, sig: &syn::Signature) -> Vec<String> {
        let home = Home::Service { ty: Box::new(parse_quote!(Ledger)) };
        gather(|errors| {
            let arguments = Arguments::parse(tokens, errors);
            let shape = signature::check(sig, &home, kind, true, errors);
            let given = Given {
                inline: &arguments.inline,
                retry: &arguments.retry,
                backoff: &arguments.backoff,
                retry_if: &arguments.retry_if,
                timeout: &arguments.timeout,
                concurrency: &arguments.concurrency,
                prefetch: Some(&arguments.prefetch),
            };
            check(&given, &shape, kind, errors);
        })
        .1
    }

    #[test]
    fn inline_runs_on_the_calling_thread() {
        assert_eq!(messages(quote!(inline), &parse_quote!(fn f())), [""; 0]);
        assert_eq!(
            messages(quote!(inline), &parse_quote!(async fn f(&self))),
            [
                "`inline` runs a command on the calling thread, which does not wait for futures; \
                 remove `inline`, or `async`",
                "`inline` runs on the calling thread, which has no state of the service; \
                 remove `inline`, or `self`",
            ]
        );
    }

    #[test]
    fn without_retries_their_options_never_apply() {
        assert_eq!(
            messages(
                quote!(retry = 0, backoff = "1s", retry_if = f),
                &parse_quote!(fn f() -> Result<(), u32>)
            ),
            [
                "`retry = 0` makes one attempt, so `backoff` never applies; remove one of the two",
                "`retry = 0` makes one attempt, so `retry_if` never applies; remove one of the two",
            ]
        );
        assert_eq!(
            messages(quote!(backoff = []), &parse_quote!(fn f())),
            ["`backoff` is empty; give at least one duration, or leave it out"]
        );
        assert_eq!(
            messages(quote!(retry_if = f), &parse_quote!(fn f() -> u32)),
            ["`retry_if` looks at an error and a command has none; return a `Result<…>`"]
        );
    }

    #[test]
    fn only_futures_run_beside_each_other() {
        assert_eq!(
            of(Kind::Listener, quote!(concurrency = 8), &parse_quote!(async fn f(&self))),
            [""; 0]
        );
        assert_eq!(of(Kind::Listener, quote!(concurrency = 1), &parse_quote!(fn f())), [""; 0]);
        assert_eq!(
            of(Kind::Listener, quote!(concurrency = 8), &parse_quote!(fn f())),
            ["a service runs its synchronous handlers one after another; \
              write `async fn`, or remove `concurrency`"]
        );
        assert_eq!(
            of(Kind::Listener, quote!(concurrency = 8), &parse_quote!(async fn f(&mut self))),
            ["`&mut self` excludes every other handler of the service; \
              take `&self`, or remove `concurrency`"]
        );
        assert_eq!(messages(quote!(concurrency = 8), &parse_quote!(fn f())), [""; 0]);
    }

    #[test]
    fn numbers_have_their_bounds() {
        assert_eq!(
            messages(quote!(concurrency = 0, prefetch = 0, timeout = "0s"), &parse_quote!(fn f())),
            [
                "no attempt ends in no time; give it more, or leave `timeout` out",
                "`concurrency` is at least 1; write `concurrency = 1`",
                "`prefetch` is at least 1; write `prefetch = 1`",
            ]
        );
        assert_eq!(
            messages(quote!(prefetch = 65536, retry = 4294967296), &parse_quote!(fn f())),
            [
                "`retry` is at most 4294967295; write less",
                "`prefetch` is at most 65535; write less"
            ]
        );
    }
}
