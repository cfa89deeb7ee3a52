//! Waiting inside of a handler on the service's own thread, while the service goes on.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use super::{Entry, NESTED_MOST, Step, Worker, substitute, unharmed};
use crate::park;

impl Worker {
    /// Whether another handler may wait on this thread.
    pub(in crate::service) fn may_wait(&self) -> bool {
        self.nested.get() < NESTED_MOST
    }

    /// Waits in the middle of a handler, while the service goes on.
    pub(in crate::service) fn wait<T>(
        self: &Rc<Self>,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut TaskContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        self.waited.set(true);
        if !self.serves.get() {
            return park::until(deadline, poll);
        }
        let _nested = Nested::new(self);
        if self.service.state.is_some() {
            return self.wait_with_state(deadline, poll);
        }
        // Those after it in its group are others, and go on.
        let mut rest: VecDeque<Entry> =
            self.service.take_rest_of_group().into_iter().map(Entry::one).collect();
        self.given_back.set(self.given_back.get() + rest.len() as u64);
        rest.append(&mut self.service.backlog().take());
        if self.service.mailbox.step_aside(rest) {
            substitute::spawn(&self.bus, &self.service);
        }
        let had_turn = self.has_turn.get();
        if had_turn {
            self.leave_turn();
        }
        let output = self.wait_with_tasks(deadline, poll);
        if had_turn {
            self.take_turn();
        }
        output
    }

    /// Asynchronous handlers go on; the mailbox is a substitute's, which hands asynchronous deliveries over.
    fn wait_with_tasks<T>(
        self: &Rc<Self>,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut TaskContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        loop {
            let mut handed = pin!(self.service.handing.listen());
            // Among them is what a task that ended has made room for in its lane.
            while let Some(delivery) = self.next_own() {
                unharmed(&self.service, || self.start(delivery));
            }
            if let Poll::Ready(output) = park::once(&mut *poll) {
                return Some(output);
            }
            if self.run_tasks() || park::once(|cx| handed.as_mut().poll(cx)).is_ready() {
                continue;
            }
            if !park::park(deadline) {
                return None;
            }
        }
    }

    /// Nothing but this thread can touch the state, so it runs other handlers on top.
    fn wait_with_state<T>(
        self: &Rc<Self>,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut TaskContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        loop {
            if let Poll::Ready(output) = park::once(&mut *poll) {
                return Some(output);
            }
            while park::once(|cx| self.poll_news(cx)) == Poll::Ready(true) {}
            if self.step() == Step::Went || self.run_tasks() {
                continue;
            }
            if !park::park(deadline) {
                return None;
            }
        }
    }
}

/// That a handler waits on this thread's stack; over when dropped, also if what it waits for panics.
struct Nested<'a>(&'a Cell<usize>);

impl<'a> Nested<'a> {
    fn new(worker: &'a Worker) -> Self {
        worker.nested.set(worker.nested.get() + 1);
        Self(&worker.nested)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
