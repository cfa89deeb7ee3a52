//! The registration of a service, with those of its handlers inside.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};

use super::{Handler, Service, check};
use crate::function::expand::{self, Probe, SERVICE};
use crate::function::{Output, Parameter, Shape};
use crate::root::{at, code, respan};
use crate::{command, listener};

/// The handles and the registrations of a right service.
pub(crate) fn expand(service: &Service<'_>) -> TokenStream {
    let p = &service.root.private();
    let Service { conditions, ty, type_name, .. } = service;
    let handles = commands(service).map(command::handle::handle);
    let registrations = service.handlers.iter().map(|handler| match handler {
        Handler::Command(command) => command::expand::registration(command),
        Handler::Listener(listener) => listener::expand::expand(listener),
    });
    let descriptor = Ident::new(SERVICE, Span::mixed_site());
    let name = expand::option(service.name);
    let place = expand::place(p, service.span);
    let init = init(p, service);
    let shutdown =
        expand::option(service.shutdown.as_ref().map(|shape| shutdown(p, service, shape)));
    let on_panic = if service.keeps_on_panic { code!(Keep) } else { code!(Rebuild) };
    let needs = needs(p, service);
    let submit = expand::submit(p, &code!(Service(&#descriptor)));
    let stateful = {
        let place = check::place(service);
        let (p, ty) = (respan(p, place), respan(&ty.to_token_stream(), place));
        quote_spanned! {place=>
            impl #p::Stateful for #ty {
                const SERVICE: &'static #p::ServiceDescriptor = &#descriptor;
            }
        }
    };
    code! {
        #(#handles)*
        #(#conditions)*
        const _: () = {
            static #descriptor: #p::ServiceDescriptor = #p::ServiceDescriptor {
                place: #place,
                type_name: #type_name,
                name: #name,
                init: #init,
                shutdown: #shutdown,
                on_panic: #p::OnPanic::#on_panic,
                needs: #needs,
            };
            #stateful
            #submit
            #(#registrations)*
        };
    }
}

/// The handles of a wrong service, so that the callers of its commands are not reported as well.
pub(crate) fn fallback(service: &Service<'_>) -> TokenStream {
    commands(service).map(command::handle::fallback).collect()
}

fn commands<'s>(service: &'s Service<'_>) -> impl Iterator<Item = &'s command::Command<'s>> {
    service.handlers.iter().filter_map(|handler| match handler {
        Handler::Command(command) => Some(command),
        Handler::Listener(_) => None,
    })
}

/// Makes the state: by `#[init]`, or by `Default`.
fn init(p: &TokenStream, service: &Service<'_>) -> TokenStream {
    let ty = &service.ty;
    let Some(shape) = &service.init else {
        let span = check::place(service);
        let q = respan(p, span);
        let initial = quote_spanned!(span=> <#ty as #q::Initial>::initial());
        return code! {
            |_| #p::Box::pin(async move {
                #p::started::<#ty, #p::Infallible>(::core::result::Result::Ok(#initial))
            })
        };
    };
    let call = call(p, service, shape, None);
    let output = match &shape.output {
        Output::Plain(ty) | Output::Result { ty, .. } => ty.clone(),
        Output::Unit | Output::Wrong => Box::new(ty.clone()),
    };
    let span = at(&output);
    let fallible = expand::probe(p, Probe::Fallible, &output, span);
    let q = respan(p, span);
    let started = quote_spanned! {span=>
        #q::started::<#ty, _>(<#q::Kind<#fallible> as #q::Split<#output>>::split(__made))
    };
    code! {
        |__ctx| #p::Box::pin(async move {
            let __made = #call;
            #started
        })
    }
}

fn shutdown(p: &TokenStream, service: &Service<'_>, shape: &Shape) -> TokenStream {
    let (state, receiver) = expand::state(&service.ty, shape.access).unzip();
    let call = call(p, service, shape, receiver);
    let span = match &shape.output {
        Output::Plain(ty) | Output::Result { ty, .. } => at(ty),
        Output::Unit | Output::Wrong => at(&shape.name),
    };
    let q = respan(p, span);
    let outcome = quote_spanned!(span=> #q::IntoOutcome::outcome(__returned));
    code! {
        |__ctx, __instance| #p::Box::pin(async move {
            #state
            let __returned = #call;
            #outcome
        })
    }
}

/// Calls a method with what the bus supplies.
fn call(
    p: &TokenStream,
    service: &Service<'_>,
    shape: &Shape,
    receiver: Option<TokenStream>,
) -> TokenStream {
    let ty = &service.ty;
    let name = expand::foreign(&shape.name);
    let ctx = expand::context(true);
    let injected = shape.parameters.iter().map(|parameter| expand::injected(p, parameter, &ctx));
    let arguments = receiver.into_iter().chain(injected);
    let await_ = shape.is_async.then(|| code!(.await));
    code!(<#ty>::#name(#(#arguments),*) #await_)
}

fn needs(p: &TokenStream, service: &Service<'_>) -> TokenStream {
    let shapes = service.init.iter().chain(&service.shutdown);
    let injected: Vec<&Parameter> = shapes.flat_map(|shape| &shape.parameters).collect();
    expand::needs(p, &injected)
}
