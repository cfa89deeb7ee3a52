//! What travels in the process: a fired event, a call, a task; each one allocation.
//!
//! A message knows its payload's type; services hold it as `Arc<dyn Message>`. Its id, time and
//! causes are numbers until somebody asks for them as text.

use std::any::{Any, TypeId};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use event_listener::Event as Notify;
use once_cell::race::OnceBox;

use crate::binding::{Binding, Counts};
use crate::current::{self, Cause};
use crate::envelope::Envelope;
use crate::error::CodecError;
use crate::event::{EventDescriptor, PayloadDescriptor};
use crate::failure::Failure;
use crate::handler::{HandlerResult, Plain};
use crate::lineage::Chain;
use crate::remote::Arrival;
use crate::router::{Route, Target};
use crate::service::Progress;
use crate::trace::Origin;

/// Anything that a handler can be given.
pub(crate) trait Message: Any + Send + Sync {
    /// Ids, causes, outcomes.
    fn head(&self) -> &Head;
    /// The exchange and the routing key; a command's name stands as the key.
    fn subject(&self) -> (&str, &str);
    /// The payload and its type.
    fn payload(&self) -> Payload<'_>;
    /// The payload as JSON.
    fn encode(&self) -> Result<Vec<u8>, CodecError>;
    /// The listeners that an event went to.
    fn route(&self) -> Option<&Arc<Route>> {
        None
    }
    /// The handlers that it went to, in the order of their slots.
    fn handlers(&self) -> Vec<Arc<Binding>> {
        self.route().map(|route| route.bindings().cloned().collect()).unwrap_or_default()
    }
    /// Where it came from, if a transport brought it.
    fn arrival(&self) -> Option<&Arrival> {
        None
    }
    /// Runs a plain handler on the payload, or on the arguments of a call; nothing if they are of
    /// other types.
    fn run_plain(&self, plain: Plain) -> Option<HandlerResult> {
        let _ = plain;
        None
    }
    /// Runs plain listeners one after another, from where `progress` is, until one fails.
    fn run_group(&self, targets: &[Target], progress: &Progress) -> Ran {
        let _ = (targets, progress);
        Ran::Unfit
    }
    /// The handle on a caller who waits for an answer.
    fn call(&self) -> Option<&dyn Caller> {
        None
    }
}

/// How a group ran.
pub(crate) enum Ran {
    /// To its end.
    All,
    /// Up to a listener that failed.
    Failed(Failure),
    /// Up to a listener that takes another type.
    Unfit,
}

/// Somebody who waits for the answer of a call.
pub(crate) trait Caller {
    /// Ends the wait without an answer of the handler.
    fn fail(&self, why: CallFault);
    /// Whether the caller gave up before the handler started.
    fn is_cancelled(&self) -> bool;
    /// Notified when the caller gives up.
    fn listen_cancelled(&self) -> event_listener::EventListener;
}

/// Why a call has no answer of its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallFault {
    Panicked,
    Refused(String),
    Cancelled,
    Closed,
    /// It was cut off while it ran.
    Interrupted,
    /// It failed without its handler, which alone has errors of the caller's type; its text.
    Failed(String),
    /// The service cannot run it; says why.
    Unavailable(String),
}

