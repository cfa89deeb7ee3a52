//! What the promises cost at the least: a queue of events by hand that keeps those of a mailbox, and has
//! neither types nor names nor anything that is not needed for them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};

use super::{BOUND, SINK, produce};
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
    /// Takes what is fired, and is taken whole.
    mailbox: Mutex<(VecDeque<Arc<Event>>, Option<Thread>)>,
    /// What was taken and has not started, which a shutdown refuses if a handler never ends.
    backlog: Mutex<VecDeque<Arc<Event>>>,
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
        let mut mailbox = self.mailbox.lock().expect("no panic");
        mailbox.0.push_back(event);
        let number = self.accepted.load(Ordering::Relaxed) + 1;
        self.accepted.store(number, Ordering::Release);
        let consumer = mailbox.1.take();
        drop(mailbox);
        if let Some(consumer) = consumer {
            consumer.unpark();
        }
        number
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

    fn serve(&self) {
        let mut streak = 0;
        loop {
            while let Some(event) = self.next() {
                streak += 1;
                self.start();
                let handled = catch_unwind(AssertUnwindSafe(|| SINK.add(&event.order)));
                assert!(handled.is_ok(), "no panic");
                // Nobody is left who could ask.
                if Arc::strong_count(&event) > 1 {
                    event.open.fetch_sub(1, Ordering::AcqRel);
                }
                self.done.store(self.done.load(Ordering::Relaxed) + 1, Ordering::Release);
            }
            if self.take() {
                continue;
            }
            if std::mem::take(&mut streak) >= STREAK {
                thread::yield_now();
            } else {
                thread::park();
            }
        }
    }

    fn next(&self) -> Option<Arc<Event>> {
        self.backlog.lock().expect("no panic").pop_front()
    }

    /// Takes the mailbox whole; `false` if it is empty, and then the consumer is told of more.
    fn take(&self) -> bool {
        let mut mailbox = self.mailbox.lock().expect("no panic");
        if mailbox.0.is_empty() {
            mailbox.1 = Some(thread::current());
            return false;
        }
        std::mem::swap(&mut mailbox.0, &mut *self.backlog.lock().expect("no panic"));
        true
    }
}

/// `P` threads fire, one consumes.
pub(super) fn promises<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let service = Arc::new(Service::default());
    let consumer = service.clone();
    thread::spawn(move || consumer.serve());
    let route = Arc::new(P);
    // A shutdown waits until nobody is between looking whether the bus is open and firing.
    let firing = AtomicBool::new(false);
    move |first, n| {
        produce::<P>(first, n, |order| {
            let lane = &firing;
            lane.swap(true, Ordering::SeqCst);
            let event = Arc::new(Event { open: AtomicU64::new(1), _route: route.clone(), order });
            let receipt = event.clone();
            let number = service.push(event);
            lane.store(false, Ordering::Release);
            service.hold_back(number);
            drop(receipt);
        })
    }
}
