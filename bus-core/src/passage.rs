//! The way of an event or a call to mailboxes, from a thread that has sent such a one before, without
//! asking the table: no other thread writes what this one writes for it, but for the mailboxes.

use std::cell::Cell;
use std::sync::Arc;

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::{Call, Spec};
use crate::event::{Event, EventDescriptor};
use crate::lane::Lane;
use crate::message::{Firing, Head};
use crate::promise::Promise;
use crate::receipt::{Receipt, Ticket};
use crate::router::{Group, Route};
use crate::service::{Entry, Limit};
use crate::table::Command;

/// How many numbers of messages a passage takes at once.
const NUMBERS: u64 = 64;

/// The passage of one thread for one event or command.
pub(crate) struct Passage {
    epoch: u64,
    lane: Arc<Lane>,
    /// The numbers of the next messages: from, and to where.
    numbers: Cell<(u64, u64)>,
}

impl Passage {
    /// Of an event in this epoch; nothing if listeners run on the thread that fires, if there are
    /// none, or if something surrounds them.
    pub(crate) fn of_event(
        bus: &Bus,
        epoch: u64,
        descriptor: &'static EventDescriptor,
        route: &Route,
        lane: &Arc<Lane>,
    ) -> Option<Self> {
        let waits = route.inline.is_empty() && !route.groups.is_empty();
        let is_here = bus.0.remote.is_none() || descriptor.local;
        Self::new(bus, epoch, lane).filter(|_| waits && is_here)
    }

    /// Of a command in this epoch; nothing if it runs on the thread that calls, if its arguments have
    /// to be converted, or if something surrounds it.
    pub(crate) fn of_command<C: Spec>(
        bus: &Bus,
        epoch: u64,
        command: &Command,
        lane: &Arc<Lane>,
    ) -> Option<Self> {
        let fits = C::DESCRIPTOR.wire.as_ref().is_none_or(|wire| command.takes(wire));
        Self::new(bus, epoch, lane).filter(|_| fits && !command.binding.inline)
    }

    fn new(bus: &Bus, epoch: u64, lane: &Arc<Lane>) -> Option<Self> {
        bus.is_open_and_bare(epoch).then(|| Self {
            epoch,
            lane: lane.clone(),
            numbers: Cell::new((0, 0)),
        })
    }

    /// Whether the bus is what it was; then a call is to be sent next.
    #[inline]
    pub(crate) fn enter_call(&self, bus: &Bus) -> bool {
        self.lane.enter_in(bus, self.epoch)
    }

    /// Whether the bus is what it was, and each mailbox takes an event; then one is to be sent next.
    #[inline]
    pub(crate) fn enter(&self, bus: &Bus, route: &Route) -> bool {
        let has_room = |to: &Group| to.service.has_room(Limit::Hard, to.targets.len());
        let can = self.enter_call(bus);
        if can && !route.groups.iter().all(has_room) {
            self.lane.leave(bus);
            return false;
        }
        can
    }

    /// Puts a call into the mailbox of its service, once [`enter_call`](Self::enter_call) has said that
    /// it can; `quiet` is whether no handler runs on this thread.
    #[inline]
    pub(crate) fn call<C: Spec>(
        &self,
        bus: &Bus,
        binding: Arc<Binding>,
        args: C::Args,
        quiet: bool,
    ) -> Promise<C::Ok, C::Err> {
        let head = Head::numbered(bus, 1, self.number(bus), quiet);
        if binding.wants_context {
            head.time(|| bus.clock().time());
        }
        let deadline = bus.deadline_of(&binding);
        let call = Arc::new(Call::<C::Args, C::Ok, C::Err>::new(head, binding, args));
        let service = &call.binding().service;
        let accepted = service.accept(bus, Entry::First(call.clone()), 1);
        self.lane.leave(bus);
        match accepted {
            Ok(None) => {}
            Ok(Some(number)) => {
                let (service, listener) = (service.clone(), None);
                bus.settle_sent(&[Ticket { service, number, listener }], Vec::new());
            }
            Err(entry) => bus.refuse(service, entry),
        }
        Promise::new(call, Some(deadline))
    }

    /// Puts an event into the mailboxes, once [`enter`](Self::enter) has said that it can; `quiet` is
    /// whether no handler runs on this thread.
    #[inline]
    pub(crate) fn fire<E: Event>(
        &self,
        bus: &Bus,
        route: Arc<Route>,
        event: E,
        quiet: bool,
    ) -> Receipt {
        let head = Head::numbered(bus, route.len(), self.number(bus), quiet);
        if route.wants_context {
            head.time(|| bus.clock().time());
        }
        let message = Arc::new(Firing::new(head, route, event));
        let (mut over, mut refused) = (Vec::new(), None);
        for Group { service, targets, .. } in &message.as_route().groups {
            match service.accept(bus, Entry::First(message.clone()), targets.len()) {
                Ok(None) => {}
                Ok(Some(number)) => {
                    over.push(Ticket { service: service.clone(), number, listener: None });
                }
                Err(entry) => {
                    refused.get_or_insert_with(Vec::new).push((service.clone(), entry));
                }
            }
        }
        self.lane.count();
        self.lane.leave(bus);
        if refused.is_some() || !over.is_empty() {
            bus.settle_sent(&over, refused.unwrap_or_default());
        }
        Receipt::queued(message, over)
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
