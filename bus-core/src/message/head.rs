//! What every message has: its number, how many of its deliveries are open, and what few have beside that.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use event_listener::Event as Notify;
use once_cell::race::OnceBox;

use crate::current::{self, Cause};
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::lineage::Chain;
use crate::trace::Origin;

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

    /// Becomes that of another message, in place of one that was [cleared](Self::clear).
    #[inline]
    pub(super) fn renew(&mut self, new: Self) {
        // One by one: as a whole it would be put together elsewhere first, and read again too early for that.
        let Self { seq, open, more } = new;
        (self.seq, self.open, self.more) = (seq, open, more);
    }

    /// Keeps nothing of what its message was caused by, and what became of it.
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.more.get().is_some() {
            self.more = OnceBox::new();
        }
    }

    /// Whether it has what every message has, and nothing else.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.more.get().is_none()
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
