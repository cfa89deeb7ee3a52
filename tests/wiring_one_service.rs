//! Modules of two crates that say one name are one service, on one thread.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::prelude::*;

// Its `billing` is nobody's else, so nothing is at fault.
bus::link!(neighbour);

mod carrying {
    use super::*;

    bus::service_name!("logistic");

    #[command]
    fn carry(ctx: &Context) -> String {
        format!("{} {}", ctx.service(), support::thread_name())
    }
}

#[test]
fn two_crates_that_say_one_name_are_one_service() {
    let bus = bus::builder().services(["logistic"]).build().unwrap();
    assert_eq!(carrying::carry::on(&bus).execute().wait().unwrap(), "logistic logistic");
    let ship = neighbour::shipping::ship::on(&bus).execute().wait();
    assert_eq!(ship.unwrap(), "logistic logistic");
    let services: Vec<String> = bus.stats().services.into_iter().map(|s| s.name).collect();
    assert_eq!(services, ["logistic"]);
}
