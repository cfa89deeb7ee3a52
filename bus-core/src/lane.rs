//! What one thread does on one bus without asking anybody: it runs plain inline handlers, or puts an
//! event into several mailboxes.
//!
//! The thread alone writes its lane, and others look. That it runs something is told by a store that
//! is ordered before it looks at the bus's epoch; whoever has given the bus another epoch and then
//! finds that nothing runs knows that nothing of the former epoch will.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::binding::{Binding, Counts};
use crate::bus::Bus;
use crate::router::Route;
use crate::sync::{AtomicBool, fence, tell};

/// One thread's part of a bus.
#[derive(Default)]
pub(crate) struct Lane {
    running: AtomicBool,
    /// Somebody waits until nothing runs.
    watched: AtomicBool,
    /// Events that went to mailboxes.
    fired: AtomicU64,
    tallies: Mutex<Vec<Tally>>,
}

/// How often what was run directly succeeded.
struct Tally {
    of: Counted,
    times: Arc<AtomicU64>,
}

/// What is run directly.
pub(crate) enum Counted {
    /// All listeners of a route.
    Route(Arc<Route>),
    Command(Arc<Binding>),
}

impl Counted {
    fn bindings(&self) -> impl Iterator<Item = &Arc<Binding>> {
        let (targets, command) = match self {
            Self::Route(route) => (route.inline.as_slice(), None),
            Self::Command(binding) => (&[][..], Some(binding)),
        };
        targets.iter().map(|target| &target.binding).chain(command)
    }

    fn is_event(&self) -> bool {
        matches!(self, Self::Route(_))
    }
}

impl Lane {
    /// Inline handlers are about to run on this thread, or an event goes to several mailboxes. What the
    /// thread looks at next, it looks at after everybody can see this.
    #[inline]
    pub(crate) fn enter(&self) {
        tell(&self.running);
    }

    /// Enters, unless the bus has another epoch by now; says whether.
    #[inline]
    pub(crate) fn enter_in(&self, bus: &Bus, epoch: u64) -> bool {
        self.enter();
        let is_same = bus.epoch() == epoch;
        if !is_same {
            self.leave(bus);
        }
        is_same
    }

    /// They are over.
    #[inline]
    pub(crate) fn leave(&self, bus: &Bus) {
        if self.end() {
            bus.0.inline_done.notify(usize::MAX);
        }
    }

    /// The same; says whether somebody waits for it.
    #[inline]
    pub(crate) fn end(&self) -> bool {
        self.running.store(false, Ordering::Release);
        // Unordered with the store before it: who waits looks again from time to time.
        let is_watched = self.watched.load(Ordering::Relaxed);
        if is_watched {
            self.watched.store(false, Ordering::Relaxed);
        }
        is_watched
    }

    /// Counts an event that went to mailboxes.
    #[inline]
    pub(crate) fn count(&self) {
        self.fired.store(self.fired.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn tallies(&self) -> MutexGuard<'_, Vec<Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A counter of how often it succeeded on this thread.
    pub(crate) fn tally(&self, of: Counted) -> Arc<AtomicU64> {
        let times = Arc::new(AtomicU64::new(0));
        self.tallies().push(Tally { of, times: times.clone() });
        times
    }

    /// Adds what was counted by this counter to what the bus and the listeners count themselves.
    pub(crate) fn fold(&self, counter: &Arc<AtomicU64>, bus: Option<&Bus>) {
        let mut tallies = self.tallies();
        let Some(index) = tallies.iter().position(|t| Arc::ptr_eq(&t.times, counter)) else {
            return;
        };
        let Tally { of, times } = tallies.swap_remove(index);
        let times = times.load(Ordering::Relaxed);
        if let Some(bus) = bus.filter(|_| of.is_event()) {
            bus.0.fired.fetch_add(times, Ordering::Relaxed);
        }
        for binding in of.bindings() {
            Counts::add_many(&binding.counts.handled, times);
        }
    }
}

/// The lanes of all threads.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<Vec<Arc<Lane>>>);

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane for this thread. What those counted whose threads have ended goes to `fired`.
    pub(crate) fn open(&self, fired: &AtomicU64) -> Arc<Lane> {
        let mut lanes = self.lock();
        lanes.retain(|lane| {
            let is_used = Arc::strong_count(lane) > 1;
            if !is_used {
                fired.fetch_add(lane.fired.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            is_used
        });
        let lane = Arc::new(Lane::default());
        lanes.push(lane.clone());
        lane
    }

    /// Whether any runs something; who asks is notified, mostly, when it does not any more.
    pub(crate) fn run(&self) -> bool {
        fence(Ordering::SeqCst);
        let running = |lane: &Arc<Lane>| {
            lane.running.load(Ordering::SeqCst) && {
                lane.watched.store(true, Ordering::SeqCst);
                lane.running.load(Ordering::SeqCst)
            }
        };
        self.lock().iter().any(running)
    }

    /// Tells `look` how often a handler has succeeded on any lane, or how many events were fired,
    /// while none of it moves elsewhere.
    pub(crate) fn counted<R>(&self, look: impl FnOnce(&dyn Fn(Option<&Binding>) -> u64) -> R) -> R {
        let lanes = self.lock();
        let queued: u64 = lanes.iter().map(|lane| lane.fired.load(Ordering::Relaxed)).sum();
        let tallies: Vec<_> = lanes.iter().map(|lane| lane.tallies()).collect();
        let count = |binding: Option<&Binding>| {
            let is_it = |tally: &&Tally| match binding {
                None => tally.of.is_event(),
                Some(binding) => tally.of.bindings().any(|b| std::ptr::eq(&raw const **b, binding)),
            };
            let counted = tallies.iter().flat_map(|tallies| tallies.iter()).filter(is_it);
            let counted: u64 = counted.map(|tally| tally.times.load(Ordering::Relaxed)).sum();
            counted + if binding.is_none() { queued } else { 0 }
        };
        look(&count)
    }
}
