//! Blocking a thread until something is ready.
//!
//! On a test bus the threads of services are counted while they are awake, from the moment that
//! something wakes them, so that it can tell when nothing runs and nothing is about to.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::clock::later;
use crate::failure::Failure;
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

/// How long it may take when others are let go first, so that nobody has to be woken.
const SOON: Duration = Duration::from_millis(1);

/// For how long nobody is let go first once it took longer. Then there are others who want the processor, and
/// each of them takes its share, where who sleeps and is woken mostly gets it at once.
const CROWDED_FOR: Duration = Duration::from_millis(100);

thread_local! {
    /// Until when this thread lets nobody go first.
    static CROWDED: Cell<Option<Instant>> = const { Cell::new(None) };
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

/// Lets other threads go first, so many times at the most, until `look` finds what they may bring; not if it
/// took long the last time.
pub(crate) fn give_way<T>(times: u32, look: impl FnMut() -> Option<T>) -> Option<T> {
    give_way_by(std::thread::yield_now, Instant::now, times, look)
}

fn give_way_by<T>(
    yields: impl Fn(),
    now: impl Fn() -> Instant,
    times: u32,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let from = now();
    if CROWDED.get().is_some_and(|until| from < until) {
        return None;
    }
    let mut found = None;
    for _ in 0..times {
        yields();
        found = look();
        if found.is_some() {
            break;
        }
    }
    let to = now();
    let is_crowded = to.saturating_duration_since(from) > SOON;
    CROWDED.set(is_crowded.then(|| later(to, CROWDED_FOR)));
    found
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

#[cfg(all(test, not(autobus_loom)))]
mod tests {
    use super::*;

    /// Lets others go first, each time for so long; gives how often it did.
    fn yields(from: Instant, each: Duration, found_after: u32) -> u32 {
        let (time, count) = (Cell::new(from), Cell::new(0));
        let yields = || {
            time.set(time.get() + each);
            count.set(count.get() + 1);
        };
        let found =
            give_way_by(yields, || time.get(), 4, || (count.get() >= found_after).then_some(()));
        assert_eq!(found.is_some(), count.get() >= found_after);
        count.get()
    }

    #[test]
    fn who_gives_way_looks_each_time_whether_that_was_enough() {
        let (from, each) = (Instant::now(), Duration::from_micros(50));
        assert_eq!([1, 3, 4, 9].map(|enough| yields(from, each, enough)), [1, 3, 4, 4]);
    }

    #[test]
    fn who_gave_way_for_long_does_not_for_a_while() {
        let (from, short) = (Instant::now(), Duration::from_micros(50));
        assert_eq!(yields(from, SOON * 3, 1), 1);
        let after = from + SOON * 3;
        assert_eq!(yields(after, short, 1), 0);
        assert_eq!(yields(after + CROWDED_FOR / 2, short, 1), 0);
        assert_eq!(yields(after + CROWDED_FOR, short, 1), 1);
        assert_eq!(yields(after + CROWDED_FOR, short, 1), 1);
    }
}
