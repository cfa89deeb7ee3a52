//! The tokens that commands and listeners share.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Ident, LitStr};

use super::{Access, Home, Options, Parameter, Passing, Shape, parameter};
use crate::args::Time;
use crate::root::{at, code, respan};

/// The service that a descriptor names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service<'a> {
    Module,
    Named(&'a LitStr),
    /// The static of the block around it.
    State,
}

/// The static that describes the service around a handler.
pub(crate) const SERVICE: &str = "__SERVICE";

/// `Handler { .. }`: what commands and listeners share.
pub(crate) fn handler(
    p: &TokenStream,
    shape: &Shape,
    service: Service<'_>,
    options: &Options<'_>,
    injected: &[&Parameter],
) -> TokenStream {
    let function = shape.name.unraw().to_string();
    let place = place(p, shape.name.span());
    let options = self::options(p, options);
    let needs = needs(p, injected);
    let service = match service {
        Service::Module => code!(#p::ServiceRef::Module),
        Service::Named(name) => code!(#p::ServiceRef::Named(#name)),
        Service::State => {
            let service = Ident::new(SERVICE, Span::mixed_site());
            code!(#p::ServiceRef::State(&#service))
        }
    };
    let access = match shape.access {
        Access::Stateless => code!(#p::Access::Stateless),
        Access::Shared => code!(#p::Access::Shared),
        Access::Exclusive => code!(#p::Access::Exclusive),
    };
    code! {
        #p::Handler {
            place: #place,
            function: #function,
            service: #service,
            options: #options,
            needs: #needs,
            access: #access,
        }
    }
}

/// Where something was declared: the line and column of `span`.
pub(crate) fn place(p: &TokenStream, span: Span) -> TokenStream {
    let p = respan(p, span);
    quote_spanned!(span=> #p::place!())
}

/// Registers an expression of type `Registration`.
pub(crate) fn submit(p: &TokenStream, registration: &TokenStream) -> TokenStream {
    code!(#p::submit! { #p::Registration::#registration })
}

fn options(p: &TokenStream, options: &Options<'_>) -> TokenStream {
    let Options { inline, retry, backoff, retry_if: _, timeout, concurrency, prefetch } = options;
    let count = |count: &Option<u64>| option(count.map(Literal::u64_unsuffixed));
    let (retry, concurrency, prefetch) = (count(retry), count(concurrency), count(prefetch));
    let backoff = backoff.iter().map(|time| duration(p, time));
    let timeout = option(timeout.map(|time| duration(p, time)));
    code! {
        #p::Options {
            inline: #inline,
            retry: #retry,
            backoff: &[#(#backoff),*],
            timeout: #timeout,
            concurrency: #concurrency,
            prefetch: #prefetch,
        }
    }
}

fn duration(p: &TokenStream, time: &Time) -> TokenStream {
    match time {
        Time::Literal(duration, _) => {
            let seconds = Literal::u64_unsuffixed(duration.as_secs());
            let nanoseconds = Literal::u32_unsuffixed(duration.subsec_nanos());
            code!(#p::Duration::new(#seconds, #nanoseconds))
        }
        Time::Expression(expression) => expression.to_token_stream(),
    }
}

/// `Some(value)` or `None`.
pub(crate) fn option(value: Option<impl ToTokens>) -> TokenStream {
    value.map_or_else(
        || code!(::core::option::Option::None),
        |value| code!(::core::option::Option::Some(#value)),
    )
}

/// What generated code asks a type whether it can do it, without demanding it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Probe {
    Text,
    Encode,
    Decode,
    Clone,
    Fallible,
    Shared,
    Wire,
}

impl Probe {
    /// The constant, and the trait that provides it where the type does not.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("TEXT", "NoText"),
            Self::Encode => ("ENCODE", "NoEncode"),
            Self::Decode => ("DECODE", "NoDecode"),
            Self::Clone => ("CLONE", "NoClone"),
            Self::Fallible => ("FALLIBLE", "NotFallible"),
            Self::Shared => ("SHARED", "NotShared"),
            Self::Wire => ("WIRE", "NoWire"),
        }
    }
}

/// Asks `ty`; what is wrong with the type itself is told at `span`.
pub(crate) fn probe(p: &TokenStream, probe: Probe, ty: impl ToTokens, span: Span) -> TokenStream {
    let (constant, fallback) = probe.names();
    let (constant, fallback) = (Ident::new(constant, span), Ident::new(fallback, span));
    let p = respan(p, span);
    quote_spanned!(span=> { use #p::probe::#fallback as _; #p::Probe::<#ty>::#constant })
}

/// Tells which states the parameters want.
pub(crate) fn needs(p: &TokenStream, injected: &[&Parameter]) -> TokenStream {
    if injected.is_empty() {
        return code!(#p::Needs::NONE);
    }
    let each = injected.iter().map(|parameter| {
        let span = parameter::place(parameter);
        let p = respan(p, span);
        match &parameter.passing {
            Passing::Lent(ty) => quote_spanned!(span=> <#ty as #p::ParamRef>::need(__needs);),
            Passing::Owned(ty) => quote_spanned!(span=> <#ty as #p::Param>::need(__needs);),
        }
    });
    code!(|__needs| { #(#each)* })
}

/// The expression that supplies an injected parameter from `ctx`.
pub(crate) fn injected(p: &TokenStream, parameter: &Parameter, ctx: &TokenStream) -> TokenStream {
    let span = parameter::place(parameter);
    let p = respan(p, span);
    match &parameter.passing {
        Passing::Lent(ty) => quote_spanned!(span=> <#ty as #p::ParamRef>::get(#ctx)),
        Passing::Owned(ty) => quote_spanned!(span=> <#ty as #p::Param>::get(#ctx)?),
    }
}

/// The context inside a body, by reference.
pub(crate) fn context(is_async: bool) -> TokenStream {
    if is_async { code!(&__ctx) } else { code!(__ctx) }
}

/// `Body::Sync(..)` or `Body::Async(..)`: `before` takes what the handler needs out of the context,
/// `arguments` pass it, `after` makes the outcome of `__returned`.
pub(crate) fn body(
    p: &TokenStream,
    shape: &Shape,
    before: &TokenStream,
    arguments: &[TokenStream],
    after: &TokenStream,
) -> TokenStream {
    let state = match &shape.home {
        Home::Module => None,
        Home::Service { ty } => state(ty, shape.access),
    };
    let instance = if state.is_some() { code!(__instance) } else { code!(_) };
    let (state, receiver) = state.unzip();
    let arguments: Vec<_> = receiver.iter().chain(arguments).cloned().collect();
    let call = call(shape, &arguments);
    if shape.is_async {
        code! {
            #p::Body::Async(|__ctx, #instance| #p::Box::pin(async move {
                #before
                #state
                let __returned = #call.await;
                #after
            }))
        }
    } else {
        code! {
            #p::Body::Sync(|__ctx, #instance| {
                #before
                #state
                let __returned = #call;
                #after
            })
        }
    }
}

/// The call of the handler's function.
pub(crate) fn call(shape: &Shape, arguments: &[TokenStream]) -> TokenStream {
    let name = foreign(&shape.name);
    match &shape.home {
        Home::Module => code!(#name(#(#arguments),*)),
        Home::Service { ty } => code!(<#ty>::#name(#(#arguments),*)),
    }
}

/// Whether the handler can be run as the function that it is, unless something is injected.
pub(crate) fn can_be_plain(shape: &Shape) -> bool {
    !shape.is_async && matches!(shape.access, Access::Stateless)
}

/// Borrows the state of a service, and passes it. The borrow lives across awaits, since the bus lets
/// no other handler in that it excludes.
pub(crate) fn state(ty: &syn::Type, access: Access) -> Option<(TokenStream, TokenStream)> {
    match access {
        Access::Stateless => None,
        Access::Shared => {
            Some((code!(let __state = __instance.shared::<#ty>()?;), code!(&__state)))
        }
        Access::Exclusive => {
            Some((code!(let mut __state = __instance.exclusive::<#ty>()?;), code!(&mut __state)))
        }
    }
}

/// An identifier of the user, with the hygiene of generated code.
pub(crate) fn foreign(ident: &Ident) -> Ident {
    let mut foreign = ident.clone();
    foreign.set_span(at(ident));
    foreign
}
