//! What the broker knows: exchanges, queues, connections; and how messages find their queues.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use super::broker::Broker;
use super::calls::{Call, Served};
use super::consumers::{Consumer, Consumers};
use super::effects::Effects;
use super::line::{Handover, Line, Parcel};
use super::outbox::Outbox;
use super::queue::Stored;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{
    Confirm, Dead, Depth, Envelope, Options, Queue, QueueKind, Resolver, Sink, Topology,
};
use crate::trie::Trie;

/// Where messages wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// A queue that everybody shares.
    Shared(Arc<str>),
    /// A queue of one connection.
    Own(u64, Arc<str>),
    /// The calls of a command.
    Command(Arc<str>),
}

impl Key {
    pub(super) fn of(connection: u64, queue: &Queue) -> Self {
        match queue.kind {
            QueueKind::Broadcast => Self::Own(connection, queue.name.as_str().into()),
            QueueKind::Listener | QueueKind::Task => Self::Shared(queue.name.as_str().into()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Shared(name) | Self::Own(_, name) | Self::Command(name) => name,
        }
    }
}

/// Everything behind the broker's lock.
pub(super) struct State {
    pub(super) broker: Weak<Broker>,
    pub(super) connections: HashMap<u64, Connection>,
    pub(super) consumers: Consumers,
    pub(super) queues: HashMap<Key, Stored>,
    pub(super) commands: HashMap<Key, Served>,
    pub(super) calls: HashMap<u64, Call>,
    exchanges: HashMap<String, Trie<Key>>,
    last: u64,
}

/// Somebody who is connected.
pub(super) struct Connection {
    pub(super) clock: Clock,
    pub(super) body_limit: usize,
    /// What it has received and not settled, in the order in which it was delivered.
    pub(super) deliveries: BTreeMap<u64, Delivery>,
    pub(super) phase: Phase,
}

/// How far a connection is.
pub(super) enum Phase {
    Open,
    /// It waits for settlements; these are told when it has them.
    Closing(Vec<Resolver<()>>),
    Closed,
}

/// A message that a connection holds.
pub(super) struct Delivery {
    pub(super) consumer: u64,
    pub(super) key: Key,
    pub(super) parcel: Parcel,
    pub(super) returned: bool,
    /// A call for another server, once its own has ended.
    pub(super) passed_on: bool,
}

impl State {
    pub(super) fn new(broker: Weak<Broker>) -> Self {
        Self {
            broker,
            connections: HashMap::new(),
            consumers: Consumers::default(),
            queues: HashMap::new(),
            commands: HashMap::new(),
            calls: HashMap::new(),
            exchanges: HashMap::new(),
            last: 0,
        }
    }

    /// A number that nothing has yet.
    pub(super) fn id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn connect(&mut self, options: &Options) -> u64 {
        let (clock, body_limit) = (options.clock.clone(), options.body_limit);
        let id = self.id();
        let (deliveries, phase) = (BTreeMap::new(), Phase::Open);
        self.connections.insert(id, Connection { clock, body_limit, deliveries, phase });
        id
    }

    /// The connection, if it takes requests.
    pub(super) fn open(&self, connection: u64) -> Result<&Connection> {
        match self.connections.get(&connection) {
            Some(open) if matches!(open.phase, Phase::Open) => Ok(open),
            _ => Err(Error::of_kind(ErrorKind::Closed, "the connection is closed")),
        }
    }

    pub(super) fn declare_all(&mut self, connection: u64, topology: &Topology) -> Result<()> {
        self.open(connection)?;
        for queue in &topology.queues {
            self.declare(connection, queue)?;
        }
        Ok(())
    }

    /// Makes a queue and its bindings exist.
    pub(super) fn declare(&mut self, connection: u64, queue: &Queue) -> Result<Key> {
        let key = Key::of(connection, queue);
        let stored = self.queues.entry(key.clone()).or_insert_with(|| Stored::new(queue.kind));
        if stored.kind != queue.kind {
            let (name, is, wanted) = (&queue.name, stored.kind, queue.kind);
            let text = format!("the queue `{name}` is of kind {is:?}, not {wanted:?}");
            return Err(Error::transport(text));
        }
        for binding in &queue.bindings {
            if stored.bindings.insert(binding.clone()) {
                let exchange = self.exchanges.entry(binding.exchange.clone()).or_default();
                exchange.insert(&binding.pattern, key.clone());
            }
        }
        Ok(key)
    }

    /// Deletes a queue of one connection.
    pub(super) fn delete(&mut self, key: &Key) {
        for binding in self.queues.remove(key).into_iter().flat_map(|queue| queue.bindings) {
            if let Some(exchange) = self.exchanges.get_mut(&binding.exchange) {
                exchange.remove(&binding.pattern, |bound| bound == key);
            }
        }
    }

    /// Refuses a message that this connection must not send; gives an id to one without.
    pub(super) fn admit(&self, connection: u64, message: &mut Envelope) -> Result<()> {
        let (size, limit) = (message.body.len(), self.open(connection)?.body_limit);
        if size > limit {
            let key = &message.key;
            let text = format!("the body of `{key}` has {size} bytes; the limit is {limit}");
            return Err(Error::transport(text));
        }
        if message.id.is_empty() {
            message.id = format!("{:032x}", fastrand::u128(..));
        }
        Ok(())
    }