/// The payload of a message, borrowed.
pub(crate) enum Payload<'a> {
    /// A Rust value.
    Typed(&'a dyn Any),
    /// JSON.
    Encoded(&'a [u8]),
}

/// What every message has.
pub(crate) struct Head {
    /// Unique in the bus, counted from 1.
    pub(crate) seq: u64,
    /// The attempt that sent this one; of message 0 for none.
    cause: Origin,
    /// The first message of the chain.
    pub(crate) correlation: u64,
    /// It follows from a dead letter that was announced; its own death is not.
    pub(crate) in_wake: bool,
    /// It came from elsewhere, or follows from one that did.
    chain: Option<Arc<Chain>>,
    time: OnceLock<SystemTime>,
    pub(crate) outcomes: Tracker,
}

impl Head {
    /// Of what is sent here and now.
    pub(crate) fn new(bus: &crate::bus::Bus, deliveries: usize) -> Self {
        Self::fired(bus, deliveries, 0)
    }

    /// Of an event whose number is known already, unless that is 0.
    pub(crate) fn fired(bus: &crate::bus::Bus, deliveries: usize, seq: u64) -> Self {
        let seq = if seq == 0 { bus.next_seq() } else { seq };
        let Cause { origin, correlation, in_wake, chain } = current::cause(bus).unwrap_or(Cause {
            origin: Origin::NONE,
            correlation: seq,
            in_wake: false,
            chain: None,
        });
        Self {
            seq,
            cause: origin,
            correlation,
            in_wake,
            chain,
            time: OnceLock::new(),
            outcomes: Tracker::new(deliveries),
        }
    }

    /// Of a message that came from elsewhere.
    pub(crate) fn arrived(bus: &crate::bus::Bus, envelope: Arc<Envelope>) -> Self {
        let seq = bus.next_seq();
        let time = envelope.time.map_or_else(OnceLock::new, OnceLock::from);
        Self {
            seq,
            cause: Origin::NONE,
            correlation: seq,
            in_wake: false,
            chain: Some(Arc::new(Chain::new(seq, envelope))),
            time,
            outcomes: Tracker::new(1),
        }
    }

    /// What it shares with the message that came from elsewhere, if it is or follows from one.
    pub(crate) fn chain(&self) -> Option<&Arc<Chain>> {
        self.chain.as_ref()
    }

    /// The attempt that sent it; none if no handler did.
    pub(crate) fn cause(&self) -> Option<Origin> {
        Some(self.cause).filter(|cause| cause.seq != 0)
    }

    /// When it was sent, or first asked for, if nothing at its sending wanted to know.
    pub(crate) fn time(&self, now: impl FnOnce() -> SystemTime) -> SystemTime {
        *self.time.get_or_init(now)
    }
}

/// Counts the deliveries of a message that are not settled yet and keeps the failed ones.
pub(crate) struct Tracker {
    open: AtomicUsize,
    /// Which of the first 64 slots are settled, but for groups that are settled as a whole: those
    /// are of services without state, which close no circle of waits.
    slots: AtomicU64,
    /// Made when something fails.
    failed: OnceBox<Mutex<Vec<(u32, u32, Failure)>>>,
    settled: Notify,
}

impl Tracker {
    fn new(deliveries: usize) -> Self {
        Self {
            open: AtomicUsize::new(deliveries),
            slots: AtomicU64::new(0),
            failed: OnceBox::new(),
            settled: Notify::new(),
        }
    }

    /// Settles the delivery of the listener at `slot` of the route, after so many attempts.
    pub(crate) fn settle(&self, slot: u32, attempts: u32, result: Result<(), Failure>) {
        if let Err(failure) = result {
            let failed = self.failed.get_or_init(Box::default);
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.push((slot, attempts, failure));
        }
        self.slots.fetch_or(bit(slot), Ordering::AcqRel);
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.settled.notify(usize::MAX);
        }
    }

    /// Settles so many deliveries that succeeded, or nothing if nobody is left who could look.
    pub(crate) fn settle_all(message: &Arc<dyn Message>, deliveries: usize) {
        // Who has the only handle makes no further one meanwhile.
        if deliveries > 0 && Arc::strong_count(message) > 1 {
            let outcomes = &message.head().outcomes;
            if outcomes.open.fetch_sub(deliveries, Ordering::AcqRel) == deliveries {
                outcomes.settled.notify(usize::MAX);
            }
        }
    }

    /// Counts one more delivery: a dead letter that is replayed.
    pub(crate) fn reopen(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the delivery of the listener at `slot` is known to be settled.
    pub(crate) fn is_settled_at(&self, slot: u32) -> bool {
        self.slots.load(Ordering::Acquire) & bit(slot) != 0
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    pub(crate) fn listen(&self) -> event_listener::EventListener {
        self.settled.listen()
    }

    pub(crate) fn failed(&self) -> Vec<(u32, u32, Failure)> {
        let failed = self.failed.get();
        let failed = failed.map(|failed| failed.lock().unwrap_or_else(PoisonError::into_inner));
        failed.map(|failed| failed.clone()).unwrap_or_default()
    }
}

fn bit(slot: u32) -> u64 {
    1_u64.checked_shl(slot).unwrap_or(0)
}

/// A fired event.
pub(crate) struct Firing<T> {
    head: Head,
    route: Arc<Route>,
    descriptor: &'static EventDescriptor,
    payload: Stored<T>,
}

/// A payload beside its head, or on its own where a listener takes it as `Arc<T>`.
enum Stored<T> {
    Inline(T),
    Shared(Arc<T>),
}

impl<T: Send + Sync + 'static> Firing<T> {
    pub(crate) fn new(
        head: Head,
        route: Arc<Route>,
        descriptor: &'static EventDescriptor,
        payload: T,
    ) -> Self {
        let payload = if route.wants_shared {
            Stored::Shared(Arc::new(payload))
        } else {
            Stored::Inline(payload)
        };
        Self { head, route, descriptor, payload }
    }
}

impl<T> Firing<T> {
    fn get(&self) -> &T {
        match &self.payload {
            Stored::Inline(payload) => payload,
            Stored::Shared(payload) => payload,
        }
    }
}

impl<T: Send + Sync + 'static> Message for Firing<T> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        (self.descriptor.exchange, self.descriptor.key)
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Typed(self.get())
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        encode_as(&self.descriptor.payload, self.get())
    }

    fn route(&self) -> Option<&Arc<Route>> {
        Some(&self.route)
    }

    fn run_plain(&self, plain: Plain) -> Option<HandlerResult> {
        plain.downcast_ref::<fn(&T) -> HandlerResult>().map(|run| run(self.get()))
    }

    fn run_group(&self, targets: &[Target], progress: &Progress) -> Ran {
        let payload = self.get();
        while let Some(target) = progress.at().and_then(|at| targets.get(at)) {
            let plain = target.binding.plain;
            let Some(run) = plain.and_then(|plain| plain.downcast_ref::<fn(&T) -> HandlerResult>())
            else {
                return Ran::Unfit;
            };
            progress.enter(target.slot);
            if let Err(failure) = run(payload) {
                return Ran::Failed(failure);
            }
            Counts::add_alone(&target.binding.counts.handled);
            progress.advance();
        }
        Ran::All
    }
}

