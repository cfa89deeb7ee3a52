//! Who consumes, and how much of it each has in hand.

use std::collections::HashMap;
use std::sync::Arc;

use super::outbox::Outbox;
use super::state::Key;

/// Every consumer of the broker.
#[derive(Default)]
pub(super) struct Consumers(HashMap<u64, Consumer>);

/// One consumer.
pub(super) struct Consumer {
    pub(super) connection: u64,
    pub(super) key: Key,
    pub(super) outbox: Arc<Outbox>,
    prefetch: usize,
    unsettled: usize,
    returned: bool,
}

impl Consumer {
    /// One that takes at most `prefetch` messages at a time; any number if that is zero, as in AMQP
    /// 0-9-1 (section 1.8.3.1, `basic.qos`).
    pub(super) fn new(connection: u64, key: Key, prefetch: u16, outbox: Arc<Outbox>) -> Self {
        let prefetch = if prefetch == 0 { usize::MAX } else { prefetch.into() };
        Self { connection, key, outbox, prefetch, unsettled: 0, returned: false }
    }

    pub(super) fn has_room(&self) -> bool {
        self.unsettled < self.prefetch
    }

    /// Whether it can take one that came back.
    pub(super) fn takes_returned(&self) -> bool {
        self.has_room() && !self.returned
    }
}

impl Consumers {
    pub(super) fn insert(&mut self, id: u64, consumer: Consumer) {
        self.0.insert(id, consumer);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Consumer> {
        self.0.get(&id)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Consumer> {
        self.0.remove(&id)
    }

    /// Those of a connection, in the order in which they came.
    pub(super) fn of(&self, connection: u64) -> Vec<u64> {
        let mine = self.0.iter().filter(|(_, consumer)| consumer.connection == connection);
        let mut ids: Vec<u64> = mine.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Counts a message that it got.
    pub(super) fn took(&mut self, id: u64, returned: bool) {
        if let Some(consumer) = self.0.get_mut(&id) {
            consumer.unsettled += 1;
            consumer.returned |= returned;
        }
    }

    /// Counts a message that it no longer has; nothing, if it has ended since.
    pub(super) fn done(&mut self, id: u64, returned: bool) {
        if let Some(consumer) = self.0.get_mut(&id) {
            consumer.unsettled -= 1;
            consumer.returned &= !returned;
        }
    }
}
