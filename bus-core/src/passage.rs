//! The way of an event or a call to mailboxes, from a thread that has sent such a one before, without
//! asking the table: no other thread writes what this one writes for it, but for the mailboxes.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::{Call, Spec};
use crate::error::Error;
use crate::event::{Event, EventDescriptor};
use crate::execute_error::ExecuteError;
use crate::lane::Lane;
use crate::message::{Deliveries, Firing, Head, MessageRef, Whole};
use crate::promise::Promise;
use crate::receipt::{Receipt, Ticket};
use crate::router::{Group, Route};
use crate::service::{AT_ONCE, Entry, Limit, Room};
use crate::table::Command;

/// How many numbers of messages a passage takes at once.
const NUMBERS: u64 = AT_ONCE as u64;

/// How many messages come between one that is used and that whose memory is asked for, and that of which it is
/// what is left of the payload elsewhere.
const AHEAD: [usize; 2] = [4, 1];

/// The numbers of the next messages: from, and to where.
#[derive(Default)]
struct Numbers(Cell<(u64, u64)>);

/// The passage of one thread for one event.
pub(crate) struct EventPassage {
    epoch: u64,
    lane: Arc<Lane>,
    numbers: Numbers,
    route: Via,
    /// Messages that were handled.
    used: RefCell<Vec<MessageRef>>,
}

/// How a passage has its route.
enum Via {
    /// For good, where it holds no value of a user's.
    Kept(Arc<Route>),
    /// As long as others have it.
    Known(Weak<Route>),
}

/// The passage of one thread for one command.
pub(crate) struct CallPassage {
    epoch: u64,
    numbers: Numbers,
}

impl CallPassage {
    /// Of a command in this epoch; nothing if it runs on the thread that calls, if its arguments have
    /// to be converted, or if something surrounds it.
    pub(crate) fn new<C: Spec>(bus: &Bus, epoch: u64, command: &Command) -> Option<Self> {
        let fits = C::DESCRIPTOR.wire.as_ref().is_none_or(|wire| command.takes(wire));
        let can = fits && !command.binding.inline && bus.is_open_and_bare(epoch);
        can.then(|| Self { epoch, numbers: Numbers::default() })
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
        let head = Head::numbered(bus, Deliveries::ONE, self.numbers.next(bus), quiet);
        if binding.wants_context {
            head.time(|| bus.clock().time());
        }
        let deadline = bus.deadline_of(&binding);
        let call = Call::<C::Args, C::Ok, C::Err>::new(head, binding, args);
        let call = triomphe::Arc::new(call);
        let service = &call.binding().service;
        let may = |_| bus.epoch() == self.epoch;
        let whole = call.binding().plain.map(|_| Whole::Call);
        let entry = Entry::First(MessageRef::of(call.clone()), whole);
        match service.accept_if(bus, entry, 1, may) {
            Ok(None) => {}
            Ok(Some(number)) => {
                bus.settle_sent(&[Ticket::new(service, number)], Vec::new());
            }
            Err(entry) => {
                drop(entry);
                // This is the only handle on it.
                let args = triomphe::Arc::try_unwrap(call).ok().and_then(Call::into_args);
                let closed = || Ok(Promise::ready(Err(ExecuteError::Closed)));
                return args.map_or_else(closed, Err);
            }
        }
        Ok(Promise::of(call, deadline))
    }
}

impl EventPassage {
    /// Of an event in this epoch; nothing if listeners run on the thread that fires, if there are
    /// none, or if something surrounds them.
    pub(crate) fn new(
        bus: &Bus,
        epoch: u64,
        descriptor: &'static EventDescriptor,
        route: &Arc<Route>,
        lane: &Arc<Lane>,
    ) -> Option<Self> {
        let waits = route.inline.is_empty() && !route.groups.is_empty();
        let is_here = bus.0.remote.is_none() || descriptor.local;
        let can = waits && is_here && bus.is_open_and_bare(epoch);
        can.then(|| Self {
            epoch,
            lane: lane.clone(),
            numbers: Numbers::default(),
            route: if route.is_plain {
                Via::Kept(route.clone())
            } else {
                Via::Known(Arc::downgrade(route))
            },
            used: RefCell::default(),
        })
    }

