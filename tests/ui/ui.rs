//! What the macros accept, what they refuse, and in which words.
//!
//! `<macro>/pass` compiles and runs, `<macro>/fail` does not compile and holds one mistake per file,
//! worded by the macro. `bounds` holds the mistakes that rustc words, with the help of the traits'
//! `on_unimplemented`. To bless new words: `TRYBUILD=overwrite cargo test --test ui`.
//!
//! The files that pass are modules of one program, `pass.rs`, since each program more is built, linked
//! and run by itself, one after another. Those that fail are checked all at once.

// Compiled here as well, so that clippy sees what the macros generate.
#[path = "lints/pass/strict.rs"]
pub mod strict;

#[test]
fn right_programs_compile() {
    strict::main();
    let cases = trybuild::TestCases::new();
    cases.pass("pass.rs");
    cases.pass("lints/pass/strict.rs");
}

#[test]
fn wrong_programs_are_refused_in_our_words() {
    trybuild::TestCases::new().compile_fail("*/fail/*.rs");
}

#[test]
fn unmet_bounds_are_told_at_their_type() {
    trybuild::TestCases::new().compile_fail("bounds/*.rs");
}
