//! What was given to a transport and is not confirmed yet, and where each confirm appears.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use event_listener::{Event, Listener as _};

use crate::clock::{Clock, Sleep};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Confirm, Resolver};

/// How many of those that were lost are named.
const NAMED: usize = 16;

/// What was published, and what became of it.
#[derive(Default)]
pub(crate) struct Outbox {
    open: AtomicUsize,
    pub(crate) published: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) unrouted: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// What could not be published, and nobody was told.
    lost: Mutex<(u64, Vec<String>)>,
    empty: Event,
}

impl Outbox {
    /// Counts one that is about to be published.
    pub(crate) fn accept(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    /// How many are not confirmed yet.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Blocks until everything is confirmed or has failed; `false` if that is not by `deadline`.
    pub(crate) fn wait_empty(&self, deadline: Instant) -> bool {
        while self.open() > 0 {
            let empty = self.empty.listen();
            if self.open() > 0 && empty.wait_deadline(deadline).is_none() {
                return self.open() == 0;
            }
        }
        true
    }

    /// How many were lost without anybody being told, and the names of the first.
    pub(crate) fn lost(&self) -> (u64, Vec<String>) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, result: &Result<Confirm>) {
        let counter = match result {
            Ok(_) => &self.confirmed,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if result.as_ref().is_ok_and(|confirm| !confirm.routed) {
            self.unrouted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn settle(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.empty.notify(usize::MAX);
        }
    }

    fn lose(&self, what: &What, error: &Error) {
        let What { id, key } = what;
        tracing::error!(id, key, %error, "a message was not published, and nobody read why");
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.0 += 1;
        if lost.1.len() < NAMED {
            lost.1.push(format!("`{key}` ({id})"));
        }
    }
}

/// A message, to those who read a log.
struct What {
    id: String,
    key: String,
}

/// Where the confirm of one message appears; held by its receipt.
pub(crate) struct Sent {
    sending: Arc<Sending>,
    clock: Clock,
    limit: Duration,
    deadline: Instant,
    sleep: Option<Sleep>,
}

struct Sending {
    what: What,
    outbox: Arc<Outbox>,
    state: Mutex<State>,
}

enum State {
    Open(Option<Waker>),
    There(Result<Confirm>),
    Taken,
    /// Nobody will read it.
    Dropped,
}

impl Sent {
    /// For a message that the outbox has accepted: where its confirm is told, and where it appears.
    /// Who waits for it waits no longer than `limit`.
    pub(crate) fn new(
        outbox: &Arc<Outbox>,
        id: String,
        key: String,
        clock: &Clock,
        limit: Duration,
    ) -> (Resolver<Confirm>, Self) {
        let (what, outbox, state) =
            (What { id, key }, outbox.clone(), Mutex::new(State::Open(None)));
        let sending = Arc::new(Sending { what, outbox, state });
        let told = sending.clone();
        let resolver = Resolver::new(move |result| told.tell(result));
        let deadline = clock.after(limit);
        (resolver, Self { sending, clock: clock.clone(), limit, deadline, sleep: None })
    }

    /// Whether any queue matched, once the broker has confirmed it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        if let Poll::Ready(result) = self.sending.poll(cx) {
            return Poll::Ready(result.map(|confirm| confirm.routed));
        }
        let (clock, deadline) = (&self.clock, self.deadline);
        let sleep = self.sleep.get_or_insert_with(|| clock.sleep_until(deadline));
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let text = format!(
            "the broker did not confirm it within {:?}; it is kept, and published once the broker \
             takes it",
            self.limit
        );
        Poll::Ready(Err(Error::new(ErrorKind::Timeout, text)))
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let former = std::mem::replace(&mut *self.sending.lock(), State::Dropped);
        if let State::There(Err(error)) = former {
            self.sending.outbox.lose(&self.sending.what, &error);
        }
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let What { id, key } = &self.sending.what;
        write!(f, "Sent({key}, {id})")
    }
}

impl Sending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, result: Result<Confirm>) {
        self.outbox.count(&result);
        let mut state = self.lock();
        let mut unread = None;
        let mut waiting = None;
        match &mut *state {
            State::Open(waker) => {
                waiting = waker.take();
                *state = State::There(result);
            }
            State::Dropped => unread = result.err(),
            State::There(_) | State::Taken => {}
        }
        drop(state);
        if let Some(error) = unread {
            self.outbox.lose(&self.what, &error);
        }
        self.outbox.settle();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Confirm>> {
        let mut state = self.lock();
        match &mut *state {
            State::Open(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::There(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::There(result) => Poll::Ready(result),
                _ => Poll::Pending,
            },
            State::Taken | State::Dropped => Poll::Ready(Err(Error::closed())),
        }
    }
}
