//! The threads of a test bus that are awake.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use event_listener::{Event, EventListener};

use crate::sync::AtomicUsize;

/// Counts the threads that are awake, or were woken and are about to be.
///
/// A thread of the core sleeps only when it has nothing to do, and what gives it something to do
/// wakes it first. So at zero nothing runs, and nothing can start by itself.
#[derive(Default)]
pub(crate) struct Activity {
    awake: AtomicUsize,
    changed: Event,
}

impl Activity {
    pub(crate) fn begin(&self) {
        self.awake.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn end(&self) {
        if self.awake.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.change();
        }
    }

    /// Whether no thread is awake.
    pub(crate) fn is_over(&self) -> bool {
        self.awake.load(Ordering::Acquire) == 0
    }

    /// Tells of anything after which the bus may be settled.
    pub(crate) fn change(&self) {
        self.changed.notify(usize::MAX);
    }

    pub(super) fn listen(&self) -> EventListener {
        self.changed.listen()
    }
}

/// That a thread lives; counted from before it starts until this is dropped.
pub(crate) struct Awake(Arc<Activity>);

impl Awake {
    pub(crate) fn new(activity: &Arc<Activity>) -> Self {
        activity.begin();
        Self(activity.clone())
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.end();
    }
}
