//! One message for one handler: an attempt, and what follows from it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::binding::{Binding, Counts};
use crate::bus::Bus;
use crate::context::Context;
use crate::current::{Current, Home, Inline};
use crate::dead_letter::DeadLetter;
use crate::events::DeadLettered;
use crate::failure::{Failure, Reason};
use crate::handler::{HandlerResult, Instance};
use crate::lineage::Lineage;
use crate::message::{CallFault, MessageRef};
use crate::remote::Remote;
use crate::service::Entry;
use crate::transport::Settlement;

/// One message for one handler.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) binding: Arc<Binding>,
    pub(crate) message: MessageRef,
    /// The handler's place among the outcomes of the message.
    pub(crate) slot: u32,
    /// Counted from 1; 0 for one that was never to start.
    pub(crate) attempt: u32,
}

/// What becomes of an attempt before its handler would run.
pub(crate) enum Before {
    Run,
    /// It is settled, or comes again.
    Skip,
    /// It has failed without its handler.
    Fail(Failure),
}

impl Delivery {
    /// The first attempt of a handler that is alone with its message.
    pub(crate) fn first(binding: Arc<Binding>, message: MessageRef) -> Self {
        Self { binding, message, slot: 0, attempt: 1 }
    }

    pub(crate) fn context(&self, bus: &Bus, inline: bool) -> Context {
        Context::of_handler(bus.clone(), self.clone(), inline)
    }

