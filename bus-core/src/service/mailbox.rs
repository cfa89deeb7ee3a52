//! The mailbox of a service: what was accepted and has not started yet.
//!
//! Putting something in never blocks. The one consumer takes everything at once, under one lock.
//! Deliveries are counted when they are accepted, when their handler starts and when it is done, so
//! that the bound, the waiting receipts and `settle()` need no other bookkeeping.
//!
//! The consumer is the service's own thread. While a handler waits on that, nobody is, until there
//! is something to do: then a substitute consumes, and the thread takes over again when it is back.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};

use super::Service;
use crate::binding::Binding;
use crate::clock::later;
use crate::delivery::Delivery;
use crate::message::Message;
use crate::park;
use crate::receipt::Ticket;
use crate::router::Target;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, fence};

/// How many times the bound a mailbox may hold before firing fails.
const HARD: usize = 64;

/// How much may wait for more to be taken, in a mailbox or for a broker's confirm.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// The mailbox's bound.
    Bound,
    /// So many times its bound that something must be wrong.
    Hard,
}

impl Limit {
    /// In messages.
    pub(crate) fn of(self, bound: usize) -> usize {
        match self {
            Self::Bound => bound,
            Self::Hard => bound.saturating_mul(HARD),
        }
    }
}

/// One enqueue.
pub(crate) enum Entry {
    /// A message that comes for the first time, for every handler that it has in this service.
    First(Arc<dyn Message>),
    /// A delivery on its own.
    One(Box<Delivery>),
}

pub(crate) struct Mailbox<E> {
    pub(crate) bound: usize,
    queue: Mutex<Queue<E>>,
    accepted: AtomicU64,
    served: Served,
    space: Event,
    patient: Mutex<Vec<Waker>>,
    idle: Event,
    /// How often something was accepted over the bound.
    pub(crate) overruns: AtomicU64,
    /// The service's thread is back and wants to consume.
    recalled: AtomicBool,
    /// Threads beside the service's own.
    substitutes: AtomicUsize,
}

/// What the consumer looks at and writes for every delivery. Not in a cache line of what those write who
/// put something in: they would wait for each other.
#[repr(align(64))]
struct Served {
    /// What has started on the service's own thread, which alone writes this.
    started: AtomicU64,
    /// What has started on others.
    started_elsewhere: AtomicU64,
    /// What is done on the service's own thread, which alone writes this.
    done: AtomicU64,
    /// What is done on others.
    done_elsewhere: AtomicU64,
    /// Receipts that wait for space.
    waiting: AtomicUsize,
    /// Threads wait for space outside of handlers: for half of it, so that each is woken once for many
    /// events.
    is_awaited: AtomicBool,
    /// Something was accepted over the bound, and there has been no space since.
    over: AtomicBool,
}

struct Queue<E> {
    entries: VecDeque<E>,
    consumer: Consumer,
    home: Option<Waker>,
    closed: bool,
}

/// Who consumes a mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    Home,
    Nobody,
    Substitute,
}

impl Entry {
    /// Of a delivery on its own.
    pub(crate) fn one(delivery: Delivery) -> Self {
        Self::One(Box::new(delivery))
    }

    /// The handler and the message of what is one delivery, whatever the service.
    pub(crate) fn single(&self) -> Option<(&Arc<Binding>, &Arc<dyn Message>)> {
        match self {
            Self::One(delivery) => Some((&delivery.binding, &delivery.message)),
            Self::First(message) => message.handler().map(|binding| (binding, message)),
        }
    }

    /// As one delivery; gives an event back.
    pub(crate) fn into_single(self) -> Result<Delivery, Self> {
        match self {
            Self::One(delivery) => Ok(*delivery),
            Self::First(message) => match message.handler().cloned() {
                Some(binding) => Ok(Delivery::first(binding, message)),
                None => Err(Self::First(message)),
            },
        }
    }

    /// Looks at the handler of each delivery to `service`.
    pub(crate) fn each(&self, service: &Service, look: &mut impl FnMut(&Arc<Binding>)) {
        match (self.single(), self) {
            (Some((binding, _)), _) => look(binding),
            (None, Self::First(message)) => {
                for target in targets(message, service) {
                    look(&target.binding);
                }
            }
            (None, Self::One(_)) => {}
        }
    }

