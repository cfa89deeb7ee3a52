//! A command and a listener: annotate functions, start the bus, and use them.
//!
//! `say_hello(..)` stays a plain function. `say_hello::execute(..)` makes the same call through the
//! bus, where it runs on the thread of the function's service.
//!
//! ```text
//! cargo run --example greet
//! ```

use bus::prelude::*;

/// Greets somebody.
#[command]
fn say_hello(name: &str) -> String {
    format!("Hello, {name}!")
}

#[listener("greet_event")]
fn handle_greet_event(name: &str) {
    println!("Handling greet event for {name}");
}

fn main() -> bus::Result<()> {
    let bus = bus::start()?;

    // By its handle: the compiler knows the parameters and the answer.
    println!("{}", say_hello::execute("Alice").wait()?);

    // By its name: for callers that learn it at run time.
    let answer: String = bus.execute_command("say_hello", ("Alice",)).wait()?;
    println!("Command result: {answer}");

    bus.fire_event("greet_event", "Bob").wait()?;
    // What was accepted is handled before the bus stops.
    bus.shutdown()
}
