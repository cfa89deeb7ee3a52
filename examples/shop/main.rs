//! A shop in one process: orders come in as JSON lines and go out as typed events; billing, logistic
//! and an audit log, which no line of `main` registers, bill, ship and record them.
//!
//! ```text
//! cargo run --example shop -- examples/shop/orders.jsonl
//! cargo run --example shop < examples/shop/orders.jsonl
//! BUS_SERVICES=billing cargo run --example shop -- examples/shop/orders.jsonl
//! ```
//!
//! A line that is no order is reported with its number and skipped; the others go on. Each module
//! is a service with threads of its own, and `BUS_SERVICES` chooses those that this process runs.

#![allow(unreachable_pub, reason = "`pub` marks what one module of the shop offers the others")]

mod audit;
mod billing;
mod input;
mod logistic;
mod money;
mod order;
mod report;

use std::error::Error;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use bus::Bus;

use crate::input::Input;
use crate::order::Entry;
use crate::report::Counts;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut input = Input::open(std::env::args_os().nth(1))?;
    let bus = bus::start()?;
    let counts = submit(&bus, &mut input)?;
    bus.settle();
    stdout().write_all(report::write(&bus, counts)?.as_bytes())?;
    Ok(bus.shutdown()?)
}

/// Fires an event for every line of the input.
fn submit(bus: &Bus, input: &mut Input) -> Result<Counts, Box<dyn Error>> {
    let mut counts = Counts::default();
    while let Some(line) = input.next_line()? {
        match Entry::parse(line.text) {
            Ok(entry) => {
                // Whoever waits for receipts never runs further ahead of the services than their
                // mailboxes are long.
                entry.fire(bus).wait()?;
                counts.accepted += 1;
            }
            Err(error) => {
                let number = line.number;
                input.warn(&format!("line {number} is skipped: {error}"));
                counts.skipped += 1;
            }
        }
    }
    Ok(counts)
}
