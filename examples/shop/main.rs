//! A shop: orders come in as JSON lines and go out as typed events; billing, logistic and an audit
//! log, which no line of `main` registers, bill, ship and record them.
//!
//! ```text
//! cargo run --example shop -- examples/shop/orders.jsonl
//! cargo run --example shop < examples/shop/orders.jsonl
//! ```
//!
//! A line that is no order is reported with its number and skipped; the others go on. Each module is a
//! service with threads of its own. `BUS_SERVICES` chooses those that a process runs, and `BUS_URL`
//! the broker over which several processes are one shop:
//!
//! ```text
//! export BUS_URL=amqp://localhost LEDGER_URL=sqlite:ledger.db
//! BUS_SERVICES=billing  cargo run --features amqp --example shop &    # as often as you like
//! BUS_SERVICES=logistic cargo run --features amqp --example shop &
//! BUS_SERVICES=audit    cargo run --features amqp --example shop &
//! BUS_SERVICES=order    cargo run --features amqp --example shop -- examples/shop/orders.jsonl
//! ```
//!
//! The process that runs the service `order` takes the orders; any other serves until it is asked to
//! stop. The totals at the end are those of the moment: with several processes they may still grow,
//! and an empty input (`/dev/null`) asks for them again.

#![allow(unreachable_pub, reason = "`pub` marks what one module of the shop offers the others")]

mod audit;
mod billing;
mod drill;
mod input;
mod ledger;
mod logistic;
mod money;
mod order;
mod report;

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use bus::{Bus, Receipt};

use crate::drill::Drill;
use crate::input::Input;
use crate::ledger::LedgerStore;
use crate::order::Entry;
use crate::report::Counts;

/// How many orders may be on their way to the broker at once.
const WINDOW: usize = 1_000;

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
    let mut builder = bus::builder().state(LedgerStore::from_env()?);
    if let Some(drill) = Drill::from_env()? {
        builder = builder.layer(drill);
    }
    let bus = builder.start()?;
    let takes_orders =
        bus.catalog().services().any(|(name, service)| name == "order" && service.is_selected());
    if !takes_orders {
        return Ok(bus.run()?);
    }
    let mut input = Input::open(std::env::args_os().nth(1))?;
    let counts = submit(&bus, &mut input)?;
    bus.settle();
    stdout().write_all(report::write(&bus, counts)?.as_bytes())?;
    Ok(bus.shutdown()?)
}

/// Fires an event for every line of the input.
fn submit(bus: &Bus, input: &mut Input) -> Result<Counts, Box<dyn Error>> {
    let mut counts = Counts::default();
    let mut underway = VecDeque::new();
    while let Some(line) = input.next_line()? {
        match Entry::parse(line.text) {
            Ok(entry) => {
                // Whoever waits for receipts never runs further ahead of the services than their
                // mailboxes are long, nor of a broker than this window.
                underway.push_back(entry.fire(bus));
                if underway.len() >= WINDOW {
                    underway.pop_front().map(Receipt::wait).transpose()?;
                }
                counts.accepted += 1;
            }
            Err(error) => {
                let number = line.number;
                input.warn(&format!("line {number} is skipped: {error}"));
                counts.skipped += 1;
            }
        }
    }
    for receipt in underway {
        receipt.wait()?;
    }
    Ok(counts)
}
