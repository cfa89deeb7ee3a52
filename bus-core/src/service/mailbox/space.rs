//! How much of a mailbox has started and is done, and who waits for that: for space within its bound, and
//! for its being idle.

use std::pin::Pin;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};

use super::Mailbox;
use crate::clock::later;
use crate::pace;
use crate::park;
use crate::receipt::Ticket;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, fence};

/// How often a thread lets others go first before it sleeps until there is space.
const YIELDS: u32 = 4;

/// What the consumer looks at and writes for every delivery. Not in a cache line of what those write who
/// put something in: they would wait for each other.
#[repr(align(64))]
pub(super) struct Served {
    /// What has started on the service's own thread, which alone writes this.
    started: AtomicU64,
    /// What has started on others.
    started_elsewhere: AtomicU64,
    /// What is done on the service's own thread, which alone writes this.
    done: AtomicU64,
    /// What is done on others.
    done_elsewhere: AtomicU64,
    /// How many deliveries had been accepted when the consumer last had to look: it looks again once that is
    /// not enough, since those who put something in write it all the time.
    accepted: AtomicU64,
    /// Receipts that wait for space.
    waiting: AtomicUsize,
    /// Threads wait for space outside of handlers: for half of it, so that each is woken once for many
    /// events.
    is_awaited: AtomicBool,
    /// Something was accepted over the bound, and there has been no space since.
    over: AtomicBool,
    space: Event,
    patient: Mutex<Vec<Waker>>,
    idle: Event,
}

impl Served {
    pub(super) fn new() -> Self {
        Self {
            started: AtomicU64::new(0),
            started_elsewhere: AtomicU64::new(0),
            done: AtomicU64::new(0),
            done_elsewhere: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
            over: AtomicBool::new(false),
            space: Event::new(),
            patient: Mutex::new(Vec::new()),
            idle: Event::new(),
        }
    }
}

impl<E> Mailbox<E> {
    /// Whether this is the first overrun since the mailbox was last within its bound.
    pub(crate) fn note_overrun(&self) -> bool {
        !self.served.over.swap(true, Ordering::Relaxed)
    }

    /// Whether delivery `number` is within the bound.
    #[inline]
    pub(crate) fn has_started(&self, number: u64) -> bool {
        self.is_within(number, self.started())
    }

    /// Whether delivery `number` is within the bound when so many have started.
    #[inline]
    pub(super) fn is_within(&self, number: u64, started: u64) -> bool {
        number <= started + self.bound as u64
    }

    /// How many deliveries have started.
    #[inline]
    pub(super) fn started(&self) -> u64 {
        self.served.started.load(Ordering::SeqCst)
            + self.served.started_elsewhere.load(Ordering::SeqCst)
    }

