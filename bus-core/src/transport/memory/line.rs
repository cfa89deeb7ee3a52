//! [`Line`]: what waits for consumers, and which of them is next.

use std::collections::VecDeque;
use std::sync::Arc;

use super::consumers::{Consumer, Consumers};
use crate::transport::Envelope;

/// A message on its way to a consumer.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) message: Arc<Envelope>,
    /// The call that it is, if it is one.
    pub(super) call: Option<u64>,
    /// Where in its line it is, also after it has come back.
    place: u64,
}

impl Parcel {
    pub(super) fn new(message: Arc<Envelope>) -> Self {
        Self { message, call: None, place: 0 }
    }

    pub(super) fn call(message: Envelope, call: u64) -> Self {
        Self { message: Arc::new(message), call: Some(call), place: 0 }
    }
}

/// Messages that are delivered to nobody yet, and those who compete for them.
#[derive(Debug, Default)]
pub(super) struct Line {
    fresh: VecDeque<Parcel>,
    /// Those that were lost before. Each consumer has at most one of them at a time, so
    /// that one that kills its consumer takes none of the others along.
    returned: VecDeque<Parcel>,
    consumers: Vec<u64>,
    next: usize,
    places: u64,
}

/// A message, and who gets it.
pub(super) struct Handover {
    pub(super) consumer: u64,
    pub(super) parcel: Parcel,
    pub(super) returned: bool,
}

impl Line {
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.places += 1;
        self.fresh.push_back(Parcel { place: self.places, ..parcel });
    }

    /// Puts one back to its place that nobody has tried.
    pub(super) fn put_back(&mut self, parcel: Parcel, returned: bool) {
        let lane = if returned { &mut self.returned } else { &mut self.fresh };
        let at = lane.partition_point(|waiting| waiting.place < parcel.place);
        lane.insert(at, parcel);
    }

    /// Puts one back whose consumer is gone, and perhaps because of it.
    pub(super) fn lose(&mut self, parcel: Parcel) {
        let mut message = Arc::unwrap_or_clone(parcel.message);
        message.attempt = message.attempt.saturating_add(1);
        message.lost = message.lost.saturating_add(1);
        self.put_back(Parcel { message: Arc::new(message), ..parcel }, true);
    }

    /// Takes out a call that nobody has got yet.
    pub(super) fn withdraw(&mut self, call: u64) -> Option<Parcel> {
        let at = self.fresh.iter().position(|parcel| parcel.call == Some(call))?;
        self.fresh.remove(at)
    }

    /// Everything that waits.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.returned.drain(..).chain(self.fresh.drain(..))
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.returned.len()
    }

    pub(super) fn consumers(&self) -> usize {
        self.consumers.len()
    }

    pub(super) fn join(&mut self, consumer: u64) {
        self.consumers.push(consumer);
    }

    pub(super) fn leave(&mut self, consumer: u64) {
        self.consumers.retain(|id| *id != consumer);
    }

    /// The next message that somebody has room for; first of those that were lost.
    pub(super) fn next(&mut self, consumers: &Consumers) -> Option<Handover> {
        if !self.returned.is_empty()
            && let Some(consumer) = self.pick(consumers, Consumer::takes_returned)
        {
            let parcel = self.returned.pop_front()?;
            return Some(Handover { consumer, parcel, returned: true });
        }
        if self.fresh.is_empty() {
            return None;
        }
        let consumer = self.pick(consumers, Consumer::has_room)?;
        let parcel = self.fresh.pop_front()?;
        Some(Handover { consumer, parcel, returned: false })
    }

    /// The next one in turn that can take a message.
    fn pick(&mut self, consumers: &Consumers, can: impl Fn(&Consumer) -> bool) -> Option<u64> {
        let count = self.consumers.len();
        let turn = (0..count).map(|step| (self.next + step) % count);
        let able = |at: &usize| consumers.get(self.consumers[*at]).is_some_and(&can);
        let at = turn.into_iter().find(able)?;
        self.next = (at + 1) % count;
        Some(self.consumers[at])
    }
}
