//! [`Bus`]: the handle on a running bus, and the state that all its handles share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use event_listener::Event;

use crate::binding::Defaults;
use crate::catalog::Catalog;
use crate::clock::{Clock, TimerId};
use crate::context::Context;
use crate::dead_letter::{DeadLetters, Graves};
use crate::delivery::Delivery;
use crate::dynamic::Dynamic;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::held::HeldBack;
use crate::lane::Lanes;
use crate::layer::Layers;
use crate::lifecycle::Gate;
use crate::message::CallFault;
use crate::remote::Remote;
use crate::runtime::Runtime;
use crate::state::States;
use crate::table::{Phase, Table};
use crate::testing::{Awake, Drive, Testing, Underway};
use crate::upcast::Upcasts;
use crate::waits::Waits;

/// A handle on a running bus; cheap to clone.
///
/// The owner of a bus is [`Running`](crate::Running), which stops it when dropped. A handle does
/// not: after shutdown its calls answer `Closed`.
#[derive(Clone)]
pub struct Bus(pub(crate) Arc<Shared>);

/// What all handles on a bus share.
pub(crate) struct Shared {
    prefix: u64,
    seq: AtomicU64,
    table: RwLock<Table>,
    pub(crate) states: States,
    pub(crate) upcasts: Upcasts,
    pub(crate) clock: Clock,
    pub(crate) defaults: Defaults,
    pub(crate) catalog: Catalog,
    pub(crate) runtime: Runtime,
    pub(crate) layers: Layers,
    pub(crate) gate: Gate,
    pub(crate) graves: Graves,
    retries: Mutex<Retries>,
    /// A shutdown is near its deadline, and asks handlers to stop.
    pub(crate) late: AtomicBool,
    pub(crate) aborting: AtomicBool,
    pub(crate) unrouted: AtomicU64,
    pub(crate) fired: AtomicU64,
    pub(crate) stopping: Mutex<()>,
    /// Inline handlers that run on the threads of callers.
    pub(crate) inline: AtomicUsize,
    pub(crate) inline_done: Event,
    /// The threads that run inline handlers without being counted in `inline`, or put events into several
    /// mailboxes without holding the table.
    pub(crate) lanes: Lanes,
    /// Another one whenever routes, commands or the phase may have changed.
    epoch: AtomicU64,
    /// What is known of closures that are registered at run time.
    pub(crate) dynamic: Mutex<Dynamic>,
    pub(crate) waits: Waits,
    pub(crate) held_back: HeldBack,
    /// Handlers that block their threads.
    pub(crate) blocked: AtomicUsize,
    /// Some service has a state that a handler can hold.
    pub(crate) has_state: bool,
    /// What a test bus has beyond this.
    pub(crate) testing: Option<Arc<Testing>>,
    /// What carries messages beyond the process.
    pub(crate) remote: Option<Remote>,
}

/// Deliveries that wait for their next attempt.
#[derive(Default)]
struct Retries {
    /// By number, with the timer of the attempt once that is set.
    waiting: HashMap<u64, (Delivery, Option<TimerId>)>,
    next: u64,
}

impl Shared {
    pub(crate) fn new(
        table: Table,
        states: States,
        upcasts: Upcasts,
        clock: Clock,
        defaults: Defaults,
        catalog: Catalog,
        runtime: Runtime,
    ) -> Self {
        let has_state = table.services.iter().any(|service| service.state.is_some());
        Self {
            prefix: fastrand::u64(1..),
            seq: AtomicU64::new(0),
            table: RwLock::new(table),
            states,
            upcasts,
            clock,
            defaults,
            catalog,
            runtime,
            layers: Layers::default(),
            gate: Gate::default(),
            graves: Graves::default(),
            retries: Mutex::default(),
            late: AtomicBool::new(false),
            aborting: AtomicBool::new(false),
            unrouted: AtomicU64::new(0),
            fired: AtomicU64::new(0),
            stopping: Mutex::new(()),
            inline: AtomicUsize::new(0),
            inline_done: Event::new(),
            lanes: Lanes::default(),
            epoch: AtomicU64::new(1),
            dynamic: Mutex::default(),
            waits: Waits::default(),
            held_back: HeldBack::default(),
            blocked: AtomicUsize::new(0),
            has_state,
            testing: None,
            remote: None,
        }
    }
}

