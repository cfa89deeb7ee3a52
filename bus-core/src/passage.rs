//! The way of an event from a thread that has fired it before to the mailboxes of its listeners, without
//! asking the table: no other thread writes what this one writes for it, but for the mailboxes.

use std::cell::Cell;
use std::sync::Arc;

use crate::bus::Bus;
use crate::event::{Event, EventDescriptor};
use crate::lane::Lane;
use crate::message::{Firing, Head};
use crate::receipt::{Receipt, Ticket};
use crate::router::{Group, Route};
use crate::service::{Entry, Limit};
use crate::table::Phase;

/// How many numbers of messages a passage takes at once.
const NUMBERS: u64 = 64;

/// The passage of one thread for one event.
pub(crate) struct Passage {
    epoch: u64,
    lane: Arc<Lane>,
    /// The numbers of the next messages: from, and to where.
    numbers: Cell<(u64, u64)>,
}

impl Passage {
    /// In this epoch; nothing if listeners run on the thread that fires, if there are none, or if
    /// something surrounds them.
    pub(crate) fn new(
        bus: &Bus,
        epoch: u64,
        descriptor: &'static EventDescriptor,
        route: &Route,
        lane: &Arc<Lane>,
    ) -> Option<Self> {
        // What was found is of this epoch, and so is the phase.
        let is_open = bus.table().phase == Phase::Open && bus.epoch() == epoch;
        let waits = route.inline.is_empty() && !route.groups.is_empty();
        let is_here = bus.0.remote.is_none() || descriptor.local;
        (is_open && waits && is_here && bus.is_bare())
            .then(|| Self { epoch, lane: lane.clone(), numbers: Cell::new((0, 0)) })
    }

    /// Puts an event into the mailboxes, or gives it back if something has changed meanwhile, or one
    /// of them is full.
    pub(crate) fn fire<E: Event>(
        &self,
        bus: &Bus,
        route: Arc<Route>,
        event: E,
        limit: Limit,
    ) -> Result<Receipt, E> {
        self.lane.enter();
        let has_room = |to: &Group| to.service.has_room(limit, to.targets.len());
        if bus.epoch() != self.epoch || !route.groups.iter().all(has_room) {
            self.lane.leave(bus);
            return Err(event);
        }
        let head = Head::numbered(bus, route.len(), self.number(bus));
        bus.stamp(&head, route.wants_context);
        let message = Arc::new(Firing::new(head, route, event));
        let (mut over, mut refused) = (Vec::new(), Vec::new());
        for Group { service, targets, .. } in &message.as_route().groups {
            match service.accept(bus, Entry::First(message.clone()), targets.len()) {
                Ok(None) => {}
                Ok(Some(number)) => {
                    over.push(Ticket { service: service.clone(), number, listener: None });
                }
                Err(entry) => refused.push((service.clone(), entry)),
            }
        }
        self.lane.count();
        self.lane.leave(bus);
        bus.settle_sent(&over, refused);
        Ok(Receipt::enqueued(bus, message, over))
    }

    fn number(&self, bus: &Bus) -> u64 {
        let (mut next, mut end) = self.numbers.get();
        if next == end {
            next = bus.next_seqs(NUMBERS);
            end = next + NUMBERS;
        }
        self.numbers.set((next + 1, end));
        next
    }
}
