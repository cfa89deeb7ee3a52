//! The handle of a command: the type by whose name it is called.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::ext::IdentExt as _;

use super::expand::promise;
use super::{Code, Command};
use crate::function::expand::foreign;
use crate::function::{Passing, parameter};
use crate::root::{code, respan};

/// The type whose name the command is called by.
pub(crate) fn handle(command: &Command<'_>) -> TokenStream {
    let Command { attrs, vis, .. } = command;
    let name = foreign(&command.handle);
    let about = match command.code {
        Code::Elsewhere => {
            format!("Calls the command `{}` of another process.", command.shape.name.unraw())
        }
        _ => format!("Calls the command `{}` through the bus.", command.shape.name.unraw()),
    };
    code! {
        #(#attrs)*
        #[doc = ""]
        #[doc = #about]
        #vis enum #name {}
    }
}

/// `execute`, `dispatch` and `on`, on the handle and on a given bus.
pub(crate) fn calls(p: &TokenStream, command: &Command<'_>) -> TokenStream {
    let promise = promise(p, command);
    let name = foreign(&command.handle);
    let parameters: Vec<_> = command
        .arguments()
        .map(|parameter| {
            let (name, ty) = (&parameter.name, &parameter.ty);
            code!(#name: #ty)
        })
        .collect();
    let owned: Vec<_> = command
        .arguments()
        .map(|parameter| {
            let name = &parameter.name;
            match &parameter.passing {
                Passing::Lent(ty) => {
                    let span = parameter::place(parameter);
                    let p = respan(p, span);
                    quote_spanned!(span=> <#ty as #p::Own>::own(#name))
                }
                Passing::Owned(_) => code!(#name),
            }
        })
        .collect();
    let args = if owned.is_empty() { code!(()) } else { code!((#(#owned,)*)) };
    code! {
        impl #name {
            /// Executes the command on the current bus: the one that runs the handler in which
            /// this is called, elsewhere the default one.
            pub fn execute(#(#parameters),*) -> #promise {
                #p::execute::<__Spec>(::core::option::Option::None, #args)
            }
            /// Runs the command as a task on the current bus: nobody waits for its answer, it is
            /// retried if it fails, and kept as a dead letter at last.
            pub fn dispatch(#(#parameters),*) -> #p::Receipt {
                #p::dispatch::<__Spec>(::core::option::Option::None, #args)
            }
            /// The same two calls on a given bus.
            pub fn on(__bus: &#p::Bus) -> __On<'_> {
                __On(__bus)
            }
        }
        /// The command, on a given bus.
        pub struct __On<'__b>(&'__b #p::Bus);
        impl __On<'_> {
            /// Executes the command.
            pub fn execute(&self, #(#parameters),*) -> #promise {
                #p::execute::<__Spec>(::core::option::Option::Some(self.0), #args)
            }
            /// Runs the command as a task.
            pub fn dispatch(&self, #(#parameters),*) -> #p::Receipt {
                #p::dispatch::<__Spec>(::core::option::Option::Some(self.0), #args)
            }
        }
    }
}

/// A handle for a command that is wrong, so that its callers are not reported as well: it takes
/// anything, in the right number.
pub(crate) fn fallback(command: &Command<'_>) -> TokenStream {
    let p = &command.root.private();
    let conditions = &command.conditions;
    let handle = handle(command);
    let name = foreign(&command.handle);
    let promise = promise(p, command);
    let generics: Vec<_> = command
        .arguments()
        .enumerate()
        .map(|(index, _)| format_ident!("__A{index}", span = Span::mixed_site()))
        .collect();
    code! {
        #handle
        #(#conditions)*
        const _: () = {
            impl #name {
                #[doc(hidden)]
                pub fn execute<#(#generics),*>(#(_: #generics),*) -> #promise {
                    ::core::unreachable!()
                }
                #[doc(hidden)]
                pub fn dispatch<#(#generics),*>(#(_: #generics),*) -> #p::Receipt {
                    ::core::unreachable!()
                }
                #[doc(hidden)]
                pub fn on(_: &#p::Bus) -> __On { __On }
            }
            pub struct __On;
            impl __On {
                #[doc(hidden)]
                pub fn execute<#(#generics),*>(&self, #(_: #generics),*) -> #promise {
                    ::core::unreachable!()
                }
                #[doc(hidden)]
                pub fn dispatch<#(#generics),*>(&self, #(_: #generics),*) -> #p::Receipt {
                    ::core::unreachable!()
                }
            }
        };
    }
}
