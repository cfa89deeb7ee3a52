//! What the floors of the promises have in common: the line of one consumer.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread::{self, Thread};

use spin::mutex::{SpinMutex, SpinMutexGuard};
use triomphe::Arc;

/// How many items that are done change hands at once.
pub(crate) const AT_ONCE: usize = 32;

/// Holds what is held for moments.
pub(crate) fn brief<T>(mutex: &SpinMutex<T>) -> SpinMutexGuard<'_, T> {
    /// How often it looks before it lets others go first.
    const LOOKS: u32 = 32;
    let mut looks = 0;
    loop {
        match mutex.try_lock() {
            Some(guard) => return guard,
            None if looks < LOOKS => std::hint::spin_loop(),
            None => thread::yield_now(),
        }
        looks += 1;
    }
}

/// Not in a cache line of what those write who push.
#[repr(align(64))]
struct Backlog<T> {
    waiting: VecDeque<Arc<T>>,
    running: Option<Arc<T>>,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), running: None }
    }
}

/// What waits for one consumer.
pub(crate) struct Line<T> {
    /// Takes what is sent, and is taken whole; with the consumer while it sleeps.
    mailbox: SpinMutex<(Vec<Arc<T>>, Option<Thread>)>,
    /// What was taken and has not started, which a shutdown refuses if a handler never ends; with what
    /// runs, if the rest of that can be refused.
    backlog: SpinMutex<Backlog<T>>,
    /// What is done and can be used again by those who push.
    used: Mutex<Vec<Arc<T>>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            mailbox: SpinMutex::default(),
            backlog: SpinMutex::default(),
            used: Mutex::default(),
        }
    }
}

impl<T> Line<T> {
    /// Puts something in; `count` is called while nobody else does.
    pub(crate) fn push<R>(&self, item: Arc<T>, count: impl FnOnce() -> R) -> R {
        let mut mailbox = brief(&self.mailbox);
        mailbox.0.push(item);
        let counted = count();
        let consumer = mailbox.1.take();
        drop(mailbox);
        if let Some(consumer) = consumer {
            consumer.unpark();
        }
        counted
    }

    /// The next that was taken, and what ran before it; `begin` is called while nobody else can take it, and
    /// says whether the rest of it can be refused while it runs.
    pub(crate) fn next(&self, begin: impl FnOnce() -> bool) -> (Option<Arc<T>>, Option<Arc<T>>) {
        let mut backlog = brief(&self.backlog);
        let over = backlog.running.take();
        let next = backlog.waiting.pop_front();
        if next.is_some() && begin() {
            backlog.running.clone_from(&next);
        }
        (next, over)
    }

    /// Gives what is done to those who push.
    pub(crate) fn give(&self, done: &mut Vec<Arc<T>>) {
        self.used.lock().expect("no panic").append(done);
    }

    /// Takes some of what is done.
    pub(crate) fn take_used(&self, into: &mut Vec<Arc<T>>) {
        let mut used = self.used.lock().expect("no panic");
        let from = used.len().saturating_sub(AT_ONCE);
        into.extend(used.drain(from..));
    }

    /// Takes the mailbox whole; `false` if it is empty, and then this thread is told of more.
    pub(crate) fn take(&self) -> bool {
        let mut mailbox = brief(&self.mailbox);
        if mailbox.0.is_empty() {
            mailbox.1 = Some(thread::current());
            return false;
        }
        let mut backlog = brief(&self.backlog);
        let room = Vec::from(std::mem::take(&mut backlog.waiting));
        backlog.waiting = std::mem::replace(&mut mailbox.0, room).into();
        true
    }
}
