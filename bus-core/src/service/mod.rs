//! A service: a named thread, a mailbox, and perhaps a state of its own.

mod backlog;
mod mailbox;
pub(crate) mod stand;
mod substitute;
mod tasks;
mod turn;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use event_listener::{Event, Listener as _};

use self::backlog::Backlog;
pub(crate) use self::mailbox::{Entry, HARD, Mailbox};
pub(crate) use self::turn::Turn;
pub(crate) use self::worker::spawn;
use crate::binding::Binding;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::failure::Failure;
use crate::handler::{Access, Instance, ServiceDescriptor};
use crate::waits::Invocation;

/// A service as every thread sees it. Its state stays with its worker.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) mailbox: Mailbox<Entry>,
    /// What macros say of its state, if it has one.
    pub(crate) state: Option<&'static ServiceDescriptor>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: AtomicBool,
    stop: Event,
    pub(crate) turn: Turn,
    /// Notified when a substitute hands a delivery to the service's own thread.
    handing: Event,
    backlog: Mutex<Backlog>,
    /// The running handlers of a service with state.
    holders: Mutex<Vec<(Invocation, Access)>>,
}

/// Tells that the thread of a service ends, however it ends.
struct StoppedOnDrop(Bus, Arc<Service>);

impl Drop for StoppedOnDrop {
    fn drop(&mut self) {
        let service = &self.1;
        // Nobody would ever look at what is left, or at what comes.
        service.mailbox.close();
        for entry in service.take_waiting() {
            self.0.refuse(entry);
        }
        service.stopped.store(true, Ordering::Release);
        service.stop.notify(usize::MAX);
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
            handing: Event::new(),
            backlog: Mutex::default(),
            holders: Mutex::default(),
        }
    }

    fn stopped_on_drop(self: &Arc<Self>, bus: &Bus) -> StoppedOnDrop {
        StoppedOnDrop(bus.clone(), self.clone())
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
        self.backlog().hand_over(delivery);
        // All who listen are on that thread, and the innermost is the one that runs.
        self.handing.notify(usize::MAX);
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything that was accepted and has not started.
    pub(crate) fn take_waiting(&self) -> Vec<Entry> {
        let waiting = self.backlog().take_all().into_iter().map(Entry::One);
        waiting.chain(self.mailbox.clear()).collect()
    }

    /// Looks at the handler of each delivery that was accepted and has not started. One that is just
    /// being taken out of the mailbox may be missed.
    pub(crate) fn each_waiting(&self, mut look: impl FnMut(&Arc<Binding>)) {
        self.mailbox.each(|entry| match entry {
            Entry::One(delivery) => look(&delivery.binding),
            Entry::Group { message, group } => {
                let groups = message.route().and_then(|route| route.groups.get(*group));
                let targets = groups.into_iter().flat_map(|group| &group.targets);
                targets.for_each(|target| look(&target.binding));
            }
        });
        self.backlog().each(|delivery| look(&delivery.binding));
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

/// Runs a synchronous delivery on a thread that is not the service's own.
fn serve_one(bus: &Bus, service: &Arc<Service>, delivery: Delivery) {
    let started = Started::new(service);
    unharmed(service, || {
        if let Some(result) = delivery.attempt(bus, &Instance::NONE, false) {
            delivery.conclude(bus, result);
        }
    });
    drop(started);
}

/// Runs what may run code of the user outside of a handler, such as a destructor.
fn unharmed(service: &Service, run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let failure = Failure::panic(panic);
        tracing::error!(service = &*service.name, %failure, "something panicked around a handler");
    }
}

/// That a delivery has started; done when dropped.
struct Started(Arc<Service>);

impl Started {
    fn new(service: &Arc<Service>) -> Self {
        service.mailbox.start();
        Self(service.clone())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.0.mailbox.finish();
    }
}
