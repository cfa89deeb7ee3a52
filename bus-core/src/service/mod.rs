//! A service: a named thread, a mailbox, and perhaps a state of its own.

mod backlog;
mod entry;
mod mailbox;
mod progress;
pub(crate) mod stand;
mod substitute;
mod tasks;
mod turn;
mod used;
mod worker;

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Instant;

use event_listener::{Event, Listener as _};

use self::backlog::Backlog;
pub(crate) use self::entry::Entry;
use self::entry::targets;
pub(crate) use self::mailbox::{Limit, Mailbox, Room};
pub(crate) use self::progress::Progress;
pub(crate) use self::turn::Turn;
pub(crate) use self::used::{AT_ONCE, Used};
pub(crate) use self::worker::spawn;
use crate::binding::Binding;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::current::{Home, Inline};
use crate::delivery::Delivery;
use crate::failure::Failure;
use crate::handler::{Access, Instance, ServiceDescriptor};
use crate::receipt::Ticket;
use crate::sync::{Brief, BriefGuard};
use crate::waits::Invocation;

/// A service as every thread sees it. Its state stays with its worker.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    /// That of its bus.
    pub(crate) clock: Clock,
    pub(crate) mailbox: Mailbox<Entry>,
    /// What macros say of its state, if it has one.
    pub(crate) state: Option<&'static ServiceDescriptor>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: AtomicBool,
    stop: Event,
    pub(crate) turn: Turn,
    /// Notified when a substitute hands a delivery to the service's own thread.
    handing: Event,
    backlog: Brief<Backlog>,
    /// How far the group that runs is.
    progress: Progress,
    /// Messages that were handled, to be used again.
    pub(crate) used: Used,
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
            self.0.refuse(service, entry);
        }
        // They have handles on the service.
        service.used.clear();
        service.stopped.store(true, Ordering::Release);
        service.stop.notify(usize::MAX);
    }
}

impl Service {
    pub(crate) fn new(
        name: Arc<str>,
        clock: &Clock,
        bound: usize,
        state: Option<&'static ServiceDescriptor>,
    ) -> Self {
        Self {
            name,
            clock: clock.clone(),
            mailbox: Mailbox::new(bound),
            state,
            thread: Mutex::new(None),
            stopped: AtomicBool::new(false),
            stop: Event::new(),
            turn: Turn::default(),
            handing: Event::new(),
            backlog: Brief::default(),
            progress: Progress::default(),
            used: Used::default(),
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
        self.accept_if(bus, entry, deliveries, |_: Room| true)
    }

    /// The same, if `may` says so while nothing else is accepted; it is told whether the mailbox is over
    /// its bound with them.
    #[inline]
    pub(crate) fn accept_if(
        self: &Arc<Self>,
        bus: &Bus,
        entry: Entry,
        deliveries: usize,
        may: impl FnOnce(Room) -> bool,
    ) -> Result<Option<u64>, Entry> {
        let pushed = self.mailbox.push(entry, deliveries, may)?;
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

    fn backlog(&self) -> BriefGuard<'_, Backlog> {
        self.backlog.lock()
    }

    /// Whether its mailbox takes so many more.
    #[inline]
    pub(crate) fn has_room(&self, limit: Limit, more: usize) -> bool {
        self.mailbox.depth().saturating_add(more) <= limit.of(self.mailbox.bound)
    }

    /// Takes everything that was accepted and has not started.
    pub(crate) fn take_waiting(&self) -> Vec<Entry> {
        let waiting = {
            let mut backlog = self.backlog();
            // No group begins meanwhile, and the one that runs ends with the listener that runs.
            self.progress.cut();
            backlog.take_all().into_iter()
        };
        waiting.chain(self.mailbox.clear()).collect()
    }

    #[inline]
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Completes when the delivery of `ticket` is within the bound of the mailbox.
    pub(crate) fn poll_space(&self, ticket: &mut Ticket, cx: &mut Context<'_>) -> Poll<()> {
        self.mailbox.poll_space(ticket, cx, || drop(self.backlog()))
    }

    /// Takes what is left of the group that runs, and has it end after the listener that runs.
    fn take_rest_of_group(&self) -> Vec<Delivery> {
        let running = self.backlog().take_running();
        let Some(message) = running else { return Vec::new() };
        self.progress.cut();
        let rest = self.progress.after(&message, targets(&message, self));
        self.mailbox.unstart(rest.len() as u64);
        rest
    }

    /// Takes what is left of a group that has ended early, unless somebody else has taken it.
    fn take_cut_short(&self) -> Vec<Delivery> {
        let running = self.backlog().take_running();
        running.map_or_else(Vec::new, |message| {
            self.progress.unbegun(&message, targets(&message, self))
        })
    }

    /// Takes what is left of a group whose listener has not ended, although it was to be the last one
    /// and had time to.
    pub(crate) fn take_stuck(&self) -> Vec<Delivery> {
        let running = self.backlog().take_running();
        running
            .map_or_else(Vec::new, |message| self.progress.after(&message, targets(&message, self)))
    }

    /// Looks at the handler of each delivery that was accepted and has not started. One that is just
    /// being taken out of the mailbox may be missed.
    pub(crate) fn each_waiting(&self, mut look: impl FnMut(&Arc<Binding>)) {
        self.mailbox.each(|entry| entry.each(self, &mut look));
        self.backlog().each(self, look);
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
fn serve_one(home: &Rc<Home>, delivery: Delivery) {
    let Home { bus, service } = &**home;
    let started = Started::elsewhere(&**service);
    unharmed(service, || {
        if let Some(result) = delivery.attempt(home, &Instance::NONE, Inline::No) {
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

/// That a delivery has started, on the service's own thread unless it says otherwise; done when dropped.
struct Started<S: Deref<Target = Service>> {
    service: S,
    deliveries: u64,
    at_home: bool,
}

impl<S: Deref<Target = Service>> Started<S> {
    fn new(service: S) -> Self {
        service.mailbox.start(1);
        service.mailbox.tell_started();
        Self { service, deliveries: 1, at_home: true }
    }

    /// Of so many that were begun while the backlog was held.
    #[inline]
    fn begun(service: S, deliveries: u64) -> Self {
        service.mailbox.tell_started();
        Self { service, deliveries, at_home: true }
    }

    /// On a thread that is not the service's own.
    fn elsewhere(service: S) -> Self {
        service.mailbox.start_elsewhere(1);
        service.mailbox.tell_started();
        Self { service, deliveries: 1, at_home: false }
    }
}

impl<S: Deref<Target = Service>> Drop for Started<S> {
    #[inline]
    fn drop(&mut self) {
        let mailbox = &self.service.mailbox;
        if self.at_home {
            mailbox.finish(self.deliveries);
        } else {
            mailbox.finish_elsewhere(self.deliveries);
        }
    }
}
