//! What the floors of the promises have in common: the line of one consumer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};

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
    mailbox: Mutex<(VecDeque<Arc<T>>, Option<Thread>)>,
    /// What was taken and has not started, which a shutdown refuses if a handler never ends; with what
    /// runs, if the rest of that can be refused.
    backlog: Mutex<Backlog<T>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { mailbox: Mutex::default(), backlog: Mutex::default() }
    }
}

impl<T> Line<T> {
    /// Puts something in; `count` is called while nobody else does.
    pub(crate) fn push<R>(&self, item: Arc<T>, count: impl FnOnce() -> R) -> R {
        let mut mailbox = self.mailbox.lock().expect("no panic");
        mailbox.0.push_back(item);
        let counted = count();
        let consumer = mailbox.1.take();
        drop(mailbox);
        if let Some(consumer) = consumer {
            consumer.unpark();
        }
        counted
    }

    /// The next that was taken; `begin` is called while nobody else can take it, and says whether the rest
    /// of it can be refused while it runs.
    pub(crate) fn next(&self, begin: impl FnOnce() -> bool) -> Option<Arc<T>> {
        let (next, _over) = {
            let mut backlog = self.backlog.lock().expect("no panic");
            let over = backlog.running.take();
            let next = backlog.waiting.pop_front();
            if next.is_some() && begin() {
                backlog.running.clone_from(&next);
            }
            (next, over)
        };
        next
    }

    /// Takes the mailbox whole; `false` if it is empty, and then this thread is told of more.
    pub(crate) fn take(&self) -> bool {
        let mut mailbox = self.mailbox.lock().expect("no panic");
        if mailbox.0.is_empty() {
            mailbox.1 = Some(thread::current());
            return false;
        }
        std::mem::swap(&mut mailbox.0, &mut self.backlog.lock().expect("no panic").waiting);
        true
    }
}
