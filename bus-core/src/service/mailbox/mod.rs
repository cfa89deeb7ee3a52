//! The mailbox of a service: what was accepted and has not started yet.
//!
//! Putting something in never blocks. The one consumer takes everything at once, under one lock.
//! Deliveries are counted when they are accepted, when their handler starts and when it is done, so
//! that the bound, the waiting receipts and `settle()` need no other bookkeeping.
//!
//! The consumer is the service's own thread. While a handler waits on that, nobody is, until there
//! is something to do: then a substitute consumes, and the thread takes over again when it is back.

mod space;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use self::space::Served;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Brief, BriefGuard, prefetch};

/// How many times the bound a mailbox may hold before firing fails.
const HARD: usize = 64;

/// How many entries ahead memory is asked for that comes from the consumer's core: in one of the next cache lines.
const AHEAD: usize = 8;

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

pub(crate) struct Mailbox<E> {
    pub(crate) bound: usize,
    line: Line<E>,
    served: Served,
    /// Wakes the service's own thread.
    home: Brief<Option<Waker>>,
    /// How often something was accepted over the bound.
    pub(crate) overruns: AtomicU64,
    /// The service's thread is back and wants to consume.
    recalled: AtomicBool,
    /// Threads beside the service's own.
    substitutes: AtomicUsize,
}

/// What those write who put something in: one cache line.
#[repr(align(64))]
struct Line<E> {
    queue: Brief<Queue<E>>,
    accepted: AtomicU64,
}

#[cfg(not(all(test, autobus_loom)))]
const _: () = assert!(size_of::<Line<()>>() == 64, "what is written together lies together");

struct Queue<E> {
    entries: Vec<E>,
    /// How many deliveries had started when somebody last had to look: those who put something in look
    /// again once that is not enough, since the consumer writes it all the time.
    started: u64,
    consumer: Consumer,
    /// The service's own thread wants to be woken.
    is_awaited: bool,
    closed: bool,
}

/// Who consumes a mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    Home,
    Nobody,
    Substitute,
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
            line: Line {
                queue: Brief::new(Queue {
                    entries: Vec::new(),
                    started: 0,
                    consumer: Consumer::Home,
                    is_awaited: false,
                    closed: false,
                }),
                accepted: AtomicU64::new(0),
            },
            home: Brief::new(None),
            served: Served::new(),
            overruns: AtomicU64::new(0),
            recalled: AtomicBool::new(false),
            substitutes: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> BriefGuard<'_, Queue<E>> {
        self.line.queue.lock()
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
        let number = self.line.accepted.load(Ordering::Relaxed) + deliveries as u64;
        if !self.is_within(number, queue.started) {
            queue.started = self.started();
        }
        let is_within = self.is_within(number, queue.started);
        let room = if is_within { Room::Within } else { Room::Over };
        if queue.closed || !may(room) {
            return Err(entry);
        }
        queue.entries.push(entry);
        if let Some(later) = queue.entries.spare_capacity_mut().get(AHEAD) {
            prefetch(later);
        }
        self.line.accepted.store(number, Ordering::Release);
        let wakes = queue.consumer == Consumer::Home && std::mem::take(&mut queue.is_awaited);
        let substitute = self.appoint(&mut queue);
        drop(queue);
        self.wake_home(wakes);
        let mut over = None;
        if room == Room::Over {
            self.overruns.fetch_add(deliveries as u64, Ordering::Relaxed);
            over = Some(number);
        }
        Ok(Pushed { over, substitute })
    }

    /// Wakes the service's own thread, if it `is_awaited`, once nothing is held.
    #[inline]
    fn wake_home(&self, is_awaited: bool) {
        if is_awaited {
            let home = self.home.lock().clone();
            home.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits for whoever is just putting something in.
    pub(crate) fn await_pushes(&self) {
        drop(self.lock());
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
                // What has been taken before goes on as the room for what comes.
                let room = Vec::from(std::mem::take(batch));
                *batch = std::mem::replace(&mut queue.entries, room).into();
                return Poll::Ready(true);
            }
            if queue.closed {
                return Poll::Ready(false);
            }
        }
        // Before anybody can see that it is needed.
        match &mut *self.home.lock() {
            Some(waker) => waker.clone_from(cx.waker()),
            home => *home = Some(cx.waker().clone()),
        }
        queue.is_awaited = true;
        Poll::Pending
    }

    /// Takes everything there is, for a substitute; nothing if its work is over.
    pub(crate) fn take_as_substitute(&self) -> VecDeque<E> {
        let mut queue = self.lock();
        if self.is_recalled() || queue.entries.is_empty() {
            let wakes = queue.vacate();
            drop(queue);
            self.wake_home(wakes);
            return VecDeque::new();
        }
        std::mem::take(&mut queue.entries).into()
    }

    /// Whether the service's own thread wants to consume again.
    pub(crate) fn is_recalled(&self) -> bool {
        self.recalled.load(Ordering::Acquire)
    }

    /// Gives what was taken and has not started back, and stops consuming. Says whether the mailbox
    /// needs a substitute, which the caller is to start.
    pub(crate) fn give_up(&self, rest: VecDeque<E>) -> bool {
        let mut queue = self.lock();
        queue.put_back(rest);
        let wakes = queue.vacate();
        let substitute = !self.is_recalled() && self.appoint(&mut queue);
        drop(queue);
        self.wake_home(wakes);
        substitute
    }

    /// As [`give_up`](Self::give_up), for the service's own thread: a handler of it waits, so it
    /// wants nothing back before it asks again.
    pub(crate) fn step_aside(&self, rest: VecDeque<E>) -> bool {
        let mut queue = self.lock();
        queue.put_back(rest);
        // What started and is put back has not.
        queue.started = 0;
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
        let wakes = self.lock().vacate();
        self.wake_home(wakes);
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
        let wakes = {
            let mut queue = self.lock();
            queue.closed = true;
            std::mem::take(&mut queue.is_awaited)
        };
        self.wake_home(wakes);
        self.tell_closed();
    }

    /// Looks at everything that is in it.
    pub(crate) fn each(&self, look: impl FnMut(&E)) {
        self.lock().entries.iter().for_each(look);
    }

    /// Drops what has not started.
    pub(crate) fn clear(&self) -> Vec<E> {
        std::mem::take(&mut self.lock().entries)
    }
}

impl<E> Queue<E> {
    /// What was taken comes before what is there.
    fn put_back(&mut self, rest: VecDeque<E>) {
        let mut entries = Vec::from(rest);
        entries.append(&mut self.entries);
        self.entries = entries;
    }

    /// Nobody consumes any more. The service's own thread, if it waits, is to be woken once nothing is held.
    #[must_use]
    fn vacate(&mut self) -> bool {
        self.consumer = Consumer::Nobody;
        std::mem::take(&mut self.is_awaited)
    }
}
