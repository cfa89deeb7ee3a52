//! One channel of a consumer: what was delivered on it and is not settled, and what the broker is to be
//! told of that, and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use autobus_core::transport::Envelope;
use lapin::Channel;
use tokio::time::Instant;

use crate::gauge::Busy;
use crate::lane::Lane;
use crate::recent::{Attempt, Known};
use crate::settle::{Load, Settler};
use crate::topology::Place;
use crate::unsettled::{Ack, Flush, Unsettled};
use crate::wire::Stamp;

/// How long an acknowledgement may wait for others to go with it.
pub(crate) const LINGER: Duration = Duration::from_millis(5);
/// The same, while nothing else is in flight.
pub(crate) const LINGER_IDLE: Duration = Duration::from_millis(1);

/// A message that the broker takes for delivered and not settled.
pub(crate) struct Held {
    pub(crate) message: Arc<Envelope>,
    /// Its id and source are those of no other event.
    unique: bool,
    handled: bool,
    _busy: Busy,
}

impl Held {
    pub(crate) fn new(message: Arc<Envelope>, unique: bool, handled: bool, busy: Busy) -> Self {
        Self { message, unique, handled, _busy: busy }
    }

    /// What is to be remembered of it, if it comes again; `open` is how its settling shows, while the
    /// bus has it.
    pub(crate) fn known(self, open: Option<(Arc<Settler>, u64)>) -> (String, Known) {
        let Self { message, unique, handled, .. } = self;
        let (number, lost) = (message.attempt, message.lost);
        // Mostly, nobody else has it any more.
        let (id, source) = match Arc::try_unwrap(message) {
            Ok(message) => (message.id, message.source),
            Err(message) => (message.id.clone(), message.source.clone()),
        };
        let attempt = Attempt { source, number, lost };
        let known = match open {
            _ if !unique => Known::Survived,
            _ if handled => Known::Handled(attempt),
            Some((settler, tag)) => Known::Open(attempt, settler, tag),
            None => Known::Survived,
        };
        (id, known)
    }
}

/// One channel of a consumer.
pub(crate) struct Session {
    pub(crate) channel: Channel,
    pub(crate) lane: Lane,
    pub(crate) settler: Arc<Settler>,
    pub(crate) number: u64,
    pub(crate) unsettled: Unsettled<Held>,
    /// As long as the broker may deliver something that is not among those.
    pub(crate) taking: Option<Busy>,
    /// What the broker was told of last, and may not know.
    pub(crate) told: VecDeque<(String, Known)>,
    /// What is to be acknowledged; empty but for its memory.
    acks: Vec<u64>,
    /// Calls for another server, once this one has ended.
    pub(crate) passed_on: Vec<(u64, Arc<Envelope>)>,
    pub(crate) linger: Option<Instant>,
    /// How long it lingers while nothing else is in flight.
    linger_idle: Duration,
    batch: usize,
    /// How much the broker sends ahead.
    ahead: usize,
}

impl Session {
    /// Of a channel, the number of its settler, on which nothing was delivered.
    pub(crate) fn new(
        channel: Channel,
        lane: Lane,
        settler: Arc<Settler>,
        number: u64,
        taking: Busy,
    ) -> Self {
        Self {
            channel,
            lane,
            settler,
            number,
            unsettled: Unsettled::new(),
            taking: Some(taking),
            told: VecDeque::new(),
            acks: Vec::new(),
            passed_on: Vec::new(),
            linger: None,
            linger_idle: LINGER_IDLE,
            batch: 1,
            ahead: 1,
        }
    }

    /// With so many acknowledgements at once, so many deliveries that the broker sends ahead, and so long
    /// a wait for others while nothing else is in flight.
    pub(crate) fn sized(self, batch: usize, ahead: usize, linger_idle: Duration) -> Self {
        Self { linger_idle, batch, ahead, ..self }
    }

    /// Puts a copy into another queue; the message itself is settled once that is confirmed.
    pub(crate) fn carry(&mut self, tag: u64, message: Arc<Envelope>, place: Place, stamp: Stamp) {
        // From here on nobody else settles it.
        self.unsettled.take(tag);
        self.settler.carry(tag, Load { message, stamp, place });
    }

    /// Notes what the bus has acknowledged; whether there was anything.
    pub(crate) fn collect(&mut self) -> bool {
        self.settler.take_acks(&mut self.acks);
        let any = !self.acks.is_empty();
        for tag in self.acks.drain(..) {
            if let Some(held) = self.unsettled.finish(tag) {
                held.handled = true;
            }
        }
        any
    }

    /// Tells the broker what is worth telling now.
    pub(crate) fn acknowledge(&mut self, ending: bool) {
        self.collect();
        if ending {
            self.flush(Flush::All);
        } else if self.unsettled.done() >= self.batch {
            self.flush(Flush::InOrder);
        }
        // With little in flight, what follows may still be on its way here.
        let linger = if self.unsettled.open() < self.batch { self.linger_idle } else { LINGER };
        let until = Instant::now() + linger;
        self.linger = Some(self.linger.map_or(until, |set| set.min(until)));
    }

    /// The time is over for which acknowledgements wait for others.
    pub(crate) fn lingered(&mut self) {
        let busy = self.collect();
        self.flush(Flush::All);
        let until = || Some(Instant::now() + LINGER);
        self.linger = if busy || !self.settler.rest() { until() } else { None };
    }

    /// Tells the broker. It is on its way in order with all else of the channel, also with its end.
    pub(crate) fn flush(&mut self, how: Flush) {
        let (told, most) = (&mut self.told, 2 * self.ahead);
        let acks = self.unsettled.flush(how, |held| {
            if told.len() == most {
                told.pop_front();
            }
            told.push_back(held.known(None));
        });
        for ack in acks {
            match ack {
                Ack::UpTo(tag) => self.lane.ack(tag, true),
                Ack::One(tag) => self.lane.ack(tag, false),
            }
        }
    }
}
