//! [`Receipt`]: what a firing returns; [`Handled`]: what its listeners made of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use event_listener::EventListener;

use crate::binding::Binding;
use crate::bus::Bus;
use crate::current;
use crate::error::{Error, ErrorKind, Result};
use crate::execute_error::Cycle;
use crate::failure::Failure;
use crate::handler::Access;
use crate::heard::Heard;
use crate::held::Held;
use crate::message::{Message, MessageRef};
use crate::park;
use crate::remote::Sent;
use crate::service::Service;
use crate::testing::Drive;
use crate::wait::{self, Note, Refusal};
use crate::waits::Target;

/// What a firing returns: wait for it or await it, ask for the outcomes, or drop it.
///
/// It completes when the event is accepted: in process, when the mailboxes that received it are
/// within their bound; over a broker, when it has confirmed the event. Whoever waits for it is held back; whoever drops it is not. A handler is not
/// held back by a service that is held back by its own: two that flood each other go on.
///
/// # Cancel safety
///
/// The event was enqueued before the receipt existed; dropping the receipt changes nothing. A refusal
/// that nobody reads is logged; an event that was refused as `Full` is then a dead letter of each
/// listener that it would have gone to.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// let bus = bus::Builder::new()
///     .register_listener("user_registered", |name: String| println!("welcome, {name}"))
///     .build()?;
///
/// let _ = bus.fire_event("user_registered", "Alice"); // fire and forget
/// assert!(bus.fire_event("user_registered", "Bob").wait()?.routed); // accepted
/// assert!(!bus.fire_event("user_left", "Carol").wait()?.routed); // accepted, and nobody listens
/// bus.fire_event("user_registered", "Dave").handled().wait()?.ok()?; // every listener succeeded
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Debug)]
pub struct Receipt {
    state: State,
    late: Option<Box<Late>>,
}

/// What a receipt has whose event is not accepted yet, or that is waited for; most have nothing of it.
#[derive(Debug, Default)]
struct Late {
    /// The places in mailboxes that are over their bound.
    tickets: Vec<Ticket>,
    note: Option<Note>,
    held: Option<Held>,
    /// Moves the time of a test bus.
    drive: Option<Box<Drive>>,
}

impl Late {
    /// Whether nobody has waited for it, and nothing is to be moved for it.
    fn has_tickets_alone(&self) -> bool {
        self.note.is_none() && self.held.is_none() && self.drive.is_none()
    }
}

#[derive(Debug)]
enum State {
    /// These listeners have handled it; without any, nobody listens.
    Heard(Heard),
    Enqueued(MessageRef),
    Sent(Box<Sent>),
    Refused(Box<Refused>),
}

/// Why nothing was enqueued, until somebody reads it.
#[derive(Debug)]
struct Refused {
    error: Option<Error>,
    unread: Option<Unread>,
}

/// What becomes of something that was refused and that nobody takes back.
pub(crate) struct Unread(Box<dyn FnOnce(Error) + Send + Sync>);

impl Unread {
    pub(crate) fn new(keep: impl FnOnce(Error) + Send + Sync + 'static) -> Self {
        Self(Box::new(keep))
    }
}

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unread(..)")
    }
}

impl Refused {
    fn read(&mut self) -> Error {
        self.error.take().unwrap_or_else(Error::closed)
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        let Some(error) = self.error.take() else { return };
        if let Some(Unread(keep)) = self.unread.take() {
            keep(error);
        } else {
            tracing::error!(%error, "something was refused, and nobody read why");
        }
    }
}

/// A place in a mailbox that is over its bound.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) service: Arc<Service>,
    pub(crate) number: u64,
    pub(crate) listener: Option<EventListener>,
}

impl Ticket {
    pub(crate) fn new(service: &Arc<Service>, number: u64) -> Self {
        Self { service: service.clone(), number, listener: None }
    }
}

impl Receipt {
    pub(crate) fn enqueued(bus: &Bus, message: MessageRef, over: Vec<Ticket>) -> Self {
        let mut receipt = if message.route().is_some_and(|route| route.is_empty()) {
            Self::heard(&[])
        } else {
            Self::queued_over(message, over)
        };
        if let Some(drive) = bus.drive() {
            receipt.late().drive = Some(drive);
        }
        receipt
    }

    /// As [`enqueued`](Self::enqueued), on a bus that is no test bus.
    #[inline]
    pub(crate) fn queued(message: MessageRef) -> Self {
        Self { state: State::Enqueued(message), late: None }
    }

    /// The same, perhaps over the bound.
    pub(crate) fn queued_over(message: MessageRef, over: Vec<Ticket>) -> Self {
        let mut receipt = Self::queued(message);
        if !over.is_empty() {
            receipt.late().tickets = over;
        }
        receipt
    }

