//! The way of an event or a call to mailboxes, from a thread that has sent such a one before, without
//! asking the table: no other thread writes what this one writes for it, but for the mailboxes.

use std::cell::Cell;
use std::sync::Arc;

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::{Call, Spec};
use crate::error::Error;
use crate::event::{Event, EventDescriptor};
use crate::execute_error::ExecuteError;
use crate::lane::Lane;
use crate::message::{Deliveries, Firing, Head};
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

    /// Puts a call into the mailbox of its service; gives the arguments back if the bus is not what it
    /// was. `quiet` is whether no handler runs on this thread.
    #[inline]
    pub(crate) fn call<C: Spec>(
        &self,
        bus: &Bus,
        binding: Arc<Binding>,
        args: C::Args,
        quiet: bool,
    ) -> Result<Promise<C::Ok, C::Err>, C::Args> {
        let head = Head::numbered(bus, Deliveries::ONE, self.number(bus), quiet);
        if binding.wants_context {
            head.time(|| bus.clock().time());
        }
        let deadline = bus.deadline_of(&binding);
        let call = Arc::new(Call::<C::Args, C::Ok, C::Err>::new(head, binding, args));
        let service = &call.binding().service;
        let may = |_| bus.epoch() == self.epoch;
        match service.accept_if(bus, Entry::First(call.clone()), 1, may) {
            Ok(None) => {}
            Ok(Some(number)) => {
                bus.settle_sent(&[Ticket::new(service, number)], Vec::new());
            }
            Err(entry) => {
                drop(entry);
                // This is the only handle on it.
                let args = Arc::into_inner(call).and_then(Call::into_args);
                let closed = || Ok(Promise::ready(Err(ExecuteError::Closed)));
                return args.map_or_else(closed, Err);
            }
        }
        Ok(Promise::new(call, Some(deadline)))
    }

    /// Puts an event into the mailboxes; by the table, if the bus is not what it was, or a mailbox is far
    /// over its bound. `quiet` is whether no handler runs on this thread.
    #[inline]
    pub(crate) fn fire<E: Event>(
        &self,
        bus: &Bus,
        descriptor: &'static EventDescriptor,
        route: Arc<Route>,
        event: E,
        quiet: bool,
    ) -> Receipt {
        if route.groups.len() > 1 && !self.enter(bus, &route) {
            return bus.fire_by_table(descriptor, event);
        }
        let head = Head::numbered(bus, route.deliveries, self.number(bus), quiet);
        if route.wants_context {
            head.time(|| bus.clock().time());
        }
        let message = Arc::new(Firing::new(head, route, event));
        let [to] = &*message.as_route().groups else { return self.put_into_each(bus, message) };
        let may = |over| bus.epoch() == self.epoch && !(over && !has_room(to));
        let put = to.service.accept_if(bus, Entry::First(message.clone()), to.targets.len(), may);
        if let Ok(None) = put {
            self.lane.count();
            return Receipt::queued(message);
        }
        self.put_over(bus, descriptor, put, message)
    }

    /// The same, into several mailboxes, once [`enter`](Self::enter) has said that it can.
    fn put_into_each<E: Event>(&self, bus: &Bus, message: Arc<Firing<E>>) -> Receipt {
        let (mut over, mut refused) = (Vec::new(), Vec::new());
        for Group { service, targets, .. } in &message.as_route().groups {
            match service.accept(bus, Entry::First(message.clone()), targets.len()) {
                Ok(None) => {}
                Ok(Some(number)) => over.push(Ticket::new(service, number)),
                Err(entry) => refused.push((service.clone(), entry)),
            }
        }
        self.lane.count();
        self.lane.leave(bus);
        if !(refused.is_empty() && over.is_empty()) {
            bus.settle_sent(&over, refused);
        }
        Receipt::queued_over(message, over)
    }

    /// What becomes of an event that one mailbox has taken over its bound, or has not taken.
    #[cold]
    fn put_over<E: Event>(
        &self,
        bus: &Bus,
        descriptor: &'static EventDescriptor,
        put: Result<Option<u64>, Entry>,
        message: Arc<Firing<E>>,
    ) -> Receipt {
        match put {
            Ok(number) => {
                let groups = &message.as_route().groups;
                let over = groups.iter().zip(number).map(|(to, n)| Ticket::new(&to.service, n));
                let over: Vec<_> = over.collect();
                self.lane.count();
                bus.settle_sent(&over, Vec::new());
                Receipt::queued_over(message, over)
            }
            Err(entry) => {
                drop(entry);
                // This is the only handle on it.
                let event = Arc::into_inner(message).and_then(Firing::into_payload);
                let closed = || Receipt::refused(Error::closed());
                event.map_or_else(closed, |event| bus.fire_by_table(descriptor, event))
            }
        }
    }

    /// Whether the bus is what it was, and each of several mailboxes takes an event; then it is to be sent
    /// next.
    fn enter(&self, bus: &Bus, route: &Route) -> bool {
        let can = self.lane.enter_in(bus, self.epoch);
        if can && !route.groups.iter().all(has_room) {
            self.lane.leave(bus);
            return false;
        }
        can
    }

    #[inline]
    fn number(&self, bus: &Bus) -> u64 {
        let (next, end) = self.numbers.get();
        if next == end {
            return self.more_numbers(bus);
        }
        self.numbers.set((next + 1, end));
        next
    }

    #[cold]
    fn more_numbers(&self, bus: &Bus) -> u64 {
        let next = bus.next_seqs(NUMBERS);
        self.numbers.set((next + 1, next + NUMBERS));
        next
    }
}

/// Whether a mailbox takes an event.
#[inline]
fn has_room(to: &Group) -> bool {
    to.service.has_room(Limit::Hard, to.targets.len())
}
