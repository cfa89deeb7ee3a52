//! [`Promise`]: the answer of a command, to be awaited in any executor or waited for on any thread.

mod slot;
mod there;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sync_wrapper::SyncWrapper;

pub(crate) use self::slot::Slot;
pub(crate) use self::there::{Answered, Reply};
use self::there::{Mapped, There};
use crate::bus::Bus;
use crate::clock::{Clock, Sleep, later};
use crate::current;
use crate::execute_error::ExecuteError;
use crate::pace;
use crate::park;
use crate::testing::Drive;
use crate::wait::{self, Note, Refusal};
use crate::waits::Target;

/// The answer of a command.
///
/// It is a `Future`, so any executor awaits it; [`wait`](Self::wait) blocks the thread instead.
/// Dropping it lets the command run.
///
/// # Cancel safety
///
/// Dropping the promise while it is awaited loses the answer, never the command.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use std::time::Duration;
///
/// use bus::{ExecuteError, Failure, Promise};
///
/// let bus = bus::Builder::new()
///     .register_command("double", |number: u32| 2 * number)
///     .register_command("half", |number: u32| {
///         if number % 2 == 0 { Ok(number / 2) } else { Err("odd".to_owned()) }
///     })
///     .build()?;
///
/// // Waited for, with a limit of its own.
/// let doubled: Promise<u32, Failure> = bus.execute_command("double", (4,));
/// assert_eq!(doubled.wait_timeout(Duration::from_secs(5))?, 8);
///
/// // Awaited, in any executor.
/// let halved: Promise<u32, Failure> = bus.execute_command("half", (7,));
/// match futures_lite::future::block_on(halved) {
///     Err(ExecuteError::Handler(failure)) => assert_eq!(failure.message(), "odd"),
///     other => panic!("{other:?}"),
/// }
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
pub struct Promise<T, E = Infallible> {
    answer: Source<T, E>,
    /// By the clock of its bus.
    deadline: Option<Instant>,
    late: Option<Box<Late>>,
}

/// How often a thread lets others go first before it sleeps until there is an answer.
const YIELDS: u32 = 2;

/// Where the answer comes from.
enum Source<T, E> {
    /// It is there, until it is taken. Nobody looks at it but who takes it, so that the promise is
    /// `Sync` whatever the answer is.
    Here(SyncWrapper<Option<Result<T, ExecuteError<E>>>>),
    There(There<T, E>),
}

/// What a promise has that is awaited or belongs to a test; most do not.
#[derive(Default)]
struct Late {
    sleep: Option<Sleep>,
    /// That a handler awaits it.
    note: Option<Note>,
    /// Moves the time of a test bus.
    drive: Option<Box<Drive>>,
}

// Nothing in it is pinned.
impl<T, E> Unpin for Promise<T, E> {}

impl<T, E> Promise<T, E> {
    pub(crate) fn new(reply: Arc<dyn Reply<T, E>>, deadline: Option<Instant>) -> Self {
        Self { answer: Source::There(There::Elsewhere(reply)), deadline, late: None }
    }

    /// The answer of a call of this process.
    #[inline]
    pub(crate) fn of<M: Answered<T, E>>(call: triomphe::Arc<M>, deadline: Instant) -> Self {
        let there = There::in_call(call);
        Self { answer: Source::There(there), deadline: Some(deadline), late: None }
    }

    /// The handler that is to give the answer.
    fn targets(&self) -> Vec<Target> {
        match &self.answer {
            Source::Here(_) => Vec::new(),
            Source::There(there) => there.target().into_iter().collect(),
        }
    }

    fn late(&mut self) -> &mut Late {
        self.late.get_or_insert_default()
    }

    fn drive(&mut self) -> Option<Box<Drive>> {
        self.late.as_mut().and_then(|late| late.drive.take())
    }

    /// Waits on this thread for the answer. Outside of handlers the thread looks for it for up to 30 µs before it
    /// sleeps, where there is another core and what it waited for the last time came soon.
    ///
    /// # Errors
    ///
    /// What the handler returned, or why it gave no answer.
    #[inline]
    pub fn wait(mut self) -> Result<T, ExecuteError<E>> {
        let there = match &mut self.answer {
            Source::Here(answer) => taken(answer).map_or(Poll::Pending, Poll::Ready),
            // Nothing is to be moved for it.
            Source::There(reply) if self.late.is_none() => park::once(|cx| reply.poll(cx)),
            Source::There(_) => Poll::Pending,
        };
        match there {
            Poll::Ready(answer) => answer,
            Poll::Pending => self.wait_late(),
        }
    }

