//! What the consumer of a mailbox took out of it and has not started.
//!
//! It is shared, although one thread works on it, so that a shutdown whose deadline has passed can
//! refuse what waits behind a handler that never ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Entry, Progress};
use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::handler::Access;
use crate::message::Message;
use crate::waits::Invocation;

#[derive(Default)]
pub(super) struct Backlog {
    /// For whoever consumes the mailbox. Groups are among them where they run as a whole.
    queue: VecDeque<Entry>,
    /// The group that runs, if it has more than one listener.
    running: Option<(Arc<dyn Message>, u32)>,
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
    /// Takes what is new; `whole` tells whether groups run as a whole.
    pub(super) fn extend(&mut self, entries: VecDeque<Entry>, whole: bool) {
        if !whole {
            self.queue.extend(entries.into_iter().flat_map(Entry::deliveries).map(Entry::One));
        } else if self.queue.is_empty() {
            self.queue = entries;
        } else {
            self.queue.extend(entries);
        }
    }

    /// Where what is new can be put as it is: nothing is before it.
    pub(super) fn room(&mut self) -> Option<&mut VecDeque<Entry>> {
        self.queue.is_empty().then_some(&mut self.queue)
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
        match self.queue.pop_front()? {
            Entry::One(delivery) => Some(delivery),
            group @ Entry::Group { .. } => self.split(group),
        }
    }

    /// Takes the first of a group; the others are next in line.
    fn split(&mut self, group: Entry) -> Option<Delivery> {
        let mut deliveries = group.deliveries();
        while deliveries.len() > 1 {
            if let Some(last) = deliveries.pop() {
                self.queue.push_front(Entry::One(last));
            }
        }
        deliveries.pop()
    }

    /// Takes the first in line for a service without state: a group that runs as a whole, or one
    /// delivery.
    pub(super) fn next_entry(&mut self, progress: &Progress) -> Option<Entry> {
        let front = self.queue.front().filter(|_| self.own.is_empty());
        if let Some(Entry::Group { message, group, plain }) = front
            && let Some(listeners) = usize::try_from(*plain).ok().filter(|plain| *plain > 0)
        {
            progress.begin(listeners);
            if listeners > 1 {
                self.running = Some((message.clone(), *group));
            }
            return self.queue.pop_front();
        }
        self.next().map(Entry::One)
    }

    /// The group that runs is over, or who calls this sees to the rest of it.
    pub(super) fn take_running(&mut self) -> Option<(Arc<dyn Message>, u32)> {
        self.running.take()
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
            self.queue.push_front(Entry::One(delivery));
        }
        while let Some(delivery) = self.next_of_any() {
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
        self.queue.push_front(Entry::One(first));
        if !holders.all_wait {
            return None;
        }
        let fits = |delivery: &Delivery| wanted(delivery) && self.has_lane(delivery);
        // What a service with state has is split already.
        let index = self.queue.iter().position(|entry| match entry {
            Entry::One(delivery) => fits(delivery),
            Entry::Group { .. } => false,
        })?;
        match self.queue.remove(index)? {
            Entry::One(delivery) => Some(delivery),
            group @ Entry::Group { .. } => self.split(group),
        }
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
    pub(super) fn each(&self, mut look: impl FnMut(&Arc<Binding>)) {
        for entry in &self.queue {
            entry.each(&mut look);
        }
        let in_lanes = self.lanes.values().flat_map(|lane| &lane.waiting);
        self.own.iter().chain(in_lanes).for_each(|delivery| look(&delivery.binding));
    }

    /// Takes the line, but not what waits in lanes.
    pub(super) fn take(&mut self) -> VecDeque<Entry> {
        std::mem::take(&mut self.queue)
    }

    /// Takes everything that has not started.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        let waiting = self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..));
        let waiting: Vec<Delivery> = waiting.collect();
        let own = std::mem::take(&mut self.own);
        let (own, waiting) = (own.into_iter(), waiting.into_iter());
        own.map(Entry::One).chain(self.take()).chain(waiting.map(Entry::One)).collect()
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