    /// Whether the caller gave up before this started; then it is not run.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.message.call().is_some_and(crate::message::Caller::is_cancelled)
    }

    /// Runs a synchronous handler to its end, on this thread.
    fn run(&self, home: &Rc<Home>, instance: &Instance, inline: Inline) -> HandlerResult {
        if let Some(result) = self.run_plain(home, inline) {
            return result;
        }
        let bus = &home.bus;
        let ctx = self.context(bus, inline == Inline::Yes);
        let _inside = Current::of(&ctx).enter();
        let _underway = bus.underway(&ctx);
        let handler = || {
            let text = "an asynchronous handler was run as a synchronous one";
            self.binding.code.run(&ctx, instance).unwrap_or_else(|| Err(Failure::internal(text)))
        };
        let run = || bus.layers().run(&ctx, handler);
        let ran = catch_unwind(AssertUnwindSafe(run));
        ran.unwrap_or_else(|panic| Err(Failure::panic(panic)))
    }

    /// Runs a handler that takes nothing but what travels, where nothing surrounds it. It needs no
    /// context then.
    fn run_plain(&self, home: &Rc<Home>, inline: Inline) -> Option<HandlerResult> {
        let plain = self.binding.plain.filter(|_| home.bus.is_bare())?;
        let _inside = Current::plain(home, self, inline).enter();
        let ran = catch_unwind(AssertUnwindSafe(|| self.message.run_plain(plain)));
        ran.unwrap_or_else(|panic| Some(Err(Failure::panic(panic))))
    }

    /// Puts a delivery that was accepted before into its mailbox; gives it back if that is closed.
    pub(crate) fn enqueue(self, bus: &Bus) -> Result<(), Self> {
        let service = self.binding.service.clone();
        match service.accept(bus, Entry::one(self), 1) {
            Err(Entry::One(delivery)) => Err(*delivery),
            Ok(_) | Err(Entry::First(..)) => Ok(()),
        }
    }

    /// Whether the handler is to run. It is not if its caller has given up, and on a test bus if a
    /// fault is planned for it.
    pub(crate) fn before(&self, bus: &Bus) -> Before {
        // Another process may start at once what this one would keep from stopping.
        let leaving = || bus.0.remote.as_ref().is_some_and(Remote::is_leaving);
        if self.message.arrival().is_some() && leaving() {
            self.clone().abandon(bus, Failure::abandoned());
            return Before::Skip;
        }
        if self.is_cancelled() {
            self.give_up();
            return Before::Skip;
        }
        bus.0.testing.as_ref().map_or(Before::Run, |testing| testing.before(bus, self))
    }

    /// Runs a synchronous handler, if it is to run at all; nothing if there is nothing to conclude.
    pub(crate) fn attempt(
        &self,
        home: &Rc<Home>,
        instance: &Instance,
        inline: Inline,
    ) -> Option<HandlerResult> {
        match self.before(&home.bus) {
            Before::Run => Some(self.run(home, instance, inline)),
            Before::Skip => None,
            Before::Fail(failure) => Some(Err(failure)),
        }
    }

    /// Settles a call that was cancelled before it started.
    pub(crate) fn give_up(&self) {
        if let Some(caller) = self.message.call() {
            caller.fail(CallFault::Cancelled);
        }
        self.message.head().settle(self.slot, 0, Ok(()));
    }

    /// The same before the attempt that did not start.
    pub(crate) fn unstarted(self) -> Self {
        Self { attempt: self.attempt.saturating_sub(1), ..self }
    }

    /// Settles the attempt: done, to be tried again, or dead.
    pub(crate) fn conclude(self, bus: &Bus, result: HandlerResult) {
        let counts = &self.binding.counts;
        let Err(failure) = result else {
            Counts::add(&counts.handled);
            if let Some(arrival) = self.message.arrival() {
                arrival.settle(Settlement::Ack);
            }
            self.message.head().settle(self.slot, self.attempt, Ok(()));
            return;
        };
        self.binding.count_failure(&failure);
        if let Some(caller) = self.message.call() {
            let handler = &*self.binding.name;
            match failure.reason() {
                // The caller has the error; who serves it may want to see it too.
                Reason::Error => tracing::debug!(handler, %failure, "a command failed"),
                Reason::Panic => {
                    tracing::error!(handler, %failure, "a command panicked");
                    caller.fail(CallFault::Panicked);
                }
                Reason::Refused => {
                    tracing::debug!(handler, %failure, "a layer refused a command");
                    caller.fail(CallFault::Refused(failure.to_string()));
                }
                Reason::Cancelled => {
                    tracing::debug!(handler, %failure, "a command was cut short");
                    caller.fail(CallFault::Cancelled);
                }
                _ => {
                    tracing::error!(handler, %failure, "a command could not be run");
                    caller.fail(CallFault::Unavailable(failure.to_string()));
                }
            }
            self.message.head().settle(self.slot, self.attempt, Err(failure));
            return;
        }
        // What was lost on the way is no failure of the handler.
        let lost = self.message.arrival().map_or(0, |arrival| arrival.envelope.lost);
        let failed = self.attempt.saturating_sub(lost).max(1);
        let wait = self.binding.policy.wait_after(failed).filter(|_| failure.is_retryable());
        match wait {
            Some(wait) => {
                Counts::add(&counts.retried);
                let (exchange, key) = self.message.subject();
                tracing::warn!(
                    listener = &*self.binding.name,
                    exchange,
                    key,
                    id = self.id(bus),
                    attempt = self.attempt,
                    ?wait,
                    %failure,
                    "a delivery failed and will be tried again"
                );
                let next = Self { attempt: self.attempt + 1, ..self };
                let again = Settlement::Retry { after: wait, attempt: next.attempt };
                if next.message.arrival().is_none_or(|arrival| !arrival.settle(again)) {
                    bus.retry_after(wait, next);
                }
            }
            None => self.die(bus, failure),
        }
    }

    /// Gives the delivery up: it is logged, counted and kept among the dead letters.
    pub(crate) fn die(self, bus: &Bus, failure: Failure) {
        Counts::add(&self.binding.counts.dead);
        let (exchange, key) = self.message.subject();
        tracing::error!(
            listener = &*self.binding.name,
            exchange,
            key,
            id = self.id(bus),
            attempts = self.attempt,
            %failure,
            "a delivery failed for good and is a dead letter now"
        );
        let letter = DeadLetter::of(bus, &self, failure.clone());
        let dead = Settlement::Dead { reason: failure.clone(), attempts: self.attempt };
        if self.message.arrival().is_none_or(|arrival| !arrival.settle(dead)) {
            bus.graves().bury(letter.clone(), self.clone());
        }
        self.announce(bus, &letter);
        self.message.head().settle(self.slot, self.attempt, Err(failure));
    }

    /// Gives the delivery up because the process stops: a broker delivers it again, elsewhere; in
    /// memory it is a dead letter.
    pub(crate) fn abandon(self, bus: &Bus, why: Failure) {
        match self.message.arrival() {
            Some(arrival) if arrival.settle(Settlement::GiveBack) => {
                self.message.head().settle(self.slot, self.attempt, Ok(()));
            }
            _ => self.die(bus, why),
        }
    }

    /// The message's id.
    fn id(&self, bus: &Bus) -> String {
        let head = self.message.head();
        Lineage::of(bus, head).id(head.seq)
    }

    /// Tells whoever listens that this is a dead letter now, unless it is one for having been told of
    /// another.
    fn announce(&self, bus: &Bus, letter: &DeadLetter) {
        if self.message.head().in_wake() {
            return;
        }
        bus.announce(|| {
            // As part of what failed: with its ids, and welcome while the bus is stopping.
            let inside = Current::of(&self.context(bus, false)).in_wake().enter();
            (DeadLettered::of(letter), inside)
        });
    }
}
