//! What the consumer of a mailbox took out of it and has not started.
//!
//! It is shared, although one thread works on it, so that a shutdown whose deadline has passed can
//! refuse what waits behind a handler that never ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Entry, Service};
use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::handler::Access;
use crate::message::{Message, MessageRef, Whole};
use crate::sync::prefetch;
use crate::waits::Invocation;

/// How far behind the first in line it is asked for memory: that of an entry, of its message, and of what the
/// payload has elsewhere. Each has to be there to tell of the next.
const AHEAD: [usize; 3] = [12, 4, 2];

#[derive(Default)]
pub(super) struct Backlog {
    /// For whoever consumes the mailbox. Groups are among them where they run as a whole.
    queue: VecDeque<Entry>,
    /// The group that runs, if it has more than one listener.
    running: Option<MessageRef>,
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
    pub(super) fn extend(&mut self, entries: VecDeque<Entry>, service: &Service, whole: bool) {
        if !whole {
            for entry in entries {
                if entry.single().is_some() {
                    self.queue.push_back(entry);
                } else {
                    self.queue.extend(entry.deliveries(service).into_iter().map(Entry::one));
                }
            }
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
    pub(super) fn next_of_any(&mut self, service: &Service) -> Option<Delivery> {
        let first = match self.queue.pop_front()?.into_single() {
            Ok(delivery) => return Some(delivery),
            Err(event) => event,
        };
        // The others are next in line.
        let mut deliveries = first.deliveries(service);
        while deliveries.len() > 1 {
            if let Some(last) = deliveries.pop() {
                self.queue.push_front(Entry::one(last));
            }
        }
        deliveries.pop()
    }

    /// Begins what is first in line for a service without state, if it runs as a whole.
    #[inline]
    pub(super) fn begin(&mut self, service: &Service) -> Option<(MessageRef, Whole)> {
        if !self.own.is_empty() {
            return None;
        }
        let (message, whole) = match self.queue.pop_front()? {
            Entry::First(message, Some(whole)) => (message, whole),
            other => return self.put_back(other),
        };
        self.ask_ahead();
        service.mailbox.start_held(whole.len());
        if let Whole::Group { len, .. } = whole {
            service.progress().begin(len as usize);
            if len > 1 {
                self.running = Some(message.clone());
            }
        }
        Some((message, whole))
    }

    /// Asks for the memory of what is further back in the line.
    #[inline]
    fn ask_ahead(&self) {
        let [entry, message, payload] = AHEAD.map(|ahead| self.queue.get(ahead));
        if let Some(entry) = entry {
            prefetch(entry);
        }
        if let Some(Entry::First(message, Some(Whole::Group { .. }))) = message {
            message.prefetch();
        }
        if let Some(Entry::First(message, Some(Whole::Group { .. }))) = payload {
            message.prefetch_payload();
        }
    }

    /// What was first is first again.
    fn put_back<T>(&mut self, first: Entry) -> Option<T> {
        self.queue.push_front(first);
        None
    }

    /// The group that runs is over, or who calls this sees to the rest of it.
    pub(super) fn take_running(&mut self) -> Option<MessageRef> {
        self.running.take()
    }

    /// Takes the first that is for the service's own thread alone.
    pub(super) fn next_own(&mut self) -> Option<Delivery> {
        while let Some(delivery) = self.own.pop_front() {
            if self.has_lane(&delivery.binding, &*delivery.message) {
                return Some(delivery);
            }
            self.lane(&delivery.binding).waiting.push_back(delivery);
        }
        None
    }

    /// Takes the first in line; those of a full lane move there.
    pub(super) fn next(&mut self, service: &Service) -> Option<Delivery> {
        while let Some(delivery) = self.own.pop_back() {
            self.queue.push_front(Entry::one(delivery));
        }
        while let Some(delivery) = self.next_of_any(service) {
            if self.has_lane(&delivery.binding, &*delivery.message) {
                return Some(delivery);
            }
            self.lane(&delivery.binding).waiting.push_back(delivery);
        }
        None
    }

    /// As [`next`](Self::next), of a service with state: nobody shares it with `&mut self`.
    pub(super) fn next_with(
        &mut self,
        service: &Service,
        holders: &Holders<'_>,
    ) -> Option<Delivery> {
        let wanted = |binding: &Binding, message: &dyn Message| {
            let correlation = message.head().correlation();
            holders.chain.is_none_or(|chain| chain == correlation)
                && may_start(binding.access, holders.access)
        };
        let first = self.next(service)?;
        if wanted(&first.binding, &*first.message) {
            return Some(first);
        }
        self.queue.push_front(Entry::one(first));
        if !holders.all_wait {
            return None;
        }
        // What a service with state has is single.
        let index = self.queue.iter().position(|entry| {
            entry.single().is_some_and(|(binding, message)| {
                wanted(binding, &**message) && self.has_lane(binding, &**message)
            })
        })?;
        self.queue.remove(index)?.into_single().ok()
    }

    fn has_lane(&self, binding: &Arc<Binding>, message: &dyn Message) -> bool {
        let limit = binding.limit(message).filter(|_| binding.code.is_async());
        let Some(limit) = limit else { return true };
        self.lanes.get(&key(binding)).is_none_or(|lane| lane.running < limit)
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
    pub(super) fn each(&self, service: &Service, mut look: impl FnMut(&Arc<Binding>)) {
        for entry in &self.queue {
            entry.each(service, &mut look);
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
        own.map(Entry::one).chain(self.take()).chain(waiting.map(Entry::one)).collect()
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
