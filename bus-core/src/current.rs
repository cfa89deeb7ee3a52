//! The handler that this thread is running: its bus, its message, its service.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::bus::Bus;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::here;
use crate::lineage::{Chain, Lineage};
use crate::message::{Head, MessageRef};
use crate::service::Service;
use crate::trace::Origin;
use crate::waits::Invocation;

/// What a thread runs.
pub(crate) struct Stack {
    /// Whatever runs with a place of its own.
    current: Option<Current>,
    /// On the own thread of a service: what runs below that.
    group: Option<Rc<GroupFrame>>,
    /// What is called directly, at the bottom of the thread's stack.
    direct: Option<Rc<dyn Frame>>,
}

impl Stack {
    pub(crate) const NOTHING: Self = Self { current: None, group: None, direct: None };

    /// Whether it is plain to see that no handler runs.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.direct.is_none() && self.is_free()
    }

    /// Whether no handler runs but perhaps one that is called directly.
    #[inline]
    fn is_free(&self) -> bool {
        self.current.is_none() && self.group.as_ref().is_none_or(|group| group.seq.get() == 0)
    }

    /// Whether handlers are called directly.
    #[inline]
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// What is sent on this thread is that of `frame`, from here on until [`leave_direct`]. Only where
    /// nothing runs.
    #[inline]
    pub(crate) fn enter_direct(&mut self, frame: Rc<dyn Frame>) {
        self.direct = Some(frame);
    }
}

/// Handlers that are called directly, as far as what they send needs to know.
pub(crate) trait Frame {
    /// They as a handler that runs; nothing once their bus is gone.
    fn current(&self) -> Option<Current>;
}

/// Nothing is called directly on this thread any more.
#[inline]
pub(crate) fn leave_direct() {
    let direct = here::with(|here| here.stack.direct.take());
    drop(direct);
}

/// The group of plain listeners that the own thread of a service runs, if it runs one: made once for
/// the thread, so that each group is entered by a few stores.
pub(crate) struct GroupFrame {
    home: Rc<Home>,
    /// The message; 0 for none.
    seq: Cell<u64>,
    correlation: Cell<u64>,
}

impl GroupFrame {
    /// For the thread that calls this.
    pub(crate) fn new(home: &Rc<Home>) -> Rc<Self> {
        let frame =
            Rc::new(Self { home: home.clone(), seq: Cell::new(0), correlation: Cell::new(0) });
        here::with(|here| here.stack.group = Some(frame.clone()));
        frame
    }

    /// The thread has no service any more.
    pub(crate) fn forget() {
        let group = here::with(|here| here.stack.group.take());
        drop(group);
    }

    /// A group of listeners of a message begins, if it can be told by numbers alone.
    #[inline]
    pub(crate) fn enter(&self, head: &Head) -> bool {
        let correlation = head.plain_correlation();
        if let Some(correlation) = correlation {
            self.seq.set(head.seq);
            self.correlation.set(correlation);
        }
        correlation.is_some()
    }

    /// It is over.
    #[inline]
    pub(crate) fn leave(&self) {
        self.seq.set(0);
    }

    fn current(&self) -> Option<Current> {
        let (seq, correlation) = (self.seq.get(), self.correlation.get());
        (seq != 0)
            .then(|| Current { correlation, ..Current::bottom(self.home.clone(), (seq, GROUP)) })
    }
}

thread_local! {
    /// The test buses that this thread has entered, innermost last.
    static STAYS: RefCell<Vec<(u64, Bus)>> = const { RefCell::new(Vec::new()) };
}

/// That a bus is the current one of this thread, outside of handlers; over when dropped.
#[must_use = "dropping it leaves the bus"]
pub struct Stay {
    number: u64,
    /// It stays on its thread.
    thread: PhantomData<*const ()>,
}

/// Makes `bus` the current one of this thread, outside of handlers.
pub(crate) fn stay(bus: &Bus) -> Stay {
    STAYS.with_borrow_mut(|stays| {
        let number = stays.last().map_or(0, |(number, _)| number + 1);
        stays.push((number, bus.clone()));
        Stay { number, thread: PhantomData }
    })
}

/// The bus that this thread has entered.
pub(crate) fn entered() -> Option<Bus> {
    STAYS.with_borrow(|stays| stays.last().map(|(_, bus)| bus.clone()))
}

