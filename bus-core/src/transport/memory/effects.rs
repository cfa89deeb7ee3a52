//! What follows from a change of the broker, and happens after its lock was let go.
//!
//! What one effect causes on its thread is done after it, not within it: a chain of answers that each
//! publish again takes no stack.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::outbox::Outbox;
use crate::failure::Failure;
use crate::transport::{Abandoned, Resolver};

/// Things to do, in order.
#[derive(Default)]
pub(super) struct Effects(VecDeque<Effect>);

enum Effect {
    /// Gives what waits there to its sink.
    Deliver(Arc<Outbox>),
    /// Anything else.
    Then(Box<dyn FnOnce() + Send>),
}

thread_local! {
    /// What this thread still has to do, while it does such things.
    static UNDERWAY: RefCell<Option<VecDeque<Effect>>> = const { RefCell::new(None) };
}

impl Effects {
    pub(super) fn deliver(&mut self, outbox: &Arc<Outbox>) {
        self.0.push_back(Effect::Deliver(outbox.clone()));
    }

    pub(super) fn then(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.0.push_back(Effect::Then(Box::new(effect)));
    }

    pub(super) fn resolve<T, E>(&mut self, resolver: Resolver<T, E>, result: Result<T, E>)
    where
        T: Send + 'static,
        E: Abandoned + Send + 'static,
    {
        self.then(move || resolver.resolve(result));
    }

    /// Does them; on a thread that is at it already, after what it has to do yet.
    pub(super) fn run(mut self) {
        let idle = UNDERWAY.try_with(|underway| match &mut *underway.borrow_mut() {
            Some(underway) => {
                underway.append(&mut self.0);
                false
            }
            idle => {
                *idle = Some(std::mem::take(&mut self.0));
                true
            }
        });
        match idle {
            Ok(true) => std::iter::from_fn(next).for_each(Effect::run),
            Ok(false) => {}
            // The thread is at its end.
            Err(_) => self.0.into_iter().for_each(Effect::run),
        }
    }
}

/// What this thread does next.
fn next() -> Option<Effect> {
    UNDERWAY.with(|underway| {
        let mut underway = underway.borrow_mut();
        let effect = underway.as_mut().and_then(VecDeque::pop_front);
        if effect.is_none() {
            *underway = None;
        }
        effect
    })
}

impl Effect {
    /// Somebody else's code; that it panics must not keep the rest from being done.
    fn run(self) {
        match self {
            Self::Deliver(outbox) => outbox.deliver(),
            Self::Then(effect) => guarded(effect),
        }
    }
}

/// Runs what the bus or a user gave.
pub(super) fn guarded(effect: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(effect)) {
        let failure = Failure::panic(panic);
        tracing::error!(%failure, "what a transport called panicked");
    }
}