    pub(super) fn publish(
        &mut self,
        connection: u64,
        mut message: Envelope,
        effects: &mut Effects,
    ) -> Result<Confirm> {
        self.admit(connection, &mut message)?;
        let mut keys = Vec::new();
        if let Some(exchange) = self.exchanges.get(&message.exchange) {
            exchange.matches(&message.key, |_, key| keys.push(key.clone()));
        }
        keys.sort_unstable();
        keys.dedup();
        let message = Arc::new(message);
        for key in &keys {
            self.put(key, Parcel::new(message.clone()), effects);
        }
        Ok(Confirm::new(!keys.is_empty()))
    }

    pub(super) fn enqueue(
        &mut self,
        connection: u64,
        queue: &Queue,
        mut message: Envelope,
        effects: &mut Effects,
    ) -> Result<Confirm> {
        self.admit(connection, &mut message)?;
        let key = self.declare(connection, queue)?;
        self.put(&key, Parcel::new(Arc::new(message)), effects);
        Ok(Confirm::new(true))
    }

    pub(super) fn consume(
        &mut self,
        connection: u64,
        queue: &Queue,
        prefetch: u16,
        sink: Sink,
        effects: &mut Effects,
    ) -> Result<u64> {
        self.open(connection)?;
        let key = self.declare(connection, queue)?;
        Ok(self.join(connection, &key, prefetch, sink, effects))
    }

    /// Adds a consumer.
    pub(super) fn join(
        &mut self,
        connection: u64,
        key: &Key,
        prefetch: u16,
        sink: Sink,
        effects: &mut Effects,
    ) -> u64 {
        let outbox = Outbox::new(sink, self.broker.clone(), connection);
        let id = self.id();
        self.consumers.insert(id, Consumer::new(connection, key.clone(), prefetch, outbox));
        if let Some(line) = self.line(key) {
            line.join(id);
        }
        self.dispatch(key, effects);
        id
    }

    pub(super) fn line(&mut self, key: &Key) -> Option<&mut Line> {
        line_of(&mut self.queues, &mut self.commands, key)
    }

    pub(super) fn put(&mut self, key: &Key, parcel: Parcel, effects: &mut Effects) {
        if let Some(line) = self.line(key) {
            line.push(parcel);
        }
        self.dispatch(key, effects);
    }

    /// Hands over what waits there, as far as there are consumers with room.
    pub(super) fn dispatch(&mut self, key: &Key, effects: &mut Effects) {
        while let Some(next) = line_of(&mut self.queues, &mut self.commands, key)
            .and_then(|line| line.next(&self.consumers))
        {
            self.hand_over(key, next, effects);
        }
    }

    fn hand_over(&mut self, key: &Key, next: Handover, effects: &mut Effects) {
        let Handover { consumer, parcel, returned } = next;
        let Some(taker) = self.consumers.get(consumer) else { return };
        let (outbox, connection) = (taker.outbox.clone(), taker.connection);
        let limit = self.connections.get(&connection).map_or(0, |taker| taker.body_limit);
        if parcel.message.body.len() > limit {
            return self.too_large(connection, key, parcel, limit, effects);
        }
        let tag = self.id();
        let message = parcel.message.clone();
        let delivery = Delivery { consumer, key: key.clone(), parcel, returned, passed_on: false };
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.deliveries.insert(tag, delivery);
        }
        self.consumers.took(consumer, returned);
        outbox.push(tag, message);
        effects.deliver(&outbox);
    }

    pub(super) fn dead_letters(&self, queue: &Queue) -> Vec<Dead> {
        let stored = self.queues.get(&Key::Shared(queue.name.as_str().into()));
        stored.map_or_else(Vec::new, |stored| stored.dead().to_vec())
    }

    pub(super) fn replay(&mut self, queue: &Queue, id: &str, effects: &mut Effects) -> bool {
        let key = Key::Shared(queue.name.as_str().into());
        let Some(stored) = self.queues.get_mut(&key) else { return false };
        let Some(dead) = stored.dig_up(id) else { return false };
        stored.revive(dead);
        self.dispatch(&key, effects);
        true
    }

    pub(super) fn discard(&mut self, queue: &Queue, id: &str) -> bool {
        let stored = self.queues.get_mut(&Key::Shared(queue.name.as_str().into()));
        stored.is_some_and(|stored| stored.dig_up(id).is_some())
    }

    pub(super) fn depth(&self, connection: u64, queue: &Queue) -> Depth {
        let stored = self.queues.get(&Key::of(connection, queue));
        stored.map_or_else(Depth::default, Stored::depth)
    }
}

/// What waits under this key; apart from the rest, so that the consumers can be read meanwhile.
fn line_of<'a>(
    queues: &'a mut HashMap<Key, Stored>,
    commands: &'a mut HashMap<Key, Served>,
    key: &Key,
) -> Option<&'a mut Line> {
    match key {
        Key::Command(_) => commands.get_mut(key).map(|served| &mut served.0),
        Key::Shared(_) | Key::Own(..) => queues.get_mut(key).map(|queue| &mut queue.line),
    }
}
