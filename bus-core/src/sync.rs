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

#[cfg(all(test, autobus_loom))]
pub(crate) mod thread {
    pub(crate) use loom::thread::{Thread, current, park};

    /// No time passes in a search, so nobody wakes before it is woken.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        park();
    }
}
