//! Running handlers that take nothing but what travels: the plain listeners of an event as one group,
//! and a call as the function that it is. Mostly no context is made, and nothing is allocated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{Entry, Service, Started, Worker, unharmed};
use crate::binding::Counts;
use crate::current::{Current, Entered};
use crate::delivery::Delivery;
use crate::failure::Failure;
use crate::message::{Head, MessageRef, Ran};

impl Worker {
    /// Runs plain listeners of one event, one after another: one start, one end, one settling.
    #[inline]
    pub(super) fn run_group(
        self: &Rc<Self>,
        message: &MessageRef,
        place: usize,
        mut started: Started<&Service>,
    ) {
        let (head, progress) = (message.head(), self.service.progress());
        let apart = match self.run_on(message, head, place) {
            Ran::All => 0,
            ran => self.run_apart(message, place, ran),
        };
        // Before anybody is woken, whose waker may panic.
        started.deliveries -= self.given_back.take();
        let done = progress.place() - apart;
        // Who has the only handle makes no further one meanwhile, and nobody is left who could look.
        if done > 0 && !message.is_only() {
            head.settle_all(done);
        }
        if progress.is_cut() {
            for delivery in self.service.take_cut_short() {
                self.bus.refuse(&self.service, Entry::one(delivery));
            }
        }
    }

    /// Runs the listeners of a group from where it is.
    #[inline]
    fn run_on(&self, message: &MessageRef, head: &Head, place: usize) -> Ran {
        let progress = self.service.progress();
        let _inside = (!self.frame.enter(head)).then(|| self.enter_apart(message));
        let ran = catch_unwind(AssertUnwindSafe(|| message.run_group(place, progress)));
        self.frame.leave();
        ran.unwrap_or_else(|panic| Ran::Failed(Box::new(Failure::panic(panic))))
    }

    /// Enters what cannot be told by numbers alone.
    #[cold]
    fn enter_apart(&self, message: &MessageRef) -> Entered {
        Current::group(&self.home, message).enter()
    }

    /// Goes on with a group of which a listener failed, or is none of its functions. Says how many are
    /// settled by themselves.
    #[cold]
    fn run_apart(self: &Rc<Self>, message: &MessageRef, place: usize, mut ran: Ran) -> usize {
        let progress = self.service.progress();
        let targets = message.route().and_then(|route| route.groups.get(place));
        let targets = targets.map_or(&[][..], |group| &group.targets);
        let mut apart = 0;
        loop {
            let failure = match ran {
                Ran::All => break,
                Ran::Failed(failure) => Some(*failure),
                Ran::Unfit => None,
            };
            let Some(target) = targets.get(progress.place()) else { break };
            let delivery = target.delivery(message, 1);
            apart += 1;
            unharmed(&self.service, || match failure {
                Some(failure) => self.conclude(delivery, Err(failure)),
                None => self.run_started(delivery),
            });
            progress.advance();
            if progress.at().is_none() {
                break;
            }
            ran = self.run_on(message, message.head(), place);
        }
        apart
    }

    /// Runs a plain command that is called for the first time.
    pub(super) fn run_call(self: &Rc<Self>, call: &MessageRef, started: Started<&Service>) {
        let Some(binding) = call.plain_call() else { return };
        let _started = started;
        let delivery = || Delivery::first(binding.clone(), call.clone());
        let plain = binding.plain.filter(|_| self.bus.is_bare());
        let is_wanted = call.call().is_some_and(|caller| !caller.is_cancelled());
        let head = call.head();
        let Some(plain) = plain.filter(|_| is_wanted && self.frame.enter(head)) else {
            return self.run_started(delivery());
        };
        self.service.progress().enter(0);
        let ran = catch_unwind(AssertUnwindSafe(|| call.run_plain(plain)));
        self.frame.leave();
        match ran {
            Ok(Some(Ok(()))) => {
                Counts::add_alone(&binding.counts.handled);
                head.settle_call();
            }
            Ok(Some(Err(failure))) => self.conclude(delivery(), Err(failure)),
            Ok(None) => self.run_started(delivery()),
            Err(panic) => self.conclude(delivery(), Err(Failure::panic(panic))),
        }
    }
}
