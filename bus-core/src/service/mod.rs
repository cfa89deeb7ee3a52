//! A service: a named thread, a mailbox, and perhaps a state of its own.

mod mailbox;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use event_listener::{Event, Listener as _};

pub(crate) use self::mailbox::{Entry, HARD, Mailbox};
pub(crate) use self::worker::spawn;
use crate::handler::ServiceDescriptor;

/// A service as every thread sees it. Its state stays with its worker.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) mailbox: Mailbox,
    /// What macros say of its state, if it has one.
    pub(crate) state: Option<&'static ServiceDescriptor>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: AtomicBool,
    stop: Event,
}

/// Tells that the thread of a service ends, however it ends.
struct StoppedOnDrop(Arc<Service>);

impl Drop for StoppedOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.stop.notify(usize::MAX);
    }
}

impl Service {
    pub(crate) fn new(
        name: Arc<str>,
        bound: usize,
        state: Option<&'static ServiceDescriptor>,
    ) -> Self {
        Self {
            name,
            mailbox: Mailbox::new(bound),
            state,
            thread: Mutex::new(None),
            stopped: AtomicBool::new(false),
            stop: Event::new(),
        }
    }

    fn stopped_on_drop(self: &Arc<Self>) -> StoppedOnDrop {
        StoppedOnDrop(self.clone())
    }

    /// Waits until the thread is at its end; `false` if it is not by `deadline`.
    pub(crate) fn wait_stopped(&self, deadline: Instant) -> bool {
        while !self.stopped.load(Ordering::Acquire) {
            let stop = self.stop.listen();
            if !self.stopped.load(Ordering::Acquire) && stop.wait_deadline(deadline).is_none() {
                return self.stopped.load(Ordering::Acquire);
            }
        }
        true
    }

    fn keep_thread(&self, handle: JoinHandle<()>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    pub(crate) fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
