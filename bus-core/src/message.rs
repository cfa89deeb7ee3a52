//! What travels in the process: a fired event, a call, a task; each one allocation.
//!
//! A message knows its payload's type; services have [handles](MessageRef) on it. Its id, time and
//! causes are numbers until somebody asks for them as text.

use std::any::{Any, TypeId};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use event_listener::Event as Notify;
use once_cell::race::OnceBox;
use unsize::{CoerceUnsize as _, Coercion};

use crate::binding::{Binding, Counts};
use crate::current::{self, Cause};
use crate::envelope::Envelope;
use crate::error::CodecError;
use crate::event::{Event, PayloadDescriptor};
use crate::failure::Failure;
use crate::handler::{Function, HandlerResult, Plain};
use crate::lineage::Chain;
use crate::remote::Arrival;
use crate::router::Route;
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
        let one = self.handler().into_iter().cloned();
        one.chain(self.route().into_iter().flat_map(|route| route.bindings().cloned())).collect()
    }
    /// The one handler of a call or a task.
    fn handler(&self) -> Option<&Arc<Binding>> {
        None
    }
    /// The plain command of a call that was made in this process.
    fn plain_call(&self) -> Option<&Arc<Binding>> {
        None
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
    /// Runs the plain listeners of the group at a place of the route, one after another, from where
    /// `progress` is, until one fails or the group is cut short; the first one in any case,
    /// if it takes this type.
    fn run_group(&self, place: usize, progress: &Progress) -> Ran {
        let _ = (place, progress);
        Ran::Unfit
    }
    /// Drops what it carries, now that it is handled and this is the only handle on it, and says whether it
    /// can be used for another message.
    fn spend(&mut self) -> bool {
        false
    }
    /// The handle on a caller who waits for an answer.
    fn call(&self) -> Option<&dyn Caller> {
        None
    }
}

/// A handle on a message. Nobody needs a weak one, and without those a look tells the only one.
#[derive(Clone, Debug)]
pub(crate) struct MessageRef(triomphe::Arc<dyn Message>);

// What it points to stays where it is.
impl Unpin for MessageRef {}

impl MessageRef {
    /// The first handle on a message.
    #[inline]
    pub(crate) fn new(message: impl Message) -> Self {
        Self::of(triomphe::Arc::new(message))
    }

    /// A handle on a message of a known type, as one on any.
    #[inline]
    pub(crate) fn of(message: triomphe::Arc<impl Message>) -> Self {
        Self(message.unsize(Coercion!(to dyn Message)))
    }

    /// Whether nobody has another one.
    #[inline]
    pub(crate) fn is_only(&self) -> bool {
        self.0.is_unique()
    }

    /// The message, if nobody has another handle on it.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut dyn Message> {
        triomphe::Arc::get_mut(&mut self.0)
    }
}

impl std::ops::Deref for MessageRef {
    type Target = dyn Message;
    #[inline]
    fn deref(&self) -> &dyn Message {
        &*self.0
    }
}

/// What a service without state runs as a whole, of a message that comes for the first time.
#[derive(Clone, Copy)]
pub(crate) enum Whole {
    /// Plain listeners of one event.
    Group {
        /// That of the group in the route.
        place: u16,
        /// How many they are.
        len: u32,
    },
    /// A call of a plain command.
    Call,
}

impl Whole {
    /// How many deliveries it is.
    #[inline]
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Group { len, .. } => len.into(),
            Self::Call => 1,
        }
    }
}

/// How a group ran.
pub(crate) enum Ran {
    /// To its end.
    All,
    /// Up to a listener that failed.
    Failed(Box<Failure>),
    /// Up to a listener that takes another type.
    Unfit,
}

/// Somebody who waits for the answer of a call.
pub(crate) trait Caller {
    /// Ends the wait without an answer of the handler.
    fn fail(&self, why: CallFault);
    /// Asks the handler to stop, and answers `Cancelled` unless the answer is there.
    fn cancel(&self);
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
    /// Unique in the bus.
    pub(crate) seq: u64,
    /// In the lower half how many deliveries are not settled, in the upper one a bit for each of the
    /// first 32 listeners that is. Groups that are settled as a whole set none: they are of services
    /// without state, which close no circle of waits, and need not be told apart.
    open: AtomicU64,
    /// Made for those that need it, so that a waiting message is small.
    more: OnceBox<More>,
}

