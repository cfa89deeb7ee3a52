//! [`Gather`]: one command executed for many items, and their results as they come.
//!
//! It sends by executing and hears by promises alone, so it works wherever a command does. An item
//! is sent when it is its turn and not before: who stops asking for results stops the sending.

mod ends;
mod flights;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::Stream;

pub use self::ends::{All, AllFailed, FirstOk, Results};
use self::flights::Flights;
use crate::bus::Bus;
use crate::call::Spec;
use crate::clock::{Sleep, later};
use crate::execute_error::ExecuteError;
use crate::global;
use crate::park;
use crate::promise::Promise;
use crate::testing::Drive;
use crate::wait::{self, Refusal};

/// How many items are on their way at once, unless [`Gather::in_flight`] says otherwise.
const IN_FLIGHT: usize = 64;

/// One command executed for each of many items: a stream of each item with its result, in the order
/// in which the results come.
///
/// `scatter`, on the handle of every command, makes it. An item of a command with one parameter is
/// that parameter; of one with several, or with none, their tuple. Parameters that are lent to
/// `execute` are owned here. Every item comes back with its result, for which it is cloned.
///
/// | What is wanted | Awaited | Waited for |
/// |---|---|---|
/// | each result as it comes | [`next`](Self::next), or any `StreamExt` | `for … in` [`wait`](Self::wait) |
/// | all of them, in the order of the items | [`all`](Self::all)`().await` | `all().wait()` |
/// | the first success; the rest is cancelled | [`first_ok`](Self::first_ok)`().await` | `first_ok().wait()` |
///
/// Nothing is sent before the first result is asked for, and then 64 items are on their way at the
/// most, or as many as [`in_flight`](Self::in_flight) says. The timeout of an item's command begins
/// when the item is sent, so those that are not sent do not use theirs up.
///
/// It may be waited for inside of handlers as a promise may: the service goes on meanwhile. An item
/// for which waiting would never end has the result `Deadlock`, and the others go on.
///
/// # Cancel safety
///
/// Dropping it, or what `all()` and `first_ok()` return, lets the commands run that were sent, and
/// sends no more; dropping the future of `next()` changes nothing.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use std::time::Duration;
///
/// use bus::{ExecuteError, Gather};
///
/// /// What came in time, and the pages of what did not: `size::scatter(pages)` makes the gather.
/// async fn sizes(pages: Gather<String, u64, String>) -> (u64, Vec<String>) {
///     let mut gather = pages.in_flight(8).within(Duration::from_secs(5));
///     let (mut total, mut late) = (0, Vec::new());
///     while let Some((page, size)) = gather.next().await {
///         match size {
///             Ok(size) => total += size,
///             Err(ExecuteError::Timeout | ExecuteError::NotSent) => late.push(page),
///             Err(error) => eprintln!("{page}: {error}"),
///         }
///     }
///     (total, late)
/// }
/// ```
#[must_use = "nothing is sent before its results are awaited or waited for"]
pub struct Gather<I, T, E = Infallible> {
    execute: Box<Execute<I, T, E>>,
    /// The bus, unless none is started.
    bus: Option<Bus>,
    unsent: VecDeque<(usize, I)>,
    flights: Flights<I, T, E>,
    in_flight: usize,
    deadline: Option<Instant>,
    sleep: Option<Sleep>,
    end: Option<End>,
    /// What is given up is cancelled, too.
    cancels: bool,
    /// Moves the time of a test bus.
    drive: Option<Box<Drive>>,
}

/// Executes the command for an item.
type Execute<I, T, E> = dyn Fn(&I) -> Promise<T, E> + Send + Sync;

/// Why nothing more is sent and nothing more is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Timeout,
    Cancelled,
}

/// The number of an item, in the order in which they were scattered; the item; its result.
type Landed<I, T, E> = (usize, I, Result<T, ExecuteError<E>>);

/// Executes command `C` on `bus`, else on the current one, for each of `items`.
pub fn scatter<C: Spec, I>(
    bus: Option<&Bus>,
    items: impl IntoIterator<Item = I>,
    args: fn(&I) -> C::Args,
) -> Gather<I, C::Ok, C::Err>
where
    I: 'static,
{
    // Here, as `execute` does, and not wherever the results are asked for.
    let bus = bus.cloned().or_else(|| global::current().ok());
    let drive = bus.as_ref().and_then(Bus::drive);
    let on = bus.clone();
    let execute = move |item: &I| match &on {
        Some(bus) => bus.execute::<C>(args(item)),
        None => Promise::ready(Err(ExecuteError::NotStarted)),
    };
    Gather {
        execute: Box::new(execute),
        bus,
        unsent: items.into_iter().enumerate().collect(),
        flights: Flights::default(),
        in_flight: IN_FLIGHT,
        deadline: None,
        sleep: None,
        end: None,
        cancels: false,
        drive,
    }
}

impl<I, T, E> Gather<I, T, E> {
    /// Has `most` items on their way at once, at least 1; 64 by default.
    ///
    /// What is on its way stands in the mailbox of a service, or in a queue. For commands that take
    /// long, say how many workers there are: then none waits in line behind another while its timeout
    /// runs, and after a [`first_ok`](Self::first_ok) there is little to cancel.
    pub fn in_flight(mut self, most: usize) -> Self {
        self.in_flight = most.max(1);
        self
    }

