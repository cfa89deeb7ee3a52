//! A layer that counts and measures.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bus::{Context, Failure, Layer};

/// What became of the attempts of each handler; a clone is the same table.
#[derive(Clone, Default)]
pub(crate) struct Metrics(Arc<Mutex<BTreeMap<String, Row>>>);

#[derive(Default)]
struct Row {
    succeeded: u32,
    failed: u32,
    time: Duration,
}

impl Metrics {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layer for Metrics {
    type Attempt = Instant;

    fn before(&self, ctx: &Context) -> Result<Instant, Failure> {
        Ok(ctx.bus().clock().now())
    }

    fn after(&self, began: Instant, ctx: &Context, outcome: Result<(), &Failure>) {
        let mut rows = self.rows();
        let row = rows.entry(ctx.handler().to_owned()).or_default();
        row.time += ctx.bus().clock().now() - began;
        match outcome {
            Ok(()) => row.succeeded += 1,
            Err(_) => row.failed += 1,
        }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (handler, Row { succeeded, failed, time }) in &*self.rows() {
            writeln!(f, "{handler:<16} {succeeded} succeeded, {failed} failed, in {time:?}")?;
        }
        Ok(())
    }
}
