//! What `#[command]` expands to, and what it refuses.

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
fn the_function_stays_and_a_handle_stands_beside_it() {
    let code = expand(
        quote!(),
        &quote!(
            #[doc = "Greets."]
            fn f(name: &str) -> String {
                g(name)
            }
        ),
    );
    assert!(code.has("fn f(name: &str) -> String{ g(name)}"), "{code:?}");
    assert!(code.has("pub(crate) enum f{}"), "{code:?}");
    assert!(
        code.has("pub fn execute(name: &str) -> ::bus::__private::Promise<String>"),
        "{code:?}"
    );
    assert_eq!(code.count("\"Greets.\""), 2, "{code:?}");
}

#[test]
fn an_item_is_the_parameter_or_the_tuple_of_them() {
    for (function, item) in [
        (
            quote!(
                fn f(id: u32, ctx: &Context) {}
            ),
            "u32",
        ),
        (
            quote!(
                fn f(id: u32, flag: bool) {}
            ),
            "(u32, bool,)",
        ),
        (
            quote!(
                fn f(db: State<Db>) {}
            ),
            "()",
        ),
        (
            quote!(
                fn f(name: &str) {}
            ),
            "<str as ::bus::__private::Lend>::Owned",
        ),
    ] {
        let code = expand(quote!(), &function);
        let bound = format!("__Items: ::core::iter::IntoIterator<Item = {item}>,");
        assert_eq!(code.count(&bound), 2, "{code:?}");
    }
}

#[test]
fn what_the_bus_supplies_is_not_passed_by_callers() {
    let code = expand(
        quote!(),
        &quote!(
            pub fn f(ctx: &Context, id: u32, db: State<Db>) -> Result<u8, E> {}
        ),
    );
    assert!(code.has("pub enum f{}"), "{code:?}");
    assert!(code.has("pub fn execute(id: u32) -> ::bus::__private::Promise<u8, E>"), "{code:?}");
    assert!(code.has("<State<Db> as ::bus::__private::Param>::need(__needs)"), "{code:?}");
    assert!(code.has("&[\"id\"], <__Spec"), "{code:?}");
}

#[test]
fn a_result_of_one_type_projects_its_error() {
    let code = expand(
        quote!(),
        &quote!(
            fn f() -> io::Result<u8> {}
        ),
    );
    assert!(code.has("Promise<u8, ::bus::__private::ErrorOf<io::Result<u8>>>"), "{code:?}");
}

#[test]
fn a_contract_has_a_signature_and_no_function() {
    let code = expand(
        quote!("far.away"),
        &quote!(
            pub fn f(x: u32, y: &str) -> u8;
        ),
    );
    assert!(code.has("type Signature = fn(u32, &str) -> u8;"), "{code:?}");
    assert!(code.has("body: ::core::option::Option::None"), "{code:?}");
    assert!(!code.has("pub fn f("), "{code:?}");
}

#[test]
fn an_implementation_is_checked_against_its_contract() {
    let code = expand(
        quote!(serves = contracts::f),
        &quote!(
            fn f(x: u32, ctx: &Context) {}
        ),
    );
    assert!(code.has("__implements::<contracts::f, fn(u32)>()"), "{code:?}");
    assert!(code.has("|| <contracts::f as ::bus::__private::Handle>::DESCRIPTOR"), "{code:?}");
}

#[test]
fn a_unique_command_exports_a_sentence() {
    for (arguments, symbol) in [
        (quote!("math.add", unique), "autobus.the_command.math.add.is_implemented_twice"),
        (quote!(unique), "autobus.the_command.add.is_implemented_twice"),
        (quote!(unique, service = "math"), "autobus.the_command.math.add.is_implemented_twice"),
    ] {
        let code = expand(
            arguments,
            &quote!(
                fn add() {}
            ),
        );
        assert!(code.has(&format!("#[unsafe(export_name = \"{symbol}\")]")), "{code:?}");
        assert!(code.has("#[cfg(not(test))]"), "{code:?}");
    }
}

#[test]
fn a_local_command_has_no_wire_and_no_bounds() {
    let code = expand(
        quote!(local),
        &quote!(
            fn f(x: Callback) -> u8 {}
        ),
    );
    assert!(code.has("wire: ::core::option::Option::None"), "{code:?}");
    assert!(!code.has("argument::<"), "{code:?}");
}

#[test]
fn conditions_hold_for_what_is_generated() {
    let code = expand(
        quote!(),
        &quote!(
            #[cfg(unix)]
            fn f() {}
        ),
    );
    assert_eq!(code.count("#[cfg(unix)]"), 3, "{code:?}");
}

#[test]
fn the_bus_may_be_elsewhere() {
    let code = expand(
        quote!(crate = my::bus),
        &quote!(
            fn f() {}
        ),
    );
    assert!(code.has("my::bus::__private::submit!"), "{code:?}");
    assert!(!code.has("::bus::__private::submit") || code.has("my::bus"), "{code:?}");
}

