//! Blocking a thread until something is ready.
//!
//! On a test bus the threads of services are counted while they are awake, from the moment that
//! something wakes them, so that it can tell when nothing runs and nothing is about to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::failure::Failure;
use crate::pace;
use crate::sync::AtomicU8;
use crate::sync::thread::{self, Thread};
use crate::testing::{Activity, Awake};

/// A thread as those see it who wake it.
pub(crate) struct Sleeper {
    thread: Thread,
    state: AtomicU8,
    /// What counts it while it is awake.
    activity: OnceLock<Arc<Activity>>,
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const WOKEN: u8 = 2;

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(activity) = self.activity.get() {
            self.rouse(activity, WOKEN);
        }
        self.thread.unpark();
    }
}

impl Sleeper {
    /// For the thread that calls this.
    pub(crate) fn new() -> Arc<Self> {
        let (thread, state) = (thread::current(), AtomicU8::new(AWAKE));
        Arc::new(Self { thread, state, activity: OnceLock::new() })
    }

    /// Counts the thread, whose whole life `awake` stands for, as awake unless it is parked.
    pub(crate) fn count(&self, awake: &Awake) {
        // Set once: the thread belongs to one bus.
        let _ = self.activity.set(awake.activity().clone());
    }

    /// Sleeps, perhaps not at all.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) {
        pace::sleep(|| self.fall_asleep(deadline));
    }

    fn fall_asleep(&self, deadline: Option<Instant>) {
        let Some(activity) = self.activity.get() else { return park_thread(deadline) };
        let fell = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        if fell.is_err() {
            // Woken since it was awake last; whoever woke it counted nothing. No plain store, which might
            // undo a waking without having seen what it was for.
            self.state.swap(AWAKE, Ordering::AcqRel);
            return;
        }
        activity.end();
        park_thread(deadline);
        self.rouse(activity, AWAKE);
    }

    /// Ends the sleep, for `state`, unless it is over. It counts as awake before anybody, another
    /// waker above all, can see that it is.
    fn rouse(&self, activity: &Activity, state: u8) {
        activity.begin();
        if self.state.swap(state, Ordering::AcqRel) != ASLEEP {
            activity.end();
        }
    }
}

fn park_thread(deadline: Option<Instant>) {
    match deadline {
        None => thread::park(),
        Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
    }
}

thread_local! {
    static ME: Arc<Sleeper> = Sleeper::new();
    static WAKER: Waker = Waker::from(ME.with(Arc::clone));
}

/// Wakes this thread.
pub(crate) fn waker() -> Waker {
    WAKER.with(Waker::clone)
}

/// Counts this thread, whose whole life `awake` stands for, as awake unless it is parked.
pub(crate) fn count(awake: &Awake) {
    ME.with(|me| me.count(awake));
}

/// Wakes what another waker would; one that panics, being somebody else's, is contained. For those who wake
/// several, one after another.
struct Contained(Waker);

impl Wake for Contained {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.0.wake_by_ref())) {
            let failure = Failure::panic(panic);
            tracing::error!(%failure, "a waker panicked");
        }
    }
}

/// Wakes what `waker` would, and never panics.
pub(crate) fn contained(waker: &Waker) -> Waker {
    Waker::from(Arc::new(Contained(waker.clone())))
}

/// Polls once, for this thread.
pub(crate) fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    WAKER.with(|waker| poll(&mut Context::from_waker(waker)))
}

/// Blocks until `poll` is ready; `None` once the deadline has passed.
pub(crate) fn until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    loop {
        if let Poll::Ready(output) = once(&mut poll) {
            return Some(output);
        }
        if !park(deadline) {
            return None;
        }
    }
}

/// Blocks until woken, perhaps for no reason; `false` once the deadline has passed.
pub(crate) fn park(deadline: Option<Instant>) -> bool {
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return false;
    }
    ME.with(|me| me.sleep(deadline));
    true
}
