//! Faults for the next attempts of a handler.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::names::{self, Handlers};
use super::{TestBus, Testing};
use crate::bus::Bus;
use crate::delivery::{Before, Delivery};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::message::CallFault;

/// What is to happen to the next attempts of a handler.
#[derive(Default)]
pub(super) struct Faults(Mutex<Plan>);

#[derive(Default)]
struct Plan {
    /// By the handler's name, the next one first.
    next: HashMap<Arc<str>, VecDeque<Fault>>,
    /// Attempts that met their fault already and come again: message, slot, attempt.
    met: Vec<(u64, u32, u32)>,
}

struct Fault {
    kind: Kind,
    left: u64,
}

#[derive(Clone)]
enum Kind {
    Fail(String),
    Delay(Duration),
    Drop,
    Duplicate,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the fault that an attempt is to meet.
    fn take(&self, delivery: &Delivery) -> Option<Kind> {
        let mut plan = self.lock();
        let attempt = attempt(delivery);
        if let Some(index) = plan.met.iter().position(|met| *met == attempt) {
            plan.met.swap_remove(index);
            return None;
        }
        let faults = plan.next.get_mut(&*delivery.binding.name)?;
        let fault = faults.front_mut()?;
        let kind = fault.kind.clone();
        if matches!(kind, Kind::Duplicate) && delivery.message.call().is_some() {
            return None;
        }
        fault.left -= 1;
        if fault.left == 0 {
            faults.pop_front();
        }
        if matches!(kind, Kind::Delay(_) | Kind::Duplicate) {
            plan.met.push(attempt);
        }
        Some(kind)
    }

    /// Lets an attempt meet the fault that is planned for it.
    pub(super) fn meet(&self, bus: &Bus, delivery: &Delivery) -> Before {
        let Some(kind) = self.take(delivery) else { return Before::Run };
        let head = delivery.message.head();
        match kind {
            Kind::Fail(text) => {
                if let Some(caller) = delivery.message.call() {
                    caller.fail(CallFault::Failed(text.clone()));
                }
                Before::Fail(Failure::error(text, true))
            }
            Kind::Delay(wait) => {
                bus.retry_after(wait, delivery.clone());
                Before::Skip
            }
            Kind::Drop => {
                let lost = Failure::error("the delivery was dropped by a test", false);
                head.settle(delivery.slot, delivery.attempt, Err(lost));
                Before::Skip
            }
            Kind::Duplicate => {
                head.reopen();
                if delivery.clone().enqueue(bus).is_err() {
                    head.settle(delivery.slot, delivery.attempt, Ok(()));
                }
                Before::Run
            }
        }
    }
}

fn attempt(delivery: &Delivery) -> (u64, u32, u32) {
    (delivery.message.head().seq, delivery.slot, delivery.attempt)
}

/// Plans faults for one handler: see [`TestBus::inject`].
///
/// Each method plans for the next attempts that no earlier plan is for, so the faults come in the
/// order in which they are written. An attempt meets one fault.
#[derive(Debug)]
pub struct Injection {
    testing: Arc<Testing>,
    handler: Arc<str>,
}

impl TestBus {
    /// Plans faults for the next attempts of a command or a listener.
    ///
    /// The handler is named as in outcomes and dead letters: `service.function`, or the listener's
    /// queue. Where it is the only one of that name, its function's name will do.
    ///
    /// # Errors
    ///
    /// `NotFound` with the names that are near, if the bus has no such handler.
    pub fn inject(&self, handler: &str) -> Result<Injection> {
        let handlers = Handlers::of_bus(self);
        let handler = handlers.find(handler).map_err(|near| {
            let text = names::unknown("handler", handler, &near);
            Error::new(ErrorKind::NotFound, text)
        })?;
        Ok(Injection { testing: self.testing().clone(), handler })
    }
}

impl Injection {
    fn plan(&self, attempts: u64, kind: Kind) -> &Self {
        if attempts > 0 {
            let mut plan = self.testing.faults.lock();
            let faults = plan.next.entry(self.handler.clone()).or_default();
            faults.push_back(Fault { kind, left: attempts });
        }
        self
    }

    /// The next `attempts` fail with this text, and the handler does not run.
    ///
    /// A delivery or a task is retried, as if the handler had returned the error; a caller gets
    /// `Remote` with the text.
    pub fn fail(&self, attempts: u64, text: impl Into<String>) -> &Self {
        self.plan(attempts, Kind::Fail(text.into()))
    }

    /// The next `attempts` come later, by this much of virtual time each.
    pub fn delay(&self, attempts: u64, by: Duration) -> &Self {
        self.plan(attempts, Kind::Delay(by))
    }

    /// The next `attempts` are lost: the handler does not run, and nobody tries again.
    ///
    /// In the outcomes of an event the listener has failed. A caller gets no answer, so the
    /// command's timeout ends the wait.
    pub fn drop(&self, attempts: u64) -> &Self {
        self.plan(attempts, Kind::Drop)
    }

    /// The next `attempts` come twice, as an at-least-once transport may deliver them.
    ///
    /// Calls that somebody waits for are left out: the bus promises that they run at most once.
    pub fn duplicate(&self, attempts: u64) -> &Self {
        self.plan(attempts, Kind::Duplicate)
    }

    /// Takes back what is planned for this handler and has not happened.
    pub fn clear(&self) {
        self.testing.faults.lock().next.remove(&self.handler);
    }

    /// How many attempts of this handler are still to meet a fault.
    pub fn left(&self) -> u64 {
        let plan = self.testing.faults.lock();
        plan.next.get(&self.handler).map_or(0, |faults| {
            faults.iter().fold(0, |sum: u64, fault| sum.saturating_add(fault.left))
        })
    }
}
