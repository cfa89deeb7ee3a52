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
