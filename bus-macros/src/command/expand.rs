//! The types of a command, and its registration.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::Type;

use super::handle::{calls, handle};
use super::{Code, Command};
use crate::function::expand::{self, Probe, Service, foreign, probe};
use crate::function::{Output, Parameter, Passing, parameter};
use crate::root::{at, code, respan};

/// The handle and the registration of a right command.
pub(crate) fn expand(command: &Command<'_>) -> TokenStream {
    let (handle, registration) = (handle(command), registration(command));
    code!(#handle #registration)
}

/// All but the handle.
pub(crate) fn registration(command: &Command<'_>) -> TokenStream {
    let p = &command.root.private();
    let conditions = &command.conditions;
    let checks = [assertions(p, command), serves(p, command), unique(command)];
    let spec = spec(p, command);
    let descriptor = descriptor(p, command);
    let calls = calls(p, command);
    let contract = contract(p, command);
    let name = foreign(&command.handle);
    let submit = expand::submit(p, &code!(Command(&__COMMAND)));
    code! {
        #(#conditions)*
        const _: () = {
            #(#checks)*
            #spec
            #descriptor
            #calls
            impl #p::Handle for #name {
                const DESCRIPTOR: &'static #p::CommandDescriptor = &__COMMAND;
            }
            #contract
            #submit
        };
    }
}

/// The types of a command.
struct Types {
    /// The owned parameters, as a tuple.
    args: TokenStream,
    ok: TokenStream,
    err: TokenStream,
    /// What the others need.
    before: TokenStream,
}