    /// The single deliveries to `service`, in the order of the route.
    pub(crate) fn deliveries(self, service: &Service) -> Vec<Delivery> {
        match self.into_single() {
            Ok(delivery) => vec![delivery],
            Err(Self::First(message)) => {
                let targets = targets(&message, service).iter();
                targets.map(|target| target.delivery(&message, 1)).collect()
            }
            Err(Self::One(delivery)) => vec![*delivery],
        }
    }
}

/// The listeners of a service that an event is for.
pub(crate) fn targets<'a>(message: &'a Arc<dyn Message>, service: &Service) -> &'a [Target] {
    let group = message.route().and_then(|route| route.group(service));
    group.map_or(&[], |group| &group.targets)
}

/// Whether a mailbox is within its bound with what is put into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Within,
    Over,
}

/// That an entry was accepted.
pub(crate) struct Pushed {
    /// The number of the last delivery, if the mailbox is over its bound with it.
    pub(crate) over: Option<u64>,
    /// The mailbox needs a substitute, and whoever put the entry in is to start it.
    pub(crate) substitute: bool,
}

impl<E> Mailbox<E> {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            bound,
            queue: Mutex::new(Queue {
                entries: VecDeque::new(),
                consumer: Consumer::Home,
                home: None,
                closed: false,
            }),
            accepted: AtomicU64::new(0),
            served: Served {
                started: AtomicU64::new(0),
                started_elsewhere: AtomicU64::new(0),
                done: AtomicU64::new(0),
                done_elsewhere: AtomicU64::new(0),
                waiting: AtomicUsize::new(0),
                is_awaited: AtomicBool::new(false),
                over: AtomicBool::new(false),
            },
            space: Event::new(),
            patient: Mutex::new(Vec::new()),
            idle: Event::new(),
            overruns: AtomicU64::new(0),
            recalled: AtomicBool::new(false),
            substitutes: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<E>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts `entry`, which stands for so many deliveries, if `may` says so while nobody else puts
    /// anything in; it is asked last, and told whether the mailbox is within its bound with them. Gives the
    /// entry back if it does not, or if the mailbox is closed.
    ///
    /// Whoever makes `may` say no, and then [waits for those who push](Self::await_pushes), knows that
    /// whatever it let in is there.
    #[inline]
    pub(crate) fn push(
        &self,
        entry: E,
        deliveries: usize,
        may: impl FnOnce(Room) -> bool,
    ) -> Result<Pushed, E> {
        let mut queue = self.lock();
        // Nobody else adds while the queue is held.
        let number = self.accepted.load(Ordering::Relaxed) + deliveries as u64;
        let room = if self.has_started(number) { Room::Within } else { Room::Over };
        if queue.closed || !may(room) {
            return Err(entry);
        }
        queue.entries.push_back(entry);
        self.accepted.store(number, Ordering::Release);
        let home = match queue.consumer {
            Consumer::Home => queue.home.take(),
            Consumer::Nobody | Consumer::Substitute => None,
        };
        let substitute = self.appoint(&mut queue);
        drop(queue);
        if let Some(home) = home {
            home.wake();
        }
        let mut over = None;
        if room == Room::Over {
            self.overruns.fetch_add(deliveries as u64, Ordering::Relaxed);
            over = Some(number);
        }
        Ok(Pushed { over, substitute })
    }

    /// Waits for whoever is just putting something in.
    pub(crate) fn await_pushes(&self) {
        drop(self.lock());
    }

    /// Whether this is the first overrun since the mailbox was last within its bound.
    pub(crate) fn note_overrun(&self) -> bool {
        !self.served.over.swap(true, Ordering::Relaxed)
    }

    /// Whether delivery `number` is within the bound.
    #[inline]
    pub(crate) fn has_started(&self, number: u64) -> bool {
        number <= self.started() + self.bound as u64
    }

