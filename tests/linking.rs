//! Handlers come from the crates that are linked, and from no other: this program depends on two
//! crates with a service each, and names one of them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::ErrorKind;
use support::has;

bus::link!(linked);

mod again {
    bus::link!(linked);
}

/// What a crate that is linked twice leaves: two registrations from one place.
mod doubled {
    use bus::prelude::*;

    macro_rules! twice {
        ($command:ident, $listener:ident) => {
            const _: () = {
                #[command]
                fn $command() -> u32 {
                    1
                }
                #[listener("doubled")]
                fn $listener(_: u32) {}
            };
            const _: () = {
                #[command]
                fn $command() -> u32 {
                    1
                }
                #[listener("doubled")]
                fn $listener(_: u32) {}
            };
        };
    }

    twice!(once, heard);
}

mod nothing {
    bus::link!(blank);
}

#[test]
fn a_linked_crate_that_registers_nothing_is_warned_of() {
    let report = bus::verify();
    report.clone().ok().unwrap();
    let warnings: Vec<String> = report.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    has(&warnings[0], &["tests/linking.rs:", "`blank`", "registers nothing"]);
}

#[test]
fn linking_a_crate_brings_its_handlers() {
    let bus = bus::builder().services(["warehouse"]).build().unwrap();
    let length = bus.execute_command("warehouse.measure", ("four",)).wait();
    assert_eq!(length, Ok(4_usize));
    let stored = bus.fire(linked::Stored { content: "tea".into() }).handled().wait().unwrap();
    assert!(stored.get("warehouse.stored").unwrap().is_ok());
    assert_eq!(linked::measure::on(&bus).execute("three").wait(), Ok(5));
}

#[test]
fn a_handler_that_is_linked_twice_counts_once() {
    let bus = bus::builder().build().unwrap();
    let commands = bus.catalog().commands().iter().map(bus::CommandEntry::name);
    assert_eq!(commands.collect::<Vec<_>>(), ["doubled.once", "warehouse.measure"]);
    assert_eq!(bus.execute_command("doubled.once", ()).wait(), Ok(1));
    let outcomes = bus.fire_event("doubled", 1).handled().wait().unwrap();
    assert_eq!(outcomes.len(), 1);
}

#[test]
fn a_service_of_a_crate_that_is_not_linked_is_missed_with_the_remedy() {
    let error = bus::builder().services(["warehouse", "attic"]).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    has(&error.to_string(), &["no service `attic`", "`warehouse`", "linked?", "bus::link!("]);
    let bus = bus::builder().build().unwrap();
    let answer = bus.execute_command::<_, u32>("attic.rummage", ()).wait();
    assert!(answer.is_err(), "{answer:?}");
}
