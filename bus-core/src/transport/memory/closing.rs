//! How consumers and connections end, and what becomes of what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::broker::Broker;
use super::effects::Effects;
use super::state::{Delivery, Key, Phase, State};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{CallError, Resolver};

impl Broker {
    /// Closes a connection once everything that it holds is settled, or at `deadline`.
    pub(super) fn close(self: &Arc<Self>, connection: u64, deadline: Instant, done: Resolver<()>) {
        let waits = self.with(|state, effects| state.close(connection, done, effects));
        if waits {
            let broker = Arc::downgrade(self);
            self.deadlines.at(deadline, move || {
                if let Some(broker) = broker.upgrade() {
                    broker.with(|state, effects| state.disconnect(connection, effects));
                }
            });
        }
    }
}

impl State {
    /// Ends a consumer. What it has not got yet goes back as if it had never been meant for it.
    pub(super) fn end_consumer(&mut self, id: u64, effects: &mut Effects) {
        let Some(consumer) = self.consumers.remove(id) else { return };
        let mut back = Vec::new();
        if let Some(connection) = self.connections.get_mut(&consumer.connection) {
            let mut tags = consumer.outbox.take_back();
            let passed_on = connection
                .deliveries
                .iter()
                .filter(|(_, held)| held.passed_on && held.consumer == id);
            tags.extend(passed_on.map(|(tag, _)| *tag));
            back = tags.iter().filter_map(|tag| connection.deliveries.remove(tag)).collect();
        }
        if let Some(line) = self.line(&consumer.key) {
            line.leave(id);
            for Delivery { parcel, returned, .. } in back {
                line.put_back(parcel, returned);
            }
        }
        self.forget_unserved(&consumer.key, effects);
        let is_own = matches!(consumer.key, Key::Own(..));
        if is_own && self.line(&consumer.key).is_some_and(|line| line.consumers() == 0) {
            self.delete(&consumer.key);
        }
        self.dispatch(&consumer.key, effects);
        self.disconnect_if_done(consumer.connection, effects);
        // Its sink is somebody else's, and may do anything when it is dropped.
        effects.then(move || drop(consumer));
    }

    /// Takes no more requests of a connection; whether it holds messages that are not settled.
    fn close(&mut self, id: u64, done: Resolver<()>, effects: &mut Effects) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            effects.resolve(done, Ok(()));
            return false;
        };
        match &mut connection.phase {
            Phase::Closed => {
                effects.resolve(done, Ok(()));
                return false;
            }
            Phase::Closing(waiting) => waiting.push(done),
            Phase::Open => connection.phase = Phase::Closing(vec![done]),
        }
        for consumer in self.consumers.of(id) {
            self.end_consumer(consumer, effects);
        }
        self.disconnect_if_done(id, effects);
        self.is_closing(id)
    }

    fn is_closing(&self, id: u64) -> bool {
        let connection = self.connections.get(&id);
        connection.is_some_and(|connection| matches!(connection.phase, Phase::Closing(_)))
    }

    /// A connection that closes is at its end once nothing is left to settle.
    pub(super) fn disconnect_if_done(&mut self, id: u64, effects: &mut Effects) {
        let done = self.connections.get(&id).is_some_and(|open| open.deliveries.is_empty());
        if done && self.is_closing(id) {
            self.disconnect(id, effects);
        }
    }

    /// Ends a connection now. What it holds goes back; its queues are gone.
    pub(super) fn disconnect(&mut self, id: u64, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let phase = std::mem::replace(&mut connection.phase, Phase::Closed);
        for consumer in self.consumers.of(id) {
            self.end_consumer(consumer, effects);
        }
        let held = self.connections.remove(&id).map(|connection| connection.deliveries);
        let held = held.unwrap_or_default();
        if let Phase::Closing(waiting) = phase {
            for done in waiting {
                effects.resolve(done, outcome(&held));
            }
        }
        // Its own queues go first: nobody is left to take what goes back to them.
        let own = |key: &&Key| matches!(key, Key::Own(owner, _) if *owner == id);
        for key in self.queues.keys().filter(own).cloned().collect::<Vec<_>>() {
            self.delete(&key);
        }
        self.give_all_back(held, effects);
        self.drop_calls(id, effects);
    }

    fn give_all_back(&mut self, held: BTreeMap<u64, Delivery>, effects: &mut Effects) {
        let mut touched = BTreeSet::new();
        for Delivery { key, parcel, .. } in held.into_values() {
            if let Some(call) = parcel.call {
                self.fail(call, CallError::Interrupted, effects);
            } else if let Some(line) = self.line(&key) {
                line.lose(parcel);
                touched.insert(key);
            }
        }
        for key in touched {
            self.dispatch(&key, effects);
        }
    }

    /// Nobody waits any more for what this connection asked.
    fn drop_calls(&mut self, connection: u64, effects: &mut Effects) {
        let asked = self.calls.iter().filter(|(_, call)| call.connection == connection);
        let mut asked: Vec<u64> = asked.map(|(id, _)| *id).collect();
        asked.sort_unstable();
        for id in asked {
            if !self.withdraw(id, "the connection is closed", effects) {
                self.fail(id, CallError::Interrupted, effects);
            }
        }
    }
}

/// How closing ended, with this left.
fn outcome(held: &BTreeMap<u64, Delivery>) -> Result<()> {
    let Some(first) = held.values().next() else { return Ok(()) };
    let name = first.key.name();
    let count = match held.len() {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    };
    let elsewhere = held.values().any(|delivery| delivery.key.name() != name);
    let others = if elsewhere { " and others" } else { "" };
    let text = format!("{count} of `{name}`{others} not settled in time");
    Err(Error::of_kind(ErrorKind::Timeout, text))
}
