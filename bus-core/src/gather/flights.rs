//! What was sent and has no result yet. A promise is looked at when it was woken and not before, so
//! that one result costs the same however many others are on their way.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use concurrent_queue::ConcurrentQueue;

use super::Landed;
use crate::promise::Promise;

pub(super) struct Flights<I, T, E> {
    /// By the numbers of the items.
    flights: BTreeMap<usize, Flight<I, T, E>>,
    woken: Arc<Woken>,
}

struct Flight<I, T, E> {
    item: I,
    promise: Promise<T, E>,
    waker: Waker,
}

/// The numbers of those to look at, and who waits for any of them.
struct Woken {
    numbers: ConcurrentQueue<usize>,
    waiter: Mutex<Option<Waker>>,
}

/// Wakes whoever waits, on behalf of one item.
struct WakeOne {
    number: usize,
    woken: Arc<Woken>,
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It is unbounded and never closed.
        let _ = self.woken.numbers.push(self.number);
        let waiter = self.woken.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl<I, T, E> Default for Flights<I, T, E> {
    fn default() -> Self {
        let woken = Woken { numbers: ConcurrentQueue::unbounded(), waiter: Mutex::default() };
        Self { flights: BTreeMap::new(), woken: Arc::new(woken) }
    }
}

impl<I, T, E> Flights<I, T, E> {
    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    pub(super) fn add(&mut self, number: usize, item: I, promise: Promise<T, E>) {
        let waker = Arc::new(WakeOne { number, woken: self.woken.clone() });
        // The first look at it.
        waker.wake_by_ref();
        let flight = Flight { item, promise: promise.undriven(), waker: waker.into() };
        self.flights.insert(number, flight);
    }

    /// The next of those that have come; if there is none, whoever polls is woken by it.
    pub(super) fn poll_landed(&mut self, cx: &mut Context<'_>) -> Option<Landed<I, T, E>> {
        // First, so that nothing comes unseen between the look and the sleep.
        *self.woken.waiter.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(cx.waker().clone());
        while let Ok(number) = self.woken.numbers.pop() {
            // What had its result may be woken once more.
            let Some(flight) = self.flights.get_mut(&number) else { continue };
            let mut cx = Context::from_waker(&flight.waker);
            if let Poll::Ready(result) = Pin::new(&mut flight.promise).poll(&mut cx)
                && let Some(flight) = self.flights.remove(&number)
            {
                return Some((number, flight.item, result));
            }
        }
        None
    }

    /// Takes the first, and lets its command run.
    pub(super) fn pop(&mut self) -> Option<(usize, I, Promise<T, E>)> {
        self.flights.pop_first().map(|(number, flight)| (number, flight.item, flight.promise))
    }

    pub(super) fn cancel(&self) {
        self.flights.values().for_each(|flight| flight.promise.cancel());
    }

    /// When all of them are over at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flights.values().filter_map(|flight| flight.promise.deadline()).max()
    }
}
