//! What a thread has of the buses that it uses: what it runs, and the ways that it has found. In one
//! place, because looking for a place costs as much as looking into it.

use std::cell::RefCell;

use crate::current::Running;
use crate::routes::Kept;

/// The one of a thread.
pub(crate) struct Here {
    pub(crate) running: Running,
    pub(crate) kept: Kept,
}

thread_local! {
    static HERE: RefCell<Here> =
        const { RefCell::new(Here { running: Running::NOTHING, kept: Kept::NOTHING }) };
}

/// Works on this thread's; nothing of a user's may run meanwhile.
#[inline]
pub(crate) fn with<R>(work: impl FnOnce(&mut Here) -> R) -> R {
    HERE.with_borrow_mut(work)
}

/// Looks at this thread's.
#[inline]
pub(crate) fn look<R>(look: impl FnOnce(&Here) -> R) -> R {
    HERE.with_borrow(look)
}
