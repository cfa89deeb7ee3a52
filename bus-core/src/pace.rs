//! What a thread does before it sleeps: it lets others go first, or looks out for what they bring.
//!
//! To wake a thread takes a thousand times as long as to tell it something. So who is about to sleep lets others
//! go first, who may bring what it waits for; where that may come from another core, it looks out for it as long
//! as that core would take to wake. It does neither where it did not help the last time.

use std::cell::Cell;
use std::sync::OnceLock;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::clock::later;

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

/// Sleeps, and notes how long that took.
pub(crate) fn sleep(sleep: impl FnOnce()) {
    if !are_cores_many() {
        return sleep();
    }
    let from = Instant::now();
    sleep();
    // This thread was woken, too.
    let is_brisk = !PACE.get().is_late && from.elapsed() <= 2 * WAKING;
    PACE.set(Pace { is_brisk, is_late: false });
}

#[cfg(all(test, not(autobus_loom)))]
mod tests {
    use super::*;
    use crate::park::park;

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