/// What few messages have.
struct More {
    /// The attempt that sent this one; of message 0 for none.
    cause: Origin,
    /// The first message of the chain.
    correlation: u64,
    /// It follows from a dead letter that was announced; its own death is not.
    in_wake: bool,
    /// It came from elsewhere, or follows from one that did.
    chain: Option<Arc<Chain>>,
    time: OnceLock<SystemTime>,
    /// The bits of those listeners after the first 32 that are told apart.
    slots: Box<[AtomicU64]>,
    failed: Mutex<Vec<(u32, u32, Failure)>>,
    settled: Notify,
}

/// The listeners whose bits stand beside the count of what is open.
const BITS: u32 = 32;

impl More {
    fn of(seq: u64) -> Self {
        Self {
            cause: Origin::NONE,
            correlation: seq,
            in_wake: false,
            chain: None,
            time: OnceLock::new(),
            slots: Box::default(),
            failed: Mutex::default(),
            settled: Notify::new(),
        }
    }
}

/// The deliveries of a message.
#[derive(Clone, Copy, Default)]
pub(crate) struct Deliveries {
    /// How many they are.
    pub(crate) count: u32,
    /// The first so many have bits, by which it is known which of them are settled.
    pub(crate) told_apart: u32,
}

impl Deliveries {
    /// A message for one handler.
    pub(crate) const ONE: Self = Self { count: 1, told_apart: 1 };
    /// A message that nobody handles.
    pub(crate) const NONE: Self = Self { count: 0, told_apart: 0 };
}

impl Head {
    /// Of what is sent here and now.
    pub(crate) fn new(bus: &crate::bus::Bus, deliveries: Deliveries) -> Self {
        Self::numbered(bus, deliveries, bus.next_seq(), current::is_quiet())
    }

    /// Of what is sent here and now, and has its number already; `quiet` is whether no handler runs
    /// here.
    #[inline]
    pub(crate) fn numbered(
        bus: &crate::bus::Bus,
        deliveries: Deliveries,
        seq: u64,
        quiet: bool,
    ) -> Self {
        let is_small = quiet && deliveries.told_apart <= BITS;
        let more = if is_small { OnceBox::new() } else { Self::more_of(bus, deliveries, seq) };
        Self { seq, open: AtomicU64::new(deliveries.count.into()), more }
    }

    /// What a message has more, if it does.
    fn more_of(bus: &crate::bus::Bus, deliveries: Deliveries, seq: u64) -> OnceBox<More> {
        let cause = current::cause(bus).map(|cause| {
            let Cause { origin, correlation, in_wake, chain } = cause;
            More { cause: origin, correlation, in_wake, chain, ..More::of(seq) }
        });
        let further = deliveries.told_apart.saturating_sub(BITS) as usize;
        let mut more = cause.or_else(|| (further > 0).then(|| More::of(seq)));
        if let Some(more) = &mut more {
            let slots = || AtomicU64::new(0);
            more.slots = std::iter::repeat_with(slots).take(further.div_ceil(64)).collect();
        }
        more.map(Box::new).map_or_else(OnceBox::new, OnceBox::with_value)
    }

    /// Of a message that came from elsewhere.
    pub(crate) fn arrived(bus: &crate::bus::Bus, envelope: Arc<Envelope>) -> Self {
        let seq = bus.next_seq();
        let time = envelope.time.map_or_else(OnceLock::new, OnceLock::from);
        let chain = Some(Arc::new(Chain::new(seq, envelope)));
        let more = Box::new(More { chain, time, ..More::of(seq) });
        Self { seq, open: AtomicU64::new(1), more: OnceBox::with_value(more) }
    }

    fn more(&self) -> &More {
        self.more.get_or_init(|| Box::new(More::of(self.seq)))
    }

    /// The first message of the chain.
    #[inline]
    pub(crate) fn correlation(&self) -> u64 {
        self.more.get().map_or(self.seq, |more| more.correlation)
    }

