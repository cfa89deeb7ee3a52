//! What `#[service]` expands to, and what it refuses.

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
fn methods_are_handlers_of_one_service() {
    let code = expand(
        quote!("money.ledger", on_panic = keep),
        &quote!(
            impl Ledger {
                #[init]
                fn open(db: State<Db>) -> Result<Self, E> {}
                #[bus::command]
                fn balance(&self, account: &str) -> u32 {}
                #[listener("order.#")]
                async fn book(&mut self, order: &Order) {}
                #[shutdown]
                fn close(&mut self) {}
                fn helper(&self) {}
            }
        ),
    );
    for left in ["#[init]", "#[bus::command]", "#[listener", "#[shutdown]"] {
        assert!(!code.has(left), "{code:?}");
    }
    assert!(code.has("pub(crate) enum balance{}"), "{code:?}");
    assert!(code.has("type_name: \"ledger\""), "{code:?}");
    assert!(code.has("name: ::core::option::Option::Some(\"money.ledger\")"), "{code:?}");
    assert!(code.has("OnPanic::Keep"), "{code:?}");
    assert_eq!(code.count("ServiceRef::State(&__SERVICE)"), 2, "{code:?}");
    assert!(code.has("Split<Result<Ledger, E>>>::split"), "{code:?}");
    assert!(code.has("Access::Shared") && code.has("Access::Exclusive"), "{code:?}");
    assert_eq!(code.count("reason = \"the bus prescribes"), 4, "{code:?}");
}

#[test]
fn a_service_without_init_begins_with_its_default() {
    let code = expand(quote!(), &quote!(impl m::HttpApi { #[command] fn f(&self) {} }));
    assert!(code.has("<m::HttpApi as ::bus::__private::Initial>::initial()"), "{code:?}");
    assert!(code.has("type_name: \"http_api\""), "{code:?}");
    assert!(code.has("shutdown: ::core::option::Option::None"), "{code:?}");
}

#[test]
fn self_is_named_in_signatures() {
    let code = expand(quote!(), &quote!(impl S { #[command] fn f(&self, o: Self) -> Self {} }));
    assert!(code.has("pub fn execute(o: S) -> ::bus::__private::Promise<S>"), "{code:?}");
}

#[test]
fn conditions_of_a_method_hold_for_its_handler() {
    let code = expand(
        quote!(),
        &quote!(
            #[cfg(a)]
            impl S {
                #[cfg(b)]
                #[command]
                fn f(&self) {}
            }
        ),
    );
    assert!(code.has("#[cfg(a)]#[cfg(b)]"), "{code:?}");
    assert_eq!(code.count("#[cfg(b)]"), 3, "{code:?}");
}

#[test]
fn a_service_is_the_block_of_one_type() {
    let handler = quote!(
        #[command]
        fn f(&self) {}
    );
    assert_eq!(
        messages(quote!(), &quote!(impl Tr for S { #handler })),
        ["the handlers of a service are the type's own methods; \
          write `#[service]` above an `impl` block without a trait"]
    );
    assert_eq!(
        messages(quote!(), &quote!(impl<T> S<T> { #handler })),
        ["a service is one type on the bus and cannot be generic; write the types out"]
    );
    assert_eq!(
        messages(quote!(), &quote!(impl [u8] { #handler })),
        ["the state of a service is a type with a name; implement a struct or an enum"]
    );
    assert_eq!(
        messages(quote!(), &quote!(impl S { fn f() {} })),
        ["a service without handlers does nothing; \
          write `#[command]` or `#[listener(..)]` above a method"]
    );
    assert_eq!(
        messages(
            quote!(),
            &quote!(
                mod m {}
            )
        ),
        ["`#[service]` stands above an `impl` block; move it there, \
          a module's service is named by `service_name!`"]
    );
}

#[test]
fn a_service_has_one_name() {
    let block = quote!(impl S { #[command] fn f(&self) {} });
    assert_eq!(messages(quote!("a", "b"), &block), ["unexpected string; keep one name"]);
    assert_eq!(
        messages(quote!(a::b), &block),
        ["unexpected path; name a service by a string, such as `\"ledger\"`"]
    );
    assert_eq!(
        messages(quote!(on_panic = abort), &block),
        ["`abort` is nothing to do after a panic; write `keep` or `rebuild`"]
    );
    assert_eq!(
        messages(
            quote!(),
            &quote!(impl S {
                #[command(service = "x")] fn f(&self) {}
                #[listener("x", service = "x")] fn g(&self) {}
            })
        ),
        [
            "the service is the one of the `impl` block; name it there, by `#[service(\"…\")]`",
            "the service is the one of the `impl` block; name it there, by `#[service(\"…\")]`",
        ]
    );
}

#[test]
fn a_state_is_made_once_and_ended_once() {
    assert_eq!(
        messages(
            quote!(),
            &quote!(impl S {
                #[init] fn a() -> Self {}
                #[init] fn b() {}
                #[shutdown] fn c(&self) {}
                #[shutdown] fn d(&self) {}
                #[command] fn f(&self) {}
            })
        ),
        [
            "`#[init]` makes the state and returns nothing; return `Self` or `Result<Self, E>`",
            "the service has `a` for this already; keep one of the two",
            "the service has `c` for this already; keep one of the two",
        ]
    );
}

#[test]
fn a_state_is_made_of_what_the_bus_supplies() {
    let init = |method: TokenStream| {
        messages(quote!(), &quote!(impl S { #method #[command] fn f(&self) {} }))
    };
    assert_eq!(
        init(quote!(
            #[init]
            fn a(path: &str) -> Self {}
        )),
        ["`#[init]` takes what the bus supplies; take `&Context` or `State<T>`"]
    );
    assert_eq!(
        init(quote!(
            #[init(3)]
            fn a() -> Self {}
        )),
        ["`#[init]` takes no arguments; write `#[init]` alone"]
    );
    assert_eq!(
        init(quote!(
            #[cfg(unix)]
            #[init]
            fn a() -> Self {}
        )),
        ["`#[init]` is part of its service at all times; put the condition into its body"]
    );
}

#[test]
fn a_method_is_one_thing() {
    assert_eq!(
        messages(quote!(), &quote!(impl S { #[command] #[listener("a")] fn f(&self, x: &str) {} })),
        ["a method is one thing to the bus and this one is a command; keep one attribute"]
    );
    assert_eq!(
        messages(
            quote!(),
            &quote!(impl S { #[command] const A: u8 = 0; #[command] fn f(&self) {} })
        ),
        ["`#[command]` stands above a method; move it there"]
    );
    assert_eq!(
        messages(quote!(), &quote!(impl S { #[command] fn g(&self); #[command] fn f(&self) {} })),
        ["a contract has no state and stands in a module; \
          move it out of the `impl` block, or write a body"]
    );
}

#[test]
fn a_wrong_service_keeps_its_block_and_its_handles() {
    let tokens = attribute(quote!(nam), &quote!(impl S { #[command] fn f(&self) -> u8 { g() } }));
    let code = Code::new(&tokens);
    assert!(code.has("fn f(&self) -> u8{ g()}"), "{code:?}");
    assert!(code.has("pub(crate) enum f{}") && !code.has("submit!"), "{code:?}");
}
