//! A command that another process serves: the call, and where its answer appears.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Remote, answer};
use crate::bus::{Bus, Shared};
use crate::clock::Clock;
use crate::current;
use crate::execute_error::{ExecuteError, NotFound};
use crate::failure::Failure;
use crate::promise::{Promise, Reply, Slot};
use crate::transport::{CallError, Resolver};
use crate::waits::Target;

/// A call that is answered elsewhere.
struct Elsewhere {
    bus: Weak<Shared>,
    command: String,
    /// The id of its message.
    id: String,
    clock: Clock,
    answer: Slot<Vec<u8>, Failure>,
}

impl Reply<Vec<u8>, Failure> for Elsewhere {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, ExecuteError<Failure>>> {
        self.answer.take(cx)
    }

    fn is_done(&self) -> bool {
        self.answer.is_filled()
    }

    fn cancel(&self) {
        if !self.answer.fill(Err(ExecuteError::Cancelled)) {
            return;
        }
        let bus = self.bus.upgrade().map(Bus);
        if let Some((bus, remote)) =
            bus.as_ref().and_then(|bus| Some((bus, bus.0.remote.as_ref()?)))
        {
            remote.cancel(bus, &self.command, &self.id);
        }
    }

    fn clock(&self) -> Option<&Clock> {
        Some(&self.clock)
    }

    fn target(&self) -> Option<Target> {
        None
    }
}

impl Remote {
    /// Calls a command that this process does not serve; `unknown` is what it answers if nobody does.
    pub(crate) fn call(
        &self,
        bus: &Bus,
        unknown: NotFound,
        body: Vec<u8>,
        limit: Duration,
    ) -> Promise<Vec<u8>, Failure> {
        if !bus.table().accepts(|| current::is_inside(bus)) {
            return Promise::ready(Err(ExecuteError::Closed));
        }
        let message = self.envelope(bus, "", &unknown.command, body);
        let call = Arc::new(Elsewhere {
            bus: Arc::downgrade(&bus.0),
            command: unknown.command.clone(),
            id: message.id.clone(),
            clock: bus.clock().clone(),
            answer: Slot::default(),
        });
        let promise = Promise::new(call.clone(), Some(bus.clock().after(limit)));
        let command = unknown.command.clone();
        let done = Resolver::new(move |result| {
            call.answer.fill(match result {
                Ok(reply) => answer::read(reply),
                Err(CallError::Unserved) => Err(ExecuteError::NotFound(unknown)),
                Err(CallError::Unsent(why)) => Err(ExecuteError::Transport(why)),
                Err(CallError::Interrupted) => Err(ExecuteError::Interrupted),
            });
        });
        self.transport.call(&command, message, limit, done);
        promise
    }
}
