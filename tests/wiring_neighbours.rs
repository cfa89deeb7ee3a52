//! Modules of one name in two crates: one service where both say so, else a fault.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::ErrorKind;
use bus::prelude::*;
use support::has;

bus::link!(neighbour);

mod billing {
    use super::*;

    #[command]
    fn bill() -> u32 {
        2
    }
}

mod carrying {
    use super::*;

    bus::service_name!("logistic");

    #[command]
    fn carry(ctx: &Context) -> String {
        format!("{} {}", ctx.service(), support::thread_name())
    }
}

#[test]
fn modules_of_one_name_in_two_crates_are_a_fault_unless_both_say_so() {
    let error = bus::builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    let parts = ["`billing`", "`neighbour`", "`wiring_neighbours`", "service_name!(\"billing\")"];
    has(&error.to_string(), &parts);
    let about = error.faults().iter().map(bus::Fault::message);
    assert!(!about.into_iter().any(|text| text.contains("`logistic`")), "{error}");
}