impl Bus {
    /// What it consists of: services, commands, listeners with their bindings, events.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The deliveries that failed for good.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.clone())
    }

    /// Stops taking work, finishes what was accepted, and joins the services' threads.
    ///
    /// Work that handlers fire or execute while they finish is accepted work too. A delivery that
    /// waits for its next attempt has it at once. The limit is the builder's `shutdown_within`,
    /// 30 s by default. Handlers that still run when four fifths of it are over see
    /// [`Context::cancelled`]. A second shutdown is harmless.
    ///
    /// # Errors
    ///
    /// `Timeout` names the services that were not done in time; their threads are left behind.
    pub fn shutdown(&self) -> Result<()> {
        self.shutdown_within(self.0.defaults.shutdown)
    }

    /// As [`shutdown`](Self::shutdown), with a limit of its own.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_within(&self, limit: Duration) -> Result<()> {
        crate::lifecycle::shutdown(self, limit)
    }

    /// Blocks until no handler runs and none is ready to run. Deliveries that wait for a time, such
    /// as the next attempt, are not ready.
    ///
    /// Inside a handler it would wait for itself, so there it returns at once.
    pub fn settle(&self) {
        if crate::current::is_inside(self) {
            return;
        }
        match &self.0.testing {
            Some(testing) => testing.settle(self),
            None => drop(crate::lifecycle::wait_idle(self, None)),
        }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table, to change it: what threads keep of it does not count any more.
    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        let table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
        table
    }

    /// Looks the listeners of a key up; what was looked up before stays as it is.
    pub(crate) fn remember(&self, exchange: &str, key: &str) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        table.remember(exchange, key);
    }

    /// What tells whether the table has changed, even to who does not hold it.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }

    /// Whether inline handlers run on the threads of callers.
    pub(crate) fn runs_inline(&self) -> bool {
        self.0.inline.load(Ordering::SeqCst) > 0 || self.0.lanes.run()
    }

    #[inline]
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seqs(1)
    }

    /// The first of so many numbers of messages, which are whoever's that asks.
    #[inline]
    pub(crate) fn next_seqs(&self, count: u64) -> u64 {
        self.0.seq.fetch_add(count, Ordering::Relaxed) + 1
    }

    /// What tells the ids of this bus from those of others; never zero.
    #[inline]
    pub(crate) fn prefix(&self) -> u64 {
        self.0.prefix
    }

    /// The id of a message as text.
    pub(crate) fn message_id(&self, seq: u64) -> String {
        format!("{:016x}-{seq}", self.0.prefix)
    }

    /// The clock that it reads.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    #[inline]
    pub(crate) fn layers(&self) -> &Layers {
        &self.0.layers
    }

    /// Whether a way that was found in this epoch may pass by the table: the bus is open, as what was
    /// found is of this epoch if it is still that, and nothing surrounds the attempts of handlers.
    pub(crate) fn is_open_and_bare(&self, epoch: u64) -> bool {
        let is_open = self.table().phase == Phase::Open && self.epoch() == epoch;
        is_open && self.is_bare()
    }

    /// Whether nothing surrounds the attempts of handlers: neither layers nor a test.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.0.layers.is_empty() && self.0.testing.is_none()
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }

    pub(crate) fn upcasts(&self) -> &Upcasts {
        &self.0.upcasts
    }

    pub(crate) fn runtime(&self) -> Runtime {
        self.0.runtime.clone()
    }

    pub(crate) fn graves(&self) -> &Graves {
        &self.0.graves
    }

    pub(crate) fn is_aborting(&self) -> bool {
        self.0.aborting.load(Ordering::Acquire)
    }

    /// Notes, on a test bus, that a handler begins.
    pub(crate) fn underway(&self, ctx: &Context) -> Option<Underway> {
        self.0.testing.as_ref().map(|testing| testing.begin(ctx.invocation()))
    }

    /// Counts, on a test bus, a thread that is about to be started.
    pub(crate) fn awake(&self) -> Option<Awake> {
        self.0.testing.as_ref().map(|testing| testing.awake())
    }

    /// What moves the time of a test bus while somebody waits.
    #[inline]
    pub(crate) fn drive(&self) -> Option<Box<Drive>> {
        self.0.testing.as_ref().and_then(|testing| testing.drive(self))
    }

    /// Waits until the bus is open; `false` if it did not start.
    pub(crate) async fn gate(&self) -> bool {
        self.0.gate.passed().await
    }

    /// Delivers a dead letter again.
    pub(crate) fn revive(&self, delivery: Delivery) -> Result<()> {
        if !self.table().accepts(|| crate::current::is_inside(self)) {
            return Err(Error::closed());
        }
        // The receipt of the first life is settled: nobody waits for this one.
        delivery.message.head().reopen();
        Delivery { attempt: 1, ..delivery }.enqueue(self).map_err(|_| Error::closed())
    }

    /// Delivers again after `wait`; at once while the bus is stopping.
    pub(crate) fn retry_after(&self, wait: Duration, delivery: Delivery) {
        let number = {
            let mut retries = self.retries();
            retries.next += 1;
            let number = retries.next;
            retries.waiting.insert(number, (delivery, None));
            number
        };
        if self.table().phase != Phase::Open {
            self.retry_now(number);
            return;
        }
        let bus = Arc::downgrade(&self.0);
        let timer = self.clock().at(self.clock().after(wait), move || {
            if let Some(shared) = bus.upgrade() {
                Self(shared).retry_now(number);
            }
        });
        if let Some((_, kept)) = self.retries().waiting.get_mut(&number) {
            *kept = Some(timer);
        }
    }

    fn retry_now(&self, number: u64) {
        // In one step, so that who looks for it meanwhile finds it here or there.
        let (timer, refused) = {
            let mut retries = self.retries();
            let Some((delivery, timer)) = retries.waiting.remove(&number) else { return };
            (timer, delivery.enqueue(self).err())
        };
        if let Some(timer) = timer {
            self.clock().cancel(timer);
        }
        let Some(delivery) = refused else { return };
        if let Some(caller) = delivery.message.call() {
            caller.fail(CallFault::Closed);
        } else {
            let why = Failure::internal("the bus stopped before the next attempt");
            delivery.unstarted().abandon(self, why);
        }
    }

    /// Gives every delivery that waits for its next attempt that attempt at once; says how many.
    pub(crate) fn retry_all_now(&self) -> usize {
        let mut numbers: Vec<u64> = self.retries().waiting.keys().copied().collect();
        numbers.sort_unstable();
        for number in &numbers {
            self.retry_now(*number);
        }
        numbers.len()
    }

    pub(crate) fn retrying(&self) -> usize {
        self.retries().waiting.len()
    }

    fn retries(&self) -> std::sync::MutexGuard<'_, Retries> {
        self.0.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = self.table().phase;
        f.debug_struct("Bus").field("phase", &phase).finish_non_exhaustive()
    }
}
