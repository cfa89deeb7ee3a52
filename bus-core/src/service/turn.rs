//! The turn of a service: of its threads, one at a time runs its handlers.
//!
//! A service has one thread until a handler waits. Then its mailbox goes on under a substitute, and
//! the turn keeps "one after another" true: whoever goes on, or polls an asynchronous handler, has
//! the turn. It is given in the order in which it was asked for.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, Condvar, Mutex, MutexGuard};

pub(crate) struct Turn {
    serving: Mutex<u64>,
    next: AtomicU64,
    changed: Condvar,
}

impl Default for Turn {
    fn default() -> Self {
        Self { serving: Mutex::new(0), next: AtomicU64::new(0), changed: Condvar::new() }
    }
}

impl Turn {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until this thread has the turn.
    pub(crate) fn acquire(&self) {
        let mut serving = self.lock();
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        while *serving != ticket {
            serving = self.changed.wait(serving).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the turn to the next in line.
    pub(crate) fn release(&self) {
        *self.lock() += 1;
        self.changed.notify_all();
    }

    /// Lets those in line go first, if there are any; called by the holder.
    pub(crate) fn pass(&self) {
        let waiting = self.next.load(Ordering::Relaxed) > *self.lock() + 1;
        if waiting {
            self.release();
            self.acquire();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn one_thread_has_the_turn_at_a_time() {
        let turn = Arc::new(Turn::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (turn, inside) = (turn.clone(), inside.clone());
                std::thread::spawn(move || {
                    for _ in 0..1_000 {
                        turn.acquire();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        turn.pass_checked(&inside);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        turn.release();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }

    impl Turn {
        fn pass_checked(&self, inside: &AtomicUsize) {
            inside.fetch_sub(1, Ordering::SeqCst);
            self.pass();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
        }
    }
}