    /// The first message of the chain, if that is all there is to be told of what it follows from.
    #[inline]
    pub(crate) fn plain_correlation(&self) -> Option<u64> {
        let Some(more) = self.more.get() else { return Some(self.seq) };
        (more.chain.is_none() && !more.in_wake).then_some(more.correlation)
    }

    /// Whether it follows from a dead letter that was announced.
    #[inline]
    pub(crate) fn in_wake(&self) -> bool {
        self.more.get().is_some_and(|more| more.in_wake)
    }

    /// What it shares with the message that came from elsewhere, if it is or follows from one.
    #[inline]
    pub(crate) fn chain(&self) -> Option<&Arc<Chain>> {
        self.more.get().and_then(|more| more.chain.as_ref())
    }

    /// The attempt that sent it; none if no handler did.
    pub(crate) fn cause(&self) -> Option<Origin> {
        self.more.get().map(|more| more.cause).filter(|cause| cause.seq != 0)
    }

    /// When it was sent, or first asked for, if nothing at its sending wanted to know.
    pub(crate) fn time(&self, now: impl FnOnce() -> SystemTime) -> SystemTime {
        *self.more().time.get_or_init(now)
    }

    /// Settles the delivery of the listener at `slot` of the route, after so many attempts.
    pub(crate) fn settle(&self, slot: u32, attempts: u32, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.failures().push((slot, attempts, failure));
        }
        if let Some((word, bit)) = self.more.get().and_then(|more| more.word(slot)) {
            word.fetch_or(bit, Ordering::AcqRel);
        }
        let mut open = self.open.load(Ordering::Relaxed);
        // Another attempt after a replay settles the same slot again.
        while let Err(now) = self.open.compare_exchange_weak(
            open,
            (open | bit(slot)) - 1,
            Ordering::SeqCst,
            Ordering::Relaxed,
        ) {
            open = now;
        }
        if low_half(open) == 1 {
            self.wake();
        }
    }

    /// Settles a call that succeeded. It has one delivery, which nobody but its thread settles, and who
    /// waits for its answer is told by that.
    pub(crate) fn settle_call(&self) {
        self.open.store(bit(0), Ordering::Release);
    }

    /// Settles so many deliveries of a message that succeeded.
    pub(crate) fn settle_all(&self, deliveries: usize) {
        let deliveries = low(deliveries);
        if low_half(self.open.fetch_sub(deliveries, Ordering::SeqCst)) == deliveries {
            self.wake();
        }
    }

    /// Wakes who waits until everything is settled.
    fn wake(&self) {
        // Whoever makes what it is told by looks afterwards whether it is settled.
        fence(Ordering::SeqCst);
        if let Some(more) = self.more.get() {
            more.settled.notify(usize::MAX);
        }
    }

    /// Counts one more delivery: a dead letter that is replayed.
    pub(crate) fn reopen(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the delivery of the listener at `slot` is known to be settled.
    pub(crate) fn is_settled_at(&self, slot: u32) -> bool {
        let further = self.more.get().and_then(|more| more.word(slot));
        let further = further.is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0);
        further || self.open.load(Ordering::Acquire) & bit(slot) != 0
    }

    pub(crate) fn is_settled(&self) -> bool {
        low_half(self.open.load(Ordering::SeqCst)) == 0
    }

    /// Told once everything is settled; whoever asks looks then whether it is already.
    pub(crate) fn listen(&self) -> event_listener::EventListener {
        let listener = self.more().settled.listen();
        fence(Ordering::SeqCst);
        listener
    }

    fn failures(&self) -> MutexGuard<'_, Vec<(u32, u32, Failure)>> {
        self.more().failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listeners that failed, by their slots, with the number of attempts.
    pub(crate) fn failed(&self) -> Vec<(u32, u32, Failure)> {
        self.more.get().map(|_| self.failures().clone()).unwrap_or_default()
    }
}

impl More {
    /// Where the bit of a listener after the first 32 is.
    fn word(&self, slot: u32) -> Option<(&AtomicU64, u64)> {
        let at = slot.checked_sub(BITS)?;
        let word = self.slots.get(usize::try_from(at / 64).ok()?)?;
        Some((word, 1 << (at % 64)))
    }
}