    /// Deliveries that have not started.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        let started = self.started();
        usize::try_from(self.accepted().saturating_sub(started)).unwrap_or(usize::MAX)
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
        self.accepted().saturating_sub(done)
    }

    /// How many deliveries are done.
    #[inline]
    fn done(&self) -> u64 {
        self.served.done.load(Ordering::Acquire)
            + self.served.done_elsewhere.load(Ordering::Acquire)
    }

    /// How many deliveries were ever accepted.
    #[inline]
    pub(crate) fn accepted(&self) -> u64 {
        self.line.accepted.load(Ordering::Acquire)
    }

    pub(crate) fn listen_idle(&self) -> EventListener {
        self.served.idle.listen()
    }

    /// Completes when the delivery of `ticket` is within the bound. `pass_by` takes and frees what is held
    /// where [`start_held`](Self::start_held) is called.
    pub(crate) fn poll_space(
        &self,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        pass_by: impl Fn(),
    ) -> Poll<()> {
        loop {
            if self.has_started(ticket.number) || self.lock().closed {
                ticket.listener = None;
                return Poll::Ready(());
            }
            match &mut ticket.listener {
                None => {
                    ticket.listener = Some(self.served.space.listen());
                    self.expect_space(&pass_by);
                }
                Some(listener) => {
                    // Whoever is told before others must not keep them from being told.
                    let waker = park::contained(cx.waker());
                    let cx = &mut Context::from_waker(&waker);
                    if Pin::new(listener).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    ticket.listener = None;
                }
            }
        }
    }

    /// Somebody waits for space. What it does not see of what has started when this returns, it is told.
    pub(crate) fn expect_space(&self, pass_by: impl Fn()) {
        self.served.waiting.fetch_add(1, Ordering::SeqCst);
        // For who starts and then looks whether somebody waits, with a barrier between or while it holds
        // something.
        fence(Ordering::SeqCst);
        pass_by();
    }

    /// Blocks until the delivery of this number is within the bound.
    ///
    /// Who is woken finds room for half a mailbox. A handler that takes long may keep it from getting so
    /// far, so it looks by itself now and then. Before it sleeps it lets others go first: where the service
    /// is among them, nobody has to be woken.
    pub(crate) fn wait_space(&self, number: u64) {
        const AGAIN: Duration = Duration::from_millis(1);
        if self.has_started(number) {
            return;
        }
        let half = || (self.depth() <= self.bound / 2).then_some(());
        if pace::give_way(YIELDS, half).is_some() {
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
        let mut patient = self.patient();
        patient.retain(|waker| !waker.will_wake(&me));
        if patient.is_empty() {
            self.served.is_awaited.store(false, Ordering::Relaxed);
        }
    }

    fn patient(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.served.patient.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Tells who waits for space that more has started. Wakes, and never panics.
    #[inline]
    pub(crate) fn tell_started(&self) {
        if self.served.waiting.load(Ordering::SeqCst) > 0
            || self.served.is_awaited.load(Ordering::Relaxed)
            || self.served.over.load(Ordering::Relaxed)
        {
            self.tell();
        }
    }

    fn tell(&self) {
        if self.take_expecting() {
            self.served.space.notify(usize::MAX);
        }
        let started = self.started();
        let is_down_to = |most: usize| self.is_accepted_within(started + most as u64);
        if self.served.is_awaited.load(Ordering::Relaxed) && is_down_to(self.bound / 2) {
            self.wake_patient();
        }
        if self.served.over.load(Ordering::Relaxed) && is_down_to(self.bound) {
            self.served.over.store(false, Ordering::Relaxed);
        }
    }

    /// Whether somebody waits for space; it is to be told.
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

    /// Whether no more than so many deliveries have been accepted.
    #[inline]
    fn is_accepted_within(&self, most: u64) -> bool {
        // There are never less.
        self.served.accepted.load(Ordering::Relaxed) <= most && {
            let accepted = self.accepted();
            self.served.accepted.store(accepted, Ordering::Relaxed);
            accepted <= most
        }
    }

    #[inline]
    fn note_idle(&self) -> bool {
        let is_idle = self.is_accepted_within(self.done());
        if is_idle {
            self.served.idle.notify(usize::MAX);
        }
        is_idle
    }

    /// Tells everybody who waits that the mailbox is closed.
    pub(super) fn tell_closed(&self) {
        self.served.space.notify(usize::MAX);
        self.wake_patient();
        self.served.idle.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::clock::Clock;
    use crate::service::{Room, Service};

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

    struct Bang;

    impl Wake for Bang {
        fn wake(self: Arc<Self>) {
            panic!("a waker of somebody else's");
        }
    }

    #[test]
    fn receipts_that_wait_for_space_are_woken_when_there_is_whichever_of_them_panics() {
        let mailbox = over(2, 1);
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 2, None));
        let count = Arc::new(Count::default());
        let wakers = [Waker::from(count.clone()), Waker::from(Arc::new(Bang))];
        let wakers = [&wakers[0], &wakers[1], &wakers[0]];
        let mut tickets = wakers.map(|waker| (Ticket::new(&service, 3), waker));
        for (ticket, waker) in &mut tickets {
            let cx = &mut Context::from_waker(waker);
            assert!(mailbox.poll_space(ticket, cx, || {}).is_pending());
        }
        mailbox.start_held(1);
        mailbox.tell_started();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        for (ticket, waker) in &mut tickets {
            let cx = &mut Context::from_waker(waker);
            assert!(mailbox.poll_space(ticket, cx, || {}).is_ready());
        }
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
    fn threads_that_wait_for_space_are_woken_for_half_of_it() {
        let mailbox = over(8, 1);
        let count = Arc::new(Count::default());
        mailbox.patient().push(Waker::from(count.clone()));
        mailbox.served.is_awaited.store(true, Ordering::SeqCst);
        let woken = |started| {
            mailbox.start_held(started);
            mailbox.tell_started();
            count.0.load(Ordering::SeqCst)
        };
        assert_eq!((woken(4), woken(1), woken(1)), (0, 1, 1));
    }

    #[test]
    fn what_started_and_was_put_back_takes_room_again() {
        let mailbox = over(2, 0);
        mailbox.start_held(2);
        let room = |number| {
            let mut told = None;
            let pushed = mailbox.push(number, 1, |room| {
                told = Some(room);
                true
            });
            assert!(pushed.is_ok());
            told
        };
        assert_eq!(room(2), Some(Room::Within));
        mailbox.unstart(2);
        mailbox.step_aside(VecDeque::new());
        assert_eq!(room(3), Some(Room::Over));
    }
}
