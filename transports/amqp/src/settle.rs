//! How a bus settles what a consumer gave it: from any thread, as an order to the consumer's task.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autobus_core::transport::{Envelope, Settle, Settlement};
use tokio::sync::mpsc;

use crate::publish::{Done, Publisher, To};
use crate::topology::Place;
use crate::wire::{Caller, Outcome, Stamp};

/// What a consumer's task is told.
pub(crate) enum Order {
    Settle {
        channel: u64,
        tag: u64,
        how: Settlement,
    },
    /// Something is to be acknowledged.
    Look,
    /// It is where it was moved to.
    Moved {
        channel: u64,
        tag: u64,
    },
    /// It could not be moved, and is to be tried again.
    Carry {
        channel: u64,
        tag: u64,
        load: Load,
    },
    /// The subscription ended, or the transport closes: take no more, and settle what was taken.
    End,
}

/// What is moved to another queue.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) message: Arc<Envelope>,
    pub(crate) stamp: Stamp,
    pub(crate) place: Place,
}

/// How long it takes until what could not be moved is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Settles what came through one channel.
pub(crate) struct Settler {
    channel: u64,
    orders: mpsc::UnboundedSender<Order>,
    publisher: Publisher,
    acks: Mutex<Acks>,
    /// How many acknowledgements are worth waking the task for.
    batch: usize,
    /// Who waits for an answer. Answers find their way also after the channel of the call is gone.
    callers: Mutex<HashMap<u64, Caller>>,
}

/// What is to be acknowledged, which is nearly everything. The task looks by itself, and is woken only
/// while it does not, or once there is much.
#[derive(Debug, Default)]
struct Acks {
    tags: Vec<u64>,
    /// The task looks soon.
    watched: bool,
}

impl Settler {
    pub(crate) fn new(
        channel: u64,
        orders: mpsc::UnboundedSender<Order>,
        publisher: Publisher,
        batch: usize,
    ) -> Self {
        let (acks, callers) = (Mutex::default(), Mutex::default());
        Self { channel, orders, publisher, acks, batch, callers }
    }

    /// Takes what is to be acknowledged; the task looks again soon.
    pub(crate) fn take_acks(&self, into: &mut Vec<u64>) {
        let mut acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        acks.watched = true;
        std::mem::swap(&mut acks.tags, into);
    }

    /// The task looks no more before it is woken; `false` if there is something already.
    pub(crate) fn rest(&self) -> bool {
        let mut acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        acks.watched = !acks.tags.is_empty();
        !acks.watched
    }

    /// Whether this is to be acknowledged, and was not taken.
    pub(crate) fn has_acked(&self, tag: u64) -> bool {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner).tags.contains(&tag)
    }

    fn ack(&self, tag: u64) {
        let mut acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        acks.tags.push(tag);
        let wake = !acks.watched || acks.tags.len() == self.batch;
        acks.watched = true;
        drop(acks);
        if wake {
            self.order(Order::Look);
        }
    }

    /// Notes who made the call with this tag.
    pub(crate) fn expect(&self, tag: u64, caller: Caller) {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).insert(tag, caller);
    }

    /// Publishes an answer; once it is out, the call is done.
    pub(crate) fn answer(&self, tag: u64, message: Arc<Envelope>, outcome: Outcome) {
        let caller = self.callers.lock().unwrap_or_else(PoisonError::into_inner).remove(&tag);
        let (channel, orders) = (self.channel, self.orders.clone());
        let moved = Order::Moved { channel, tag };
        // Nobody asked to be told.
        let Some(caller) = caller else { return self.order(moved) };
        let done = Done::Own(Box::new(move |result| {
            if let Err(error) = result {
                tracing::warn!(target: "autobus::amqp", %error, "an answer could not be sent; whoever called waits in vain");
            }
            // Without its task, the channel is gone, and the call with it.
            let _ = orders.send(moved);
        }));
        self.publisher.send(message, None, To::Caller(caller, outcome), done);
    }

    /// Hands a call that did not run to another server; without one, it is answered.
    pub(crate) fn pass_on(self: &Arc<Self>, tag: u64, queue: &str, message: Arc<Envelope>) {
        let caller = self.callers.lock().unwrap_or_else(PoisonError::into_inner).get(&tag).cloned();
        let Some(caller) = caller else {
            self.answer(tag, nothing(), Outcome::Unserved);
            return;
        };
        let settler = self.clone();
        let done = Done::Own(Box::new(move |result| match result {
            Ok(there) if there.routed => {
                settler.order(Order::Moved { channel: settler.channel, tag });
            }
            _ => settler.answer(tag, nothing(), Outcome::Unserved),
        }));
        self.publisher.send(message, None, To::Command(queue.to_owned(), caller), done);
    }

    /// Publishes a copy into another queue, whose arrival settles the message.
    pub(crate) fn carry(&self, tag: u64, load: Load) {
        let (message, stamp, to) = (load.message.clone(), load.stamp.clone(), load.place.clone());
        let (channel, orders) = (self.channel, self.orders.clone());
        let done = Done::Own(Box::new(move |result| {
            // Without its task, the channel is gone, and the broker delivers the message again.
            let Err(error) = result else {
                let _ = orders.send(Order::Moved { channel, tag });
                return;
            };
            tracing::error!(target: "autobus::amqp", queue = load.place.name(), %error, again = ?PAUSE, "a message could not be moved; it stays where it is, and is tried again");
            tokio::task::spawn_local(async move {
                tokio::time::sleep(PAUSE).await;
                let _ = orders.send(Order::Carry { channel, tag, load });
            });
        }));
        self.publisher.send(message, Some(stamp), To::Place(to), done);
    }

    fn order(&self, order: Order) {
        // As above.
        let _ = self.orders.send(order);
    }
}

impl Settle for Settler {
    fn settle(&self, tag: u64, how: Settlement) {
        match how {
            Settlement::Reply(message) => {
                self.answer(tag, Arc::from(message), Outcome::Answered);
            }
            Settlement::Ack => self.ack(tag),
            how => {
                self.order(Order::Settle { channel: self.channel, tag, how });
            }
        }
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// An empty message, for an answer that is none.
pub(crate) fn nothing() -> Arc<Envelope> {
    Arc::new(Envelope::new("", "", Vec::new()))
}