    /// Of an event that all its listeners have handled.
    #[inline]
    pub(crate) fn heard(by: Heard) -> Self {
        Self { state: State::Heard(by), late: None }
    }

    /// Of what a transport carries.
    pub(crate) fn sent(sent: Sent) -> Self {
        let state = State::Sent(Box::new(sent));
        Self { state, late: None }
    }

    pub(crate) fn refused(error: Error) -> Self {
        Self::refused_unless_read(error, None)
    }

    /// As [`refused`](Self::refused), with what is done if nobody reads the error.
    pub(crate) fn refused_unless_read(error: Error, unread: Option<Unread>) -> Self {
        let refused = Refused { error: Some(error), unread };
        let state = State::Refused(Box::new(refused));
        Self { state, late: None }
    }

    /// Waits on this thread until the event is accepted.
    ///
    /// # Errors
    ///
    /// `Closed` after shutdown and `Full` far over the bound, both with the event; `Name` for a key
    /// that is none; `Codec` for a payload that cannot be encoded. Over a broker also `Transport`, if
    /// the broker refuses it, and `Timeout`, if it has not confirmed it within 30 s (see
    /// [`Builder::confirm_within`](crate::Builder::confirm_within)); then it is still published once
    /// the broker takes it.
    #[inline]
    pub fn wait(self) -> Result<Accepted> {
        match self {
            Self { state: State::Heard(by), late: None } => Ok(Accepted { routed: !by.is_empty() }),
            Self { state: State::Enqueued(message), late: None } => {
                // Moved out, so that nothing is looked at again to drop the rest.
                drop(message);
                Ok(Accepted { routed: true })
            }
            late => late.wait_late(),
        }
    }

    #[inline(never)]
    fn wait_late(mut self) -> Result<Accepted> {
        if let Some(late) = self.late.as_ref().filter(|_| self.is_here())
            && late.has_tickets_alone()
            && !current::is_any()
        {
            for ticket in &late.tickets {
                ticket.service.mailbox.wait_space(ticket.number);
            }
            return Ok(self.accepted());
        }
        if let Poll::Ready(accepted) = park::once(|cx| self.poll_accepted(cx)) {
            return accepted;
        }
        let _note = Note::new(self.targets()).map_err(|cycle| deadlock(&cycle))?;
        let Some(_held) = self.hold() else { return Ok(self.accepted()) };
        block(Vec::new(), |cx| self.poll_accepted(cx))
    }

    fn tickets(&self) -> &[Ticket] {
        self.late.as_ref().map_or(&[], |late| &late.tickets)
    }

    /// Whether it was accepted in this process.
    fn is_here(&self) -> bool {
        matches!(self.state, State::Heard(_) | State::Enqueued(_))
    }

    fn message(&self) -> Option<&MessageRef> {
        match &self.state {
            State::Enqueued(message) => Some(message),
            State::Heard(_) | State::Sent(_) | State::Refused(_) => None,
        }
    }

    fn late(&mut self) -> &mut Late {
        self.late.get_or_insert_default()
    }

    fn drive(&mut self) -> Option<Box<Drive>> {
        self.late.as_mut().and_then(|late| late.drive.take())
    }

    /// Holds the handler that this thread runs back, unless its service would wait for itself.
    fn hold(&self) -> Option<Held> {
        Held::new(self.tickets().iter().map(|ticket| &*ticket.service))
    }

    fn accepted(&self) -> Accepted {
        Accepted { routed: !matches!(self.state, State::Heard([])) }
    }

    /// What it waits for: that the services which are over their bound go on.
    fn targets(&self) -> Vec<Target> {
        let target = |ticket: &Ticket| Target {
            invocation: None,
            message: None,
            service: ticket.service.clone(),
            access: Access::Shared,
        };
        self.tickets().iter().map(target).collect()
    }

    /// Asks for the outcome of every listener.
    pub fn handled(self) -> Handled {
        Handled { receipt: self, listener: None }
    }
}

