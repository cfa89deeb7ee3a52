//! The clock of a bus: the only place that knows what time it is and wakes what waits for a time.
//!
//! The system clock has one thread, started with the first timer. A manual clock stands still until
//! somebody moves it, so that tests of delays take no time.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use crate::failure::Failure;

/// The clock of a bus; cheap to clone.
///
/// Retries, timeouts and the time of events are read from it. [`Clock::system`] is the default.
///
/// # Examples
///
/// A listener's second attempt, an hour later, in no time:
///
/// ```
/// # use autobus_core as bus;
/// use std::time::Duration;
///
/// use bus::{Clock, Context};
///
/// let clock = Clock::manual();
/// let hour = Duration::from_secs(3600);
/// let bus = bus::Builder::new()
///     .clock(clock.clone())
///     .retry(1, &[hour])
///     .register_listener("order_paid", |ctx: &Context| match ctx.attempt() {
///         1 => Err("the bank is closed"),
///         _ => Ok(()),
///     })
///     .build()?;
///
/// let handled = bus.fire_event("order_paid", 700).handled();
/// bus.settle(); // the first attempt has failed
/// assert_eq!(bus.stats().retrying, 1);
/// clock.advance(hour);
/// handled.wait()?.ok()?;
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    timers: Arc<Timers>,
    manual: Option<Manual>,
}

struct Manual {
    start: Instant,
    start_time: SystemTime,
    elapsed: Mutex<Duration>,
}

#[derive(Default)]
struct Timers {
    state: Mutex<TimerState>,
    changed: Condvar,
}

#[derive(Default)]
struct TimerState {
    due: BTreeMap<TimerId, Timer>,
    /// When the clock's thread looks again by itself, if ever. A timer that is taken back leaves it,
    /// so that those who wait for one short answer after the other wake nobody else.
    alarm: Option<Instant>,
    next: u64,
    thread: bool,
    retired: bool,
    closed: bool,
}

/// When a timer is due, and which one it is.
pub(crate) type TimerId = (Instant, u64);