    /// Waits for an answer, unless it was there at once.
    #[inline(never)]
    fn wait_late(mut self) -> Result<T, ExecuteError<E>> {
        // The system clock is waited for by parking, which needs no timer.
        let is_manual = self.clock().is_some_and(Clock::is_manual);
        let system = self.deadline.take_if(|_| !is_manual);
        let drive = self.late.as_ref().and_then(|late| late.drive.as_ref());
        let deadline = match (system, self.clock().zip(self.deadline), drive) {
            (Some(deadline), ..) => Some(deadline),
            // Virtual time stands while a handler runs. Should one never end, this wait still does.
            (None, Some((clock, deadline)), Some(_)) => {
                Some(later(Instant::now(), deadline.saturating_duration_since(clock.now())))
            }
            _ => None,
        };
        if !current::is_any() {
            let answer = pace::look_out(YIELDS, || match park::once(|cx| self.poll_answer(cx)) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            });
            if let Some(answer) = answer {
                return answer;
            }
            let answer = park::until(deadline, |cx| self.poll_answer(cx));
            return answer.unwrap_or(Err(ExecuteError::Timeout));
        }
        let targets = self.targets();
        match wait::block(deadline, || targets, |cx| self.poll_answer(cx)) {
            Ok(answer) => answer.unwrap_or(Err(ExecuteError::Timeout)),
            Err(Refusal::Deadlock(cycle)) => Err(ExecuteError::Deadlock(cycle)),
            Err(Refusal::Exhausted) => Err(ExecuteError::Exhausted),
        }
    }

    /// The same promise, for which the time of `bus` moves, if that is a test bus.
    pub(crate) fn driven_by(mut self, bus: &Bus) -> Self {
        if let Some(drive) = bus.drive() {
            self.late().drive = Some(drive);
        }
        self
    }

    /// Cancels it, from wherever it is.
    pub(crate) fn canceller(&self) -> Box<dyn Fn() + Send + Sync>
    where
        T: 'static,
        E: 'static,
    {
        match &self.answer {
            // It came before it could be cancelled.
            Source::Here(_) => Box::new(|| {}),
            Source::There(reply) => {
                let reply = reply.clone();
                Box::new(move || reply.cancel())
            }
        }
    }

    /// The same promise, for whoever moves the time of a test bus for several together.
    pub(crate) fn undriven(mut self) -> Self {
        drop(self.drive());
        self
    }

    /// When it is over at the latest, by the clock of its bus.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The clock of its bus, unless the answer came at once.
    fn clock(&self) -> Option<&Clock> {
        match &self.answer {
            Source::Here(_) => None,
            Source::There(there) => there.clock(),
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, ExecuteError<E>>> {
        let Some(mut drive) = self.drive() else { return self.poll_once(cx) };
        let answer = drive.poll(cx, |cx| self.poll_once(cx));
        self.late().drive = Some(drive);
        answer
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, ExecuteError<E>>> {
        let answer = match &mut self.answer {
            Source::Here(answer) => taken(answer).map_or(Poll::Pending, Poll::Ready),
            Source::There(reply) => reply.poll(cx),
        };
        if answer.is_ready() {
            return answer;
        }
        let Some(deadline) = self.deadline else { return Poll::Pending };
        if self.late().sleep.is_none() {
            self.late().sleep = self.clock().map(|clock| clock.sleep_until(deadline));
        }
        match &mut self.late().sleep {
            Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(ExecuteError::Timeout)),
            None => Poll::Pending,
        }
    }

    /// Waits on this thread for the answer, `limit` at the most.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); `Timeout` once `limit` has passed, and then the command goes on.
    pub fn wait_timeout(self, limit: Duration) -> Result<T, ExecuteError<E>> {
        self.timeout(limit).wait()
    }

    /// The same promise that answers `Timeout` once `limit` has passed from now on; the limit of
    /// the command itself holds as well. The command goes on.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        if let Some((clock, deadline)) = self.clock().zip(self.deadline) {
            self.deadline = Some(deadline.min(clock.after(limit)));
            if let Some(late) = &mut self.late {
                late.sleep = None;
            }
        }
        self
    }

    /// Asks the handler to stop and gives the answer up, unless it is there already.
    ///
    /// Best effort: an asynchronous handler without `&mut self` is dropped at its next await, any
    /// other sees `ctx.cancelled()`, one that has not started never does. Effects are not undone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use bus::{ExecuteError, Failure, Promise};
    ///
    /// // It would never end.
    /// let bus = bus::Builder::new().register_command("idle", || std::future::pending::<()>()).build()?;
    /// let promise: Promise<(), Failure> = bus.execute_command("idle", ());
    /// promise.cancel();
    /// assert_eq!(promise.wait(), Err(ExecuteError::Cancelled));
    /// bus.shutdown()?;
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn cancel(&self) {
        if let Source::There(reply) = &self.answer {
            reply.cancel();
        }
    }

    /// Whether the answer is there.
    pub fn is_done(&self) -> bool {
        match &self.answer {
            Source::Here(_) => true,
            Source::There(reply) => reply.is_done(),
        }
    }

    pub(crate) fn map<U, F>(
        self,
        convert: impl Fn(Result<T, ExecuteError<E>>) -> Result<U, ExecuteError<F>>
        + Send
        + Sync
        + 'static,
    ) -> Promise<U, F>
    where
        T: 'static,
        E: 'static,
        U: 'static,
        F: 'static,
    {
        let answer = match self.answer {
            Source::Here(mut answer) => {
                Source::Here(SyncWrapper::new(taken(&mut answer).map(convert)))
            }
            Source::There(inner) => {
                Source::There(There::Elsewhere(Arc::new(Mapped::new(inner, convert))))
            }
        };
        Promise { answer, deadline: self.deadline, late: self.late }
    }
}