#[test]
fn options_become_plain_data() {
    let code = expand(
        quote!(timeout = "1m 500ms", retry = 3, backoff = ["1s", LATER], retry_if = worth),
        &quote!(
            fn f() -> Result<(), E> {}
        ),
    );
    assert!(code.has("Option::Some(::bus::__private::Duration::new(60, 500000000))"), "{code:?}");
    assert!(code.has("backoff: &[::bus::__private::Duration::new(1, 0), LATER]"), "{code:?}");
    assert!(code.has("retry_if: ::core::option::Option::Some(worth)"), "{code:?}");
}

#[test]
fn a_name_is_one_string_of_the_alphabet() {
    assert_eq!(
        messages(
            quote!("say hello"),
            &quote!(
                fn f() {}
            )
        ),
        ["` ` cannot stand in the name of a command; use `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`"]
    );
    assert_eq!(
        messages(
            quote!("a", "b"),
            &quote!(
                fn f() {}
            )
        ),
        ["unexpected string; keep one name"]
    );
    assert_eq!(
        messages(
            quote!(3),
            &quote!(
                fn f() {}
            )
        ),
        ["unexpected literal `3`; name a command by a string, such as `\"billing.invoice\"`"]
    );
    assert_eq!(
        messages(
            quote!(service = "a b"),
            &quote!(
                fn f() {}
            )
        ),
        ["` ` cannot stand in the name of a service; use `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`"]
    );
}

#[test]
fn a_handle_hides_no_primitive_type() {
    assert_eq!(
        messages(
            quote!(),
            &quote!(
                fn str() {}
            )
        ),
        ["the handle would hide the type `str` in the whole module; \
          name it by `handle = other_name`"]
    );
    assert_eq!(
        messages(
            quote!(handle = text),
            &quote!(
                fn str() {}
            )
        ),
        [""; 0]
    );
}

#[test]
fn twelve_parameters_travel_at_most() {
    let twelve =
        quote!(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8);
    assert_eq!(messages(quote!(), &quote!(fn f(#twelve, db: State<Db>) {})), [""; 0]);
    assert_eq!(
        messages(quote!(), &quote!(fn f(#twelve, m: u8) {})),
        ["a command has at most 12 parameters that travel and this one has 13; \
          gather them in a struct"]
    );
}

#[test]
fn a_contract_leaves_its_code_to_the_implementation() {
    assert_eq!(
        messages(
            quote!(inline, retry = 1, local),
            &quote!(
                fn f(ctx: &Context);
            )
        ),
        [
            "a contract has no code of its own and `inline` is about code; \
             say it at the implementation",
            "a contract has no code of its own and `retry` is about code; \
             say it at the implementation",
            "a contract is served by another process and `local` forbids that; \
             write a body, or remove `local`",
            "a contract lists what travels and the bus supplies this one; \
             take it in the implementation alone",
        ]
    );
    assert_eq!(
        messages(
            quote!(serves = g),
            &quote!(
                fn f();
            )
        ),
        ["`serves` implements a contract and there is no body; write one, or remove `serves`"]
    );
}

#[test]
fn a_contract_names_its_implementation() {
    assert_eq!(
        messages(
            quote!("name", serves = g, unique, local),
            &quote!(
                fn f() {}
            )
        ),
        [
            "the contract names the command; remove the name, or `serves`",
            "`unique` needs the command's name and the contract has it; \
             remove it, `start()` finds a second implementation",
            "the contract is for other processes and `local` forbids them; remove one of the two",
        ]
    );
}

#[test]
fn every_error_is_reported_at_once() {
    let found = messages(
        quote!("a b", qeue = "q", retry = 0, backoff = "1s"),
        &quote!(
            fn f<T>(a: &mut u32, b: Option<&str>) -> &str {
                a
            }
        ),
    );
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn a_wrong_command_keeps_its_function_and_its_handle() {
    let tokens = attribute(
        quote!(inlin),
        &quote!(
            fn f(a: u32, b: &str) -> Result<u8, E> {
                g()
            }
        ),
    );
    let code = Code::new(&tokens);
    assert!(code.has("fn f(a: u32, b: &str) -> Result<u8, E>{ g()}"), "{code:?}");
    assert!(
        code.has(
            "pub fn execute<__A0, __A1>(_: __A0, _: __A1) -> ::bus::__private::Promise<u8, E>"
        ),
        "{code:?}"
    );
    assert!(!code.has("submit!"), "{code:?}");
}

#[test]
fn what_is_no_function_is_kept() {
    let tokens = attribute(
        quote!(),
        &quote!(
            struct S;
        ),
    );
    assert_eq!(testing::messages(&tokens), ["`#[command]` stands above a function; move it there"]);
    assert!(tokens.to_string().starts_with("struct S ;"));
}
