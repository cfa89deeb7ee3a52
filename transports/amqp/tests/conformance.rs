//! RabbitMQ keeps what every transport promises.

use std::process::ExitCode;

use autobus_amqp as _;
use autobus_testkit::conformance::{self, Plan, RabbitMq};

fn main() -> ExitCode {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance.skipped");
    let plan = Plan::new(golden)
        .with(bus_conformance::BUS)
        .ignored("needs rabbitmq-server; run `cargo xtask test --setup`");
    conformance::run::<RabbitMq>(&plan)
}
