//! What `#[event]` and `#[derive(Event)]` expand to, and what they refuse.

use proc_macro2::TokenStream;
use quote::quote;

use super::{attribute, derive};
use crate::errors::testing::{self, Code};

fn expand(arguments: TokenStream, item: &TokenStream) -> Code {
    let tokens = attribute(arguments, item);
    assert_eq!(testing::messages(&tokens), [""; 0]);
    Code::new(&tokens)
}

fn messages(arguments: TokenStream, item: &TokenStream) -> Vec<String> {
    testing::messages(&attribute(arguments, item))
}

fn derived(item: &TokenStream) -> Vec<String> {
    testing::messages(&derive(item))
}

#[test]
fn the_attribute_form_derives_what_travels() {
    let code = expand(
        quote!(exchange = "order", key = "order.v1.submit"),
        &quote!(
            pub struct Order {
                id: u64,
            }
        ),
    );
    assert!(code.has("#[derive(::core::clone::Clone, ::bus::__private::serde::"), "{code:?}");
    assert!(code.has("pub const SUBMIT: ::bus::__private::Topic<Self>"), "{code:?}");
    assert!(code.has("pub fn submit(&self) -> ::bus::__private::Receipt"), "{code:?}");
    assert!(code.has("PayloadDescriptor::of::<Order>()"), "{code:?}");
}

#[test]
fn stacked_attributes_are_consumed_by_the_first() {
    let code = expand(
        quote!(exchange = "order", key = "order.submit"),
        &quote!(
            #[bus::event(exchange = "order", key = "order.match", name = "fits")]
            #[event(exchange = "order", key = "order.type")]
            struct Order;
        ),
    );
    assert!(!code.has("event(exchange"), "{code:?}");
    assert_eq!(code.count("submit!"), 3, "{code:?}");
    assert!(code.has("fn fits(&self)") && code.has("fn r#type(&self)"), "{code:?}");
}

#[test]
fn the_derive_form_derives_nothing_else() {
    let tokens = derive(&quote!(
        #[derive(Clone)]
        #[event(exchange = "order", key = "order.submit", upcasts(OrderV1))]
        struct Order;
    ));
    let code = Code::new(&tokens);
    assert!(!code.has("derive") && !code.has("struct Order"), "{code:?}");
    assert!(code.has("::bus::__private::Upcast::new::<OrderV1, Order>()"), "{code:?}");
}

#[test]
fn a_local_event_needs_no_serde() {
    let code = expand(
        quote!(local, exchange = "a", key = "a.b"),
        &quote!(
            enum E {
                A,
            }
        ),
    );
    assert!(!code.has("serde"), "{code:?}");
    assert!(code.has("PayloadDescriptor::local::<E>()"), "{code:?}");
}

/// The code of a local event.
fn local(item: &TokenStream) -> Code {
    expand(quote!(local, exchange = "a", key = "a.b"), item)
}

#[test]
fn each_field_of_a_struct_is_asked_for_its_memory() {
    let code = local(&quote!(
        struct S {
            a: String,
            #[cfg(unix)]
            b: u8,
        }
    ));
    assert!(code.has("bytes += ::bus::__private::memory::Field(&whole.a).__memory()?"), "{code:?}");
    assert!(
        code.has("#[cfg(unix)] { bytes += ::bus::__private::memory::nothing::<u8>()?"),
        "{code:?}"
    );
    assert!(code.has("::bus::__private::memory::Field(&self.a).__prefetch()"), "{code:?}");
    assert!(!code.has(".b)"), "{code:?}");
    let code = local(&quote!(
        #[derive(Debug)]
        struct S(std::vec::Vec<u8>, u8, Option<String>);
    ));
    assert!(code.has("Field(&whole.0)") && code.has("Field(&whole.2)"), "{code:?}");
}