impl Receipt {
    fn poll_accepted(&mut self, cx: &mut Context<'_>) -> Poll<Result<Accepted>> {
        let Some(mut drive) = self.drive() else { return self.poll_once(cx) };
        let accepted = drive.poll(cx, |cx| self.poll_once(cx));
        self.late().drive = Some(drive);
        accepted
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<Accepted>> {
        match &mut self.state {
            State::Refused(refused) => Poll::Ready(Err(refused.read())),
            State::Sent(sent) => sent.poll(cx).map_ok(|routed| Accepted { routed }),
            State::Heard(_) => Poll::Ready(Ok(self.accepted())),
            State::Enqueued(_) => {
                if let Some(late) = &mut self.late {
                    while let Some(ticket) = late.tickets.last_mut() {
                        let service = ticket.service.clone();
                        if service.poll_space(ticket, cx).is_pending() {
                            return Poll::Pending;
                        }
                        late.tickets.pop();
                    }
                }
                Poll::Ready(Ok(self.accepted()))
            }
        }
    }
}

impl Future for Receipt {
    type Output = Result<Accepted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let accepted = this.poll_accepted(cx);
        let mut note = this.late.as_mut().and_then(|late| late.note.take());
        let accepted = noted(accepted, &mut note, || this.targets());
        if accepted.is_ready() {
            if let Some(late) = &mut this.late {
                late.held = None;
            }
            return accepted;
        }
        this.late().note = note;
        if this.late().held.is_none() {
            this.late().held = this.hold();
            if this.late().held.is_none() {
                this.late().note = None;
                return Poll::Ready(Ok(this.accepted()));
            }
        }
        accepted
    }
}

/// Blocks until `poll` is ready.
fn block<T>(
    targets: Vec<Target>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T>>,
) -> Result<T> {
    match wait::block(None, || targets, poll) {
        // Without a deadline there is always an output.
        Ok(output) => output.unwrap_or_else(|| Err(Error::closed())),
        Err(Refusal::Deadlock(cycle)) => Err(deadlock(&cycle)),
        Err(Refusal::Exhausted) => {
            let text = "too many handlers wait on their threads already; await instead";
            Err(Error::new(ErrorKind::Exhausted, text))
        }
    }
}

/// Notes that a handler awaits, or answers that it would never end.
fn noted<T>(
    poll: Poll<Result<T>>,
    note: &mut Option<Note>,
    targets: impl FnOnce() -> Vec<Target>,
) -> Poll<Result<T>> {
    if poll.is_ready() {
        *note = None;
    } else if note.is_none() {
        match Note::new(targets()) {
            Ok(new) => *note = Some(new),
            Err(cycle) => return Poll::Ready(Err(deadlock(&cycle))),
        }
    }
    poll
}

fn unsupported() -> Error {
    let text = "over a broker nobody learns what every listener made of an event; wait for the \
                receipt, or have a listener answer with an event of its own";
    Error::new(ErrorKind::Unsupported, text)
}

fn deadlock(cycle: &Cycle) -> Error {
    Error::new(ErrorKind::Deadlock, cycle.to_string())
}

impl std::fmt::Debug for dyn Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (exchange, key) = self.subject();
        write!(f, "Message({exchange}, {key})")
    }
}

/// That an event was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Whether any listener's queue matched.
    pub routed: bool,
}

/// The outcomes of an event, once every listener's is known: await it or wait for it.
///
/// A listener that is retried is not done before its last attempt.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// let bus = bus::Builder::new().register_listener("tick", |count: u32| println!("{count}")).build()?;
/// let handled = bus.fire_event("tick", 3).handled();
/// let outcomes = futures_lite::future::block_on(handled)?; // or `.wait()`, on any thread
/// assert_eq!(outcomes.len(), 1);
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Debug)]
pub struct Handled {
    receipt: Receipt,
    listener: Option<EventListener>,
}

impl Handled {
    /// Waits on this thread until every listener is done.
    ///
    /// # Errors
    ///
    /// If the event was refused: see [`Receipt::wait`]. A listener's failure is no error here; it is
    /// in the [`Outcomes`].
    pub fn wait(mut self) -> Result<Outcomes> {
        let targets = self.targets();
        block(targets, |cx| self.poll_outcomes(cx))
    }

    /// What it waits for: the handlers that the message went to.
    fn targets(&self) -> Vec<Target> {
        let Some(message) = self.receipt.message() else { return Vec::new() };
        let seq = message.head().seq;
        let target = |(slot, binding): (u32, Arc<Binding>)| Target {
            invocation: Some((seq, slot)),
            message: Some(message.clone()),
            service: binding.service.clone(),
            access: binding.access,
        };
        (0..).zip(message.handlers()).map(target).collect()
    }

    fn poll_outcomes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcomes>> {
        let Some(mut drive) = self.receipt.drive() else { return self.poll_once(cx) };
        let outcomes = drive.poll(cx, |cx| self.poll_once(cx));
        self.receipt.late().drive = Some(drive);
        outcomes
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcomes>> {
        let message = match &mut self.receipt.state {
            State::Refused(refused) => return Poll::Ready(Err(refused.read())),
            State::Sent(_) => return Poll::Ready(Err(unsupported())),
            State::Heard(by) => return Poll::Ready(Ok(Outcomes::heard(by))),
            State::Enqueued(message) => &*message,
        };
        let head = message.head();
        while !head.is_settled() {
            match &mut self.listener {
                None => self.listener = Some(head.listen()),
                Some(listener) => {
                    // Whoever is told before others must not keep them from being told.
                    let waker = park::contained(cx.waker());
                    if Pin::new(listener).poll(&mut Context::from_waker(&waker)).is_pending() {
                        return Poll::Pending;
                    }
                    self.listener = None;
                }
            }
        }
        Poll::Ready(Ok(Outcomes::of(&**message)))
    }
}

impl Future for Handled {
    type Output = Result<Outcomes>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcomes = this.poll_outcomes(cx);
        let mut note = this.receipt.late.as_mut().and_then(|late| late.note.take());
        let outcomes = noted(outcomes, &mut note, || this.targets());
        if note.is_some() {
            this.receipt.late().note = note;
        }
        outcomes
    }
}

