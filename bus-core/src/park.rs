//! Blocking a thread until something is ready.
//!
//! To wake a thread takes a thousand times as long as to tell it something. So before it sleeps it lets others
//! go first, who may bring what it waits for; where that may come from another core, it looks out for it as long
//! as that core would take to wake. It does neither where it did not help the last time.
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
        if !are_cores_many() {
            return self.fall_asleep(deadline);
        }
        let from = Instant::now();
        self.fall_asleep(deadline);
        // This thread was woken, too.
        let is_brisk = !PACE.get().is_late && from.elapsed() <= 2 * WAKING;
        PACE.set(Pace { is_brisk, is_late: false });
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

/// How long it may take when others are let go first, so that nobody has to be woken.
const SOON: Duration = Duration::from_millis(1);

/// For how long nobody is let go first once it took longer. Then it takes long by itself, or there are others who
/// want the processor, each of whom takes its share, where who sleeps and is woken mostly gets it at once.
const CROWDED_FOR: Duration = Duration::from_millis(100);

/// How long a core takes that sleeps and is woken, at the most.
const WAKING: Duration = Duration::from_micros(30);

/// How fast what a thread waits for comes.
#[derive(Clone, Copy)]
struct Pace {
    /// The last time it came while a core was woken, and this one.
    is_brisk: bool,
    /// This time the thread has looked for it in vain.
    is_late: bool,
}

thread_local! {
    static ANSWERED: Cell<bool> = const { Cell::new(false) };
    static PACE: Cell<Pace> = const { Cell::new(Pace { is_brisk: true, is_late: false }) };
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

/// Wakes who waits for what this thread has done, and may have more for it at once.
pub(crate) fn answer(waker: Waker) {
    ANSWERED.set(true);
    waker.wake();
}

/// Whether this thread has [answered](answer) since it was asked last.
pub(crate) fn has_answered() -> bool {
    ANSWERED.replace(false)
}

/// Lets other threads go first, so many times at the most, until `look` finds what they may bring; not if it
/// takes long, or did the last time.
pub(crate) fn give_way<T>(times: u32, look: impl FnMut() -> Option<T>) -> Option<T> {
    give_way_by(std::thread::yield_now, Instant::now, times, false, look)
}

/// The same, and goes on looking for about as long as a core takes that has to be woken, if there is another
/// core than this one, and what this thread waited for the last time came that soon.
pub(crate) fn look_out<T>(times: u32, look: impl FnMut() -> Option<T>) -> Option<T> {
    let stays = PACE.get().is_brisk && are_cores_many();
    give_way_by(std::thread::yield_now, Instant::now, times, stays, look)
}

fn give_way_by<T>(
    yields: impl Fn(),
    now: impl Fn() -> Instant,
    times: u32,
    stays: bool,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    if times == 0 && !stays {
        return None;
    }
    let from = now();
    if CROWDED.get().is_some_and(|until| from < until) {
        return None;
    }
    let mut count = 0;
    loop {
        yields();
        count += 1;
        let found = look();
        let (to, is_last) = (now(), count >= times);
        let took = to.saturating_duration_since(from);
        if found.is_some() || took > SOON || is_last && !(stays && took < WAKING) {
            CROWDED.set((took > SOON).then(|| later(to, CROWDED_FOR)));
            if stays {
                PACE.set(Pace { is_late: found.is_none(), ..PACE.get() });
            }
            return found;
        }
    }
}

fn are_cores_many() -> bool {
    static MANY: OnceLock<bool> = OnceLock::new();
    *MANY.get_or_init(|| std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
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
        yields_or_stays(from, each, found_after, 4, false)
    }

    fn yields_or_stays(
        from: Instant,
        each: Duration,
        found_after: u32,
        times: u32,
        stays: bool,
    ) -> u32 {
        let (time, count) = (Cell::new(from), Cell::new(0));
        let yields = || {
            time.set(time.get() + each);
            count.set(count.get() + 1);
        };
        let found = give_way_by(
            yields,
            || time.get(),
            times,
            stays,
            || (count.get() >= found_after).then_some(()),
        );
        assert_eq!(found.is_some(), count.get() >= found_after);
        count.get()
    }

    #[test]
    fn who_gives_way_looks_each_time_whether_that_was_enough() {
        let (from, each) = (Instant::now(), Duration::from_micros(50));
        assert_eq!([1, 3, 4, 9].map(|enough| yields(from, each, enough)), [1, 3, 4, 4]);
    }

    #[test]
    fn who_looks_out_does_for_as_long_as_a_core_takes_to_wake() {
        let (from, each) = (Instant::now(), WAKING / 10);
        let looks = |enough, times| yields_or_stays(from, each, enough, times, true);
        assert_eq!([looks(7, 2), looks(11, 2), looks(11, 0), looks(20, 15)], [7, 10, 10, 15]);
        assert_eq!(yields_or_stays(from, each, 1, 0, false), 0);
    }

    #[test]
    fn who_waited_for_long_or_looked_out_in_vain_does_not_look_out_the_next_time() {
        if !are_cores_many() {
            return;
        }
        let woken_at_once = || {
            std::thread::current().unpark();
            park(None);
            PACE.get().is_brisk
        };
        park(Some(Instant::now() + 3 * WAKING));
        assert!(!PACE.get().is_brisk);
        assert!((0..10_000).any(|_| woken_at_once()));
        assert_eq!(yields_or_stays(Instant::now(), WAKING, 9, 0, true), 1);
        assert!(!woken_at_once());
    }

    #[test]
    fn who_gave_way_for_long_does_not_for_a_while() {
        let (from, short) = (Instant::now(), Duration::from_micros(50));
        assert_eq!(yields(from, SOON * 3, 2), 1);
        let after = from + SOON * 3;
        assert_eq!(yields(after, short, 1), 0);
        assert_eq!(yields(after + CROWDED_FOR / 2, short, 1), 0);
        assert_eq!(yields(after + CROWDED_FOR, short, 1), 1);
        assert_eq!(yields(after + CROWDED_FOR, short, 1), 1);
    }
}
