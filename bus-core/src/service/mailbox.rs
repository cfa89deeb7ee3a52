//! The mailbox of a service: what was accepted and has not started yet.
//!
//! Putting something in never blocks. The one consumer takes everything at once, under one lock.
//! Deliveries are counted when they are accepted, when their handler starts and when it is done, so
//! that the bound, the waiting receipts and `settle()` need no other bookkeeping.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use event_listener::{Event, EventListener};

use crate::delivery::Delivery;
use crate::message::Message;
use crate::receipt::Ticket;

/// How many times the bound a mailbox may hold before firing fails.
pub(crate) const HARD: usize = 64;

/// One enqueue.
pub(crate) enum Entry {
    /// An event, for all listeners of one group of its route.
    Group { message: Arc<dyn Message>, group: usize },
    /// A call, a task, or a delivery that is tried again.
    One(Delivery),
}

pub(crate) struct Mailbox {
    pub(crate) bound: usize,
    queue: Mutex<Queue>,
    accepted: AtomicU64,
    started: AtomicU64,
    done: AtomicU64,
    /// Receipts that wait for space.
    waiting: AtomicUsize,
    space: Event,
    idle: Event,
    over: AtomicBool,
    /// How often something was accepted over the bound.
    pub(crate) overruns: AtomicU64,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    consumer: Option<Waker>,
    closed: bool,
}

impl Mailbox {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            bound,
            queue: Mutex::default(),
            accepted: AtomicU64::new(0),
            started: AtomicU64::new(0),
            done: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            space: Event::new(),
            idle: Event::new(),
            over: AtomicBool::new(false),
            overruns: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts `entry`, which stands for so many deliveries. Gives the number of the last one if
    /// the mailbox is over its bound with it; gives the entry back if the mailbox is closed.
    pub(crate) fn push(&self, entry: Entry, deliveries: usize) -> Result<Option<u64>, Entry> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(entry);
        }
        queue.entries.push_back(entry);
        let count = deliveries as u64;
        let number = self.accepted.fetch_add(count, Ordering::AcqRel) + count;
        let consumer = queue.consumer.take();
        drop(queue);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
        let over = !self.has_started(number);
        if over {
            self.overruns.fetch_add(count, Ordering::Relaxed);
        }
        Ok(over.then_some(number))
    }

    /// Whether this is the first overrun since the mailbox was last within its bound.
    pub(crate) fn note_overrun(&self) -> bool {
        !self.over.swap(true, Ordering::Relaxed)
    }

    /// Whether delivery `number` is within the bound.
    fn has_started(&self, number: u64) -> bool {
        number <= self.started.load(Ordering::Acquire) + self.bound as u64
    }

    /// Deliveries that have not started.
    pub(crate) fn depth(&self) -> usize {
        let started = self.started.load(Ordering::Acquire);
        let accepted = self.accepted.load(Ordering::Acquire);
        usize::try_from(accepted.saturating_sub(started)).unwrap_or(usize::MAX)
    }

    /// Whether everything that was accepted is done.
    pub(crate) fn is_idle(&self) -> bool {
        let done = self.done.load(Ordering::Acquire);
        done == self.accepted.load(Ordering::Acquire)
    }

    /// How many deliveries are accepted and not done.
    pub(crate) fn open(&self) -> u64 {
        let done = self.done.load(Ordering::Acquire);
        self.accepted.load(Ordering::Acquire).saturating_sub(done)
    }

    /// How many deliveries were ever accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    pub(crate) fn listen_idle(&self) -> EventListener {
        self.idle.listen()
    }

    /// Completes when the delivery of `ticket` is within the bound.
    pub(crate) fn poll_space(&self, ticket: &mut Ticket, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.has_started(ticket.number) || self.lock().closed {
                ticket.listener = None;
                return Poll::Ready(());
            }
            match &mut ticket.listener {
                None => {
                    self.waiting.fetch_add(1, Ordering::SeqCst);
                    ticket.listener = Some(self.space.listen());
                }
                Some(listener) => {
                    if Pin::new(listener).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    ticket.listener = None;
                }
            }
        }
    }

    /// A delivery's handler starts.
    pub(crate) fn start(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.waiting.store(0, Ordering::SeqCst);
            self.space.notify(usize::MAX);
        }
        if self.over.load(Ordering::Relaxed) && self.depth() <= self.bound {
            self.over.store(false, Ordering::Relaxed);
        }
    }

    /// A delivery is done: settled, or waiting for its next attempt.
    pub(crate) fn finish(&self) {
        self.done.fetch_add(1, Ordering::AcqRel);
        if self.is_idle() {
            self.idle.notify(usize::MAX);
        }
    }

    /// Takes everything there is into `batch`; `false` once the mailbox is closed and empty.
    pub(crate) fn poll_take(
        &self,
        batch: &mut VecDeque<Entry>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let mut queue = self.lock();
        if !queue.entries.is_empty() {
            std::mem::swap(&mut queue.entries, batch);
            return Poll::Ready(true);
        }
        if queue.closed {
            return Poll::Ready(false);
        }
        match &mut queue.consumer {
            Some(waker) => waker.clone_from(cx.waker()),
            None => queue.consumer = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        let consumer = {
            let mut queue = self.lock();
            queue.closed = true;
            queue.consumer.take()
        };
        if let Some(consumer) = consumer {
            consumer.wake();
        }
        self.space.notify(usize::MAX);
        self.idle.notify(usize::MAX);
    }

    /// Drops what has not started.
    pub(crate) fn clear(&self) -> VecDeque<Entry> {
        std::mem::take(&mut self.lock().entries)
    }
}
