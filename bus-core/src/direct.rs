//! Firing and executing without a message: where all listeners of an event, or a command, are inline
//! and take nothing but what travels, and nothing surrounds them, they are called as the functions
//! that they are.
//!
//! A listener that fails makes it an ordinary firing: the event moves into a message, of which this is
//! the first attempt.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::binding::Binding;
use crate::bus::{Bus, Shared};
use crate::call::PlainCommand;
use crate::current::{self, Current, Frame, Home};
use crate::event::{Event, EventDescriptor};
use crate::execute_error::ExecuteError;
use crate::failure::{Failure, Reason};
use crate::handler::Function;
use crate::heard::{self, Heard};
use crate::lane::{Counted, Lane};
use crate::publish::Inline;
use crate::router::{Route, Target};
use crate::table::Command;

/// What became of an event whose listeners are called.
pub(crate) enum Called {
    /// These have handled it.
    Heard(Heard),
    Stopped(Box<Stopped>),
    /// Something has changed meanwhile, and none was called.
    Not,
}

/// The listeners of an event were called up to one that failed.
pub(crate) struct Stopped {
    pub(crate) route: Arc<Route>,
    /// The one that failed, and why.
    pub(crate) at: usize,
    pub(crate) failure: Failure,
    /// The number of the event; 0 if nothing has asked for it.
    pub(crate) seq: u64,
    /// A shutdown waits for those that come after it.
    pub(crate) inline: Inline,
}

/// The listeners of one event, as this thread calls them.
pub(crate) struct Direct<E> {
    listeners: Vec<Function<E>>,
    /// Those who have heard it once it is fired.
    heard: Heard,
    bus: Weak<Shared>,
    epoch: u64,
    route: Arc<Route>,
    lane: Arc<Lane>,
    fired: Arc<AtomicU64>,
    /// The listener that runs.
    at: Cell<usize>,
    /// The number of the event, once something asks for it.
    seq: Cell<u64>,
}

impl<E: Event> Direct<E> {
    /// The listeners of an event; nothing if they cannot be called directly.
    pub(crate) fn new(
        bus: &Bus,
        epoch: u64,
        descriptor: &'static EventDescriptor,
        route: &Arc<Route>,
        lane: &Arc<Lane>,
    ) -> Option<Self> {
        let is_inline = route.groups.is_empty() && !route.inline.is_empty();
        let is_here = bus.0.remote.is_none() || descriptor.local;
        if !(is_inline && is_here && bus.is_open_and_bare(epoch)) {
            return None;
        }
        let listener = |target: &Target| Function::of(target.binding.plain?);
        let listeners = route.inline.iter().map(listener).collect::<Option<_>>()?;
        Some(Self {
            listeners,
            heard: heard::names(route),
            bus: Arc::downgrade(&bus.0),
            epoch,
            lane: lane.clone(),
            fired: lane.tally(Counted::Route(route.clone())),
            route: route.clone(),
            at: Cell::new(0),
            seq: Cell::new(0),
        })
    }

    /// Calls the listeners.
    #[inline]
    pub(crate) fn fire(&self, bus: &Bus, event: &E) -> Called {
        if !self.lane.enter_in(bus, self.epoch) {
            current::leave_direct();
            return Called::Not;
        }
        self.at.set(0);
        self.seq.set(0);
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(event)));
        current::leave_direct();
        match ran {
            Ok(Ok(())) => {
                let fired = self.fired.load(Ordering::Relaxed) + 1;
                self.fired.store(fired, Ordering::Relaxed);
                self.lane.leave(bus);
                Called::Heard(self.heard)
            }
            Ok(Err(failure)) => self.stop(bus, *failure),
            Err(panic) => self.stop(bus, Failure::panic(panic)),
        }
    }

    #[cold]
    fn stop(&self, bus: &Bus, failure: Failure) -> Called {
        // Counted by the bus from here on, before the lane says that it is over.
        let inline = bus.count_inline();
        self.lane.leave(bus);
        let (route, at, seq) = (self.route.clone(), self.at.get(), self.seq.get());
        Called::Stopped(Box::new(Stopped { route, at, failure, seq, inline }))
    }

    #[inline]
    fn run(&self, event: &E) -> Result<(), Box<Failure>> {
        for (at, listener) in self.listeners.iter().enumerate() {
            self.at.set(at);
            listener.call(event).map_err(Box::new)?;
        }
        Ok(())
    }
}

