//! A service: a named thread, a mailbox, and perhaps a state of its own.

mod mailbox;
pub(crate) mod stand;
mod substitute;
mod tasks;
mod turn;
mod worker;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use event_listener::{Event, Listener as _};

pub(crate) use self::mailbox::{Entry, HARD, Mailbox};
use self::turn::Turn;
pub(crate) use self::worker::spawn;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::handler::{Access, ServiceDescriptor};
use crate::waits::Invocation;

/// A service as every thread sees it. Its state stays with its worker.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) mailbox: Mailbox,
    /// What macros say of its state, if it has one.
    pub(crate) state: Option<&'static ServiceDescriptor>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: AtomicBool,
    stop: Event,
    pub(crate) turn: Turn,
    /// Asynchronous deliveries that a substitute hands to the service's own thread.
    handed: Mutex<VecDeque<Delivery>>,
    handing: Event,
    /// The running handlers of a service with state.
    holders: Mutex<Vec<(Invocation, Access)>>,
}

/// Tells that the thread of a service ends, however it ends.
struct StoppedOnDrop(Arc<Service>);

impl Drop for StoppedOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.stop.notify(usize::MAX);
    }
}

impl Service {
    pub(crate) fn new(
        name: Arc<str>,
        bound: usize,
        state: Option<&'static ServiceDescriptor>,
    ) -> Self {
        Self {
            name,
            mailbox: Mailbox::new(bound),
            state,
            thread: Mutex::new(None),
            stopped: AtomicBool::new(false),
            stop: Event::new(),
            turn: Turn::default(),
            handed: Mutex::default(),
            handing: Event::new(),
            holders: Mutex::default(),
        }
    }

    fn stopped_on_drop(self: &Arc<Self>) -> StoppedOnDrop {
        StoppedOnDrop(self.clone())
    }

    /// Waits until the thread is at its end; `false` if it is not by `deadline`.
    pub(crate) fn wait_stopped(&self, deadline: Instant) -> bool {
        while !self.stopped.load(Ordering::Acquire) {
            let stop = self.stop.listen();
            if !self.stopped.load(Ordering::Acquire) && stop.wait_deadline(deadline).is_none() {
                return self.stopped.load(Ordering::Acquire);
            }
        }
        true
    }

    /// Accepts an entry, which stands for so many deliveries. Gives the number of the last one if the
    /// mailbox is over its bound with it; gives the entry back if the service has stopped.
    pub(crate) fn accept(
        self: &Arc<Self>,
        bus: &Bus,
        entry: Entry,
        deliveries: usize,
    ) -> Result<Option<u64>, Entry> {
        let pushed = self.mailbox.push(entry, deliveries)?;
        if pushed.substitute {
            substitute::spawn(bus, self);
        }
        Ok(pushed.over)
    }

    /// Hands an asynchronous delivery to the service's own thread.
    fn hand_over(&self, delivery: Delivery) {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).push_back(delivery);
        self.handing.notify(1);
    }

    fn take_handed(&self) -> VecDeque<Delivery> {
        std::mem::take(&mut *self.handed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The running handlers that hold the state, and how.
    pub(crate) fn holders(&self) -> Vec<(Invocation, Access)> {
        self.lock_holders().clone()
    }

    fn lock_holders(&self) -> MutexGuard<'_, Vec<(Invocation, Access)>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_thread(&self, handle: JoinHandle<()>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    pub(crate) fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
