//! Every file in `<macro>/pass`, as a module of one program.
//!
//! `lints/pass/strict.rs` is missing: its lints are about a whole crate.

mod command {
    #[path = "pass/by_macro_rules.rs"]
    pub mod by_macro_rules;
    #[path = "pass/contracts.rs"]
    pub mod contracts;
    #[path = "pass/elsewhere.rs"]
    pub mod elsewhere;
    #[path = "pass/names_of_ones_own.rs"]
    pub mod names_of_ones_own;
    #[path = "pass/options.rs"]
    pub mod options;
    #[path = "pass/places.rs"]
    pub mod places;
    #[path = "pass/results.rs"]
    pub mod results;
    #[path = "pass/signatures.rs"]
    pub mod signatures;
}

mod event {
    #[path = "pass/conditional.rs"]
    pub mod conditional;
    #[path = "pass/forms.rs"]
    pub mod forms;
    #[path = "pass/in_a_function.rs"]
    pub mod in_a_function;
    #[path = "pass/keywords.rs"]
    pub mod keywords;
    #[path = "pass/local.rs"]
    pub mod local;
}

mod link {
    #[path = "pass/crates.rs"]
    pub mod crates;
}

mod listener {
    #[path = "pass/beside_a_command.rs"]
    pub mod beside_a_command;
    #[path = "pass/signatures.rs"]
    pub mod signatures;
}

mod payload {
    #[path = "pass/generic.rs"]
    pub mod generic;
}

mod service {
    #[path = "pass/all.rs"]
    pub mod all;
    #[path = "pass/names.rs"]
    pub mod names;
}

fn main() {
    command::by_macro_rules::main();
    command::contracts::main();
    command::elsewhere::main();
    command::names_of_ones_own::main();
    command::options::main();
    command::places::main();
    command::results::main();
    command::signatures::main();
    event::conditional::main();
    event::forms::main();
    event::in_a_function::main();
    event::keywords::main();
    event::local::main();
    link::crates::main();
    listener::beside_a_command::main();
    listener::signatures::main();
    payload::generic::main();
    service::all::main();
    service::names::main();
}
