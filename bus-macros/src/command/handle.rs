//! The handle of a command: the type by whose name it is called.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::ext::IdentExt as _;

use super::expand::{gather, owned, promise};
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

/// `execute`, `dispatch`, `scatter` and `on`, on the handle and on a given bus.
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
    let values: Vec<_> = command
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
    let args = if values.is_empty() { code!(()) } else { code!((#(#values,)*)) };
    let Scattered { gather, item, args: copied } = &scattered(p, command);
    let items = code! {
        where
            __Items: ::core::iter::IntoIterator<Item = #item>,
            // About the parameter of the function, so that a command whose own parameters are not
            // `Clone` compiles as long as nobody scatters it.
            <__Items as ::core::iter::IntoIterator>::Item: ::core::clone::Clone,
    };
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
            /// Executes the command on the current bus once for each item, so many at once: a
            /// stream of each item with its result, as they come.
            ///
            /// Items are the command's parameters, owned: of one its values, of several their
            /// tuples.
            pub fn scatter<__Items>(items: __Items) -> #gather
            #items
            {
                #p::scatter::<__Spec, _>(::core::option::Option::None, items, #copied)
            }
            /// The same three calls on a given bus.
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
            /// Executes the command once for each item.
            pub fn scatter<__Items>(&self, items: __Items) -> #gather
            #items
            {
                #p::scatter::<__Spec, _>(::core::option::Option::Some(self.0), items, #copied)
            }
        }
    }
}

/// How one command is executed for many items.
struct Scattered {
    gather: TokenStream,
    /// The parameter, if there is one alone; else the tuple of them.
    item: TokenStream,
    /// Makes the arguments of an item.
    args: TokenStream,
}

fn scattered(p: &TokenStream, command: &Command<'_>) -> Scattered {
    let gather = gather(p, command, code!(<__Items as ::core::iter::IntoIterator>::Item));
    let owned: Vec<_> = command.arguments().map(|parameter| owned(p, parameter)).collect();
    let (item, args) = match owned.as_slice() {
        [] => (code!(()), code!(|&()| ())),
        [one] => (one.clone(), code!(|__item| (::core::clone::Clone::clone(__item),))),
        several => (code!((#(#several,)*)), code!(::core::clone::Clone::clone)),
    };
    Scattered { gather, item, args }
}

/// A handle for a command that is wrong, so that its callers are not reported as well: it takes
/// anything, in the right number.
pub(crate) fn fallback(command: &Command<'_>) -> TokenStream {
    let p = &command.root.private();
    let conditions = &command.conditions;
    let handle = handle(command);
    let name = foreign(&command.handle);
    let promise = promise(p, command);
    let item = code!(<__Items as ::core::iter::IntoIterator>::Item);
    let gather = gather(p, command, item);
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
                pub fn scatter<__Items: ::core::iter::IntoIterator>(_: __Items) -> #gather {
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
                #[doc(hidden)]
                pub fn scatter<__Items: ::core::iter::IntoIterator>(&self, _: __Items) -> #gather {
                    ::core::unreachable!()
                }
            }
        };
    }
}
