//! What the promises cost at the least: a queue of events by hand that keeps those of a mailbox, and has
//! neither types nor names nor anything that is not needed for them.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use triomphe::Arc;

use super::{BOUND, SINK, produce};
use crate::line::{AT_ONCE, Line};
use crate::order::{Order, Tally};

/// After so many events in a row the consumer lets others go first before it sleeps, as ours does.
const STREAK: u32 = 16;

/// So often who is held back lets others go first before it sleeps, as ours does.
const YIELDS: u32 = 4;

/// An event and what its receipt can be asked for.
struct Event {
    /// Deliveries that are not settled.
    open: AtomicU64,
    /// Who it went to, whatever is registered meanwhile.
    route: Arc<u64>,
    /// Until the event is used again: its end does nothing but free memory.
    order: Order,
}

thread_local! {
    /// Events that were handled, for this thread to use again, and how many it fires until it looks for
    /// more.
    static SPARE: RefCell<(Vec<Arc<Event>>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// A listener, and how often it succeeded.
struct Listener {
    hear: Box<dyn Fn(&Order) + Send>,
    handled: u64,
}

/// What waits and what runs, apart from what is looked at by those who fire.
#[derive(Default)]
#[repr(align(64))]
struct Service {
    line: Line<Event>,
    accepted: AtomicU64,
    /// How many had started when somebody last had to look.
    seen: AtomicU64,
    served: Served,
    /// Who waits until half of the mailbox has started.
    held_back: Mutex<Vec<Thread>>,
}

/// What the consumer writes.
#[derive(Default)]
#[repr(align(64))]
struct Served {
    started: AtomicU64,
    done: AtomicU64,
    /// The listener that runs, which is blamed if it panics.
    at: AtomicU64,
    waits: AtomicBool,
}

impl Service {
    fn is_over(&self, number: u64, bound: usize) -> bool {
        if number <= self.seen.load(Ordering::Relaxed) + bound as u64 {
            return false;
        }
        let started = self.served.started.load(Ordering::SeqCst);
        self.seen.store(started, Ordering::Relaxed);
        number > started + bound as u64
    }

    /// Puts an event for so many listeners in, if the bus `is_open`; gives its number.
    fn push(&self, event: Arc<Event>, listeners: u64, is_open: impl FnOnce() -> bool) -> u64 {
        self.line.push(event, || {
            assert!(is_open(), "nobody stops it");
            let number = self.accepted.load(Ordering::Relaxed) + listeners;
            self.accepted.store(number, Ordering::Release);
            number
        })
    }

    /// Holds who fires back until its event is within the bound.
    fn hold_back(&self, number: u64, bound: usize) {
        for _ in 0..YIELDS {
            let started = self.served.started.load(Ordering::Relaxed);
            if self.accepted.load(Ordering::Acquire) <= started + bound as u64 / 2 {
                return;
            }
            thread::yield_now();
        }
        while self.is_over(number, bound) {
            {
                let me = thread::current();
                let mut held_back = self.held_back.lock().expect("no panic");
                if !held_back.iter().any(|thread| thread.id() == me.id()) {
                    held_back.push(me);
                }
            }
            self.served.waits.store(true, Ordering::SeqCst);
            if self.is_over(number, bound) {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }

    /// Tells who is held back that half of the mailbox has started.
    fn tell(&self, bound: usize) {
        let started = self.served.started.load(Ordering::Relaxed);
        if self.served.waits.load(Ordering::Relaxed)
            && self.accepted.load(Ordering::Acquire) <= started + bound as u64 / 2
        {
            self.served.waits.store(false, Ordering::Relaxed);
            let held_back = std::mem::take(&mut *self.held_back.lock().expect("no panic"));
            for thread in held_back {
                thread.unpark();
            }
        }
    }

    fn serve(&self, mut listeners: Vec<Listener>, bound: usize) {
        let many = listeners.len() as u64;
        // Whoever is held back looks again by itself, so this needs no barrier.
        let begin = || {
            let started = self.served.started.load(Ordering::Relaxed) + many;
            self.served.started.store(started, Ordering::Release);
            many > 1
        };
        let (mut streak, mut used) = (0, Vec::new());
        let mut reuse = |event: Arc<Event>| {
            if !event.is_unique() {
                return;
            }
            used.push(event);
            if used.len() >= AT_ONCE {
                self.line.give(&mut used);
            }
        };
        loop {
            loop {
                let (next, over) = self.line.next(begin);
                over.into_iter().for_each(&mut reuse);
                let Some(event) = next else { break };
                streak += 1;
                self.tell(bound);
                let handled = catch_unwind(AssertUnwindSafe(|| {
                    for (at, listener) in (0..).zip(&mut listeners) {
                        self.served.at.store(at, Ordering::Relaxed);
                        (listener.hear)(&event.order);
                        listener.handled += 1;
                    }
                }));
                assert!(handled.is_ok(), "no panic");
                // Nobody is left who could ask.
                if !event.is_unique() {
                    event.open.fetch_sub(many, Ordering::AcqRel);
                }
                let done = self.served.done.load(Ordering::Relaxed) + many;
                self.served.done.store(done, Ordering::Release);
                reuse(event);
            }
            if self.line.take() {
                continue;
            }
            if std::mem::take(&mut streak) >= STREAK {
                thread::yield_now();
            } else {
                thread::park();
            }
        }
    }
}

/// Fires to services, each of which has a thread that consumes.
pub(super) struct Bus {
    services: Vec<(Arc<Service>, u64)>,
    bound: usize,
    route: Arc<u64>,
    epoch: AtomicU64,
    /// A shutdown waits until nobody is between looking whether the bus is open and firing to several.
    firing: AtomicBool,
}

impl Bus {
    /// With a service for each list of those who hear, whose mailbox holds so many deliveries.
    pub(super) fn new<H>(bound: usize, services: impl IntoIterator<Item = Vec<H>>) -> Self
    where
        H: Fn(&Order) + Send + 'static,
    {
        let service = |hear: Vec<H>| {
            let service = Arc::new(Service::default());
            let (consumer, many) = (service.clone(), hear.len() as u64);
            let listener = |hear| Listener { hear: Box::new(hear), handled: 0 };
            let listeners = hear.into_iter().map(listener).collect();
            thread::spawn(move || consumer.serve(listeners, bound));
            (service, many)
        };
        let services: Vec<_> = services.into_iter().map(service).collect();
        let (route, epoch) = (Arc::new(1), AtomicU64::new(1));
        Self { services, bound, route, epoch, firing: AtomicBool::new(false) }
    }

    /// An event, perhaps in place of one that was handled.
    fn event(&self, order: Order) -> Arc<Event> {
        let open = AtomicU64::new(self.services.iter().map(|(_, many)| many).sum());
        let spare = SPARE.with_borrow_mut(|(spare, left)| {
            if *left == 0 {
                *left = AT_ONCE;
                for (service, _) in &self.services {
                    if spare.is_empty() {
                        service.line.take_used(spare);
                    }
                }
            }
            *left -= 1;
            spare.pop()
        });
        if let Some(mut spare) = spare
            && let Some(event) = Arc::get_mut(&mut spare)
            && Arc::ptr_eq(&event.route, &self.route)
        {
            event.order = order;
            event.open = open;
            return spare;
        }
        Arc::new(Event { open, route: self.route.clone(), order })
    }

    /// Fires, and is held back.
    pub(super) fn fire(&self, order: Order) {
        let is_open = || self.epoch.load(Ordering::SeqCst) == 1;
        let several = self.services.len() > 1;
        if several {
            self.firing.swap(true, Ordering::SeqCst);
            assert!(is_open(), "nobody stops it");
        }
        let receipt = self.event(order);
        let mut over = None;
        for (service, many) in &self.services {
            let number = service.push(receipt.clone(), *many, || several || is_open());
            if service.is_over(number, self.bound) {
                over.get_or_insert_with(Vec::new).push((service, number));
            }
        }
        if several {
            self.firing.store(false, Ordering::Release);
        }
        for (service, number) in over.into_iter().flatten() {
            service.hold_back(number, self.bound);
        }
    }
}

/// `P` threads fire, one consumes.
pub(super) fn promises<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let bus = Bus::new(BOUND, [vec![|order: &Order| SINK.add(order)]]);
    move |first, n| produce::<P>(first, n, |order| bus.fire(order))
}