#[test]
fn what_may_not_be_borrowed_field_by_field_is_not_asked() {
    for item in [
        quote!(
            enum E {
                A(String),
            }
        ),
        quote!(
            #[repr(C, packed)]
            struct S {
                a: u32,
            }
        ),
        quote!(
            #[cfg_attr(unix, repr(packed))]
            struct S {
                a: u32,
            }
        ),
        quote!(
            #[others::serde]
            struct S {
                a: u32,
            }
        ),
        quote!(
            #[rewritten]
            struct S {
                a: u32,
            }
        ),
        quote!(
            struct S(#[cfg(unix)] u8, String);
        ),
    ] {
        let code = local(&item);
        assert!(!code.has("memory"), "{code:?}");
    }
}

#[test]
fn an_event_says_where_it_goes() {
    assert_eq!(
        messages(
            quote!(),
            &quote!(
                struct S;
            )
        ),
        [
            "an event lacks its `exchange`; write `exchange = \"…\"`",
            "an event lacks its `key`; write `key = \"…\"`",
        ]
    );
    assert_eq!(
        messages(
            quote!(exchange = "", key = "a.*"),
            &quote!(
                struct S;
            )
        ),
        [
            "the name of an exchange is empty; write one",
            "an event is fired with one exact key and `*` is a wildcard; \
             write a plain word, wildcards belong into a listener's pattern",
        ]
    );
    assert_eq!(
        messages(
            quote!("order", exchange = "a", key = "b"),
            &quote!(
                struct S;
            )
        ),
        ["unexpected string; write `exchange = \"…\"` and `key = \"…\"`"]
    );
}

#[test]
fn an_event_has_a_name_in_code() {
    let named = |key: &str, name: TokenStream| {
        messages(
            quote!(exchange = "a", key = #key, #name),
            &quote!(
                struct S;
            ),
        )
    };
    assert_eq!(
        named("a.2", quote!()),
        ["`2` cannot name a method; \
             write `name = \"…\"` in snake_case, such as `name = \"submit\"`"]
    );
    assert_eq!(named("a.2", quote!(name = "two")), [""; 0]);
    assert_eq!(
        named("a.fire", quote!()),
        ["`fire` would hide the method that every event has; write another `name = \"…\"`"]
    );
    assert_eq!(
        named("a.b", quote!(name = event)),
        ["`event` would hide the struct's `EVENT`; write another `name = \"…\"`"]
    );
}

#[test]
fn events_of_one_struct_are_unlike() {
    let second = |second: TokenStream| {
        messages(
            quote!(exchange = "order", key = "order.v1.submit"),
            &quote!(
                #[event(exchange = "order", #second)]
                struct Order;
            ),
        )
    };
    assert_eq!(
        second(quote!(key = "order.v2.submit")),
        ["two events of this type are called `submit`; write another `name = \"…\"`"]
    );
    assert_eq!(
        second(quote!(key = "order.v1.submit")),
        ["this event is there already; remove one of the two"]
    );
    assert_eq!(second(quote!(key = "order.v2.submit", name = "submit_v2")), [""; 0]);
}

#[test]
fn a_further_event_takes_the_exchange_of_the_first() {
    let code = expand(
        quote!(exchange = "order", key = "order.v1.submit"),
        &quote!(
            #[event(key = "order.v1.chargeback")]
            #[event(exchange = "audit", key = "order.v1.seen")]
            struct Order;
        ),
    );
    assert_eq!(code.count("exchange: \"order\""), 2, "{code:?}");
    assert_eq!(code.count("exchange: \"audit\""), 1, "{code:?}");
    let wrong = |first: TokenStream, second: TokenStream| {
        derived(&quote!(
            #[event(#first)]
            #[event(#second)]
            struct Order;
        ))
    };
    assert_eq!(
        wrong(quote!(key = "order.submit"), quote!(exchange = "order", key = "order.paid")),
        ["an event lacks its `exchange`; write `exchange = \"…\"`"]
    );
    assert_eq!(
        wrong(quote!(exchange = "order", key = "order.submit"), quote!(key = "order.submit")),
        ["this event is there already; remove one of the two"]
    );
    assert_eq!(
        wrong(quote!(exchange = "", key = "order.submit"), quote!(key = "order.paid")),
        ["the name of an exchange is empty; write one"]
    );
}

#[test]
fn an_upcast_names_an_older_type_once() {
    assert_eq!(
        messages(
            quote!(exchange = "a", key = "b", upcasts(Self, S, Old, Old)),
            &quote!(
                struct S;
            )
        ),
        [
            "a type needs no upcast to itself; name an older type, or remove it",
            "a type needs no upcast to itself; name an older type, or remove it",
            "`Old` is named twice; keep one",
        ]
    );
}

#[test]
fn an_event_is_one_struct_or_enum() {
    let arguments = || quote!(exchange = "a", key = "b");
    assert_eq!(
        messages(
            arguments(),
            &quote!(
                struct S<T>(T);
            )
        ),
        ["an event is one type on the bus and cannot be generic; \
          write the types out, and own what it borrows"]
    );
    assert_eq!(
        messages(arguments(), &quote!(union U { a: u8 })),
        ["an event is read from bytes and a union does not say which field holds; write an enum"]
    );
    assert_eq!(
        messages(
            arguments(),
            &quote!(
                fn f() {}
            )
        ),
        ["`#[event]` stands above a struct or an enum; move it there"]
    );
}

#[test]
fn the_two_forms_exclude_each_other() {
    let tokens = attribute(
        quote!(exchange = "a", key = "b"),
        &quote!(
            #[derive(Debug, bus::Event)]
            struct S;
        ),
    );
    assert_eq!(
        testing::messages(&tokens),
        ["`#[event]` above the derives is the attribute form and implements `Event` itself; \
          remove `Event` here, or move the derives above `#[event]`"]
    );
    let code = Code::new(&tokens);
    assert!(code.has("#[event(exchange = \"a\", key = \"b\")] struct S;"), "{code:?}");
    let tokens = attribute(
        quote!(exchange = "a", key = "b"),
        &quote!(
            #[event(key = "c")]
            #[derive(Debug, bus::Event)]
            #[event(key = "d")]
            struct S;
        ),
    );
    let code = Code::new(&tokens);
    let helpers =
        "#[event(exchange = \"a\", key = \"b\")] #[event(key = \"c\")] #[event(key = \"d\")]";
    assert!(code.has(helpers), "{code:?}");
    assert_eq!(
        derived(&quote!(
            struct S;
        )),
        ["`Event` is derived and no event is named; \
          write `#[event(exchange = \"…\", key = \"…\")]` below the derives"]
    );
    assert_eq!(
        derived(&quote!(
            #[bus::event(exchange = "a", key = "b")]
            struct S;
        )),
        ["below `#[derive(Event)]` the helper has no path; write `#[event(..)]`"]
    );
}

#[test]
fn what_was_meant_is_not_missing_too() {
    assert_eq!(
        messages(
            quote!(exchang = "a", key = "b"),
            &quote!(
                struct S;
            )
        ),
        ["unknown argument `exchang`; did you mean `exchange`? \
          expected `exchange`, `key`, `name`, `upcasts`, `local` or `crate`"]
    );
    assert_eq!(
        derived(&quote!(
            #[event = "a"]
            struct S;
        )),
        ["an attribute of the bus takes its arguments in parentheses; write `(..)` for `= ..`"]
    );
}

#[test]
fn a_wrong_event_keeps_its_names() {
    let tokens = attribute(
        quote!(exchang = "a", key = "a.submit"),
        &quote!(
            pub struct S;
        ),
    );
    let code = Code::new(&tokens);
    assert!(code.has("pub const SUBMIT") && code.has("pub fn submit"), "{code:?}");
    assert!(code.has("::bus::__private::Event for S") && !code.has("submit!"), "{code:?}");
}

#[test]
fn an_event_with_a_wrong_key_keeps_its_names() {
    for key in ["order.*.submit", "order..submit", "order.submit."] {
        let tokens = attribute(
            quote!(exchange = "a", key = #key),
            &quote!(
                pub struct S;
            ),
        );
        assert_eq!(testing::messages(&tokens).len(), 1, "{key}");
        let code = Code::new(&tokens);
        assert!(code.has("pub const SUBMIT") && code.has("pub fn submit"), "{code:?}");
    }
}
