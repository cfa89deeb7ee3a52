//! [`TestBus`]: a bus in virtual time.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Testing;
use super::builder::TestBuilder;
use crate::builder::{Builder, Running};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::error::Result;

/// A bus of its own, on the memory transport and in virtual time; derefs to [`Bus`].
///
/// It runs what is linked into the test's program, beside any other bus, and is nobody's default.
/// Its drop drains as that of [`Running`] does.
#[derive(Debug)]
#[must_use = "dropping it stops the bus"]
pub struct TestBus {
    running: Running,
    testing: Arc<Testing>,
}

impl TestBus {
    /// Runs everything that is linked.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// A test bus before it runs, with the defaults.
    pub fn builder() -> TestBuilder {
        TestBuilder::from(Builder::new())
    }

    pub(super) fn of((running, testing): (Running, Arc<Testing>)) -> Self {
        Self { running, testing }
    }

    pub(super) fn testing(&self) -> &Arc<Testing> {
        &self.testing
    }

    /// Moves time by `duration`, from one due timer to the next.
    ///
    /// The bus settles before the first, between any two, and at the end; so retries, timeouts and
    /// what follows from them happen in the order of their times. A handler that awaits something
    /// outside of the bus is waited for as long as [`patience`](TestBuilder::patience) says.
    ///
    /// Inside a handler it would wait for itself; there it moves the clock alone.
    pub fn advance(&self, duration: Duration) {
        self.testing.advance(self, duration);
    }

    /// The time of day, in virtual time.
    pub fn time(&self) -> SystemTime {
        self.clock().time()
    }

    /// The clock. [`Clock::advance`] moves it without waiting for anybody.
    pub fn clock(&self) -> &Clock {
        Bus::clock(self)
    }

    /// Makes this the current bus of this thread until the guard is dropped: typed calls and
    /// firings that name no bus, such as `order.submit()` in a plain function, mean it.
    pub fn enter(&self) -> crate::current::Stay {
        crate::current::stay(self)
    }
}

impl Deref for TestBus {
    type Target = Bus;
    fn deref(&self) -> &Bus {
        &self.running
    }
}
