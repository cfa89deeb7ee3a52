//! What `#[listener]` expands to, and what it refuses.

use proc_macro2::TokenStream;
use quote::quote;

use super::attribute;
use crate::errors::testing::{self, Code};

fn expand(arguments: TokenStream, item: &TokenStream) -> Code {
    let tokens = attribute(arguments, item);
    assert_eq!(testing::messages(&tokens), [""; 0]);
    Code::new(&tokens)
}

fn messages(arguments: TokenStream, item: &TokenStream) -> Vec<String> {
    testing::messages(&attribute(arguments, item))
}

#[test]
fn a_pattern_is_registered_with_its_queue() {
    let code = expand(
        quote!(queue = "billing", "order.*.submit", exchange = "order", prefetch = 8),
        &quote!(
            fn f(order: &Order, db: State<Db>) {}
        ),
    );
    assert!(code.has("Source::Pattern(\"order.*.submit\")"), "{code:?}");
    assert!(code.has("queue: ::core::option::Option::Some(\"billing\")"), "{code:?}");
    assert!(code.has("exchange: ::core::option::Option::Some(\"order\")"), "{code:?}");
    assert!(code.has("type __Payload = <Order as ::bus::__private::Lend>::Owned;"), "{code:?}");
    assert!(code.has("<State<Db> as ::bus::__private::Param>::get(__ctx)?"), "{code:?}");
}

#[test]
fn an_event_is_checked_against_the_payload() {
    let code = expand(
        quote!(Order::SUBMIT),
        &quote!(
            fn f(order: Arc<Order>) {}
        ),
    );
    assert!(
        code.has("const __TOPIC: ::bus::__private::Topic<__Payload> = Order::SUBMIT;"),
        "{code:?}"
    );
    assert!(
        code.has("type __Payload = <Arc<Order> as ::bus::__private::Take<__SHARED>>::Payload;"),
        "{code:?}"
    );
    let code = expand(
        quote!(),
        &quote!(
            fn f(order: &Order) {}
        ),
    );
    assert!(code.has("<__Payload as ::bus::__private::Event>::EVENT"), "{code:?}");
}

#[test]
fn the_payload_may_be_left_out() {
    let code = expand(
        quote!("#"),
        &quote!(
            async fn f(ctx: &Context) {}
        ),
    );
    assert!(code.has("payload: ::core::option::Option::None"), "{code:?}");
    assert!(!code.has("__Payload"), "{code:?}");
    assert_eq!(
        messages(
            quote!("tick"),
            &quote!(
                fn f(db: State<Db>) {}
            )
        ),
        [""; 0]
    );
}

#[test]
fn a_listener_hears_something() {
    assert_eq!(
        messages(
            quote!(),
            &quote!(
                fn f(ctx: &Context) {}
            )
        ),
        ["a listener without a pattern hears the events of its payload and this one takes none; \
          take the payload first, or write a pattern"]
    );
    assert_eq!(
        messages(
            quote!("a"),
            &quote!(
                fn f() {}
            )
        ),
        ["a listener that takes neither payload nor context cannot tell what it heard; \
          take the payload, or `ctx: &Context`"]
    );
    assert_eq!(
        messages(
            quote!(3),
            &quote!(
                fn f(x: &u32) {}
            )
        ),
        ["unexpected literal `3`; write a pattern, such as `\"order.*.submit\"`, \
          or an event, such as `Order::SUBMIT`"]
    );
    assert_eq!(
        messages(
            quote!("a", B::C),
            &quote!(
                fn f(x: &u32) {}
            )
        ),
        ["unexpected path; write a second listener for it"]
    );
}

#[test]
fn a_pattern_follows_the_rules_of_topics() {
    assert_eq!(
        messages(
            quote!("order..submit"),
            &quote!(
                fn f(x: &u32) {}
            )
        ),
        ["a pattern has no empty words; remove the surplus `.`"]
    );
    assert_eq!(
        messages(
            quote!("order.sub*"),
            &quote!(
                fn f(x: &u32) {}
            )
        ),
        ["a wildcard stands for whole words and `sub*` mixes it with others; \
          write `*` for one word or `#` for any number of them"]
    );
}

#[test]
fn there_is_one_payload_and_it_comes_first() {
    assert_eq!(
        messages(
            quote!("a"),
            &quote!(
                fn f(x: &Order, y: &str) {}
            )
        ),
        ["a listener takes one payload and this is a second one; gather both in a struct"]
    );
    assert_eq!(
        messages(
            quote!("a"),
            &quote!(
                fn f(ctx: &Context, y: u32) {}
            )
        ),
        ["the payload comes first; move it before what the bus supplies"]
    );
    assert_eq!(
        messages(
            quote!("a"),
            &quote!(
                fn f(x: &Arc<Order>) {}
            )
        ),
        ["an `Arc` is a borrow already; take `Arc<T>`, or `&T`"]
    );
}

#[test]
fn routing_has_one_say() {
    assert_eq!(
        messages(
            quote!(Order::SUBMIT, exchange = "", queue = "amq.x", broadcast),
            &quote!(
                fn f(x: &Order) {}
            )
        ),
        [
            "the name of an exchange is empty; write one",
            "queues that begin with `amq.` are the broker's own; write another",
            "the event names its exchange; remove `exchange`",
            "a queue is shared by all processes and `broadcast` gives each its own; \
             remove `queue`, or `broadcast`",
        ]
    );
}

#[test]
fn a_listener_has_a_body() {
    assert_eq!(
        messages(
            quote!("a"),
            &quote!(
                fn f(x: &u32);
            )
        ),
        ["a listener has no contract, events are one; write a body"]
    );
    assert_eq!(
        messages(
            quote!("a"),
            &quote!(
                enum E {}
            )
        ),
        ["`#[listener]` stands above a function; move it there"]
    );
}

#[test]
fn a_wrong_listener_keeps_its_function() {
    let tokens = attribute(
        quote!("a..b"),
        &quote!(
            fn f(x: &u32) {
                g()
            }
        ),
    );
    let code = Code::new(&tokens);
    assert!(code.has("fn f(x: &u32){ g()}") && !code.has("submit!"), "{code:?}");
}
