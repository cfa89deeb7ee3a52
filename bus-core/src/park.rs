//! Blocking a thread until something is ready.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
}

/// Polls once, for this thread.
pub(crate) fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let waker = WAKER.with(Waker::clone);
    poll(&mut Context::from_waker(&waker))
}

/// Blocks until `poll` is ready; `None` once the deadline has passed.
pub(crate) fn until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    loop {
        if let Poll::Ready(output) = once(&mut poll) {
            return Some(output);
        }
        if !park(deadline) {
            return None;
        }
    }
}

/// Blocks until woken, perhaps for no reason; `false` once the deadline has passed.
pub(crate) fn park(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        std::thread::park();
        return true;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::park_timeout(left);
    }
    !left.is_zero()
}
