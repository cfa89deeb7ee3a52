//! What the promises cost at the least: a queue of events by hand that keeps those of a mailbox, and has
//! neither types nor names nor anything that is not needed for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};

use super::{BOUND, SINK, produce};
use crate::line::Line;
use crate::order::{Order, Tally};

/// After so many events in a row the consumer lets others go first before it sleeps, as ours does.
const STREAK: u32 = 16;

/// An event and what its receipt can be asked for.
struct Event {
    /// Deliveries that are not settled.
    open: AtomicU64,
    /// Who it went to, whatever is registered meanwhile.
    _route: Arc<u64>,
    order: Order,
}

#[derive(Default)]
struct Service {
    line: Line<Event>,
    accepted: AtomicU64,
    started: AtomicU64,
    done: AtomicU64,
    /// Who waits until half of the mailbox has started.
    held_back: Mutex<Vec<Thread>>,
    waits: AtomicBool,
}

impl Service {
    fn is_over(&self, number: u64, bound: usize) -> bool {
        number > self.started.load(Ordering::SeqCst) + bound as u64
    }

    /// Puts an event in; gives its number.
    fn push(&self, event: Arc<Event>) -> u64 {
        self.line.push(event, || {
            let number = self.accepted.load(Ordering::Relaxed) + 1;
            self.accepted.store(number, Ordering::Release);
            number
        })
    }

    /// Holds who fires back until its event is within the bound.
    fn hold_back(&self, number: u64) {
        while self.is_over(number, BOUND) {
            self.held_back.lock().expect("no panic").push(thread::current());
            self.waits.store(true, Ordering::SeqCst);
            if self.is_over(number, BOUND) {
                thread::park();
            }
        }
    }

    fn start(&self) {
        let started = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        if self.waits.load(Ordering::SeqCst)
            && self.accepted.load(Ordering::Acquire) <= started + BOUND as u64 / 2
        {
            self.waits.store(false, Ordering::SeqCst);
            self.held_back.lock().expect("no panic").drain(..).for_each(|thread| thread.unpark());
        }
    }

    fn serve(&self, hear: impl Fn(&Order)) {
        let mut streak = 0;
        loop {
            while let Some(event) = self.line.next() {
                streak += 1;
                self.start();
                let handled = catch_unwind(AssertUnwindSafe(|| hear(&event.order)));
                assert!(handled.is_ok(), "no panic");
                // Nobody is left who could ask.
                if Arc::strong_count(&event) > 1 {
                    event.open.fetch_sub(1, Ordering::AcqRel);
                }
                self.done.store(self.done.load(Ordering::Relaxed) + 1, Ordering::Release);
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
    services: Vec<Arc<Service>>,
    route: Arc<u64>,
    /// A shutdown waits until nobody is between looking whether the bus is open and firing.
    firing: AtomicBool,
}

impl Bus {
    /// With a service for each of those who hear.
    pub(super) fn new<H: Fn(&Order) + Send + 'static>(hear: impl IntoIterator<Item = H>) -> Self {
        let service = |hear| {
            let service = Arc::new(Service::default());
            let consumer = service.clone();
            thread::spawn(move || consumer.serve(hear));
            service
        };
        let services: Vec<_> = hear.into_iter().map(service).collect();
        Self { services, route: Arc::new(1), firing: AtomicBool::new(false) }
    }

    /// Fires, and is held back.
    pub(super) fn fire(&self, order: Order) {
        self.firing.swap(true, Ordering::SeqCst);
        let open = AtomicU64::new(self.services.len() as u64);
        let receipt = Arc::new(Event { open, _route: self.route.clone(), order });
        let mut over = None;
        for service in &self.services {
            let number = service.push(receipt.clone());
            if service.is_over(number, BOUND) {
                over.get_or_insert_with(Vec::new).push((service, number));
            }
        }
        self.firing.store(false, Ordering::Release);
        for (service, number) in over.into_iter().flatten() {
            service.hold_back(number);
        }
    }
}

/// `P` threads fire, one consumes.
pub(super) fn promises<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let bus = Bus::new([|order: &Order| SINK.add(order)]);
    move |first, n| produce::<P>(first, n, |order| bus.fire(order))
}
