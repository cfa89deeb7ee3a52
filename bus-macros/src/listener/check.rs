//! The rules of `#[listener]`.

use syn::{Expr, ExprLit, Lit};

use super::parse::Arguments;
use super::{Listener, Source};
use crate::args;
use crate::errors::Errors;
use crate::function::options::{self, Given};
use crate::function::parameter::Role;
use crate::function::types;
use crate::function::{Access, Body, Function, Home, Kind, Passing, Shape, signature};
use crate::root::Root;
use crate::{attrs, names};

/// Checks a listener; what comes back is as good as the item lets it be.
pub(crate) fn check<'a>(
    arguments: &'a Arguments,
    function: &Function,
    home: &Home,
    errors: &Errors,
) -> Listener<'a> {
    if let Body::Missing(semicolon) = &function.body {
        errors.at(semicolon, "a listener has no contract, events are one; write a body");
    }
    let source = source(&arguments.bare, errors);
    let shape = signature::check(&function.sig, home, Kind::Listener, false, errors);
    let has_payload =
        shape.parameters.first().is_some_and(|parameter| parameter.role == Role::Other);
    payload(source, &shape, has_payload, errors);
    routing(arguments, source, errors);
    if let Some(service) = arguments.service.get() {
        names::check(service, |text| names::on_the_bus("a service", text), errors);
        if home.is_service() {
            arguments.service.refuse(
                "the service is the one of the `impl` block; name it there, by `#[service(\"…\")]`",
                errors,
            );
        }
    }
    let options = options::check(&given(arguments), &shape, Kind::Listener, errors);
    Listener {
        root: Root::new(&arguments.root),
        conditions: attrs::conditions(&function.attrs),
        source,
        exchange: arguments.exchange.get(),
        queue: arguments.queue.get(),
        broadcast: arguments.broadcast.is_given(),
        service: arguments.service.get(),
        shape,
        has_payload,
        options,
    }
}

fn given(arguments: &Arguments) -> Given<'_> {
    Given {
        inline: &arguments.inline,
        retry: &arguments.retry,
        backoff: &arguments.backoff,
        retry_if: &arguments.retry_if,
        timeout: &arguments.timeout,
        concurrency: &arguments.concurrency,
        prefetch: Some(&arguments.prefetch),
    }
}

/// What it hears: a pattern, the constant of an event, or nothing but its payload's type.
fn source<'a>(bare: &'a [Expr], errors: &Errors) -> Source<'a> {
    let Some((first, others)) = bare.split_first() else { return Source::Payload };
    args::refuse_bare(others, "write a second listener for it", errors);
    match first {
        Expr::Lit(ExprLit { lit: Lit::Str(pattern), .. }) => {
            names::check(pattern, names::pattern, errors);
            Source::Pattern(pattern)
        }
        Expr::Path(topic) => Source::Topic(topic),
        other => {
            let remedy = "write a pattern, such as `\"order.*.submit\"`, \
                          or an event, such as `Order::SUBMIT`";
            args::refuse_bare(std::slice::from_ref(other), remedy, errors);
            Source::Payload
        }
    }
}

fn payload(source: Source<'_>, shape: &Shape, has_payload: bool, errors: &Errors) {
    match source {
        Source::Payload if !has_payload => errors.at(
            &shape.name,
            "a listener without a pattern hears the events of its payload and this one takes none; \
             take the payload first, or write a pattern",
        ),
        Source::Pattern(_) | Source::Topic(_)
            if shape.parameters.is_empty() && shape.access == Access::Stateless =>
        {
            errors.at(
                &shape.name,
                "a listener that takes neither payload nor context cannot tell what it heard; \
                 take the payload, or `ctx: &Context`",
            );
        }
        _ => {}
    }
    let mut parameters = shape.parameters.iter();
    if let Some(first) = parameters.next()
        && has_payload
        && let Passing::Lent(ty) = &first.passing
        && types::arguments(ty, "Arc").is_some()
    {
        errors.at(&first.ty, "an `Arc` is a borrow already; take `Arc<T>`, or `&T`");
    }
    for further in parameters.filter(|further| !further.may_be_injected()) {
        errors.at(
            &further.ty,
            if has_payload {
                "a listener takes one payload and this is a second one; gather both in a struct"
            } else {
                "the payload comes first; move it before what the bus supplies"
            },
        );
    }
}

/// Where its deliveries come from and where they wait.
fn routing(arguments: &Arguments, source: Source<'_>, errors: &Errors) {
    if let Some(exchange) = arguments.exchange.get() {
        names::check(exchange, names::exchange, errors);
    }
    if let Some(queue) = arguments.queue.get() {
        names::check(queue, names::queue, errors);
    }
    if let Source::Topic(_) = source {
        arguments.exchange.refuse("the event names its exchange; remove `exchange`", errors);
    }
    if arguments.queue.is_given() {
        arguments.broadcast.refuse(
            "a queue is shared by all processes and `broadcast` gives each its own; \
             remove `queue`, or `broadcast`",
            errors,
        );
    }
}