    /// Puts an event into the mailboxes; by the table, if the bus is not what it was, or a mailbox is far
    /// over its bound. `quiet` is whether no handler runs on this thread.
    #[inline]
    pub(crate) fn fire<E: Event>(
        &self,
        bus: &Bus,
        descriptor: &'static EventDescriptor,
        event: E,
        quiet: bool,
    ) -> Receipt {
        let route = match &self.route {
            Via::Kept(route) => Cow::Borrowed(route),
            Via::Known(route) => match route.upgrade() {
                Some(route) => Cow::Owned(route),
                None => return bus.fire_by_table(descriptor, event),
            },
        };
        if route.groups.len() > 1 && !self.enter(bus, &route) {
            return bus.fire_by_table(descriptor, event);
        }
        let (deliveries, seq) = (route.deliveries, self.number(bus, &route));
        let head = || Head::numbered(bus, deliveries, seq, quiet);
        let message = if let Cow::Borrowed(route) = route
            && let Some(mut spare) = self.next_used()
            && let Some(firing) = Firing::last_of(&mut spare)
            && Arc::ptr_eq(firing.as_route(), route)
        {
            firing.renew(head(), event);
            spare
        } else {
            let head = head();
            if route.wants_context {
                head.time(|| bus.clock().time());
            }
            MessageRef::new(Firing::new(head, route.into_owned(), event))
        };
        let [to] = groups_of(&message) else { return self.put_into_each(bus, message) };
        let may = |room| {
            let may = bus.epoch() == self.epoch && (room == Room::Within || has_room(to));
            if may {
                // Before anybody can see it in the mailbox.
                self.lane.count();
            }
            may
        };
        let entry = Entry::First(message.clone(), to.whole);
        let put = to.service.accept_if(bus, entry, to.targets.len(), may);
        if let Ok(None) = put {
            return Receipt::queued(message);
        }
        Self::put_over::<E>(bus, descriptor, put, message)
    }

    /// The number of the next message. With each lot of them come used messages.
    #[inline]
    fn number(&self, bus: &Bus, route: &Route) -> u64 {
        if self.numbers.are_over() {
            self.take_used(route);
        }
        self.numbers.next(bus)
    }

    /// A message that was handled.
    #[inline]
    fn next_used(&self) -> Option<MessageRef> {
        let mut used = self.used.borrow_mut();
        let next = used.pop();
        let [message, payload] = AHEAD.map(|ahead| used.iter().nth_back(ahead));
        if let Some(message) = message {
            message.prefetch();
        }
        if let Some(message) = payload {
            message.prefetch_payload();
        }
        next
    }

    /// Takes messages that were handled, if all are used that were taken before.
    #[cold]
    fn take_used(&self, route: &Route) {
        let mut used = self.used.borrow_mut();
        for Group { service, .. } in &route.groups {
            if used.is_empty() {
                service.used.take(&mut used);
            }
        }
    }

    /// The same, into several mailboxes, once [`enter`](Self::enter) has said that it can.
    fn put_into_each(&self, bus: &Bus, message: MessageRef) -> Receipt {
        // Before anybody can see it in a mailbox.
        self.lane.count();
        let (mut over, mut refused) = (Vec::new(), Vec::new());
        for Group { service, targets, whole, .. } in groups_of(&message) {
            match service.accept(bus, Entry::First(message.clone(), *whole), targets.len()) {
                Ok(None) => {}
                Ok(Some(number)) => over.push(Ticket::new(service, number)),
                Err(entry) => refused.push((service.clone(), entry)),
            }
        }
        self.lane.leave(bus);
        if !(refused.is_empty() && over.is_empty()) {
            bus.settle_sent(&over, refused);
        }
        Receipt::queued_over(message, over)
    }