type Timer = Box<dyn FnOnce() + Send>;

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(Inner { timers: Arc::default(), manual: None }))
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it.
    pub fn manual() -> Self {
        let manual = Manual {
            start: Instant::now(),
            start_time: SystemTime::now(),
            elapsed: Mutex::new(Duration::ZERO),
        };
        Self(Arc::new(Inner { timers: Arc::default(), manual: Some(manual) }))
    }

    /// Now, for measuring.
    pub fn now(&self) -> Instant {
        match &self.0.manual {
            None => Instant::now(),
            Some(manual) => manual.start + *lock(&manual.elapsed),
        }
    }

    /// Now, as the time of day.
    pub fn time(&self) -> SystemTime {
        match &self.0.manual {
            None => SystemTime::now(),
            Some(manual) => manual.start_time + *lock(&manual.elapsed),
        }
    }

    /// Moves a manual clock to the next due timer, but no further than `limit`, and runs that
    /// timer. Gives the time that is left until `limit`, or `None` when the clock has reached it.
    ///
    /// The system clock does not move by hand: it answers `None`.
    pub(crate) fn step(&self, limit: Instant) -> Option<Duration> {
        let manual = self.0.manual.as_ref()?;
        let (timer, now) = {
            let mut state = self.0.timers.lock();
            let first = state.due.first_key_value().map(|(id, _)| *id);
            let (timer, now) = match first {
                Some(id) if id.0 <= limit => (state.due.remove(&id), id.0),
                _ => (None, limit),
            };
            // While the timers are held, so that one that is set meanwhile knows whether it is due.
            let mut elapsed = lock(&manual.elapsed);
            *elapsed = (*elapsed).max(now.saturating_duration_since(manual.start));
            (timer, now)
        };
        run(timer?);
        Some(limit.saturating_duration_since(now))
    }

    /// Moves a manual clock to the next due timer and runs that; `false` if there is none.
    pub(crate) fn step_to_next(&self) -> bool {
        let next = || self.0.timers.lock().due.first_key_value().map(|(id, _)| id.0);
        // One that is taken back meanwhile leaves the next one.
        while let Some(at) = next() {
            if self.step(at).is_some() {
                return true;
            }
        }
        false
    }

    /// Moves a manual clock by `duration` and runs what becomes due, in order of time.
    ///
    /// The system clock does not move by hand; for it this does nothing.
    pub fn advance(&self, duration: Duration) {
        let limit = self.after(duration);
        while self.step(limit).is_some() {}
    }

    /// Whether it moves only by hand.
    pub(crate) fn is_manual(&self) -> bool {
        self.0.manual.is_some()
    }

    /// `duration` from now.
    pub(crate) fn after(&self, duration: Duration) -> Instant {
        later(self.now(), duration)
    }

    /// Runs `timer` at `at`, on the clock's thread; it must not block. A manual clock runs one that
    /// is due here and at once, since nobody may move it again.
    pub(crate) fn at(&self, at: Instant, timer: impl FnOnce() + Send + 'static) -> TimerId {
        let mut state = self.0.timers.lock();
        state.next += 1;
        let id = (at, state.next);
        if self.is_manual() && at <= self.now() {
            drop(state);
            run(Box::new(timer));
            return id;
        }
        state.due.insert(id, Box::new(timer));
        if self.0.manual.is_none() {
            if !state.thread {
                state.thread = spawn(&self.0.timers);
            }
            if state.alarm.is_none_or(|alarm| at < alarm) {
                state.alarm = Some(at);
                self.0.timers.changed.notify_one();
            }
        }
        id
    }

    /// Takes a timer back; nothing if it ran already.
    pub(crate) fn cancel(&self, id: TimerId) {
        let mut state = self.0.timers.lock();
        let timer = state.due.remove(&id);
        if state.retired && state.due.is_empty() {
            self.0.timers.changed.notify_one();
        }
        drop(state);
        drop(timer);
    }

    /// Its bus has stopped: it has a thread only while timers are set, whoever still has a handle on it.
    pub(crate) fn retire(&self) {
        self.0.timers.lock().retired = true;
        self.0.timers.changed.notify_one();
    }

    /// Completes at `deadline`.
    pub(crate) fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep { clock: self.clone(), deadline, timer: None }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_manual() { "Clock(manual)" } else { "Clock(system)" })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.timers.lock().closed = true;
        self.timers.changed.notify_one();
    }
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, TimerState> {
        lock(&self.state)
    }

    /// What the clock's thread does until the clock is dropped, or no timer is set on one that has retired.
    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let due = state.due.first_key_value().map(|(id, _)| *id);
            state.alarm = due.map(|(at, _)| at);
            state = match due {
                Some(id) if id.0 <= now => {
                    let timer = state.due.remove(&id);
                    drop(state);
                    timer.into_iter().for_each(run);
                    self.lock()
                }
                Some((at, _)) => {
                    let wait = self.changed.wait_timeout(state, at - now);
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None if state.retired => {
                    state.thread = false;
                    return;
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Runs a timer. One that panics, in a waker of somebody else's, must not end the clock's thread.
fn run(timer: Timer) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(timer)) {
        let failure = Failure::panic(panic);
        tracing::error!(%failure, "a timer panicked");
    }
}

fn spawn(timers: &Arc<Timers>) -> bool {
    let timers = timers.clone();
    let spawned =
        std::thread::Builder::new().name("bus-clock".to_owned()).spawn(move || timers.run());
    if let Err(error) = &spawned {
        tracing::error!(%error, "the clock's thread cannot be started; no timer will run");
    }
    spawned.is_ok()
}

/// `duration` after `at`; where the machine cannot say when that is, a time that never comes.
pub(crate) fn later(at: Instant, duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    at.checked_add(duration).unwrap_or_else(|| at + CENTURY)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Completes at a time; dropping it takes its timer back.
pub(crate) struct Sleep {
    clock: Clock,
    deadline: Instant,
    timer: Option<(TimerId, Arc<Mutex<Waker>>)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.deadline {
            return Poll::Ready(());
        }
        if let Some((_, waker)) = &self.timer {
            lock(waker).clone_from(cx.waker());
        } else {
            let waker = Arc::new(Mutex::new(cx.waker().clone()));
            let woken = waker.clone();
            let id = self.clock.at(self.deadline, move || lock(&woken).wake_by_ref());
            self.timer = Some((id, waker));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((id, _)) = self.timer.take() {
            self.clock.cancel(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_has_stopped_leaves_neither_timers_nor_a_thread() {
        let hour = Duration::from_secs(3600);
        let refuse = |_: u32| Err::<(), _>("not now");
        let bus = crate::Builder::new().retry(1, &[hour]).register_listener("tick", refuse);
        let bus = bus.build().expect("a bus");
        let clock = bus.clock().clone();
        drop(bus.fire_event("tick", 1));
        let from = Instant::now();
        while !clock.0.timers.lock().thread {
            assert!(from.elapsed() < Duration::from_secs(20), "it is to be tried again");
            std::thread::yield_now();
        }
        bus.shutdown().expect("it stops");
        assert!(clock.0.timers.lock().due.is_empty());
        while clock.0.timers.lock().thread {
            assert!(from.elapsed() < Duration::from_secs(20), "its thread ends");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_clock_that_has_retired_has_a_thread_only_while_timers_are_set() {
        let clock = Clock::system();
        let has_thread = || clock.0.timers.lock().thread;
        let thread_ends = || {
            let from = Instant::now();
            while has_thread() {
                assert!(from.elapsed() < Duration::from_secs(20), "its thread ends");
                std::thread::yield_now();
            }
        };
        let run_one = || {
            let (run, has_run) = std::sync::mpsc::channel();
            clock.at(clock.now(), move || run.send(()).unwrap_or_default());
            has_run.recv_timeout(Duration::from_secs(20)).expect("it runs");
        };
        clock.retire();
        run_one();
        thread_ends();
        let never = clock.at(clock.after(Duration::from_secs(3600)), || {});
        run_one();
        // It sleeps for an hour.
        while clock.0.timers.lock().alarm != Some(never.0) {
            std::thread::yield_now();
        }
        assert!(has_thread());
        clock.cancel(never);
        thread_ends();
    }

    #[test]
    fn a_manual_clock_runs_timers_in_order_of_time() {
        let clock = Clock::manual();
        let start = clock.now();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (name, after) in [("late", 20), ("early", 10), ("never", 99)] {
            let seen = seen.clone();
            clock.at(start + Duration::from_secs(after), move || lock(&seen).push(name));
        }
        clock.advance(Duration::from_secs(30));
        assert_eq!(*lock(&seen), ["early", "late"]);
        assert_eq!(clock.now(), start + Duration::from_secs(30));
    }

    #[test]
    fn a_timer_that_is_due_when_it_is_set_runs() {
        let clock = Clock::manual();
        let start = clock.now();
        clock.advance(Duration::from_secs(2));
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (name, after) in [("past", 1), ("now", 2), ("later", 3)] {
            let seen = seen.clone();
            clock.at(start + Duration::from_secs(after), move || lock(&seen).push(name));
        }
        assert_eq!(*lock(&seen), ["past", "now"]);
    }

    #[test]
    fn a_sleep_never_misses_the_advance_that_ends_it() {
        for _ in 0..1_000 {
            let clock = Clock::manual();
            let sleep = clock.sleep_until(clock.after(Duration::from_secs(1)));
            std::thread::scope(|scope| {
                scope.spawn(|| clock.advance(Duration::from_secs(1)));
                futures_lite::future::block_on(sleep);
            });
        }
    }

    #[test]
    fn a_time_that_cannot_be_told_never_comes() {
        let now = Instant::now();
        assert!(later(now, Duration::MAX) > now + Duration::from_secs(3_000_000_000));
        Clock::manual().advance(Duration::MAX);
    }

    #[test]
    fn a_dropped_sleep_leaves_no_timer() {
        let clock = Clock::manual();
        let mut sleep = clock.sleep_until(clock.now() + Duration::from_secs(1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        assert_eq!(clock.0.timers.lock().due.len(), 1);
        drop(sleep);
        assert_eq!(clock.0.timers.lock().due.len(), 0);
    }

    #[test]
    fn a_timer_is_run_whatever_was_taken_back_before_it() {
        let clock = Clock::system();
        let soon = |ms| clock.now() + Duration::from_millis(ms);
        for _ in 0..50 {
            let [taken, late] = [2, 400].map(|ms| clock.at(soon(ms), || {}));
            clock.cancel(taken);
            futures_lite::future::block_on(clock.sleep_until(soon(4)));
            clock.cancel(late);
            futures_lite::future::block_on(clock.sleep_until(soon(1)));
        }
    }

    #[test]
    fn the_system_clock_wakes_what_sleeps() {
        let clock = Clock::system();
        let deadline = clock.now() + Duration::from_millis(5);
        futures_lite::future::block_on(clock.sleep_until(deadline));
        assert!(clock.now() >= deadline);
    }
}
