//! When a test bus is settled, and how its time moves.
//!
//! Settled is a bus on which nothing runs and nothing is ready: what is left waits for time. Time
//! moves from one due timer to the next, and the bus settles in between.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use event_listener::{EventListener, Listener as _};

use super::Testing;
use super::underway::Hold;
use crate::bus::{Bus, Shared};
use crate::clock::{Sleep, later};
use crate::service::stand;

/// What keeps a bus from being settled.
enum Rest {
    Settled,
    /// Something runs, or is about to.
    Busy,
    /// Only what is outside of the bus can go on; by this time, of the machine's clock, it had its
    /// chance.
    Outside(Instant),
}

impl Testing {
    fn rest(&self, bus: &Bus) -> Rest {
        if !self.activity.is_over() {
            return Rest::Busy;
        }
        match self.handlers.hold(bus) {
            Hold::Running => Rest::Busy,
            // It may have been woken between the two looks.
            _ if !self.activity.is_over() => Rest::Busy,
            Hold::Nothing => Rest::Settled,
            Hold::Outside(since) => Rest::Outside(later(since, self.patience)),
        }
    }

    /// Blocks until the bus is settled.
    pub(crate) fn settle(&self, bus: &Bus) {
        loop {
            let changed = self.activity.listen();
            if matches!(self.rest(bus), Rest::Settled) {
                return;
            }
            changed.wait();
        }
    }

    /// Blocks until the bus is settled, or has waited for the outside for long enough; `false` if
    /// that is not by `deadline`.
    fn settle_patiently(&self, bus: &Bus, deadline: Option<Instant>) -> bool {
        loop {
            let changed = self.activity.listen();
            let until = match self.rest(bus) {
                Rest::Settled => return true,
                Rest::Outside(until) if until <= Instant::now() => return true,
                Rest::Outside(until) => Some(deadline.map_or(until, |limit| limit.min(until))),
                Rest::Busy => deadline,
            };
            match until {
                None => changed.wait(),
                Some(until) => drop(changed.wait_deadline(until)),
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return false;
            }
        }
    }

    /// Moves time by `duration`, from one due timer to the next.
    pub(super) fn advance(&self, bus: &Bus, duration: Duration) {
        if crate::current::is_inside(bus) {
            // It would wait for the handler that this is called in.
            return bus.clock().advance(duration);
        }
        let stepping = self.stepping();
        let limit = bus.clock().after(duration);
        loop {
            self.settle_patiently(bus, None);
            if bus.clock().step(limit).is_none() {
                break;
            }
        }
        drop(stepping);
        self.activity.change();
    }

    /// Blocks until everything that was accepted is done, and moves time for what waits for it;
    /// `false` if that is not by `deadline`, or never will be.
    pub(crate) fn drain(&self, bus: &Bus, deadline: Instant) -> bool {
        while self.settle_patiently(bus, Some(deadline)) {
            if crate::lifecycle::is_idle(bus) {
                return true;
            }
            if !bus.clock().step_to_next() {
                return false;
            }
        }
        false
    }

    fn stepping(&self) -> MutexGuard<'_, ()> {
        self.stepping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What moves time while somebody waits; nothing if it moves by hand alone.
    pub(crate) fn drive(self: &Arc<Self>, bus: &Bus) -> Option<Box<Drive>> {
        let drive = || Drive { bus: Arc::downgrade(&bus.0), changed: None, patience: None };
        (!self.by_hand).then(|| Box::new(drive()))
    }
}

/// Moves the time of a test bus for whoever waits outside of its handlers: to the next timer,
/// whenever the bus is settled and what is waited for is not there.
pub(crate) struct Drive {
    bus: Weak<Shared>,
    changed: Option<EventListener>,
    patience: Option<(Instant, Sleep)>,
}

impl Drive {
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        loop {
            let output = ready(cx);
            if output.is_ready() {
                return output;
            }
            let Some(bus) = self.bus.upgrade().map(Bus) else { return Poll::Pending };
            let Some(testing) = &bus.0.testing else { return Poll::Pending };
            if crate::current::is_inside(&bus) && stand::is_one() {
                return Poll::Pending;
            }
            // Whoever looks first listens first, so that no change is missed.
            let changed = self.changed.get_or_insert_with(|| testing.activity.listen());
            if Pin::new(changed).poll(cx).is_ready() {
                self.changed = None;
                continue;
            }
            // Who moves time already tells when it is done.
            let Ok(_stepping) = testing.stepping.try_lock() else { return Poll::Pending };
            match testing.rest(&bus) {
                Rest::Settled => {}
                Rest::Busy => return Poll::Pending,
                Rest::Outside(until) => {
                    if self.has_patience(testing, until, cx) {
                        return Poll::Pending;
                    }
                }
            }
            // It may have come just before the bus settled.
            let output = ready(cx);
            if output.is_ready() {
                return output;
            }
            if !bus.clock().step_to_next() {
                return Poll::Pending;
            }
        }
    }

    /// Whether it is not yet `until`; then whoever waits is woken at that time.
    fn has_patience(&mut self, testing: &Testing, until: Instant, cx: &mut Context<'_>) -> bool {
        if self.patience.as_ref().is_none_or(|(at, _)| *at != until) {
            self.patience = Some((until, testing.machine.sleep_until(until)));
        }
        let sleep = self.patience.as_mut().map(|(_, sleep)| sleep);
        sleep.is_some_and(|sleep| Pin::new(sleep).poll(cx).is_pending())
    }
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drive(..)")
    }
}