    #[inline]
    fn started(&self) -> u64 {
        self.served.started.load(Ordering::SeqCst)
            + self.served.started_elsewhere.load(Ordering::SeqCst)
    }

    /// Deliveries that have not started.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        let started = self.started();
        let accepted = self.accepted.load(Ordering::Acquire);
        usize::try_from(accepted.saturating_sub(started)).unwrap_or(usize::MAX)
    }

    /// Whether everything that was accepted is done.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.open() == 0
    }

    /// How many deliveries are accepted and not done.
    #[inline]
    pub(crate) fn open(&self) -> u64 {
        let done = self.done();
        self.accepted.load(Ordering::Acquire).saturating_sub(done)
    }

    /// How many deliveries are done.
    #[inline]
    pub(super) fn done(&self) -> u64 {
        self.served.done.load(Ordering::Acquire)
            + self.served.done_elsewhere.load(Ordering::Acquire)
    }

    /// How many deliveries were ever accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    pub(crate) fn listen_idle(&self) -> EventListener {
        self.idle.listen()
    }

    /// Completes when the delivery of `ticket` is within the bound. `pass` takes and frees what is held
    /// where [`start_held`](Self::start_held) is called.
    pub(crate) fn poll_space(
        &self,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        pass: impl Fn(),
    ) -> Poll<()> {
        loop {
            if self.has_started(ticket.number) || self.lock().closed {
                ticket.listener = None;
                return Poll::Ready(());
            }
            match &mut ticket.listener {
                None => {
                    ticket.listener = Some(self.space.listen());
                    self.expect_space(&pass);
                }
                Some(listener) => {
                    if Pin::new(listener).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    ticket.listener = None;
                }
            }
        }
    }

    /// Somebody waits for space. What it does not see of what has started when this returns, it is told.
    pub(crate) fn expect_space(&self, pass: impl Fn()) {
        self.served.waiting.fetch_add(1, Ordering::SeqCst);
        // For who starts and then looks whether somebody waits, with a barrier between or while it holds
        // something.
        fence(Ordering::SeqCst);
        pass();
    }

    /// Blocks until the delivery of this number is within the bound.
    ///
    /// Who is woken finds room for half a mailbox. A handler that takes long may keep it from getting so
    /// far, so it looks by itself now and then.
    pub(crate) fn wait_space(&self, number: u64) {
        const AGAIN: Duration = Duration::from_millis(1);
        if self.has_started(number) {
            return;
        }
        let me = park::waker();
        while !self.has_started(number) && !self.lock().closed {
            {
                let mut patient = self.patient();
                if !patient.iter().any(|waker| waker.will_wake(&me)) {
                    patient.push(me.clone());
                }
            }
            self.served.is_awaited.store(true, Ordering::SeqCst);
            if !self.has_started(number) {
                park::park(Some(later(Instant::now(), AGAIN)));
            }
        }
        self.patient().retain(|waker| !waker.will_wake(&me));
    }

    fn patient(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.patient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the threads that wait for half of the space.
    #[cold]
    fn wake_patient(&self) {
        self.served.is_awaited.store(false, Ordering::Relaxed);
        // Nothing is held while they are woken: whoever is may run at once, and come for it.
        let patient = std::mem::take(&mut *self.patient());
        patient.into_iter().for_each(Waker::wake);
    }

    /// The handlers of so many deliveries start, on the service's own thread. It
    /// [tells](Self::tell_started) who waits for space afterwards.
    #[inline]
    pub(crate) fn start(&self, deliveries: u64) {
        self.start_held(deliveries);
        fence(Ordering::SeqCst);
    }

    /// The same, on another thread.
    pub(crate) fn start_elsewhere(&self, deliveries: u64) {
        self.served.started_elsewhere.fetch_add(deliveries, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// As [`start`](Self::start), while the caller holds what everybody passes by who comes to wait for
    /// space.
    #[inline]
    pub(crate) fn start_held(&self, deliveries: u64) {
        let started = self.served.started.load(Ordering::Relaxed) + deliveries;
        self.served.started.store(started, Ordering::Release);
    }

    /// Tells who waits for space that more has started.
    #[inline]
    pub(crate) fn tell_started(&self) {
        if self.take_expecting() {
            self.space.notify(usize::MAX);
        }
        if self.served.is_awaited.load(Ordering::Relaxed) && self.depth() <= self.bound / 2 {
            self.wake_patient();
        }
        if self.served.over.load(Ordering::Relaxed) && self.depth() <= self.bound {
            self.served.over.store(false, Ordering::Relaxed);
        }
    }

    /// Whether somebody waits for space; it is to be told.
    #[inline]
    pub(crate) fn take_expecting(&self) -> bool {
        self.served.waiting.load(Ordering::SeqCst) > 0
            && self.served.waiting.swap(0, Ordering::SeqCst) > 0
    }

    /// So many deliveries that were started on the service's own thread have not begun, and are put back.
    pub(crate) fn unstart(&self, deliveries: u64) {
        let started = self.served.started.load(Ordering::Relaxed) - deliveries;
        self.served.started.store(started, Ordering::Release);
    }

    /// So many deliveries are done: settled, or waiting for their next attempt. Says whether all are.
    /// For the service's own thread.
    #[inline]
    pub(crate) fn finish(&self, deliveries: u64) -> bool {
        self.served
            .done
            .store(self.served.done.load(Ordering::Relaxed) + deliveries, Ordering::Release);
        if self.has_substitutes() {
            // Of two who finish at the same time one sees that both have.
            fence(Ordering::SeqCst);
        }
        self.note_idle()
    }

    /// The same on another thread.
    pub(crate) fn finish_elsewhere(&self, deliveries: u64) -> bool {
        self.served.done_elsewhere.fetch_add(deliveries, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.note_idle()
    }

    #[inline]
    fn note_idle(&self) -> bool {
        let is_idle = self.is_idle();
        if is_idle {
            self.idle.notify(usize::MAX);
        }
        is_idle
    }

    /// Takes everything there is into `batch`, for the service's own thread, and recalls the
    /// substitute, if there is one; `false` once the mailbox is closed and empty.
    pub(crate) fn poll_take(&self, batch: &mut VecDeque<E>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut queue = self.lock();
        if queue.consumer == Consumer::Substitute {
            self.recalled.store(true, Ordering::Release);
        } else {
            queue.consumer = Consumer::Home;
            self.recalled.store(false, Ordering::Release);
            if !queue.entries.is_empty() {
                std::mem::swap(&mut queue.entries, batch);
                return Poll::Ready(true);
            }
            if queue.closed {
                return Poll::Ready(false);
            }
        }
        match &mut queue.home {
            Some(waker) => waker.clone_from(cx.waker()),
            None => queue.home = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes everything there is, for a substitute; nothing if its work is over.
    pub(crate) fn take_as_substitute(&self) -> VecDeque<E> {
        let mut queue = self.lock();
        if self.is_recalled() || queue.entries.is_empty() {
            queue.vacate();
            return VecDeque::new();
        }
        std::mem::take(&mut queue.entries)
    }

    /// Whether the service's own thread wants to consume again.
    pub(crate) fn is_recalled(&self) -> bool {
        self.recalled.load(Ordering::Acquire)
    }

    /// Gives what was taken and has not started back, and stops consuming. Says whether the mailbox
    /// needs a substitute, which the caller is to start.
    pub(crate) fn give_up(&self, mut rest: VecDeque<E>) -> bool {
        let mut queue = self.lock();
        rest.append(&mut queue.entries);
        queue.entries = rest;
        queue.vacate();
        !self.is_recalled() && self.appoint(&mut queue)
    }

    /// As [`give_up`](Self::give_up), for the service's own thread: a handler of it waits, so it
    /// wants nothing back before it asks again.
    pub(crate) fn step_aside(&self, mut rest: VecDeque<E>) -> bool {
        let mut queue = self.lock();
        rest.append(&mut queue.entries);
        queue.entries = rest;
        self.recalled.store(false, Ordering::Release);
        if queue.consumer == Consumer::Home {
            queue.consumer = Consumer::Nobody;
        }
        self.appoint(&mut queue)
    }

    /// Makes a substitute the consumer, if there is work and nobody to do it. It counts from here
    /// on: once the service's own thread sees that it does not consume, it sees who does, too.
    fn appoint(&self, queue: &mut Queue<E>) -> bool {
        let needed = queue.consumer == Consumer::Nobody && !queue.entries.is_empty();
        if needed {
            queue.consumer = Consumer::Substitute;
            self.substitutes.fetch_add(1, Ordering::AcqRel);
        }
        needed
    }

    /// The appointed substitute could not be started.
    pub(crate) fn dismiss(&self) {
        self.lock().vacate();
        self.leave();
    }

    /// A substitute ends.
    pub(crate) fn leave(&self) {
        self.substitutes.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether there are threads beside the service's own.
    #[inline]
    pub(crate) fn has_substitutes(&self) -> bool {
        self.substitutes.load(Ordering::Acquire) > 0
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        let home = {
            let mut queue = self.lock();
            queue.closed = true;
            queue.home.take()
        };
        if let Some(home) = home {
            home.wake();
        }
        self.space.notify(usize::MAX);
        self.wake_patient();
        self.idle.notify(usize::MAX);
    }

    /// Looks at everything that is in it.
    pub(crate) fn each(&self, look: impl FnMut(&E)) {
        self.lock().entries.iter().for_each(look);
    }

    /// Drops what has not started.
    pub(crate) fn clear(&self) -> VecDeque<E> {
        std::mem::take(&mut self.lock().entries)
    }
}

impl<E> Queue<E> {
    fn vacate(&mut self) {
        self.consumer = Consumer::Nobody;
        if let Some(home) = self.home.take() {
            home.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::clock::Clock;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A mailbox with so many more than its bound.
    fn over(bound: usize, more: usize) -> Mailbox<usize> {
        let mailbox = Mailbox::new(bound);
        for number in 0..bound + more {
            assert!(mailbox.push(number, 1, |_| true).is_ok());
        }
        mailbox
    }

    #[test]
    fn whoever_puts_something_in_is_told_whether_there_is_room() {
        let mailbox = Mailbox::new(2);
        let mut told = Vec::new();
        for number in 0..3 {
            let pushed = mailbox.push(number, 1, |room| {
                told.push(room);
                true
            });
            assert_eq!(pushed.ok().and_then(|pushed| pushed.over), (number == 2).then_some(3));
        }
        assert_eq!(told, [Room::Within, Room::Within, Room::Over]);
        assert_eq!(mailbox.push(3, 1, |_| false).err(), Some(3));
        assert_eq!((mailbox.accepted(), mailbox.depth()), (3, 3));
    }

    #[test]
    fn a_receipt_that_waits_for_space_is_woken_when_there_is() {
        let mailbox = over(2, 1);
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 2, None));
        let mut ticket = Ticket { service, number: 3, listener: None };
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(mailbox.poll_space(&mut ticket, &mut cx, || {}).is_pending());
        mailbox.start_held(1);
        mailbox.tell_started();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(mailbox.poll_space(&mut ticket, &mut cx, || {}).is_ready());
    }

    #[test]
    fn a_thread_that_waits_for_space_leaves_nothing_behind() {
        // One more has started, and half of the mailbox has not: nobody wakes it.
        let mailbox = over(8, 1);
        std::thread::scope(|scope| {
            scope.spawn(|| mailbox.wait_space(9));
            while mailbox.patient().is_empty() {
                std::thread::yield_now();
            }
            mailbox.start_held(1);
            mailbox.tell_started();
        });
        assert!(mailbox.patient().is_empty());
    }

    #[test]
    fn a_thread_that_waits_for_space_is_woken_for_half_of_it() {
        let mailbox = over(8, 1);
        std::thread::scope(|scope| {
            scope.spawn(|| mailbox.wait_space(9));
            while !mailbox.served.is_awaited.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            mailbox.start_held(5);
            mailbox.tell_started();
            assert!(!mailbox.served.is_awaited.load(Ordering::SeqCst));
        });
    }
}
