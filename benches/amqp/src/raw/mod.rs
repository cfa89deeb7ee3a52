//! Minimal programs on raw clients: no retries, no reconnection, no dead letters, no metadata.

pub(crate) mod amqprs;
pub(crate) mod lapin;

use crate::measure::Failed;

/// Acknowledged at once.
const BATCH: u64 = 500;
/// Sent ahead.
const PREFETCH: u16 = 1000;

/// Runs a program as `#[tokio::main]` does.
fn run<T>(program: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(program)
}
