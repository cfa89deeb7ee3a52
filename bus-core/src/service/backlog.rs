//! What the consumer of a mailbox took out of it and has not started.
//!
//! It is shared, although one thread works on it, so that a shutdown whose deadline has passed can
//! refuse what waits behind a handler that never ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::handler::Access;
use crate::waits::Invocation;

#[derive(Default)]
pub(super) struct Backlog {
    /// For whoever consumes the mailbox.
    queue: VecDeque<Delivery>,
    /// For the service's own thread: asynchronous deliveries that come before those.
    own: VecDeque<Delivery>,
    /// The asynchronous handlers that are limited in how many run at once, by their address.
    lanes: HashMap<usize, Lane>,
}

/// The running and the waiting deliveries of one asynchronous handler.
#[derive(Default)]
struct Lane {
    running: usize,
    waiting: VecDeque<Delivery>,
}

/// What of a service's state is in use.
pub(super) struct Holders<'a> {
    pub(super) access: &'a [(Invocation, Access)],
    /// All of them wait, perhaps for something further back in the line.
    pub(super) all_wait: bool,
    /// Only what belongs to this chain of messages may start.
    pub(super) chain: Option<u64>,
}

impl Backlog {
    pub(super) fn extend(&mut self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.queue.extend(deliveries);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.own.is_empty()
    }

    /// Keeps an asynchronous delivery for the service's own thread.
    pub(super) fn hand_over(&mut self, delivery: Delivery) {
        self.own.push_back(delivery);
    }

    /// Takes the first in line, whatever it is, for a substitute.
    pub(super) fn next_of_any(&mut self) -> Option<Delivery> {
        self.queue.pop_front()
    }

    /// Takes the first that is for the service's own thread alone.
    pub(super) fn next_own(&mut self) -> Option<Delivery> {
        while let Some(delivery) = self.own.pop_front() {
            if self.has_lane(&delivery) {
                return Some(delivery);
            }
            self.lane(&delivery.binding).waiting.push_back(delivery);
        }
        None
    }

    /// Takes the first in line; those of a full lane move there.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        while let Some(delivery) = self.own.pop_back() {
            self.queue.push_front(delivery);
        }
        while let Some(delivery) = self.queue.pop_front() {
            if self.has_lane(&delivery) {
                return Some(delivery);
            }
            self.lane(&delivery.binding).waiting.push_back(delivery);
        }
        None
    }

    /// As [`next`](Self::next), of a service with state: nobody shares it with `&mut self`.
    pub(super) fn next_with(&mut self, holders: &Holders<'_>) -> Option<Delivery> {
        let wanted = |delivery: &Delivery| {
            let correlation = delivery.message.head().correlation;
            holders.chain.is_none_or(|chain| chain == correlation)
                && may_start(delivery.binding.access, holders.access)
        };
        let first = self.next()?;
        if wanted(&first) {
            return Some(first);
        }
        self.queue.push_front(first);
        if !holders.all_wait {
            return None;
        }
        let fits = |delivery: &Delivery| wanted(delivery) && self.has_lane(delivery);
        let index = self.queue.iter().position(fits)?;
        self.queue.remove(index)
    }

    fn has_lane(&self, delivery: &Delivery) -> bool {
        let limit = delivery.limit().filter(|_| delivery.binding.code.is_async());
        let Some(limit) = limit else { return true };
        self.lanes.get(&key(&delivery.binding)).is_none_or(|lane| lane.running < limit)
    }

    fn lane(&mut self, binding: &Arc<Binding>) -> &mut Lane {
        self.lanes.entry(key(binding)).or_default()
    }

    /// A delivery takes its place in its lane.
    pub(super) fn enter(&mut self, binding: &Arc<Binding>) {
        self.lane(binding).running += 1;
    }

    /// A delivery leaves its lane; who waits for the place is first in line now.
    pub(super) fn leave(&mut self, binding: &Arc<Binding>) {
        let lane = self.lane(binding);
        lane.running -= 1;
        let waiting = lane.waiting.pop_front();
        let is_over = lane.running == 0 && waiting.is_none();
        if is_over {
            self.lanes.remove(&key(binding));
        }
        if let Some(waiting) = waiting {
            self.own.push_front(waiting);
        }
    }

    /// Looks at everything that has not started.
    pub(super) fn each(&self, look: impl FnMut(&Delivery)) {
        let in_lanes = self.lanes.values().flat_map(|lane| &lane.waiting);
        self.queue.iter().chain(&self.own).chain(in_lanes).for_each(look);
    }

    /// Takes the line, but not what waits in lanes.
    pub(super) fn take(&mut self) -> VecDeque<Delivery> {
        std::mem::take(&mut self.queue)
    }

    /// Takes everything that has not started.
    pub(super) fn take_all(&mut self) -> Vec<Delivery> {
        let waiting = self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..));
        let waiting: Vec<Delivery> = waiting.collect();
        let own = std::mem::take(&mut self.own);
        own.into_iter().chain(self.take()).chain(waiting).collect()
    }
}

/// The address of a binding, which outlives its place in the map: who runs or waits holds it.
fn key(binding: &Arc<Binding>) -> usize {
    Arc::as_ptr(binding).addr()
}

fn may_start(access: Access, holders: &[(Invocation, Access)]) -> bool {
    match access {
        Access::Exclusive => holders.is_empty(),
        Access::Shared | Access::Stateless => {
            holders.iter().all(|(_, held)| *held != Access::Exclusive)
        }
    }
}
