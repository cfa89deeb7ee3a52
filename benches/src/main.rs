//! Autobus beside its peers, in one process. `cargo xtask bench --help` tells how it is run, the
//! README beside this what it measures and what it found.

mod args;
mod call;
mod columns;
mod inline;
mod line;
mod measure;
mod names;
mod order;
mod report;
mod routing;
#[cfg(feature = "peers")]
mod runtime;
mod service;

use std::process::ExitCode;

use self::args::Args;
use self::measure::Workload;

/// Every workload, in the order of the table.
fn workloads() -> Vec<Workload> {
    [inline::workloads(), service::workloads(), call::workloads(), routing::workloads()]
        .into_iter()
        .flatten()
        .collect()
}

/// A bus of these services alone.
fn bus_of(services: &[&str]) -> bus::Running {
    bus::builder().services(services.iter().copied()).build().expect("a bus")
}

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(|args| columns::run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