impl Drop for Stay {
    fn drop(&mut self) {
        // The bus itself is dropped once nothing is borrowed.
        let left = STAYS.with_borrow_mut(|stays| {
            let index = stays.iter().position(|(number, _)| *number == self.number)?;
            Some(stays.remove(index))
        });
        drop(left);
    }
}

impl std::fmt::Debug for Stay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stay(..)")
    }
}

/// The bus and the service that a thread runs handlers for; shared by all that it runs.
pub(crate) struct Home {
    pub(crate) bus: Bus,
    pub(crate) service: Arc<Service>,
}

impl Home {
    pub(crate) fn new(bus: &Bus, service: &Arc<Service>) -> Rc<Self> {
        Rc::new(Self { bus: bus.clone(), service: service.clone() })
    }
}

/// What a handler's code runs inside of.
pub(crate) struct Current {
    home: Rc<Home>,
    invocation: Invocation,
    attempt: u32,
    correlation: u64,
    /// What is sent here follows from a dead letter.
    in_wake: bool,
    /// What is sent here follows from a message that came from elsewhere.
    chain: Option<Arc<Chain>>,
    /// While it waits, its service takes nothing more, or not everything.
    holds_up: bool,
    /// The handlers under this one on the thread's stack, outermost first.
    below: Vec<Invocation>,
    inline: u8,
}

/// In place of a slot: the listener of a group that runs.
const GROUP: u32 = u32::MAX;

/// Whether a handler runs on the thread that fires or executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inline {
    Yes,
    No,
}

/// How many inline handlers may fire or execute inside each other on one thread; further ones go to
/// the thread of their service.
const INLINE_DEPTH: u8 = 32;

impl Current {
    pub(crate) fn of(ctx: &Context) -> Self {
        let head = ctx.message().head();
        Self {
            home: Home::new(ctx.bus(), ctx.service_ref()),
            invocation: ctx.invocation(),
            attempt: ctx.attempt(),
            correlation: head.correlation(),
            in_wake: head.in_wake(),
            chain: head.chain().cloned(),
            holds_up: ctx.service_ref().state.is_some()
                || ctx.binding().is_some_and(|binding| binding.code.is_async()),
            below: Vec::new(),
            inline: u8::from(ctx.is_inline()),
        }
    }

    /// Of a delivery that is run without a context.
    pub(crate) fn plain(home: &Rc<Home>, delivery: &Delivery, inline: Inline) -> Self {
        let head = delivery.message.head();
        Self {
            home: home.clone(),
            invocation: (head.seq, delivery.slot),
            attempt: delivery.attempt,
            correlation: head.correlation(),
            in_wake: head.in_wake(),
            chain: head.chain().cloned(),
            holds_up: home.service.state.is_some(),
            below: Vec::new(),
            inline: u8::from(inline == Inline::Yes),
        }
    }

    /// Of a group of plain listeners, which are told apart by the progress of their service.
    pub(crate) fn group(home: &Rc<Home>, message: &MessageRef) -> Self {
        let head = message.head();
        Self {
            home: home.clone(),
            invocation: (head.seq, GROUP),
            attempt: 1,
            correlation: head.correlation(),
            in_wake: head.in_wake(),
            chain: head.chain().cloned(),
            holds_up: false,
            below: Vec::new(),
            inline: 0,
        }
    }

    /// Of an inline handler that is called directly, at the bottom of a thread's stack.
    pub(crate) fn direct(home: Rc<Home>, invocation: Invocation) -> Self {
        Self { inline: 1, ..Self::bottom(home, invocation) }
    }

    fn bottom(home: Rc<Home>, invocation: Invocation) -> Self {
        Self {
            home,
            invocation,
            attempt: 1,
            correlation: invocation.0,
            in_wake: false,
            chain: None,
            holds_up: false,
            below: Vec::new(),
            inline: 0,
        }
    }

    /// The same, where what is sent follows from a dead letter.
    pub(crate) fn in_wake(self) -> Self {
        Self { in_wake: true, ..self }
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.home.bus
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.home.service
    }

    pub(crate) fn invocation(&self) -> Invocation {
        match self.invocation {
            (seq, GROUP) => (seq, self.home.service.progress().slot()),
            invocation => invocation,
        }
    }

    /// The attempt that runs.
    pub(crate) fn origin(&self) -> Origin {
        let ((seq, slot), attempt) = (self.invocation(), self.attempt);
        Origin { seq, slot, attempt }
    }