/// The bit of one of the first 32 listeners; of any other none.
fn bit(slot: u32) -> u64 {
    if slot < BITS { 1 << (BITS + slot) } else { 0 }
}

/// So many as they stand in the lower half.
fn low(deliveries: usize) -> u64 {
    u32::try_from(deliveries).unwrap_or(u32::MAX).into()
}

/// How many are open.
fn low_half(open: u64) -> u64 {
    open & u64::from(u32::MAX)
}

/// The largest message that is kept to be used again, in bytes.
const LARGEST: usize = 512;

/// A fired event.
pub(crate) struct Firing<T> {
    head: Head,
    route: Arc<Route>,
    payload: Stored<T>,
}

/// A payload beside its head, or on its own where a listener takes it as `Arc<T>`.
enum Stored<T> {
    Inline(T),
    Shared(Arc<T>),
    /// Of a message that is spent: nobody else has a handle on it.
    Gone,
}

impl<T> Firing<T> {
    #[inline]
    pub(crate) fn new(head: Head, route: Arc<Route>, payload: T) -> Self {
        let payload = if route.wants_shared {
            Stored::Shared(Arc::new(payload))
        } else {
            Stored::Inline(payload)
        };
        Self { head, route, payload }
    }

    /// Another event in place of one that was spent, for the same listeners; none of them takes it as
    /// `Arc<T>`.
    #[inline]
    pub(crate) fn renew(&mut self, head: Head, payload: T) {
        self.payload = Stored::Inline(payload);
        // One by one: as a whole it would be put together elsewhere first, and read again too early for that.
        let Head { seq, open, more } = head;
        (self.head.seq, self.head.open, self.head.more) = (seq, open, more);
    }
}

impl<T: 'static> Firing<T> {
    /// A message as the firing of a `T`, if it is that.
    fn of(message: &MessageRef) -> Option<&Self> {
        let any: &dyn Any = &**message;
        any.downcast_ref()
    }

    /// The same, for who has the only handle on it.
    #[inline]
    pub(crate) fn last_of(message: &mut MessageRef) -> Option<&mut Self> {
        let any: &mut dyn Any = message.get_mut()?;
        any.downcast_mut()
    }

    /// Takes the payload, unless somebody else has a handle on that.
    pub(crate) fn take_payload(&mut self) -> Option<T> {
        match std::mem::replace(&mut self.payload, Stored::Gone) {
            Stored::Inline(payload) => Some(payload),
            Stored::Shared(payload) => Arc::into_inner(payload),
            Stored::Gone => None,
        }
    }

    /// The listeners that it went to.
    pub(crate) fn as_route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The payload, until it is spent.
    #[inline]
    fn get(&self) -> Option<&T> {
        match &self.payload {
            Stored::Inline(payload) => Some(payload),
            Stored::Shared(payload) => Some(payload),
            Stored::Gone => None,
        }
    }
}

impl<T: Event> Message for Firing<T> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        self.route.subject()
    }

    fn payload(&self) -> Payload<'_> {
        match self.get() {
            Some(payload) => Payload::Typed(payload),
            None => Payload::Typed(&()),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let payload = self.get().ok_or_else(|| CodecError::new("", "the payload is gone"))?;
        encode_as(&T::EVENT.descriptor().payload, payload)
    }

    fn route(&self) -> Option<&Arc<Route>> {
        Some(&self.route)
    }

    fn run_plain(&self, plain: Plain) -> Option<HandlerResult> {
        Some(Function::of(plain)?.call(self.get()?))
    }

    fn run_group(&self, place: usize, progress: &Progress) -> Ran {
        let group = self.route.groups.get(place);
        let functions = group.and_then(|group| Some((group, group.functions::<T>()?, self.get()?)));
        let Some((group, functions, payload)) = functions else { return Ran::Unfit };
        let from = progress.place();
        let functions = functions.get(from..).unwrap_or_default();
        let targets = group.targets.get(from..).unwrap_or_default();
        for (function, target) in functions.iter().zip(targets) {
            progress.enter(target.slot);
            if let Err(failure) = function.call(payload) {
                return Ran::Failed(Box::new(failure));
            }
            Counts::add_alone(&target.binding.counts.handled);
            progress.advance();
            if progress.is_cut() {
                break;
            }
        }
        Ran::All
    }

    fn spend(&mut self) -> bool {
        let is_kept = self.route.is_plain && size_of::<Self>() <= LARGEST;
        if is_kept {
            if self.head.more.get().is_some() {
                self.head.more = OnceBox::new();
            }
            self.payload = Stored::Gone;
        }
        is_kept
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
    /// A [`Firing`] of a `T`.
    Fired(MessageRef),
    Own(Box<T>),
}

