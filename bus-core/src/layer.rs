//! Layers: what surrounds every handling of a command or an event.
//!
//! A layer sees each attempt from before it begins until its outcome is known, and may refuse it.
//! The first layer of the builder is the outermost: it is asked first and told last.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::context::Context;
use crate::failure::Failure;
use crate::handler::{HandlerResult, LocalFuture};

/// Surrounds every attempt to handle a command or an event: authorisation, metrics, tracing.
///
/// Given to a bus by [`Builder::layer`](crate::Builder::layer). Several nest, the first one
/// outermost. Every listener of an event is an attempt of its own, and so is every further attempt;
/// commands are seen however they were called, `inline` ones too. An `#[init]` or `#[shutdown]` is
/// no attempt.
///
/// A layer runs where the handler does: on the thread of its service, or on the caller's for one that
/// is `inline`. What it fires or executes counts as done by the handler. If it panics, that attempt
/// alone fails; a panic in [`after`](Self::after), when the outcome is known, is only logged.
///
/// # Examples
///
/// Who may do what:
///
/// ```
/// # use autobus_core::{Context, Failure, Layer};
/// struct ReadOnly;
///
/// impl Layer for ReadOnly {
///     type Attempt = ();
///
///     fn before(&self, ctx: &Context) -> Result<(), Failure> {
///         if ctx.key().ends_with(".delete") {
///             return Err(Failure::refused("nothing is deleted here"));
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// How long it took, by the clock of the bus:
///
/// ```
/// # use autobus_core::{Context, Failure, Layer};
/// # use std::time::Instant;
/// struct Times;
///
/// impl Layer for Times {
///     type Attempt = Instant;
///
///     fn before(&self, ctx: &Context) -> Result<Instant, Failure> {
///         Ok(ctx.bus().clock().now())
///     }
///
///     fn after(&self, began: Instant, ctx: &Context, outcome: Result<(), &Failure>) {
///         let took = ctx.bus().clock().now() - began;
///         println!("{} took {took:?}: {outcome:?}", ctx.handler());
///     }
/// }
/// ```
pub trait Layer: Send + Sync + 'static {
    /// What the layer keeps of one attempt: a span, a time, or `()`. It stays on its thread, and is
    /// dropped there.
    type Attempt: 'static;

    /// An attempt is about to begin.
    ///
    /// # Errors
    ///
    /// An error refuses the attempt: the handler does not run, layers further in see nothing of it,
    /// and those further out see the refusal in [`after`](Self::after). The caller of a command gets
    /// it as [`ExecuteError::Refused`](crate::ExecuteError::Refused). A delivery that was
    /// [`refused`](Failure::refused) is a dead letter; one that was
    /// [`postponed`](Failure::postponed) is tried again like one that failed.
    fn before(&self, ctx: &Context) -> Result<Self::Attempt, Failure>;

    /// The attempt runs, in one stretch if it is synchronous; else once for every poll, and once more
    /// if it is dropped before its end.
    fn around(&self, attempt: &mut Self::Attempt, ctx: &Context, next: Next<'_>) -> Ran {
        let _ = (attempt, ctx);
        next.run()
    }

    /// The attempt is over. The caller of a command may have its answer already.
    fn after(&self, attempt: Self::Attempt, ctx: &Context, outcome: Result<(), &Failure>) {
        let _ = (attempt, ctx, outcome);
    }
}

/// One stretch of an attempt: what a [`Layer`] surrounds.
#[must_use = "the handler does not run unless this does"]
pub struct Next<'a>(&'a mut dyn FnMut());

impl Next<'_> {
    /// Runs it.
    pub fn run(self) -> Ran {
        (self.0)();
        Ran(())
    }
}

impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next(..)")
    }
}

/// That one stretch of an attempt ran; only [`Next::run`] makes it.
#[derive(Debug)]
pub struct Ran(());

/// A layer with the type of its attempts erased.
trait Erased: Send + Sync {
    fn before(&self, ctx: &Context) -> Result<Box<dyn Any>, Failure>;
    fn around(&self, attempt: &mut dyn Any, ctx: &Context, next: Next<'_>) -> Ran;
    fn after(&self, attempt: Box<dyn Any>, ctx: &Context, outcome: Result<(), &Failure>);
}

impl<L: Layer> Erased for L {
    fn before(&self, ctx: &Context) -> Result<Box<dyn Any>, Failure> {
        Ok(Box::new(Layer::before(self, ctx)?))
    }

    fn around(&self, attempt: &mut dyn Any, ctx: &Context, next: Next<'_>) -> Ran {
        match attempt.downcast_mut() {
            Some(attempt) => Layer::around(self, attempt, ctx, next),
            // Each attempt goes to the layer that made it.
            None => next.run(),
        }
    }