/// Writes `value` by the codec of its type.
pub(crate) fn encode_as(
    payload: &PayloadDescriptor,
    value: &dyn Any,
) -> Result<Vec<u8>, CodecError> {
    let encode = payload.codec.encode.ok_or_else(|| {
        let name = (payload.type_name)();
        CodecError::new("", format!("`{name}` has no codec; derive `Serialize` for it"))
    })?;
    encode(value)
}

/// An event that was fired by name, or came from elsewhere: JSON.
pub(crate) struct Encoded {
    pub(crate) head: Head,
    pub(crate) route: Arc<Route>,
    pub(crate) exchange: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) body: Vec<u8>,
}

impl Message for Encoded {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        (&self.exchange, &self.key)
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Encoded(&self.body)
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Ok(self.body.clone())
    }

    fn route(&self) -> Option<&Arc<Route>> {
        Some(&self.route)
    }
}

/// The payload as a handler holds it while it runs.
#[derive(Debug)]
pub struct Held<T>(Holding<T>);

enum Holding<T> {
    Fired(Arc<Firing<T>>),
    Own(Box<T>),
}

impl<T: Send + Sync + 'static> Held<T> {
    /// The fired value itself, if it is a `T`.
    pub(crate) fn fired(message: &Arc<dyn Message>) -> Option<Self> {
        let any: Arc<dyn Any + Send + Sync> = message.clone();
        any.downcast::<Firing<T>>().ok().map(|firing| Self(Holding::Fired(firing)))
    }

    /// A converted value.
    pub(crate) fn own(value: Box<T>) -> Self {
        Self(Holding::Own(value))
    }

    /// The value, unless it is the fired one.
    pub(crate) fn into_own(self) -> Result<T, Self> {
        match self.0 {
            Holding::Own(value) => Ok(*value),
            fired @ Holding::Fired(_) => Err(Self(fired)),
        }
    }

    pub(crate) fn into_value(self) -> T
    where
        T: Clone,
    {
        match self.0 {
            // Another attempt or a dead letter may need the value again, so it is never moved out.
            Holding::Fired(firing) => firing.get().clone(),
            Holding::Own(value) => *value,
        }
    }

    pub(crate) fn into_shared(self) -> Result<Arc<T>, Failure> {
        match self.0 {
            Holding::Fired(firing) => match &firing.payload {
                Stored::Shared(payload) => Ok(payload.clone()),
                Stored::Inline(_) => {
                    Err(Failure::internal("the payload was stored for listeners that borrow it"))
                }
            },
            Holding::Own(value) => Ok(Arc::from(value)),
        }
    }
}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.0 {
            Holding::Fired(firing) => firing.get(),
            Holding::Own(value) => value,
        }
    }
}

impl<T> std::fmt::Debug for Holding<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fired(_) => "Fired",
            Self::Own(_) => "Own",
        })
    }
}

/// The type of a payload, without its value.
pub(crate) fn type_of(payload: &Payload<'_>) -> Option<TypeId> {
    match payload {
        Payload::Typed(value) => Some((**value).type_id()),
        Payload::Encoded(_) => None,
    }
}