/// What each listener made of an event.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use bus::{ErrorKind, Reason};
///
/// let bus = bus::Builder::new()
///     .retry(0, &[])
///     .register_listener("order_paid", |cents: u32| println!("{cents} are booked"))
///     .register_listener("order_paid", |cents: u32| match cents {
///         0 => Err("nothing was paid"),
///         _ => Ok(()),
///     })
///     .build()?;
///
/// let outcomes = bus.fire_event("order_paid", 0).handled().wait()?;
/// assert_eq!((outcomes.len(), outcomes.failed().count()), (2, 1));
/// for outcome in outcomes.failed() {
///     assert_eq!(outcome.failure().map(|failure| failure.reason()), Some(Reason::Error));
///     println!("{outcome}"); // `dynamic.order_paid (2)`: nothing was paid
/// }
/// assert_eq!(outcomes.ok().unwrap_err().kind(), ErrorKind::Handler);
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes(Vec<Outcome>);

impl Outcomes {
    /// Each of these has handled it.
    fn heard(by: Heard) -> Self {
        Self(
            by.iter()
                .map(|listener| Outcome { listener: listener.clone(), failure: None })
                .collect(),
        )
    }

    fn of(message: &dyn Message) -> Self {
        let outcome =
            |binding: Arc<Binding>| Outcome { listener: binding.name.clone(), failure: None };
        let mut outcomes: Vec<Outcome> = message.handlers().into_iter().map(outcome).collect();
        for (slot, attempts, failure) in message.head().failed() {
            if let Some(outcome) = outcomes.get_mut(slot as usize) {
                outcome.failure = Some((attempts, failure));
            }
        }
        outcomes.sort_by(|a, b| a.listener.cmp(&b.listener));
        Self(outcomes)
    }

    /// Turns failures into one error that names each listener.
    ///
    /// # Errors
    ///
    /// `Handler` if any listener failed.
    pub fn ok(self) -> Result<()> {
        let failed: Vec<String> = self.failed().map(ToString::to_string).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let count = self.0.len();
        let message =
            format!("{} of {count} listeners failed: {}", failed.len(), failed.join("; "));
        Err(Error::new(ErrorKind::Handler, message))
    }

    /// The outcome of one listener, by its whole name (`billing.invoice`) or its function's.
    pub fn get(&self, listener: &str) -> Option<&Outcome> {
        self.iter().find(|outcome| outcome.listener() == listener).or_else(|| {
            let mut last = self
                .iter()
                .filter(|outcome| outcome.listener().rsplit('.').next() == Some(listener));
            last.next().filter(|_| last.next().is_none())
        })
    }

    /// Every outcome, sorted by the listener's name.
    pub fn iter(&self) -> std::slice::Iter<'_, Outcome> {
        self.0.iter()
    }

    /// The failed ones.
    pub fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.0.iter().filter(|outcome| !outcome.is_ok())
    }

    /// How many listeners the event went to.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody heard it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Outcomes {
    type Item = &'a Outcome;
    type IntoIter = std::slice::Iter<'a, Outcome>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Outcomes {
    type Item = Outcome;
    type IntoIter = std::vec::IntoIter<Outcome>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What one listener made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    listener: Arc<str>,
    failure: Option<(u32, Failure)>,
}

impl Outcome {
    /// The listener's name: `service.function`, or its queue's.
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// Whether it succeeded.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none()
    }

    /// Success, or why the last attempt failed.
    ///
    /// # Errors
    ///
    /// The failure of the last attempt.
    pub fn result(&self) -> Result<(), &Failure> {
        self.failure.as_ref().map_or(Ok(()), |(_, failure)| Err(failure))
    }

    /// Why the last attempt failed.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref().map(|(_, failure)| failure)
    }

    /// How many attempts a failed delivery had; `None` for a success.
    pub fn attempts(&self) -> Option<u32> {
        self.failure.as_ref().map(|(attempts, _)| *attempts)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.failure {
            None => write!(f, "`{}` succeeded", self.listener),
            Some((_, failure)) => write!(f, "`{}`: {failure}", self.listener),
        }
    }
}
