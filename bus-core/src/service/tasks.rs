//! The asynchronous handlers of one service, which never leave its thread.
//!
//! `async-task` makes the tasks; this is the queue of those that are ready. Unlike a whole executor
//! it can be driven from within one of its tasks, which is what a handler does that waits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use async_task::{Runnable, Task};
use concurrent_queue::ConcurrentQueue;

use crate::park;

/// How many tasks run before their thread looks at anything else.
const BATCH: usize = 64;

pub(super) struct Tasks {
    ready: Arc<Ready>,
    unfinished: RefCell<HashMap<u64, Task<()>>>,
    next: Cell<u64>,
}

struct Ready {
    queue: ConcurrentQueue<Runnable>,
    waker: Waker,
}

impl Tasks {
    /// For the thread that calls this.
    pub(super) fn new() -> Rc<Self> {
        let ready = Ready { queue: ConcurrentQueue::unbounded(), waker: park::waker() };
        Rc::new(Self { ready: Arc::new(ready), unfinished: RefCell::default(), next: Cell::new(0) })
    }

    /// Starts a task; it runs with the next [`run`](Self::run).
    pub(super) fn spawn(self: &Rc<Self>, future: impl Future<Output = ()> + 'static) {
        let number = self.next.get();
        self.next.set(number + 1);
        let tasks = Rc::downgrade(self);
        let tracked = async move {
            future.await;
            let done =
                tasks.upgrade().and_then(|tasks| tasks.unfinished.borrow_mut().remove(&number));
            // Dropped instead, the handle would cancel the task that is ending here.
            if let Some(task) = done {
                task.detach();
            }
        };
        let ready = self.ready.clone();
        let schedule = move |runnable| {
            // The queue has no bound and is never closed, so there is room.
            let _ = ready.queue.push(runnable);
            ready.waker.wake_by_ref();
        };
        let (runnable, task) = async_task::spawn_local(tracked, schedule);
        self.unfinished.borrow_mut().insert(number, task);
        runnable.schedule();
    }

    /// Runs the tasks that are ready, each `within` what surrounds it; says whether there were any.
    pub(super) fn run(&self, mut within: impl FnMut(&mut dyn FnMut())) -> bool {
        let mut any = false;
        for _ in 0..BATCH {
            let Ok(runnable) = self.ready.queue.pop() else { break };
            let mut runnable = Some(runnable);
            within(&mut || {
                if let Some(runnable) = runnable.take() {
                    runnable.run();
                }
            });
            any = true;
        }
        any
    }

    /// Drops every task, here, where each was made.
    pub(super) fn clear(&self) {
        let unfinished = self.unfinished.take();
        drop(unfinished);
        while let Ok(runnable) = self.ready.queue.pop() {
            // A cancelled task drops its future instead of polling it.
            runnable.run();
        }
    }
}
