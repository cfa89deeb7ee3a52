//! What was published on a channel and is not confirmed yet, in order.
//!
//! A message that no queue wanted is returned before it is confirmed, in the order in which it was sent;
//! it is known by its address and its id.

use std::collections::VecDeque;
use std::rc::Rc;

use autobus_core::transport::Envelope;

use crate::lane::{Lane, Parcel};
use crate::wire;

/// Where a message is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
    pub(crate) mandatory: bool,
}

/// What can be published.
pub(crate) trait Publishable: 'static {
    fn message(&self) -> &Envelope;
    /// Whether this is where it goes.
    fn is_for(&self, exchange: &str, key: &str) -> bool;
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
    mandatory: bool,
    returned: bool,
    acked: Option<bool>,
}

/// The messages in flight on one channel.
pub(crate) struct Window<T> {
    sent: VecDeque<Sent<T>>,
    /// The tag of the first: AMQP 0-9-1, section 1.1, tags of a channel count from 1.
    first: u64,
    bytes: usize,
}

impl<T: Publishable> Window<T> {
    /// Of a channel whose publishings are confirmed, and on which nothing was published.
    pub(crate) fn new() -> Self {
        Self { sent: VecDeque::new(), first: 1, bytes: 0 }
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

    /// Publishes.
    pub(crate) fn send(
        &mut self,
        lane: &Lane,
        item: Rc<T>,
        address: Address<'_>,
        properties: impl FnOnce(&mut Vec<u8>),
    ) {
        let Address { exchange, key, mandatory } = address;
        let body = &item.message().body;
        lane.publish((exchange, key), mandatory, properties, body);
        self.bytes += body.len();
        self.sent.push_back(Sent { item, mandatory, returned: false, acked: None });
    }

    /// Notes what the broker confirms, or refuses.
    pub(crate) fn confirm(&mut self, tag: u64, multiple: bool, acked: bool) {
        let last = match tag {
            0 => self.sent.len(),
            _ => usize::try_from((tag + 1).saturating_sub(self.first)).unwrap_or(usize::MAX),
        };
        let last = last.min(self.sent.len());
        let first = if multiple { 0 } else { last.saturating_sub(1) };
        for sent in self.sent.range_mut(first..last) {
            sent.acked.get_or_insert(acked);
        }
    }

    /// Notes that a message came back.
    pub(crate) fn returned(&mut self, back: &Parcel) {
        let id = wire::id(back);
        let same = |sent: &&mut Sent<T>| {
            let known = &sent.item.message().id;
            sent.mandatory
                && !sent.returned
                && (known.is_empty() || Some(known) == id.as_ref())
                && sent.item.is_for(&back.exchange, &back.key)
        };
        if let Some(sent) = self.sent.iter_mut().find(same) {
            sent.returned = true;
        }
    }

    /// Takes from the front what is confirmed.
    pub(crate) fn drain(&mut self, done: &mut Vec<(Rc<T>, Fate)>) {
        while let Some(acked) = self.sent.front().and_then(|sent| sent.acked) {
            let Some(sent) = self.sent.pop_front() else { break };
            self.first += 1;
            self.bytes -= sent.item.message().body.len();
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
        self.sent.into_iter().map(|sent| sent.item)
    }
}