impl<E> Frame for Direct<E> {
    fn current(&self) -> Option<Current> {
        let bus = Bus(self.bus.upgrade()?);
        let target = self.route.inline.get(self.at.get())?;
        if self.seq.get() == 0 {
            self.seq.set(bus.next_seq());
        }
        let home = Home::new(&bus, &target.binding.service);
        Some(Current::direct(home, (self.seq.get(), target.slot)))
    }
}

impl<E> Drop for Direct<E> {
    fn drop(&mut self) {
        let bus = self.bus.upgrade().map(Bus);
        self.lane.fold(&self.fired, bus.as_ref());
    }
}

/// A command, as this thread calls it.
pub(crate) struct DirectCommand<A: 'static, T: 'static, E: 'static> {
    command: &'static PlainCommand<A, T, E>,
    bus: Weak<Shared>,
    epoch: u64,
    binding: Arc<Binding>,
    lane: Arc<Lane>,
    times: Arc<AtomicU64>,
    /// The number of the call, once something asks for it.
    seq: Cell<u64>,
}

impl<A: 'static, T: 'static, E: 'static> DirectCommand<A, T, E> {
    /// A command of this epoch; nothing if it cannot be called directly.
    pub(crate) fn new(bus: &Bus, epoch: u64, command: &Command, lane: &Arc<Lane>) -> Option<Self> {
        let binding = &command.binding;
        if !(binding.inline && bus.is_open_and_bare(epoch)) {
            return None;
        }
        Some(Self {
            command: binding.plain?.downcast_ref()?,
            bus: Arc::downgrade(&bus.0),
            epoch,
            binding: binding.clone(),
            lane: lane.clone(),
            times: lane.tally(Counted::Command(binding.clone())),
            seq: Cell::new(0),
        })
    }

    /// Whether the command is what it was; then it is to be called next.
    #[inline]
    pub(crate) fn enter(&self, bus: &Bus) -> bool {
        let is_same = self.lane.enter_in(bus, self.epoch);
        if !is_same {
            current::leave_direct();
        }
        is_same
    }

    /// Calls the command, once [`enter`](Self::enter) has said that it can.
    #[inline]
    pub(crate) fn call(&self, bus: &Bus, args: A) -> Result<T, ExecuteError<E>> {
        self.seq.set(0);
        // What an error says of itself is the user's too.
        let failure = |error: E| (self.command.errors.failure(&error), error);
        let run = || (self.command.run)(args).map_err(failure);
        let ran = catch_unwind(AssertUnwindSafe(run));
        current::leave_direct();
        let (failure, error) = match ran {
            Ok(Ok(answer)) => {
                self.times.store(self.times.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                self.lane.leave(bus);
                return Ok(answer);
            }
            Ok(Err((failure, error))) => (failure, ExecuteError::Handler(error)),
            Err(panic) => (Failure::panic(panic), ExecuteError::Panicked),
        };
        self.binding.count_failure(&failure);
        self.lane.leave(bus);
        self.tell(&failure);
        Err(error)
    }

    /// Whoever listens to the log may use the bus, so that nothing is held meanwhile.
    #[cold]
    fn tell(&self, failure: &Failure) {
        let handler = &*self.binding.name;
        if failure.reason() == Reason::Panic {
            tracing::error!(handler, %failure, "a command panicked");
        } else {
            tracing::debug!(handler, %failure, "a command failed");
        }
    }
}

impl<A: 'static, T: 'static, E: 'static> Frame for DirectCommand<A, T, E> {
    fn current(&self) -> Option<Current> {
        let bus = Bus(self.bus.upgrade()?);
        if self.seq.get() == 0 {
            self.seq.set(bus.next_seq());
        }
        let home = Home::new(&bus, &self.binding.service);
        Some(Current::direct(home, (self.seq.get(), 0)))
    }
}

impl<A: 'static, T: 'static, E: 'static> Drop for DirectCommand<A, T, E> {
    fn drop(&mut self) {
        let bus = self.bus.upgrade().map(Bus);
        self.lane.fold(&self.times, bus.as_ref());
    }
}