    /// Ends `limit` from now: what has no result by then has the result `Timeout`, or `NotSent`.
    ///
    /// As after [`Promise::timeout`], the commands go on, unless [`first_ok`](Self::first_ok) ends
    /// them. Read from the bus's clock. The shorter of two limits holds.
    pub fn within(mut self, limit: Duration) -> Self {
        if let Some(bus) = &self.bus {
            let deadline = bus.clock().after(limit);
            self.deadline = Some(self.deadline.map_or(deadline, |former| former.min(deadline)));
            self.sleep = None;
        }
        self
    }

    /// The next result with its item; nothing once every item had one.
    pub async fn next(&mut self) -> Option<(I, Result<T, ExecuteError<E>>)> {
        let landed = poll_fn(|cx| self.poll_landed(cx)).await;
        landed.map(|(_, item, result)| (item, result))
    }

    /// Waits on this thread for each result in its turn.
    pub fn wait(self) -> Results<I, T, E> {
        Results::of(self)
    }

    /// Every item with its result, in the order in which the items were scattered.
    pub fn all(self) -> All<I, T, E> {
        All::of(self)
    }

    /// The first success with its item. Then, or once all have failed, what still runs is cancelled
    /// as by [`Promise::cancel`], and what was not sent is not.
    pub fn first_ok(self) -> FirstOk<I, T, E> {
        FirstOk::of(Self { cancels: true, ..self })
    }

    /// Cancels what is on its way, as by [`Promise::cancel`], and sends no more: those that have no
    /// result yet have the result `Cancelled`, or `NotSent`.
    pub fn cancel(&mut self) {
        self.end = Some(End::Cancelled);
        self.flights.cancel();
    }

    /// How many items had no result yet.
    pub fn len(&self) -> usize {
        self.unsent.len() + self.flights.len()
    }

    /// Whether every item had its result.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Landed<I, T, E>>> {
        // One for all: a promise of its own would move time past the answers of the others.
        let Some(mut drive) = self.drive.take() else { return self.poll_once(cx) };
        let landed = drive.poll(cx, |cx| self.poll_once(cx));
        self.drive = Some(drive);
        landed
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Option<Landed<I, T, E>>> {
        if self.end.is_none() && self.poll_deadline(cx).is_ready() {
            self.end = Some(End::Timeout);
        }
        while self.end.is_none() && self.flights.len() < self.in_flight {
            let Some((number, item)) = self.unsent.pop_front() else { break };
            let promise = (self.execute)(&item);
            self.flights.add(number, item, promise);
        }
        // Before the end is told, so that what has come by then counts.
        if let Some(landed) = self.flights.poll_landed(cx) {
            return Poll::Ready(Some(landed));
        }
        let Some(end) = self.end else {
            return if self.is_empty() { Poll::Ready(None) } else { Poll::Pending };
        };
        let given_up = self.give_up(match end {
            End::Timeout => ExecuteError::Timeout,
            End::Cancelled => ExecuteError::Cancelled,
        });
        Poll::Ready(given_up.or_else(|| {
            let (number, item) = self.unsent.pop_front()?;
            Some((number, item, Err(ExecuteError::NotSent)))
        }))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(deadline), Some(bus)) = (self.deadline, &self.bus) else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| bus.clock().sleep_until(deadline));
        Pin::new(sleep).poll(cx)
    }

    /// Waits on this thread for the next result.
    fn wait_landed(&mut self) -> Option<Landed<I, T, E>> {
        // What is ready needs no leave to wait, and what is sent knows its limits.
        if let Poll::Ready(landed) = park::once(|cx| self.poll_landed(cx)) {
            return landed;
        }
        let limit = self.patience();
        // Each promise has noted for itself that it is waited for.
        match wait::block(limit, Vec::new, |cx| self.poll_landed(cx)) {
            Ok(Some(landed)) => landed,
            Ok(None) => {
                self.end = Some(End::Timeout);
                self.give_up(ExecuteError::Timeout)
            }
            Err(Refusal::Deadlock(cycle)) => self.give_up(ExecuteError::Deadlock(cycle)),
            Err(Refusal::Exhausted) => self.give_up(ExecuteError::Exhausted),
        }
    }

    /// Gives the first item up that is on its way.
    fn give_up(&mut self, why: ExecuteError<E>) -> Option<Landed<I, T, E>> {
        let (number, item, promise) = self.flights.pop()?;
        if self.cancels {
            promise.cancel();
        }
        Some((number, item, Err(why)))
    }

    /// On a test bus virtual time stands while a handler runs. Should one never end, a wait still
    /// does, after as long by the machine's clock.
    fn patience(&self) -> Option<Instant> {
        let (_, bus) = (self.drive.as_ref()?, self.bus.as_ref()?);
        let deadline = self.deadline.or_else(|| self.flights.deadline())?;
        Some(later(Instant::now(), deadline.saturating_duration_since(bus.clock().now())))
    }
}

// An item is moved, and never pinned.
impl<I, T, E> Unpin for Gather<I, T, E> {}

impl<I, T, E> Stream for Gather<I, T, E> {
    type Item = (I, Result<T, ExecuteError<E>>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let landed = self.poll_landed(cx);
        landed.map(|landed| landed.map(|(_, item, result)| (item, result)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<I, T, E> fmt::Debug for Gather<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("unsent", &self.unsent.len())
            .field("in_flight", &self.flights.len())
            .finish_non_exhaustive()
    }
}