    fn after(&self, attempt: Box<dyn Any>, ctx: &Context, outcome: Result<(), &Failure>) {
        if let Ok(attempt) = attempt.downcast() {
            Layer::after(self, *attempt, ctx, outcome);
        }
    }
}

/// The layers of a bus, outermost first.
#[derive(Default)]
pub(crate) struct Layers(Vec<Box<dyn Erased>>);

impl Layers {
    pub(crate) fn push(&mut self, layer: impl Layer) {
        self.0.push(Box::new(layer));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs a synchronous handler inside of the layers.
    pub(crate) fn run(
        &self,
        ctx: &Context,
        handler: impl FnOnce() -> HandlerResult,
    ) -> HandlerResult {
        if self.is_empty() {
            return handler();
        }
        let mut attempt = self.begin(ctx)?;
        let mut handler = Some(handler);
        let mut result = None;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            attempt.around(&mut || result = handler.take().map(|handler| handler()));
        }));
        let result = match ran {
            Ok(()) => result.unwrap_or_else(|| Err(not_run())),
            Err(panic) => Err(Failure::panic(panic)),
        };
        attempt.end(&result);
        result
    }

    /// Begins an attempt: asks every layer, and tells those that agreed if one refuses.
    pub(crate) fn begin<'a>(&'a self, ctx: &'a Context) -> Result<Attempt<'a>, Failure> {
        let mut attempt = Attempt { ctx, layers: &self.0, kept: Vec::new() };
        for layer in &self.0 {
            let asked = catch_unwind(AssertUnwindSafe(|| layer.before(ctx)));
            match asked.unwrap_or_else(|panic| Err(Failure::panic(panic))) {
                Ok(kept) => attempt.kept.push(kept),
                Err(failure) => {
                    let refusal = failure.into_refusal();
                    attempt.end(&Err(refusal.clone()));
                    return Err(refusal);
                }
            }
        }
        Ok(attempt)
    }
}

/// What the layers keep of one attempt.
pub(crate) struct Attempt<'a> {
    ctx: &'a Context,
    layers: &'a [Box<dyn Erased>],
    /// One for each layer that was asked and agreed.
    kept: Vec<Box<dyn Any>>,
}

impl Attempt<'_> {
    /// Runs one stretch inside of every layer.
    fn around(&mut self, run: &mut dyn FnMut()) {
        nest(self.layers, &mut self.kept, self.ctx, run);
    }

    /// Surrounds every poll of a handler, and its drop if that comes before its end.
    pub(crate) fn surround(
        &mut self,
        handler: LocalFuture<HandlerResult>,
    ) -> Pin<Box<dyn Future<Output = HandlerResult> + '_>> {
        Box::pin(Surrounded {
            around: |run: &mut dyn FnMut()| self.around(run),
            handler: Some(handler),
        })
    }

    /// Tells every layer the outcome, the innermost first.
    pub(crate) fn end(&mut self, outcome: &HandlerResult) {
        while let Some(kept) = self.kept.pop() {
            let layer = &self.layers[self.kept.len()];
            let tell = || layer.after(kept, self.ctx, outcome.as_ref().copied());
            if let Err(panic) = catch_unwind(AssertUnwindSafe(tell)) {
                let (handler, failure) = (self.ctx.handler(), Failure::panic(panic));
                tracing::error!(handler, %failure, "a layer panicked after an attempt");
            }
        }
    }
}

/// An attempt that nobody ends is one that the bus gives up.
impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.kept.is_empty() {
            self.end(&Err(Failure::abandoned()));
        }
    }
}

fn nest(
    layers: &[Box<dyn Erased>],
    kept: &mut [Box<dyn Any>],
    ctx: &Context,
    run: &mut dyn FnMut(),
) {
    match (layers.split_first(), kept.split_first_mut()) {
        (Some((layer, layers)), Some((first, kept))) => {
            let mut inner = || nest(layers, kept, ctx, run);
            let Ran(()) = layer.around(&mut **first, ctx, Next(&mut inner));
        }
        _ => run(),
    }
}

fn not_run() -> Failure {
    Failure::internal("a layer did not run the handler")
}

/// A handler's future, each poll of which is surrounded.
struct Surrounded<A: FnMut(&mut dyn FnMut())> {
    around: A,
    /// Nothing once it is done.
    handler: Option<LocalFuture<HandlerResult>>,
}

impl<A: FnMut(&mut dyn FnMut()) + Unpin> Future for Surrounded<A> {
    type Output = HandlerResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<HandlerResult> {
        let Self { around, handler } = &mut *self;
        let mut polled = None;
        around(&mut || {
            polled = handler.as_mut().map(|handler| handler.as_mut().poll(cx));
            if polled.as_ref().is_some_and(Poll::is_ready) {
                *handler = None;
            }
        });
        // Nothing would ever wake what was not polled.
        polled.unwrap_or_else(|| Poll::Ready(Err(not_run())))
    }
}

impl<A: FnMut(&mut dyn FnMut())> Drop for Surrounded<A> {
    fn drop(&mut self) {
        if self.handler.is_some() {
            let Self { around, handler } = self;
            around(&mut || drop(handler.take()));
        }
    }
}
