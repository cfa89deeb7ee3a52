//! The memory transport keeps what every transport promises.

use std::process::ExitCode;

use autobus_testkit::conformance::{self, Memory, Plan};

fn main() -> ExitCode {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance_memory.skipped");
    conformance::run::<Memory>(&Plan::new(golden).with(bus_conformance::BUS))
}
