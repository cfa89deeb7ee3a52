//! The handlers of a test bus that have begun and are not done, and what holds them up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::Testing;
use crate::bus::Bus;
use crate::waits::Invocation;

/// The handlers that have begun and are not done.
#[derive(Default)]
pub(super) struct Handlers(Mutex<Running>);

#[derive(Default)]
struct Running {
    handlers: HashMap<u64, (Invocation, Pace)>,
    next: u64,
}

/// How a handler gets on.
#[derive(Clone, Copy)]
enum Pace {
    /// It runs, or waits on its thread.
    Runs,
    /// It awaits something that may wake it; since when, by the machine's clock.
    Awaits(Instant),
    /// Nothing can wake it, so only time ends it.
    Hangs,
}

/// What keeps handlers from being done.
pub(super) enum Hold {
    /// Nothing but time.
    Nothing,
    /// They run.
    Running,
    /// They await something outside of the bus; the last one since this time.
    Outside(Instant),
}

impl Handlers {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds the handlers of `bus` up. Those that wait for the bus itself wait for others, or
    /// for time.
    pub(super) fn hold(&self, bus: &Bus) -> Hold {
        let mut last = None;
        for (invocation, pace) in self.lock().handlers.values() {
            if bus.0.waits.is_waiting(*invocation) {
                continue;
            }
            match *pace {
                Pace::Runs => return Hold::Running,
                Pace::Awaits(since) => last = last.max(Some(since)),
                Pace::Hangs => {}
            }
        }
        last.map_or(Hold::Nothing, Hold::Outside)
    }
}

/// That a handler has begun; done when dropped.
pub(crate) struct Underway {
    testing: Arc<Testing>,
    number: u64,
    relay: Arc<Relay>,
}

impl Underway {
    pub(crate) fn new(testing: &Arc<Testing>, invocation: Invocation) -> Self {
        let mut running = testing.handlers.lock();
        running.next += 1;
        let number = running.next;
        running.handlers.insert(number, (invocation, Pace::Runs));
        Self { testing: testing.clone(), number, relay: Arc::default() }
    }

    /// Polls the handler's future and notes whether anything could wake it.
    pub(crate) fn watch<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.relay.set(cx.waker());
        self.go_on(Pace::Runs);
        let waker = Waker::from(self.relay.clone());
        let output = poll(&mut Context::from_waker(&waker));
        drop(waker);
        if output.is_pending() {
            let is_kept = Arc::strong_count(&self.relay) > 1;
            self.go_on(if is_kept { Pace::Awaits(Instant::now()) } else { Pace::Hangs });
        }
        output
    }

    fn go_on(&self, pace: Pace) {
        if let Some((_, known)) = self.testing.handlers.lock().handlers.get_mut(&self.number) {
            *known = pace;
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.testing.handlers.lock().handlers.remove(&self.number);
        self.testing.activity.change();
    }
}

/// Wakes a handler; whoever may do so holds a clone.
#[derive(Default)]
struct Relay(Mutex<Option<Waker>>);

impl Relay {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, waker: &Waker) {
        *self.lock() = Some(waker.clone());
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let waker = self.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
