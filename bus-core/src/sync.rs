//! The primitives whose interleavings are searched: std's, or loom's while they are.

#[cfg(not(all(test, autobus_loom)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, fence},
};
#[cfg(not(all(test, autobus_loom)))]
pub(crate) use std::thread;

#[cfg(all(test, autobus_loom))]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, fence},
};

/// Asks for the cache line in which `value` begins. Unlike a look at it, this holds up no locked
/// instruction that comes after it. It does nothing but on x86-64.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse"))]
    safe_arch::prefetch_t0(value);
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse")))]
    let _ = value;
}

/// Tells others something before this thread looks at what they tell in the same way.
#[cfg(not(all(test, autobus_loom)))]
#[inline]
pub(crate) fn tell(flag: &AtomicBool) {
    flag.swap(true, std::sync::atomic::Ordering::SeqCst);
}

/// The same for a search, which knows the order of fences alone.
#[cfg(all(test, autobus_loom))]
pub(crate) fn tell(flag: &AtomicBool) {
    flag.store(true, std::sync::atomic::Ordering::Relaxed);
    fence(std::sync::atomic::Ordering::SeqCst);
}

#[cfg(all(test, autobus_loom))]
pub(crate) mod thread {
    pub(crate) use loom::thread::{Thread, current, park};

    /// No time passes in a search, so nobody wakes before it is woken.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        park();
    }
}

/// A lock for what takes moments, such as moving a value, and neither blocks nor runs anything of a user's. At the
/// worst it is held while a line grows, or is looked through.
///
/// Its end is a plain store, where that of std's mutex is a second locked instruction, which has to look
/// whether somebody sleeps. Nobody does: whoever finds it held spins, then lets others go first, and at last
/// sleeps for moments, since the holder may be a thread that has to be let run for that. A panic does not
/// poison it.
#[cfg(not(all(test, autobus_loom)))]
#[derive(Default)]
pub(crate) struct Brief<T>(spin::mutex::SpinMutex<T>);

/// What a [`Brief`] protects, until it is dropped.
#[cfg(not(all(test, autobus_loom)))]
pub(crate) type BriefGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T>;

#[cfg(not(all(test, autobus_loom)))]
impl<T> Brief<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(spin::mutex::SpinMutex::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }

    #[inline]
    pub(crate) fn lock(&self) -> BriefGuard<'_, T> {
        match self.0.try_lock() {
            Some(guard) => guard,
            None => self.lock_later(),
        }
    }

    #[cold]
    fn lock_later(&self) -> BriefGuard<'_, T> {
        /// Rounds of spinning, each twice as long as the one before.
        const SPINS: u32 = 5;
        /// Rounds of letting others go first.
        const YIELDS: u32 = 64;
        const MOMENT: std::time::Duration = std::time::Duration::from_micros(50);
        let mut round = 0;
        loop {
            if round < SPINS {
                (0..1 << round).for_each(|_| std::hint::spin_loop());
            } else if round < SPINS + YIELDS {
                thread::yield_now();
            } else {
                thread::sleep(MOMENT);
            }
            round = round.saturating_add(1);
            // Looking first: who tries takes the cache line away from the holder.
            if !self.0.is_locked()
                && let Some(guard) = self.0.try_lock()
            {
                return guard;
            }
        }
    }
}

/// The same for a search, which knows std's kind alone.
#[cfg(all(test, autobus_loom))]
#[derive(Default)]
pub(crate) struct Brief<T>(Mutex<T>);

#[cfg(all(test, autobus_loom))]
pub(crate) type BriefGuard<'a, T> = MutexGuard<'a, T>;

#[cfg(all(test, autobus_loom))]
impl<T> Brief<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn lock(&self) -> BriefGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(test, not(autobus_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time_has_what_is_held_briefly() {
        let count = Brief::new((0_u64, 0_u64));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let mut count = count.lock();
                        count.0 += 1;
                        count.1 = count.0;
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), (80_000, 80_000));
    }

    #[test]
    fn whoever_finds_it_held_for_long_gets_it_at_last() {
        let value = Brief::new(0);
        let (come, has_come) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let held = value.lock();
            scope.spawn(|| {
                let _ = come.send(());
                *value.lock() += 1;
            });
            let _ = has_come.recv();
            // Longer than it spins and lets others go first.
            (0..10_000).for_each(|_| std::thread::yield_now());
            drop(held);
        });
        assert_eq!(value.into_inner(), 1);
    }

    #[test]
    fn a_panic_lets_it_go() {
        let value = Brief::new(0);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut held = value.lock();
            *held = 1;
            panic!("while it is held");
        }));
        assert!(panicked.is_err());
        assert_eq!(*value.lock(), 1);
    }
}
