//! The constants, methods and registrations of events.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote_spanned};
use syn::{LitStr, Visibility};

use super::fields::Field;
use super::{Event, Events, Names};
use crate::function::expand::{self as shared, foreign};
use crate::root::{at, code, respan};

/// The implementation and the registrations of right events.
pub(crate) fn expand(events: &Events<'_>) -> TokenStream {
    let p = &events.root.private();
    let descriptors = events.each.iter().enumerate().map(|(index, event)| {
        let name = descriptor_name(index);
        let descriptor = descriptor(p, events, event);
        let submit = shared::submit(p, &code!(Event(&#name)));
        code! {
            static #name: #p::EventDescriptor = #descriptor;
            #submit
        }
    });
    whole(p, events, &descriptors.collect(), &descriptor_name)
}

/// What keeps the users of wrong events quiet: the same names, registered nowhere.
pub(crate) fn fallback(events: &Events<'_>) -> TokenStream {
    if !events.can_be_event {
        return TokenStream::new();
    }
    let p = &events.root.private();
    let ty = foreign(&events.ident);
    let name = descriptor_name(0);
    let place = shared::place(p, events.ident.span());
    let descriptor = code! {
        static #name: #p::EventDescriptor = #p::EventDescriptor {
            place: #place,
            exchange: "",
            key: "",
            payload: #p::PayloadDescriptor::local::<#ty>(),
            upcasts: &[],
            local: true,
        };
    };
    whole(p, events, &descriptor, &|_| descriptor_name(0))
}

fn whole(
    p: &TokenStream,
    events: &Events<'_>,
    descriptors: &TokenStream,
    descriptor_of: &dyn Fn(usize) -> Ident,
) -> TokenStream {
    let Events { conditions, vis, ident, each, .. } = events;
    let ty = foreign(ident);
    let first = descriptor_of(0);
    let mut seen: Vec<&Ident> = Vec::new();
    let named = each.iter().enumerate().filter_map(|(index, event)| {
        let names = event.names.as_ref()?;
        if seen.contains(&&names.constant) {
            return None;
        }
        seen.push(&names.constant);
        Some(self::named(p, vis, event, names, &descriptor_of(index)))
    });
    let named: TokenStream = named.collect();
    let memory = events.fields.as_ref().map(|fields| memory(p, fields));
    code! {
        #(#conditions)*
        const _: () = {
            #descriptors
            impl #p::Event for #ty {
                const EVENT: #p::Topic<Self> = #p::Topic::new(&#first);
                #memory
            }
            impl #ty {
                #named
            }
        };
    }
}

/// What the fields have outside of the event: that is asked for, and how much it is, if that is all that there
/// is to free.
fn memory(p: &TokenStream, fields: &[Field<'_>]) -> TokenStream {
    let asked = fields.iter().filter(|field| field.may_have_memory).map(|field| {
        let Field { conditions, member, .. } = field;
        code! {
            #(#conditions)*
            {
                #p::memory::Field(&self.#member).__prefetch();
            }
        }
    });
    let bytes = fields.iter().map(|Field { conditions, member, ty, may_have_memory }| {
        // Looking at a field would count as its being read.
        let asked = if *may_have_memory {
            code!(#p::memory::Field(&whole.#member).__memory())
        } else {
            code!(#p::memory::nothing::<#ty>())
        };
        code! {
            #(#conditions)*
            {
                bytes += #asked?;
            }
        }
    });
    code! {
        #[inline]
        fn __prefetch(&self) {
            use #p::memory::Otherwise as _;
            #(#asked)*
        }
        #[inline]
        #[allow(deprecated, reason = "the types of fields are named again")]
        fn __memory(&self) -> ::core::option::Option<::core::primitive::usize> {
            use #p::memory::{ByFields as _, Otherwise as _};
            #p::memory::Whole(self).__memory(|whole| {
                let mut bytes = 0;
                #(#bytes)*
                ::core::option::Option::Some(bytes)
            })
        }
    }
}

/// The constant and the method of one event.
fn named(
    p: &TokenStream,
    vis: &Visibility,
    event: &Event<'_>,
    names: &Names,
    descriptor: &Ident,
) -> TokenStream {
    let Names { constant, method } = names;
    let text = |literal: Option<&LitStr>| literal.map(LitStr::value).unwrap_or_default();
    let (exchange, key) = (text(event.exchange), text(event.key));
    let about_constant = format!("The event `{key}` on the exchange `{exchange}`.");
    let about_method = format!(
        "Fires a copy of this as `{key}` on the exchange `{exchange}`, on the current bus. \
         It never blocks; dropping the receipt is fire and forget."
    );
    code! {
        #[doc = #about_constant]
        #vis const #constant: #p::Topic<Self> = #p::Topic::new(&#descriptor);
        // The bound with a lifetime is looked at where the method is called, so that a payload
        // without `Clone` can be fired by its value.
        #[doc = #about_method]
        #vis fn #method(&self) -> #p::Receipt
        where
            for<'__any> Self: ::core::clone::Clone,
        {
            #p::fire_clone(Self::#constant, self)
        }
    }
}

fn descriptor(p: &TokenStream, events: &Events<'_>, event: &Event<'_>) -> TokenStream {
    let ty = foreign(&events.ident);
    let Event { exchange, key, upcasts, local, span, .. } = event;
    let place = shared::place(p, *span);
    let payload = {
        let span = at(&events.ident);
        let p = respan(p, span);
        if *local {
            quote_spanned!(span=> #p::PayloadDescriptor::local::<#ty>())
        } else {
            quote_spanned!(span=> #p::PayloadDescriptor::of::<#ty>())
        }
    };
    let upcasts = upcasts.iter().map(|old| {
        let span = at(old);
        let p = respan(p, span);
        let new = respan(&ty.to_token_stream(), span);
        quote_spanned!(span=> #p::Upcast::new::<#old, #new>())
    });
    code! {
        #p::EventDescriptor {
            place: #place,
            exchange: #exchange,
            key: #key,
            payload: #payload,
            upcasts: &[#(#upcasts),*],
            local: #local,
        }
    }
}

fn descriptor_name(index: usize) -> Ident {
    format_ident!("__EVENT_{index}", span = Span::mixed_site())
}
