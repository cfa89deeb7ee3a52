//! How far a group is: the plain listeners of one event and one service, run one after another.
//!
//! Its thread alone moves it on. Others only look, or have it end early, and then wait: a handler that
//! has not seen by the end of a grace period that it is to be the last one is stuck.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::delivery::Delivery;
use crate::message::MessageRef;
use crate::router::Target;

/// In place of a slot, before the first listener runs.
const NOBODY: u32 = u32::MAX;

#[derive(Default)]
pub(crate) struct Progress {
    /// The listener that runs, by its place in the group.
    at: AtomicUsize,
    /// Where the group ends.
    end: AtomicUsize,
    /// The place of the listener that runs among the outcomes.
    slot: AtomicU32,
}

impl Progress {
    /// A group of so many begins.
    #[inline]
    pub(crate) fn begin(&self, len: usize) {
        self.slot.store(NOBODY, Ordering::Relaxed);
        self.at.store(0, Ordering::Relaxed);
        self.end.store(len, Ordering::Relaxed);
    }

    /// The listener that runs or is the next to run; nothing at the end.
    #[inline]
    pub(crate) fn at(&self) -> Option<usize> {
        let at = self.at.load(Ordering::Relaxed);
        (at < self.end.load(Ordering::Relaxed)).then_some(at)
    }

    /// How many are over, while the group is.
    #[inline]
    pub(crate) fn place(&self) -> usize {
        self.at.load(Ordering::Relaxed)
    }

    /// The listener runs whose place among the outcomes this is.
    #[inline]
    pub(crate) fn enter(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// The place of the listener that runs among the outcomes.
    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    /// On to the next one.
    #[inline]
    pub(crate) fn advance(&self) {
        self.at.store(self.at.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The group ends after the listener that runs.
    pub(crate) fn cut(&self) {
        self.end.store(0, Ordering::Relaxed);
    }

    /// Whether somebody had the group end early.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.end.load(Ordering::Relaxed) == 0
    }

    /// What comes after the listener that runs, or was the last to. That is told by its slot, which does not
    /// move on before the next one begins.
    pub(super) fn after(&self, message: &MessageRef, targets: &[Target]) -> Vec<Delivery> {
        let slot = self.slot();
        let place = targets.iter().position(|target| target.slot == slot);
        // The first one runs in any case.
        from(place.unwrap_or(0) + 1, message, targets)
    }

    /// What was not begun of a group that ended early.
    pub(super) fn unbegun(&self, message: &MessageRef, targets: &[Target]) -> Vec<Delivery> {
        from(self.place(), message, targets)
    }
}

/// The deliveries of a group from its listener number `first` on.
fn from(first: usize, message: &MessageRef, targets: &[Target]) -> Vec<Delivery> {
    let targets = targets.get(first..).unwrap_or_default();
    targets.iter().map(|target| target.delivery(message, 1)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::binding::Binding;
    use crate::clock::Clock;
    use crate::handler::Plain;
    use crate::message::{Deliveries, Encoded, Head};
    use crate::router::Route;
    use crate::service::Service;

    static HEAR: fn(&u32) = |_| {};

    #[test]
    fn what_follows_a_listener_is_the_same_while_it_runs_and_once_it_has_ended() {
        let bus = crate::Builder::new().build().expect("a bus");
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 8, None));
        let plain: Plain = &HEAR;
        let bindings = std::iter::repeat_with(|| Binding::plain(&service, plain)).take(3);
        let route = Arc::new(Route::new(bindings.collect()));
        let targets = &route.groups[0].targets;
        let head = Head::new(&bus, Deliveries::ONE);
        let (exchange, key): (Arc<str>, Arc<str>) = ("bus".into(), "tick".into());
        let message = Encoded { head, route: route.clone(), exchange, key, body: Vec::new() };
        let message = MessageRef::new(message);
        let progress = Progress::default();
        let after = || -> Vec<u32> {
            progress.after(&message, targets).iter().map(|delivery| delivery.slot).collect()
        };
        progress.enter(2);
        progress.begin(3);
        assert_eq!(after(), [1, 2], "the first one runs in any case");
        progress.enter(targets[0].slot);
        assert_eq!(after(), [1, 2]);
        progress.advance();
        assert_eq!(after(), [1, 2]);
        progress.enter(targets[1].slot);
        assert_eq!(after(), [2]);
    }
}