    /// What becomes of an event that one mailbox has taken over its bound, or has not taken.
    #[cold]
    fn put_over<E: Event>(
        bus: &Bus,
        descriptor: &'static EventDescriptor,
        put: Result<Option<u64>, Entry>,
        mut message: MessageRef,
    ) -> Receipt {
        match put {
            Ok(number) => {
                let over = groups_of(&message)
                    .iter()
                    .zip(number)
                    .map(|(to, n)| Ticket::new(&to.service, n));
                let over: Vec<_> = over.collect();
                bus.settle_sent(&over, Vec::new());
                Receipt::queued_over(message, over)
            }
            Err(entry) => {
                drop(entry);
                // This is the only handle on it.
                let event = Firing::<E>::last_of(&mut message).and_then(Firing::take_payload);
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
}

impl Numbers {
    #[inline]
    fn are_over(&self) -> bool {
        let (next, end) = self.0.get();
        next == end
    }

    #[inline]
    fn next(&self, bus: &Bus) -> u64 {
        let (next, end) = self.0.get();
        if next == end {
            return self.take_more(bus);
        }
        self.0.set((next + 1, end));
        next
    }

    #[cold]
    fn take_more(&self, bus: &Bus) -> u64 {
        let next = bus.next_seqs(NUMBERS);
        self.0.set((next + 1, next + NUMBERS));
        next
    }
}

/// The listeners that an event went to.
#[inline]
fn groups_of(message: &MessageRef) -> &[Group] {
    message.route().map_or(&[], |route| &route.groups)
}

/// Whether a mailbox takes an event.
#[inline]
fn has_room(to: &Group) -> bool {
    to.service.has_room(Limit::Hard, to.targets.len())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Mutex, mpsc};
    use std::task::{Context as TaskContext, Poll, Waker};

    use super::*;
    use crate::context::Context;
    use crate::error::ErrorKind;
    use crate::event::local_event;

    #[derive(Debug, PartialEq)]
    struct Order(u32);

    local_event!(Order, SUBMIT, "order", "order.submit");

    /// The passage of this thread for orders.
    fn passage(bus: &Bus) -> EventPassage {
        let route = bus.route(SUBMIT.exchange, SUBMIT.key);
        let lane = bus.0.lanes.open(&bus.0.fired);
        let passage = EventPassage::new(bus, bus.epoch(), &SUBMIT, &route, &lane);
        passage.expect("a passage")
    }

    #[test]
    fn an_event_whose_route_is_not_what_it_was_goes_by_the_table() {
        let heard = Arc::new(AtomicU32::new(0));
        let listener = || {
            let heard = heard.clone();
            move |_: &Context| {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        };
        let bus = crate::Builder::new().register_listener(("order", "#"), listener()).build();
        let bus = bus.expect("a bus");
        let passage = passage(&bus);
        let second = bus.register_listener(("order", "#"), listener()).expect("a listener");
        let receipt = passage.fire(&bus, &SUBMIT, Order(1), true);
        assert_eq!(receipt.handled().wait().expect("accepted").len(), 2);
        assert_eq!((heard.load(Ordering::Relaxed), bus.stats().fired), (2, 1));
        drop(second);
    }

    #[test]
    fn an_event_that_a_full_mailbox_does_not_take_comes_back_with_its_receipt() {
        let (come, has_come) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let listener = move |_: &Context| {
            let _ = come.send(());
            drop(held.lock().map(|held| held.recv()));
        };
        let bus = crate::Builder::new().mailbox(1).register_listener(("order", "#"), listener);
        let bus = bus.build().expect("a bus");
        // Dropped first, so that the bus can stop.
        let release = release;
        let passage = passage(&bus);
        let fire = |number| passage.fire(&bus, &SUBMIT, Order(number), true);
        drop(fire(0));
        has_come.recv().expect("the first is with the listener");
        let most = u32::try_from(Limit::Hard.of(1)).expect("few");
        for number in 1..=most {
            drop(fire(number));
        }
        let refused = pin!(fire(most + 1));
        let Poll::Ready(Err(error)) = refused.poll(&mut TaskContext::from_waker(Waker::noop()))
        else {
            panic!("the mailbox is full");
        };
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(error.into_event::<Order>().ok(), Some(Order(most + 1)));
        assert_eq!(bus.stats().fired, u64::from(most) + 1);
        drop(release);
    }
}