    pub(crate) fn lineage(&self) -> Lineage<'_> {
        let Self { home, correlation, chain, .. } = self;
        Lineage { bus: &home.bus, correlation: *correlation, chain: chain.as_ref() }
    }

    pub(crate) fn holds_up(&self) -> bool {
        self.holds_up
    }

    pub(crate) fn below(&self) -> &[Invocation] {
        &self.below
    }

    /// Makes it this thread's current one until the guard is dropped; for code that runs on top of
    /// whatever the thread was running.
    pub(crate) fn enter(mut self) -> Entered {
        with(|outer| {
            self.below.clone_from(&outer.below);
            self.below.push(outer.invocation());
            self.inline += outer.inline;
            self.holds_up |= outer.holds_up;
        });
        Entered(replace(Some(self)))
    }

    /// Wraps `future` so that it runs inside of this wherever it is polled.
    pub(crate) fn scope<F>(self, future: Pin<Box<F>>) -> Scoped<F>
    where
        F: Future + ?Sized,
    {
        Scoped { current: Some(self), future: Some(future) }
    }
}

/// Looks at the handler that this thread is running.
pub(crate) fn with<R>(look: impl FnOnce(&Current) -> R) -> Option<R> {
    here::look(|here| {
        let Stack { current, group, direct } = &here.stack;
        if let Some(current) = current {
            return Some(look(current));
        }
        let group = group.as_ref().and_then(|group| group.current());
        let below = group.or_else(|| direct.as_ref().and_then(|direct| direct.current()));
        below.map(|current| look(&current))
    })
}

/// Whether it is plain to see that this thread runs no handler.
#[inline]
pub(crate) fn is_quiet() -> bool {
    here::look(|here| here.stack.is_quiet())
}

/// Whether this thread is running a handler.
pub(crate) fn is_any() -> bool {
    with(|_| ()).is_some()
}

fn replace(current: Option<Current>) -> Option<Current> {
    here::with(|here| std::mem::replace(&mut here.stack.current, current))
}

/// The bus whose handler this thread is running.
pub(crate) fn bus() -> Option<Bus> {
    with(|current| current.bus().clone())
}

/// The first message in the chain of the one whose handler this thread is running.
pub(crate) fn correlation() -> Option<u64> {
    with(|current| current.correlation)
}

/// Whether this thread is running a handler of `bus`.
pub(crate) fn is_inside(bus: &Bus) -> bool {
    with(|current| current.bus().is(bus)).unwrap_or(false)
}

/// Where a message comes from.
pub(crate) struct Cause {
    pub(crate) origin: Origin,
    /// The first message of the chain.
    pub(crate) correlation: u64,
    pub(crate) in_wake: bool,
    pub(crate) chain: Option<Arc<Chain>>,
}

/// The attempt of a handler of `bus` that this thread is running.
pub(crate) fn cause(bus: &Bus) -> Option<Cause> {
    let cause = |current: &Current| {
        let Current { correlation, in_wake, .. } = *current;
        let (origin, chain) = (current.origin(), current.chain.clone());
        current.bus().is(bus).then_some(Cause { origin, correlation, in_wake, chain })
    };
    with(cause).flatten()
}

/// Whether another inline handler may run on top of those that this thread runs already.
pub(crate) fn may_inline() -> bool {
    with(|current| current.inline < INLINE_DEPTH).unwrap_or(true)
}

/// Brings the former one back when dropped.
pub(crate) struct Entered(Option<Current>);

impl Drop for Entered {
    fn drop(&mut self) {
        drop(replace(self.0.take()));
    }
}

/// A future that runs inside of a current one.
pub(crate) struct Scoped<F: ?Sized> {
    // Nothing only while it is dropped.
    current: Option<Current>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future + ?Sized> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        self.inside(|future| match future {
            Some(future) => future.as_mut().poll(cx),
            None => Poll::Pending,
        })
    }
}

impl<F: ?Sized> Scoped<F> {
    fn inside<R>(&mut self, run: impl FnOnce(&mut Option<Pin<Box<F>>>) -> R) -> R {
        let former = replace(self.current.take());
        let restore = Entered(former);
        let output = run(&mut self.future);
        self.current = replace(None);
        drop(restore);
        output
    }
}

// What a handler's locals do when it is dropped, they do as part of the handler.
impl<F: ?Sized> Drop for Scoped<F> {
    fn drop(&mut self) {
        self.inside(|future| drop(future.take()));
    }
}
