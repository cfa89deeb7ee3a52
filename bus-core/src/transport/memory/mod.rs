//! A broker in this process, behind the trait that brokers implement: `memory:NAME`.
//!
//! Everybody who connects to one name shares one broker, which lives as long as any of those
//! connections is kept, closed or not: so a test that fires before a service's first start keeps one.
//! It has the routing rules and the settlements of a real broker, and none of its durability. Waits
//! before retries go by the clock of the connection that asked for them.
//!
//! One lock guards the broker. What is called with a message or an answer is called after it was
//! let go, on the thread that caused it.

mod broker;
mod calls;
mod closing;
mod consumers;
mod effects;
mod line;
mod outbox;
mod queue;
mod settling;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::broker::Broker;
use super::{
    CallError, Capabilities, Confirm, Connector, Dead, Depth, Envelope, Options, Queue, Resolver,
    Sink, Status, Subscription, Topology, Transport,
};
use crate::error::{Error, ErrorKind, Result};

inventory::submit!(Connector::new(&["memory"], connect));

/// A connection to a broker in this process; dropping it without closing loses the connection.
struct Memory {
    broker: Arc<Broker>,
    name: String,
    connection: u64,
}

fn connect(url: &str, options: &Options) -> Result<Arc<dyn Transport>> {
    let Some(name) = url.strip_prefix("memory:").filter(|name| !name.is_empty()) else {
        let text = "the memory transport needs the name of its broker; write `memory:NAME`";
        return Err(Error::of_kind(ErrorKind::Config, text));
    };
    let broker = Broker::of(name);
    let connection = broker.with(|state, _| state.connect(options));
    Ok(Arc::new(Memory { broker, name: name.to_owned(), connection }))
}

impl Transport for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities::NONE.with_giving_back_in_place()
    }

    fn declare(&self, topology: Topology, done: Resolver<()>) {
        self.broker.with(|state, effects| {
            let declared = state.declare_all(self.connection, &topology);
            effects.resolve(done, declared);
        });
    }

    fn publish(&self, message: Envelope, done: Resolver<Confirm>) {
        self.broker.with(|state, effects| {
            let confirmed = state.publish(self.connection, message, effects);
            effects.resolve(done, confirmed);
        });
    }

    fn enqueue(&self, queue: &Queue, message: Envelope, done: Resolver<Confirm>) {
        self.broker.with(|state, effects| {
            let confirmed = state.enqueue(self.connection, queue, message, effects);
            effects.resolve(done, confirmed);
        });
    }

    fn consume(&self, queue: &Queue, prefetch: u16, sink: Sink, done: Resolver<Subscription>) {
        self.broker.with(|state, effects| {
            let consumer = state.consume(self.connection, queue, prefetch, sink, effects);
            effects.resolve(done, consumer.map(|id| self.subscription(id)));
        });
    }

    fn serve(&self, command: &str, prefetch: u16, sink: Sink, done: Resolver<Subscription>) {
        self.broker.with(|state, effects| {
            let consumer = state.serve(self.connection, command, prefetch, sink, effects);
            effects.resolve(done, consumer.map(|id| self.subscription(id)));
        });
    }

    fn call(
        &self,
        command: &str,
        message: Envelope,
        timeout: Duration,
        done: Resolver<Envelope, CallError>,
    ) {
        self.broker.with(|state, effects| {
            state.call(self.connection, command, message, timeout, done, effects);
        });
    }

    fn dead_letters(&self, queue: &Queue, done: Resolver<Vec<Dead>>) {
        self.broker.with(|state, effects| {
            let dead = state.open(self.connection).map(|_| state.dead_letters(queue));
            effects.resolve(done, dead);
        });
    }

    fn replay(&self, queue: &Queue, id: &str, done: Resolver<bool>) {
        self.broker.with(|state, effects| {
            let open = state.open(self.connection).map(drop);
            let replayed = open.map(|()| state.replay(queue, id, effects));
            effects.resolve(done, replayed);
        });
    }

    fn discard(&self, queue: &Queue, id: &str, done: Resolver<bool>) {
        self.broker.with(|state, effects| {
            let open = state.open(self.connection).map(drop);
            effects.resolve(done, open.map(|()| state.discard(queue, id)));
        });
    }

    fn depth(&self, queue: &Queue, done: Resolver<Depth>) {
        self.broker.with(|state, effects| {
            let depth = state.open(self.connection).map(|_| state.depth(self.connection, queue));
            effects.resolve(done, depth);
        });
    }

    fn status(&self) -> Status {
        let open = self.broker.with(|state, _| state.open(self.connection).is_ok());
        if open { Status::Connected } else { Status::Closed }
    }

    fn close(&self, deadline: Instant, done: Resolver<()>) {
        self.broker.close(self.connection, deadline, done);
    }
}

impl Memory {
    fn subscription(&self, consumer: u64) -> Subscription {
        let broker = Arc::downgrade(&self.broker);
        Subscription::new(move || {
            if let Some(broker) = broker.upgrade() {
                broker.with(|state, effects| state.end_consumer(consumer, effects));
            }
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.broker.with(|state, effects| state.disconnect(self.connection, effects));
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, connection) = (&self.name, self.connection);
        f.debug_struct("Memory")
            .field("name", name)
            .field("connection", &connection)
            .finish_non_exhaustive()
    }
}
