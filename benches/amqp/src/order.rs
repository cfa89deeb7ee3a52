//! The event that everybody publishes and handles, and who counts it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bus::prelude::*;

/// An order, of about 256 bytes of JSON.
#[event(exchange = "bench", key = "order.v1.submit")]
#[derive(Debug)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// Who ordered.
    pub account: String,
    /// Where it goes.
    pub address: String,
    /// What was ordered.
    pub lines: Vec<Line>,
}

/// A line of an order.
#[payload]
#[derive(Debug)]
pub struct Line {
    /// What.
    pub product: String,
    /// How many.
    pub quantity: u32,
    /// For how much each, in cents.
    pub cents: u32,
}

impl Order {
    /// The order of this number.
    pub fn new(id: u64) -> Self {
        let line =
            |product: &str, quantity, cents| Line { product: product.to_owned(), quantity, cents };
        Self {
            id,
            account: "account-0000042".to_owned(),
            address: "12 Long Street, 20095 Hamburg".to_owned(),
            lines: vec![
                line("paper, white, 80 g", 500, 1),
                line("pencil", 12, 79),
                line("lamp", 1, 4_999),
            ],
        }
    }
}

/// How many orders, and the sum of their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum.
    pub sum: u64,
}

impl Tally {
    /// Of `n` orders from number `first` on, each once.
    pub fn of(first: u64, n: u64) -> Self {
        Self { count: n, sum: (first..first + n).sum() }
    }
}

/// Counts what is handled, and the time from the first to the last.
#[derive(Debug, Default)]
pub struct Meter {
    count: AtomicU64,
    sum: AtomicU64,
    expected: AtomicU64,
    begun: Mutex<Option<Instant>>,
    ended: Mutex<Option<Instant>>,
}

impl Meter {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            begun: Mutex::new(None),
            ended: Mutex::new(None),
        }
    }

    /// Forgets everything, and expects this many.
    pub fn reset(&self, expected: u64) {
        self.count.store(0, Ordering::Relaxed);
        self.sum.store(0, Ordering::Relaxed);
        self.expected.store(expected, Ordering::SeqCst);
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Handles an order.
    pub fn add(&self, order: &Order) {
        self.sum.fetch_add(order.id, Ordering::Relaxed);
        let count = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        if count == 1 {
            *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        if count == self.expected.load(Ordering::Relaxed) {
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Whether as many as expected were handled.
    pub fn is_full(&self) -> bool {
        self.count.load(Ordering::Acquire) >= self.expected.load(Ordering::Relaxed)
    }

    /// What was handled.
    pub fn tally(&self) -> Tally {
        let (count, sum) = (self.count.load(Ordering::Acquire), self.sum.load(Ordering::Acquire));
        Tally { count, sum }
    }

    /// How long it took from the first to the last that was expected.
    pub fn took(&self) -> Option<Duration> {
        let begun = (*self.begun.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some((*self.ended.lock().unwrap_or_else(PoisonError::into_inner))?.duration_since(begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_about_256_bytes() {
        let json = serde_json::to_vec(&Order::new(1_000_000)).unwrap();
        assert!((240..272).contains(&json.len()), "{}", json.len());
    }

    #[test]
    fn the_meter_tells_what_is_missing() {
        let meter = Meter::new();
        meter.reset(3);
        for id in [7, 8] {
            meter.add(&Order::new(id));
        }
        assert!(!meter.is_full() && meter.took().is_none());
        assert_ne!(meter.tally(), Tally::of(7, 3));
        meter.add(&Order::new(9));
        assert!(meter.is_full() && meter.took().is_some());
        assert_eq!(meter.tally(), Tally::of(7, 3));
    }
}
