//! The registration of a listener.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{Listener, Source};
use crate::function::expand::{self, Probe, Service, probe};
use crate::function::{Output, Parameter, Passing, parameter};
use crate::root::{at, code, respan};

/// The registration of a right listener.
pub(crate) fn expand(listener: &Listener<'_>) -> TokenStream {
    let p = &listener.root.private();
    let conditions = &listener.conditions;
    let payload = listener.payload().map(|payload| payload_type(p, payload));
    let source = source(p, listener);
    let descriptor = descriptor(p, listener);
    let submit = expand::submit(p, &code!(Listener(&__LISTENER)));
    code! {
        #(#conditions)*
        const _: () = {
            #payload
            #source
            #descriptor
            #submit
        };
    }
}

/// The type that is delivered, and whether it is taken as an `Arc`.
fn payload_type(p: &TokenStream, payload: &Parameter) -> TokenStream {
    let span = parameter::place(payload);
    let p = respan(p, span);
    match &payload.passing {
        Passing::Lent(ty) => {
            let payload = quote_spanned!(span=> <#ty as #p::Lend>::Owned);
            quote_spanned! {span=>
                type __Payload = #payload;
                const __SHARED: bool = false;
            }
        }
        Passing::Owned(ty) => {
            let shared = probe(&p, Probe::Shared, ty, span);
            let payload = quote_spanned!(span=> <#ty as #p::Take<__SHARED>>::Payload);
            quote_spanned! {span=>
                const __SHARED: bool = #shared;
                type __Payload = #payload;
            }
        }
    }
}

/// The event that it hears, checked against its payload.
fn source(p: &TokenStream, listener: &Listener<'_>) -> TokenStream {
    match (listener.source, listener.payload()) {
        (Source::Topic(topic), Some(_)) => code!(const __TOPIC: #p::Topic<__Payload> = #topic;),
        (Source::Payload, Some(payload)) => {
            let span = parameter::place(payload);
            let p = respan(p, span);
            quote_spanned!(span=> const _: #p::Topic<__Payload> = <__Payload as #p::Event>::EVENT;)
        }
        _ => TokenStream::new(),
    }
}

fn descriptor(p: &TokenStream, listener: &Listener<'_>) -> TokenStream {
    let Listener { exchange, queue, broadcast, service, shape, options, .. } = listener;
    let service = match (service, shape.home.is_service()) {
        (_, true) => Service::State,
        (Some(name), _) => Service::Named(name),
        (None, _) => Service::Module,
    };
    let injected: Vec<_> = listener.injected().iter().collect();
    let handler = expand::handler(p, shape, service, options, &injected);
    let source = match listener.source {
        Source::Pattern(pattern) => code!(#p::Source::Pattern(#pattern)),
        Source::Topic(_) if listener.has_payload => code!(#p::Source::Topic(__TOPIC.descriptor())),
        Source::Topic(topic) => code!(#p::Source::Topic(#p::Topic::descriptor(#topic))),
        Source::Payload => code!(#p::Source::Payload),
    };
    let (exchange, queue) = (expand::option(*exchange), expand::option(*queue));
    let payload = expand::option(listener.payload().map(|payload| {
        let span = parameter::place(payload);
        let ty = quote_spanned!(span=> __Payload);
        let encode = probe(p, Probe::Encode, &ty, span);
        let decode = probe(p, Probe::Decode, &ty, span);
        let p = respan(p, span);
        quote_spanned!(span=> #p::PayloadDescriptor::probed::<#ty>(#encode, #decode))
    }));
    let shared = if listener.has_payload { code!(__SHARED) } else { code!(false) };
    let body = body(p, listener);
    code! {
        static __LISTENER: #p::ListenerDescriptor = #p::ListenerDescriptor {
            handler: #handler,
            source: #source,
            exchange: #exchange,
            queue: #queue,
            broadcast: #broadcast,
            payload: #payload,
            shared: #shared,
            body: #body,
        };
    }
}

fn body(p: &TokenStream, listener: &Listener<'_>) -> TokenStream {
    let shape = &listener.shape;
    let ctx = expand::context(shape.is_async);
    let held = code!(__held);
    let before = listener.payload().map(|payload| {
        let span = parameter::place(payload);
        let q = respan(p, span);
        let of_payload = quote_spanned!(span=> #q::payload::<__Payload>);
        code!(let #held = #of_payload(#ctx)?;)
    });
    let payload = listener.payload().map(|payload| {
        let span = parameter::place(payload);
        let p = respan(p, span);
        match &payload.passing {
            Passing::Lent(ty) => quote_spanned!(span=> <#ty as #p::Lend>::lend(&#held)),
            Passing::Owned(ty) => quote_spanned!(span=> <#ty as #p::Take<__SHARED>>::take(#held)?),
        }
    });
    let injected = listener.injected().iter().map(|further| expand::injected(p, further, &ctx));
    let arguments: Vec<_> = payload.into_iter().chain(injected).collect();
    let after = outcome(p, listener);
    let before = before.unwrap_or_default();
    let takes_payload_alone = listener.payload().is_some_and(is_lent) && arguments.len() == 1;
    if takes_payload_alone && expand::can_be_plain(shape) {
        let call = expand::call(shape, &arguments);
        // What fails a bound here is told at the payload.
        let span = listener.payload().map_or_else(Span::mixed_site, parameter::place);
        let q = respan(p, span);
        let hear = quote_spanned!(span=> #q::hear::<__Payload>);
        if let Output::Unit = shape.output {
            return code! {{
                const __PLAIN: fn(&__Payload) = |#held| #call;
                #p::Body::Plain(#hear, &__PLAIN)
            }};
        }
        return code! {{
            const __PLAIN: fn(&__Payload) -> #p::HandlerResult = |#held| {
                let __returned = #call;
                #after
            };
            #p::Body::Plain(#hear, &__PLAIN)
        }};
    }
    expand::body(p, shape, &before, &arguments, &after)
}

fn is_lent(payload: &Parameter) -> bool {
    matches!(payload.passing, Passing::Lent(_))
}

fn outcome(p: &TokenStream, listener: &Listener<'_>) -> TokenStream {
    let span = match &listener.shape.output {
        Output::Plain(ty) | Output::Result { ty, .. } => at(ty),
        Output::Unit | Output::Wrong => at(&listener.shape.name),
    };
    let p = respan(p, span);
    if let Some(retry_if) = listener.options.retry_if {
        quote_spanned!(span=> #p::outcome_if(__returned, #retry_if))
    } else {
        quote_spanned!(span=> #p::IntoOutcome::outcome(__returned))
    }
}