impl<T: Send + Sync + 'static> Held<T> {
    /// The fired value itself, if it is a `T`.
    pub(crate) fn fired(message: &MessageRef) -> Option<Self> {
        Firing::<T>::of(message).map(|_| Self(Holding::Fired(message.clone())))
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
            Holding::Fired(_) => (*self).clone(),
            Holding::Own(value) => *value,
        }
    }

    pub(crate) fn into_shared(self) -> Result<Arc<T>, Failure> {
        match self.0 {
            Holding::Fired(message) => {
                match Firing::<T>::of(&message).map(|firing| &firing.payload) {
                    Some(Stored::Shared(payload)) => Ok(payload.clone()),
                    Some(Stored::Inline(_) | Stored::Gone) | None => Err(Failure::internal(
                        "the payload was stored for listeners that borrow it",
                    )),
                }
            }
            Holding::Own(value) => Ok(Arc::from(value)),
        }
    }
}

impl<T: Send + Sync + 'static> std::ops::Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.0 {
            Holding::Fired(message) => match Firing::<T>::of(message).and_then(Firing::get) {
                Some(payload) => payload,
                // It was one when this was made, and is spent only by who has no other handle on it.
                None => panic!("a payload that is held is of another type, or gone"),
            },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Bus;
    use crate::clock::Clock;
    use crate::event::{EventDescriptor, Topic};
    use crate::events::Stopping;
    use crate::service::Service;

    static HEAR: fn(&Stopping) = |_| {};
    static FAIL: fn(&Stopping) -> HandlerResult = |_| Err(Failure::internal("it ran"));

    #[test]
    fn what_is_spent_keeps_nothing_of_what_it_was_and_is_small() {
        struct Large(#[expect(dead_code, reason = "its size is what counts")] [u8; LARGEST]);
        static LARGE: EventDescriptor = EventDescriptor {
            place: crate::__place!(),
            exchange: "bus",
            key: "large",
            payload: PayloadDescriptor::local::<Large>(),
            upcasts: &[],
            local: true,
        };
        impl Event for Large {
            const EVENT: Topic<Self> = Topic::new(&LARGE);
        }

        let bus = crate::Builder::new().build().expect("a bus");
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 8, None));
        let route = Arc::new(Route::new(vec![Binding::plain(&service, &HEAR)]));
        let head = || {
            let head = Head::new(&bus, route.deliveries);
            head.time(|| bus.clock().time());
            head
        };
        let mut small = Firing::new(head(), route.clone(), Stopping {});
        assert!(small.spend() && small.get().is_none() && small.head.more.get().is_none());
        let mut large = Firing::new(head(), route.clone(), Large([0; LARGEST]));
        assert!(!large.spend());
    }

    #[test]
    fn of_a_group_that_is_cut_short_the_listener_that_has_begun_runs_and_no_other() {
        let bus = crate::Builder::new().build().expect("a bus");
        let bus: &Bus = &bus;
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 8, None));
        let run = |listeners: [Plain; 2]| {
            let listeners = listeners.map(|plain| Binding::plain(&service, plain));
            let route = Arc::new(Route::new(listeners.to_vec()));
            let firing = Firing::new(Head::new(bus, route.deliveries), route, Stopping {});
            let progress = Progress::default();
            progress.begin(2);
            progress.cut();
            (firing.run_group(0, &progress), progress.place())
        };
        let (ran, place) = run([&FAIL, &FAIL]);
        assert!(matches!(ran, Ran::Failed(_)) && place == 0);
        let (ran, place) = run([&HEAR, &FAIL]);
        assert!(matches!(ran, Ran::All) && place == 1);
    }
}
