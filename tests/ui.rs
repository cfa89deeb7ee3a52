//! What the macros accept, what they refuse, and in which words.
//!
//! `tests/ui/<macro>/pass` compiles, `tests/ui/<macro>/fail` does not and holds one mistake per
//! file, worded by the macro. `tests/ui/bounds` holds the mistakes that rustc words, with the help
//! of the traits' `on_unimplemented`. To bless new words: `TRYBUILD=overwrite cargo test --test ui`.

// Compiled here as well, so that clippy sees what the macros generate.
#[path = "ui/lints/pass/strict.rs"]
pub mod strict;

#[test]
fn right_programs_compile() {
    strict::main();
    trybuild::TestCases::new().pass("tests/ui/*/pass/*.rs");
}

#[test]
fn wrong_programs_are_refused_in_our_words() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/fail/*.rs");
}

#[test]
fn unmet_bounds_are_told_at_their_type() {
    trybuild::TestCases::new().compile_fail("tests/ui/bounds/*.rs");
}
