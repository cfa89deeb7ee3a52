//! Where an answer comes from: a call of this process, or whoever else gives one.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Slot;
use crate::clock::Clock;
use crate::execute_error::ExecuteError;
use crate::message::{Caller, Message, MessageRef};
use crate::waits::Target;

/// Where an answer appears that is not here yet.
pub(super) enum There<T, E> {
    /// In a call of this process.
    Call(MessageRef, SlotOf<T, E>),
    Elsewhere(Arc<dyn Reply<T, E>>),
}

/// Where the answer of a call is, in the message that it is.
type SlotOf<T, E> = fn(&dyn Message) -> Option<&Slot<T, E>>;

/// A call that is answered in its message.
pub(crate) trait Answered<T, E>: Message {
    /// Where its answer appears.
    fn slot(&self) -> &Slot<T, E>;
}

fn slot_of<M: Answered<T, E>, T, E>(message: &dyn Message) -> Option<&Slot<T, E>> {
    let any: &dyn Any = message;
    any.downcast_ref().map(M::slot)
}

/// Where the answer of something else appears.
pub(crate) trait Reply<T, E>: Send + Sync {
    /// The answer, once; after that it is pending for ever.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, ExecuteError<E>>>;
    /// Whether the answer is there, or was taken.
    fn is_done(&self) -> bool;
    /// Asks the handler to stop, and answers `Cancelled` unless the answer is there.
    fn cancel(&self);
    /// The clock of its bus.
    fn clock(&self) -> Option<&Clock>;
    /// The handler that is to give the answer.
    fn target(&self) -> Option<Target>;
}

impl<T, E> There<T, E> {
    /// In this call.
    #[inline]
    pub(super) fn in_call<M: Answered<T, E>>(call: triomphe::Arc<M>) -> Self {
        Self::Call(MessageRef::of(call), slot_of::<M, T, E>)
    }
}

impl<T, E> Clone for There<T, E> {
    fn clone(&self) -> Self {
        match self {
            Self::Call(call, slot) => Self::Call(call.clone(), *slot),
            Self::Elsewhere(reply) => Self::Elsewhere(reply.clone()),
        }
    }
}

impl<T, E> Reply<T, E> for There<T, E> {
    #[inline]
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, ExecuteError<E>>> {
        match self {
            Self::Call(call, slot) => match slot(&**call) {
                Some(slot) => slot.take(cx),
                // It was one of the call's type when this was made.
                None => Poll::Ready(Err(ExecuteError::Closed)),
            },
            Self::Elsewhere(reply) => reply.poll(cx),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Call(call, slot) => slot(&**call).is_none_or(Slot::is_filled),
            Self::Elsewhere(reply) => reply.is_done(),
        }
    }

    fn cancel(&self) {
        match self {
            Self::Call(call, _) => call.call().into_iter().for_each(Caller::cancel),
            Self::Elsewhere(reply) => reply.cancel(),
        }
    }

    fn clock(&self) -> Option<&Clock> {
        match self {
            Self::Call(call, _) => call.handler().map(|binding| &binding.service.clock),
            Self::Elsewhere(reply) => reply.clock(),
        }
    }

    fn target(&self) -> Option<Target> {
        match self {
            Self::Call(call, _) => call.handler().map(|binding| Target {
                invocation: Some((call.head().seq, 0)),
                service: binding.service.clone(),
                access: binding.access,
                message: Some(call.clone()),
            }),
            Self::Elsewhere(reply) => reply.target(),
        }
    }
}

/// An answer that is converted when it is taken.
pub(super) struct Mapped<T, E, C> {
    inner: There<T, E>,
    convert: C,
}

impl<T, E, C> Mapped<T, E, C> {
    pub(super) fn new(inner: There<T, E>, convert: C) -> Self {
        Self { inner, convert }
    }
}

impl<T, E, U, F, C> Reply<U, F> for Mapped<T, E, C>
where
    C: Fn(Result<T, ExecuteError<E>>) -> Result<U, ExecuteError<F>> + Send + Sync,
{
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<U, ExecuteError<F>>> {
        self.inner.poll(cx).map(&self.convert)
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn cancel(&self) {
        self.inner.cancel();
    }

    fn clock(&self) -> Option<&Clock> {
        self.inner.clock()
    }

    fn target(&self) -> Option<Target> {
        self.inner.target()
    }
}

#[cfg(test)]
impl<T: Send, E: Send> Reply<T, E> for Slot<T, E> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, ExecuteError<E>>> {
        self.take(cx)
    }

    fn is_done(&self) -> bool {
        self.is_filled()
    }

    fn cancel(&self) {
        self.fill(Err(ExecuteError::Cancelled));
    }

    fn clock(&self) -> Option<&Clock> {
        static CLOCK: std::sync::LazyLock<Clock> = std::sync::LazyLock::new(Clock::system);
        Some(&CLOCK)
    }

    fn target(&self) -> Option<Target> {
        None
    }
}
