//! What `verify()` finds worth a look in a program that can start.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::prelude::*;
use support::has;

fn line_of(what: &str) -> u32 {
    let line = include_str!("wiring_warnings.rs").lines().position(|line| line.contains(what));
    u32::try_from(line.unwrap() + 1).unwrap()
}

mod shop {
    use super::*;

    #[event(exchange = "shop", key = "order.heard")]
    pub(crate) struct Heard {}

    #[event(exchange = "shop", key = "order.unheard")]
    pub(crate) struct Unheard {}

    #[listener]
    fn hears(_: &Heard) {}

    #[listener("ordr.*", exchange = "shop")]
    fn mistyped(ctx: &Context) {
        drop(ctx.id());
    }

    #[listener("fired_by_name")]
    fn by_name(_: u32) {}

    #[command]
    pub(crate) fn far_away() -> u32;

    #[command]
    pub(crate) fn near() -> u32;

    #[command(serves = near)]
    fn near_here() -> u32 {
        1
    }
}

#[test]
fn idle_patterns_unheard_events_and_unserved_commands_are_warned_of() {
    let report = bus::verify();
    assert_eq!(report.faults(), []);
    let warnings = report.warnings();
    for (what, text) in [
        ("key = \"order.unheard\"", "nobody hears the event `order.unheard` on exchange `shop`"),
        ("fn mistyped", "`shop.mistyped` hears no declared event"),
        ("fn far_away", "nobody serves the command `shop.far_away`"),
    ] {
        let line = line_of(what);
        let found = warnings.iter().any(|warning| {
            warning.place() == Some(("tests/wiring_warnings.rs", line))
                && warning.message().contains(text)
        });
        assert!(found, "`{text}` at line {line} is not in {warnings:#?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    has(&report.to_string(), &["warning: tests/wiring_warnings.rs:"]);
    report.ok().unwrap();
    // None of them keeps a program from starting.
    bus::builder().build().unwrap().shutdown().unwrap();
}

#[test]
fn a_command_whose_service_does_not_run_is_unserved() {
    let report = bus::builder().services(["shop"]).verify();
    assert_eq!(report.warnings().len(), 3);
}
