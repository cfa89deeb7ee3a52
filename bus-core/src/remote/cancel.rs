//! Cancelling a call that another process serves.
//!
//! Nobody knows who took a call, so whoever cancels one tells all who serve commands, and the one that
//! runs it stops it. Best effort: it may come too late, or not at all, and then the call goes on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Remote;
use crate::bus::Bus;
use crate::codec;
use crate::transport::{Binding, Queue, Resolver, Settlement, Sink, Subscription};

/// The exchange of cancellations; the routing key is the command's name.
pub(super) const EXCHANGE: &str = "bus.cancel";

/// How many cancelled calls are remembered that did not come yet: they wait in their command's queue,
/// while cancellations do not.
const REMEMBERED: usize = 4_096;

/// The calls of others that run here, and those that are not to.
#[derive(Default)]
pub(crate) struct Cancels {
    /// The exchange is there; where others are to declare it, they may not have.
    declared: AtomicBool,
    /// This process hears of cancellations.
    heard: AtomicBool,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    running: HashMap<String, Cancel>,
    cancelled: HashSet<String>,
    /// The same, oldest first.
    order: VecDeque<String>,
}

/// Cancels one call.
pub(crate) type Cancel = Box<dyn Fn() + Send + Sync>;

impl Cancels {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn declared(&self) {
        self.declared.store(true, Ordering::Release);
    }

    /// Whether the call was cancelled before it came.
    pub(super) fn came_first(&self, id: &str) -> bool {
        let mut calls = self.lock();
        let cancelled = calls.cancelled.remove(id);
        if cancelled {
            calls.order.retain(|other| other != id);
        }
        cancelled
    }

    /// Notes that a call runs until what this gives is dropped, and how it is cancelled.
    pub(super) fn begin(self: &Arc<Self>, id: &str, cancel: Cancel) -> Underway {
        if self.came_first(id) {
            cancel();
        }
        self.lock().running.insert(id.to_owned(), cancel);
        Underway(self.clone(), id.to_owned())
    }

    fn cancel(&self, id: String) {
        let cancel = {
            let mut calls = self.lock();
            let cancel = calls.running.remove(&id);
            if cancel.is_none() && calls.cancelled.insert(id.clone()) {
                calls.order.push_back(id);
                if calls.order.len() > REMEMBERED
                    && let Some(oldest) = calls.order.pop_front()
                {
                    calls.cancelled.remove(&oldest);
                }
            }
            cancel
        };
        // It runs code of whoever waits for the answer.
        if let Some(cancel) = cancel {
            cancel();
        }
    }
}

/// That the call of another process runs here.
pub(super) struct Underway(Arc<Cancels>, String);

impl Drop for Underway {
    fn drop(&mut self) {
        // What it holds is dropped once nothing is locked.
        let done = self.0.lock().running.remove(&self.1);
        drop(done);
    }
}

impl Remote {
    /// Tells all who serve commands that the answer of a call is no longer wanted.
    pub(super) fn cancel(&self, bus: &Bus, command: &str, call: &str) {
        if !self.cancels.declared.load(Ordering::Acquire) {
            return;
        }
        // A string always can be written.
        let body = codec::encode(&call).unwrap_or_default();
        let message = self.envelope(bus, EXCHANGE, command, body);
        let command = command.to_owned();
        self.transport.publish(
            message,
            Resolver::new(move |done| {
                if let Err(error) = done {
                    tracing::debug!(command, %error, "a cancellation was not sent; the call goes on");
                }
            }),
        );
    }

    /// Hears of cancellations, unless it does already.
    pub(super) fn hear_cancels(&self, bus: &Bus, done: Resolver<Subscription>) {
        let cancels = &self.cancels;
        if !cancels.declared.load(Ordering::Acquire) || cancels.heard.swap(true, Ordering::AcqRel) {
            return done.resolve(Ok(Subscription::new(|| {})));
        }
        let name = format!("{EXCHANGE}.{:016x}", bus.prefix());
        let queue = Queue::broadcast(name, vec![Binding::new(EXCHANGE, "#")]);
        let cancels = cancels.clone();
        let sink: Sink = Arc::new(move |incoming| {
            match codec::decode::<String>(&incoming.message.body) {
                Ok(call) => cancels.cancel(call),
                Err(error) => tracing::warn!(%error, "a cancellation cannot be read"),
            }
            incoming.acker.settle(Settlement::Ack);
        });
        self.transport.consume(&queue, self.limits.prefetch, sink, done);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counted() -> (Arc<AtomicUsize>, Cancel) {
        let count = Arc::new(AtomicUsize::new(0));
        let counts = count.clone();
        let cancel = move || {
            counts.fetch_add(1, Ordering::Relaxed);
        };
        (count, Box::new(cancel))
    }

    #[test]
    fn a_call_is_cancelled_whichever_comes_first() {
        let cancels = Arc::new(Cancels::default());
        let (count, cancel) = counted();
        let underway = cancels.begin("a", cancel);
        cancels.cancel("a".to_owned());
        cancels.cancel("a".to_owned());
        assert_eq!(count.load(Ordering::Relaxed), 1);
        drop(underway);

        cancels.cancel("b".to_owned());
        assert!(cancels.came_first("b"));
        assert!(!cancels.came_first("b"), "one call has one id");
        cancels.cancel("c".to_owned());
        let (count, cancel) = counted();
        let _underway = cancels.begin("c", cancel);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_call_that_is_done_is_not_cancelled_and_one_that_never_comes_is_forgotten() {
        let cancels = Arc::new(Cancels::default());
        let (count, cancel) = counted();
        drop(cancels.begin("a", cancel));
        cancels.cancel("a".to_owned());
        assert_eq!(count.load(Ordering::Relaxed), 0);
        for number in 0..2 * REMEMBERED {
            cancels.cancel(number.to_string());
        }
        assert_eq!(cancels.lock().order.len(), REMEMBERED);
        assert_eq!(cancels.lock().cancelled.len(), REMEMBERED);
        assert!(cancels.lock().running.is_empty());
    }
}
