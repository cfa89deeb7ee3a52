//! The payload of every workload, and what becomes of it: counted, so that a lost one is seen.

use bus::prelude::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;

/// An order: a number, 16 bytes of text, two lines. Three allocations less the message's own.
#[event(exchange = "bench", key = "order.submitted")]
#[derive(Debug)]
pub(crate) struct Order {
    id: u64,
    customer: String,
    lines: Vec<Line>,
}

/// A line of an order.
#[payload]
#[derive(Debug)]
pub(crate) struct Line {
    article: u32,
    quantity: u32,
    price: f64,
}

impl Order {
    /// Order number `id`; the compiler does not see through it.
    pub(crate) fn new(id: u64) -> Self {
        let customer = String::from(black_box("customer-0000042"));
        let lines = vec![
            Line { article: black_box(7), quantity: 2, price: 1.5 },
            Line { article: 8, quantity: black_box(3), price: 2.5 },
        ];
        Self { id, customer, lines }
    }

    /// A number that depends on every part of it. The same code for all who handle it: inlined into
    /// one, the loop is unrolled, and into another it is not.
    #[inline(never)]
    pub(crate) fn weight(&self) -> u64 {
        let lines = self.lines.iter().map(|line| {
            u64::from(line.article) * u64::from(line.quantity) + (line.price.to_bits() >> 48)
        });
        self.id + self.customer.len() as u64 + lines.sum::<u64>()
    }
}

/// What was handled: how many, and the sum of their weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many.
    pub(crate) count: u64,
    /// The sum of their weights.
    pub(crate) sum: u64,
}

impl Tally {
    /// Of `n` orders from number `first` on, each handled `times`.
    pub(crate) fn of(first: u64, n: u64, times: u64) -> Self {
        let rest = Order::new(0).weight();
        let ids = first * n + n * n.saturating_sub(1) / 2;
        Self { count: n * times, sum: (ids + rest * n).wrapping_mul(times) }
    }

    /// The same and `other`.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// Where one handler adds up what it handles. One thread at a time writes it.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    count: AtomicU64,
    sum: AtomicU64,
    target: AtomicU64,
    waiter: Mutex<Option<Thread>>,
}

impl Sink {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            target: AtomicU64::new(u64::MAX),
            waiter: Mutex::new(None),
        }
    }

    /// An order was handled. No read-modify-write: whoever handles, handles alone.
    pub(crate) fn add(&self, order: &Order) {
        self.sum.store(
            self.sum.load(Ordering::Relaxed).wrapping_add(order.weight()),
            Ordering::Relaxed,
        );
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(count, Ordering::Release);
        if count >= self.target.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if let Some(thread) = &*self.waiter.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    /// Begins a repetition of `n` orders.
    pub(crate) fn expect(&self, n: u64) {
        *self.waiter.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
        self.sum.store(0, Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        self.target.store(n, Ordering::SeqCst);
    }

    /// Waits until as many were handled as were expected, and tells what came.
    pub(crate) fn wait(&self) -> Tally {
        while self.count.load(Ordering::Acquire) < self.target.load(Ordering::Relaxed) {
            std::thread::park();
        }
        self.target.store(u64::MAX, Ordering::Relaxed);
        self.tally()
    }

    /// What came so far; begins again.
    pub(crate) fn take(&self) -> Tally {
        let tally = self.tally();
        self.sum.store(0, Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        tally
    }

    fn tally(&self) -> Tally {
        Tally { count: self.count.load(Ordering::Acquire), sum: self.sum.load(Ordering::Acquire) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_tally_is_that_of_the_orders() {
        let mut orders = Tally::default();
        for id in 5..12 {
            let weight = Order::new(id).weight();
            orders = orders.and(Tally { count: 3, sum: 3 * weight });
        }
        assert_eq!(orders, Tally::of(5, 7, 3));
    }

    #[test]
    fn a_sink_that_misses_an_order_does_not_agree() {
        let sink = Sink::new();
        for id in [0, 1, 3] {
            sink.add(&Order::new(id));
        }
        let tally = sink.take();
        assert_eq!(tally.count, Tally::of(0, 3, 1).count);
        assert_ne!(tally, Tally::of(0, 3, 1));
        assert_eq!(sink.take(), Tally::default());
    }
}
