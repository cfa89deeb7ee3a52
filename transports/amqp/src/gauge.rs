//! How much is going on, for [`close`](autobus_core::transport::Transport::close), which waits until
//! nothing is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts what is being done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    idle: Notify,
}

/// One thing that is being done; its drop is the end of it.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Inner>);

impl Gauge {
    pub(crate) fn busy(&self) -> Busy {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Busy(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until nothing is being done.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.0.idle.notified();
            if self.count() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
