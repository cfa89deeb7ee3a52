//! What was published on a channel and is not confirmed yet, in order.
//!
//! The client gives a returned message to whichever confirm it completes next, which need not be
//! that of the message; a confirm of several completes them in any order. So returns are matched
//! here by their address and id. A message is told of once all before it are confirmed: by then so many
//! confirms are complete that the one which carries its return is among them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};

/// Where a message is going, and what it is known by if it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) exchange: ShortString,
    pub(crate) key: ShortString,
    pub(crate) mandatory: bool,
}

/// What can be published.
pub(crate) trait Publishable: 'static {
    fn body(&self) -> &[u8];
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Routed,
    Returned,
    Refused,
}

struct Sent<T> {
    item: Rc<T>,
    address: Address,
    id: Option<ShortString>,
    returned: bool,
    confirmation: Option<bool>,
}

type Confirm = Pin<Box<dyn Future<Output = (u64, lapin::Result<Confirmation>)>>>;

/// The messages in flight on one channel.
pub(crate) struct Window<T> {
    channel: Channel,
    pending: FuturesUnordered<Confirm>,
    sent: VecDeque<Sent<T>>,
    first: u64,
    bytes: usize,
}

impl<T: Publishable> Window<T> {
    /// On a channel whose publishings are confirmed.
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            pending: FuturesUnordered::new(),
            sent: VecDeque::new(),
            first: 0,
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The size of all bodies in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Publishes; it is on its way at the next [`confirmed`](Self::confirmed).
    pub(crate) fn send(&mut self, item: Rc<T>, address: Address, properties: BasicProperties) {
        let number = self.first + self.sent.len() as u64;
        let id = properties.message_id().clone();
        let options = BasicPublishOptions { mandatory: address.mandatory, immediate: false };
        let (channel, carried) = (self.channel.clone(), item.clone());
        let (exchange, key) = (address.exchange.clone(), address.key.clone());
        self.pending.push(Box::pin(async move {
            let body = carried.body();
            match channel.basic_publish(exchange, key, options, body, properties).await {
                Ok(confirm) => (number, confirm.await),
                Err(error) => (number, Err(error)),
            }
        }));
        self.bytes += item.body().len();
        self.sent.push_back(Sent { item, address, id, returned: false, confirmation: None });
    }

    /// Waits until something is confirmed, or refused, and adds it to `done` in the order in which
    /// it was sent. For ever, if nothing is in flight.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub(crate) async fn confirmed(&mut self, done: &mut Vec<(Rc<T>, Fate)>) -> lapin::Result<()> {
        loop {
            match self.pending.next().await {
                Some((number, result)) => self.note(number, result?),
                None => std::future::pending().await,
            }
            // All that is ready now.
            let mut ready = 1;
            while let Some(Some((number, result))) = self.pending.next().now_or_never() {
                self.note(number, result?);
                ready += 1;
            }
            self.drain(ready, done);
            if !done.is_empty() {
                return Ok(());
            }
        }
    }

    fn note(&mut self, number: u64, confirmation: Confirmation) {
        let acked = !confirmation.is_nack();
        if let Some(sent) =
            usize::try_from(number - self.first).ok().and_then(|n| self.sent.get_mut(n))
        {
            sent.confirmation = Some(acked);
        }
        if let Some(message) = confirmation.take_message() {
            self.returned(&message);
        }
    }

    fn returned(&mut self, message: &BasicReturnMessage) {
        let same = |sent: &&mut Sent<T>| {
            !sent.returned
                && sent.address.mandatory
                && sent.address.exchange == message.exchange
                && sent.address.key == message.routing_key
                && sent.id == *message.properties.message_id()
        };
        if let Some(sent) = self.sent.iter_mut().find(same) {
            sent.returned = true;
        }
    }

    /// Takes from the front what is confirmed.
    fn drain(&mut self, ready: usize, done: &mut Vec<(Rc<T>, Fate)>) {
        done.reserve(ready);
        while let Some(acked) = self.sent.front().and_then(|sent| sent.confirmation) {
            let Some(sent) = self.sent.pop_front() else { break };
            self.first += 1;
            self.bytes -= sent.item.body().len();
            let fate = match (acked, sent.returned) {
                (false, _) => Fate::Refused,
                (true, true) => Fate::Returned,
                (true, false) => Fate::Routed,
            };
            done.push((sent.item, fate));
        }
    }

    /// What is still in flight, in order, after the channel was lost.
    pub(crate) fn abandon(self) -> impl Iterator<Item = Rc<T>> {
        drop(self.pending);
        self.sent.into_iter().map(|sent| sent.item)
    }
}