fn types(p: &TokenStream, command: &Command<'_>) -> Types {
    let owned: Vec<_> = command.arguments().map(|parameter| owned(p, parameter)).collect();
    // What fails a bound here is told at the list of parameters.
    let args = quote_spanned!(command.shape.list=> (#(#owned,)*));
    let mut before = TokenStream::new();
    let (ok, err) = match &command.shape.output {
        Output::Unit | Output::Wrong => (code!(()), code!(#p::Infallible)),
        Output::Plain(ty) => (code!(#ty), code!(#p::Infallible)),
        Output::Result { ok: Some(ok), err: Some(err), .. } => (code!(#ok), code!(#err)),
        Output::Result { ty, ok, .. } => {
            let span = at(ty);
            let fallible = probe(p, Probe::Fallible, ty, span);
            let p = respan(p, span);
            // Whether the type is std's `Result` is asked once, in the signature of the handle.
            before = quote_spanned! {span=>
                const __FALLIBLE: bool = #fallible;
                type __Split = #p::Kind<__FALLIBLE>;
            };
            let split = quote_spanned!(span=> <__Split as #p::Split<#ty>>);
            let ok = ok.as_ref().map_or_else(|| quote_spanned!(span=> #split::Ok), |ok| code!(#ok));
            (ok, quote_spanned!(span=> #split::Err))
        }
    };
    Types { args, ok, err, before }
}

/// What the handle promises.
pub(super) fn promise(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    answers(p, command, "Promise", None)
}

/// What the handle gathers.
pub(super) fn gather(p: &TokenStream, command: &Command<'_>, item: TokenStream) -> TokenStream {
    answers(p, command, "Gather", Some(item))
}

/// The type `name`, of an item perhaps, and of the answers and errors of a command.
fn answers(
    p: &TokenStream,
    command: &Command<'_>,
    name: &str,
    item: Option<TokenStream>,
) -> TokenStream {
    let name = Ident::new(name, Span::mixed_site());
    let item = item.map(|item| code!(#item,));
    match &command.shape.output {
        Output::Unit | Output::Wrong => code!(#p::#name<#item ()>),
        Output::Plain(ty) => code!(#p::#name<#item #ty>),
        Output::Result { ty, ok, err } => {
            let span = at(ty);
            let q = respan(p, span);
            let ok =
                ok.as_ref().map_or_else(|| quote_spanned!(span=> #q::OkOf<#ty>), |ok| code!(#ok));
            let err = err
                .as_ref()
                .map_or_else(|| quote_spanned!(span=> #q::ErrorOf<#ty>), |err| code!(#err));
            quote_spanned!(span=> #q::#name<#item #ok, #err>)
        }
    }
}

/// The type of a parameter on its way.
pub(super) fn owned(p: &TokenStream, parameter: &Parameter) -> TokenStream {
    let span = parameter::place(parameter);
    let p = respan(p, span);
    match &parameter.passing {
        Passing::Lent(ty) => quote_spanned!(span=> <#ty as #p::Lend>::Owned),
        Passing::Owned(ty) => code!(#ty),
    }
}

/// Bounds, reported at the type that fails them.
fn assertions(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let mut assertions = TokenStream::new();
    if !command.local {
        for parameter in command.arguments() {
            let owned = owned(p, parameter);
            let span = parameter::place(parameter);
            let p = respan(p, span);
            assertions.extend(quote_spanned!(span=> #p::argument::<#owned>();));
        }
        let ok = match &command.shape.output {
            Output::Plain(ty) | Output::Result { ok: Some(ty), .. } => Some(ty),
            _ => None,
        };
        if let Some(ok) = ok {
            let p = respan(p, at(ok));
            assertions.extend(quote_spanned!(at(ok)=> #p::answer::<#ok>();));
        }
    }
    if let Output::Plain(ty) = &command.shape.output {
        assertions.extend(hidden_result(p, ty));
    }
    code!(const _: () = { #assertions };)
}

/// Refuses a `Result` that another name hides: readers and the bus would not see that it can fail.
fn hidden_result(p: &TokenStream, ty: &Type) -> TokenStream {
    let fallible = probe(p, Probe::Fallible, ty, at(ty));
    quote_spanned! {at(ty)=>
        ::core::assert!(
            !#fallible,
            "this is a `Result` under another name; \
             write it as `Result<…>`, so that readers and the bus see that it can fail",
        );
    }
}

/// The signature of a command as a function pointer, of what travels alone.
fn signature(command: &Command<'_>) -> TokenStream {
    let inputs = command.arguments().map(|parameter| &parameter.ty);
    let output = match &command.shape.output {
        Output::Plain(ty) | Output::Result { ty, .. } => code!(-> #ty),
        Output::Unit | Output::Wrong => TokenStream::new(),
    };
    quote_spanned!(command.shape.list=> fn(#(#inputs),*) #output)
}

/// Checks the implementation of a contract against it, in what travels: whether it is asynchronous
/// and what the bus supplies is no concern of callers.
fn serves(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let Code::Serves(contract) = command.code else { return TokenStream::new() };
    let signature = signature(command);
    let implements = quote_spanned!(command.shape.list=> __implements::<#contract, #signature>());
    code! {
        const _: fn() = || {
            fn __implements<C: #p::Contract<Signature = F>, F>() {}
            #implements;
        };
    }
}

/// A contract keeps its signature for its implementations.
fn contract(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let Code::Elsewhere = command.code else { return TokenStream::new() };
    let signature = signature(command);
    let name = foreign(&command.handle);
    code! {
        impl #p::Contract for #name {
            type Signature = #signature;
        }
    }
}

/// A symbol of which a program has at most one: the linker's complaint about a second one reads as
/// a sentence, in an alphabet that every linker script can read.
fn unique(command: &Command<'_>) -> TokenStream {
    let Some(name) = &command.unique else { return TokenStream::new() };
    let symbol = format!("autobus.the_command.{name}.is_implemented_twice");
    let span = at(&command.shape.name);
    quote_spanned! {span=>
        #[cfg(not(test))]
        #[unsafe(export_name = #symbol)]
        static __ONCE: u8 = 0;
    }
}

/// What the runtime knows of the types.
fn spec(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let Types { args, ok, err, before } = types(p, command);
    let here = Span::mixed_site();
    let errors = errors(p, command);
    let clone = probe(p, Probe::Clone, code!(__Args), here);
    code! {
        #before
        struct __Spec;
        type __Args = #args;
        type __Ok = #ok;
        type __Err = #err;
        impl #p::Spec for __Spec {
            type Args = #args;
            type Ok = #ok;
            type Err = #err;
            const DESCRIPTOR: &'static #p::CommandDescriptor = &__COMMAND;
            const CLONE: ::core::option::Option<fn(&Self::Args) -> Self::Args> = #clone;
            const ERRORS: &'static #p::Errors<Self::Err> = #errors;
        }
    }
}

/// What can be done with an error, if there can be one.
fn errors(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    if !command.shape.output.is_result() {
        return code!(#p::Errors::NEVER);
    }
    let retry_if = expand::option(command.options.retry_if);
    let [text, encode, decode] = [Probe::Text, Probe::Encode, Probe::Decode]
        .map(|ask| probe(p, ask, code!(__Err), Span::mixed_site()));
    code! {
        &#p::Errors { text: #text, encode: #encode, decode: #decode, retry_if: #retry_if }
    }
}

fn descriptor(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let injected: Vec<_> = command.injected().collect();
    let service = match (command.service, command.shape.home.is_service()) {
        (_, true) => Service::State,
        (Some(name), _) => Service::Named(name),
        (None, _) => Service::Module,
    };
    let handler = expand::handler(p, &command.shape, service, &command.options, &injected);
    let name = expand::option(command.name);
    let signature = &command.shape.text;
    let serves = expand::option(match command.code {
        Code::Serves(contract) => Some(code!(|| <#contract as #p::Handle>::DESCRIPTOR)),
        Code::Here | Code::Elsewhere => None,
    });
    let body = expand::option(match command.code {
        Code::Elsewhere => None,
        Code::Here | Code::Serves(_) => Some(body(p, command)),
    });
    let wire = if command.local { code!(::core::option::Option::None) } else { wire(p, command) };
    code! {
        static __COMMAND: #p::CommandDescriptor = #p::CommandDescriptor {
            handler: #handler,
            name: #name,
            signature: #signature,
            serves: #serves,
            body: #body,
            wire: #wire,
        };
    }
}

fn wire(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let types = probe(p, Probe::Wire, code!((__Args, __Ok, __Err)), Span::mixed_site());
    let parameters = command.arguments().map(parameter::text);
    code!(#p::CommandWire::new(#types, &[#(#parameters),*], <__Spec as #p::Spec>::ERRORS))
}

fn body(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let ctx = expand::context(command.shape.is_async);
    let locals: Vec<_> = (0..command.arguments().count()).map(local).collect();
    let pattern = if locals.is_empty() { code!(()) } else { code!((#(#locals,)*)) };
    let mut locals = locals.iter();
    let arguments: Vec<_> = command
        .shape
        .parameters
        .iter()
        .map(|parameter| {
            if parameter.is_injected() {
                return expand::injected(p, parameter, &ctx);
            }
            let local = locals.next();
            match &parameter.passing {
                Passing::Lent(ty) => {
                    let span = parameter::place(parameter);
                    let p = respan(p, span);
                    quote_spanned!(span=> <#ty as #p::Lend>::lend(&#local))
                }
                Passing::Owned(_) => code!(#local),
            }
        })
        .collect();
    let result = if let Output::Result { ty, .. } = &command.shape.output {
        let p = respan(p, at(ty));
        quote_spanned!(at(ty)=> #p::Fallible::result(__returned))
    } else {
        code!(::core::result::Result::Ok(__returned))
    };
    if command.injected().next().is_none() && expand::can_be_plain(&command.shape) {
        let call = expand::call(&command.shape, &arguments);
        return code! {{
            static __PLAIN: #p::PlainCommand<__Args, __Ok, __Err> = #p::PlainCommand {
                run: |#pattern| {
                    let __returned = #call;
                    #result
                },
                errors: <__Spec as #p::Spec>::ERRORS,
            };
            #p::Body::Plain(#p::run_plain::<__Args, __Ok, __Err>, &__PLAIN)
        }};
    }
    let before = code!(let #pattern = #p::open::<__Args, __Ok, __Err>(#ctx)?;);
    let after = code! {
        #p::close::<__Args, __Ok, __Err>(#ctx, #result, <__Spec as #p::Spec>::ERRORS)
    };
    expand::body(p, &command.shape, &before, &arguments, &after)
}

fn local(index: usize) -> Ident {
    format_ident!("__{index}", span = Span::mixed_site())
}
