//! The bus, and the message, whose handler this thread is running.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::bus::Bus;
use crate::context::Context;

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// What a handler's code runs inside of.
#[derive(Clone)]
pub(crate) struct Current {
    bus: Bus,
    seq: u64,
    correlation: u64,
    inline: u8,
}

/// How many inline handlers may fire or execute inside each other on one thread; further ones go to
/// the thread of their service.
const INLINE_DEPTH: u8 = 32;

impl Current {
    pub(crate) fn of(ctx: &Context) -> Self {
        let head = ctx.message().head();
        let inline = CURRENT.with_borrow(|current| current.as_ref().map_or(0, |c| c.inline));
        Self {
            bus: ctx.bus().clone(),
            seq: head.seq,
            correlation: head.correlation,
            inline: inline + u8::from(ctx.is_inline()),
        }
    }

    /// Makes it this thread's current one until the guard is dropped.
    pub(crate) fn enter(self) -> Entered {
        Entered(CURRENT.replace(Some(self)))
    }

    /// Wraps `future` so that it runs inside of this wherever it is polled.
    pub(crate) fn scope<F>(self, future: Pin<Box<F>>) -> Scoped<F>
    where
        F: Future + ?Sized,
    {
        Scoped { current: Some(self), future }
    }
}

/// The bus whose handler this thread is running.
pub(crate) fn bus() -> Option<Bus> {
    CURRENT.with_borrow(|current| current.as_ref().map(|current| current.bus.clone()))
}

/// Whether this thread is running a handler of `bus`.
pub(crate) fn is_inside(bus: &Bus) -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|current| current.bus.is(bus)))
}

/// The message whose handler of `bus` this thread is running, and the first of its chain.
pub(crate) fn cause(bus: &Bus) -> Option<(u64, u64)> {
    CURRENT.with_borrow(|current| {
        let current = current.as_ref().filter(|current| current.bus.is(bus))?;
        Some((current.seq, current.correlation))
    })
}

/// Whether another inline handler may run on top of those that this thread runs already.
pub(crate) fn may_inline() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_none_or(|c| c.inline < INLINE_DEPTH))
}

/// Brings the former one back when dropped.
pub(crate) struct Entered(Option<Current>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// A future that runs inside of a current one.
pub(crate) struct Scoped<F: ?Sized> {
    current: Option<Current>,
    future: Pin<Box<F>>,
}

impl<F: Future + ?Sized> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let former = CURRENT.replace(this.current.take());
        let restore = Entered(former);
        let poll = this.future.as_mut().poll(cx);
        this.current = CURRENT.take();
        drop(restore);
        poll
    }
}
