//! Where a thread stands: on which service's behalf it runs handlers, and so what happens to that
//! service while a handler waits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Service;
use super::substitute::Substitute;
use super::worker::Worker;
use crate::park;

thread_local! {
    static STAND: RefCell<Option<Stand>> = const { RefCell::new(None) };
}

#[derive(Clone)]
enum Stand {
    Home(Rc<Worker>),
    Substitute(Rc<Substitute>),
}

/// This thread is the own one of a service, until the guard is dropped.
pub(super) fn home(worker: &Rc<Worker>) -> Standing {
    STAND.set(Some(Stand::Home(worker.clone())));
    Standing
}

/// This thread substitutes for a service's own, until the guard is dropped.
pub(super) fn substitute(substitute: &Rc<Substitute>) -> Standing {
    STAND.set(Some(Stand::Substitute(substitute.clone())));
    Standing
}

/// Whether this thread stands anywhere.
pub(crate) fn is_one() -> bool {
    STAND.with_borrow(Option::is_some)
}

pub(super) struct Standing;

impl Drop for Standing {
    fn drop(&mut self) {
        STAND.set(None);
    }
}

/// The service on whose behalf this thread runs handlers.
pub(crate) fn service() -> Option<Arc<Service>> {
    STAND.with_borrow(|stand| {
        stand.as_ref().map(|stand| match stand {
            Stand::Home(worker) => worker.service().clone(),
            Stand::Substitute(substitute) => substitute.service().clone(),
        })
    })
}

/// Whether a handler may wait on this thread; not on top of too many that wait already.
pub(crate) fn may_wait() -> bool {
    STAND.with_borrow(|stand| match stand {
        Some(Stand::Home(worker)) => worker.may_wait(),
        Some(Stand::Substitute(_)) | None => true,
    })
}

/// Blocks until `poll` is ready, while the service of this thread goes on; `None` once the deadline
/// has passed.
pub(crate) fn wait<T>(
    deadline: Option<Instant>,
    poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    match STAND.with_borrow(Clone::clone) {
        None => park::until(deadline, poll),
        Some(Stand::Substitute(substitute)) => substitute.wait(deadline, poll),
        Some(Stand::Home(worker)) => worker.wait(deadline, poll),
    }
}