impl<T: Send + 'static, E: Send + 'static> Promise<T, E> {
    /// Calls `done` with the answer, on the thread that gives it.
    pub(crate) fn then(self, done: impl FnOnce(Result<T, ExecuteError<E>>) + Send + 'static) {
        let wait = async move { done(self.await) };
        let (runnable, task) = async_task::spawn(wait, |runnable: async_task::Runnable| {
            runnable.run();
        });
        task.detach();
        runnable.run();
    }

    /// A promise whose answer is there.
    pub(crate) fn ready(answer: Result<T, ExecuteError<E>>) -> Self {
        Self { answer: Source::Here(SyncWrapper::new(Some(answer))), deadline: None, late: None }
    }
}

/// Takes an answer that is there.
fn taken<A>(answer: &mut SyncWrapper<Option<A>>) -> Option<A> {
    answer.get_mut().take()
}

impl<T, E> Future for Promise<T, E> {
    type Output = Result<T, ExecuteError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = this.poll_answer(cx);
        if answer.is_ready() {
            if let Some(late) = &mut this.late {
                late.note = None;
            }
        } else if this.late().note.is_none() {
            match Note::new(this.targets()) {
                Ok(note) => this.late().note = Some(note),
                Err(cycle) => return Poll::Ready(Err(ExecuteError::Deadlock(cycle))),
            }
        }
        answer
    }
}

impl<T, E> std::fmt::Debug for Promise<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Promise").field("done", &self.is_done()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_wakes_another_thread() {
        let slot = Arc::new(Slot::<u32, Infallible>::default());
        let promise = Promise::new(slot.clone(), None);
        let waiter = std::thread::spawn(move || promise.wait());
        slot.fill(Ok(7));
        assert_eq!(waiter.join().unwrap(), Ok(7));
    }

    #[test]
    fn a_limit_ends_the_wait_and_not_the_command() {
        let slot = Arc::new(Slot::<u32, Infallible>::default());
        let far = Instant::now() + Duration::from_secs(3600);
        let promise = Promise::new(slot.clone(), Some(far));
        assert_eq!(promise.wait_timeout(Duration::from_millis(1)), Err(ExecuteError::Timeout));
        let promise = Promise::new(slot, Some(far)).timeout(Duration::from_millis(1));
        assert_eq!(futures_lite::future::block_on(promise), Err(ExecuteError::Timeout));
    }
}
