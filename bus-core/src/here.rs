//! What a thread has of the buses that it uses: what it runs, and the ways that it has found. In one
//! place, because looking for a place costs as much as looking into it.

use std::cell::RefCell;

use crate::current::Stack;
use crate::routes::Kept;

/// What there is of it.
pub(crate) struct Here {
    pub(crate) stack: Stack,
    pub(crate) kept: Kept,
}

thread_local! {
    static HERE: RefCell<Here> =
        const { RefCell::new(Here { stack: Stack::NOTHING, kept: Kept::NOTHING }) };
}

/// Works on this thread's. Nothing of a user's may run or be dropped meanwhile: it may come back here.
#[inline]
pub(crate) fn with<R>(work: impl FnOnce(&mut Here) -> R) -> R {
    HERE.with_borrow_mut(work)
}

/// Looks at this thread's; the same holds.
#[inline]
pub(crate) fn look<R>(look: impl FnOnce(&Here) -> R) -> R {
    HERE.with_borrow(look)
}
