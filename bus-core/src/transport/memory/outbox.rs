//! [`Outbox`]: the way of messages from the broker to one consumer, one at a time and in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::broker::Broker;
use super::effects::guarded;
use crate::transport::{Acker, Envelope, Incoming, Settle, Settlement, Sink};

/// What one consumer is about to get. It is filled while the broker is locked, which makes the
/// order, and emptied afterwards by whichever thread finds that nobody else is at it.
pub(super) struct Outbox {
    sink: Sink,
    settler: Arc<dyn Settle>,
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<(u64, Arc<Envelope>)>,
    busy: bool,
}

impl Outbox {
    pub(super) fn new(sink: Sink, broker: Weak<Broker>, connection: u64) -> Arc<Self> {
        let settler = Arc::new(Settler { broker, connection });
        Arc::new(Self { sink, settler, state: Mutex::default() })
    }

    pub(super) fn push(&self, tag: u64, message: Arc<Envelope>) {
        self.lock().messages.push_back((tag, message));
    }

    /// Takes back what the consumer has not got yet.
    pub(super) fn take_back(&self) -> Vec<u64> {
        self.lock().messages.drain(..).map(|(tag, _)| tag).collect()
    }

    /// Calls the sink until nothing waits, unless another thread, or one below on this stack, does.
    pub(super) fn deliver(&self) {
        if std::mem::replace(&mut self.lock().busy, true) {
            return;
        }
        while let Some((tag, message)) = self.next() {
            let acker = Acker::new(self.settler.clone(), tag);
            guarded(|| (self.sink)(Incoming { message, acker }));
        }
    }

    fn next(&self) -> Option<(u64, Arc<Envelope>)> {
        let mut state = self.lock();
        let next = state.messages.pop_front();
        state.busy = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settles the messages of one connection.
#[derive(Debug)]
struct Settler {
    broker: Weak<Broker>,
    connection: u64,
}

impl Settle for Settler {
    fn settle(&self, tag: u64, how: Settlement) {
        // Where there is no broker any more, there is nothing to settle.
        if let Some(broker) = self.broker.upgrade() {
            broker.with(|state, effects| state.settle(self.connection, tag, how, effects));
        }
    }
}
