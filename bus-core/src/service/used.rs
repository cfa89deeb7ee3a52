//! Messages that a service has handled, for those who send it more.
//!
//! Memory that one thread takes and another gives back costs several times of what it costs where the same
//! thread does both. So the service keeps the messages that it has the last handle on, once what
//! they carry is dropped, and threads that fire take some of them at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::message::MessageRef;

/// How many change hands at once.
pub(crate) const AT_ONCE: usize = 32;

/// What is kept of one service.
#[derive(Default)]
pub(crate) struct Used(Mutex<Vec<MessageRef>>);

impl Used {
    fn lock(&self) -> MutexGuard<'_, Vec<MessageRef>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `messages`, up to so many at all.
    pub(super) fn give(&self, messages: &mut Vec<MessageRef>, most: usize) {
        let mut kept = self.lock();
        let room = most.saturating_sub(kept.len()).min(messages.len());
        kept.extend(messages.drain(..room));
    }

    /// Takes a few.
    pub(crate) fn take(&self, into: &mut Vec<MessageRef>) {
        let mut kept = self.lock();
        let from = kept.len().saturating_sub(AT_ONCE);
        into.extend(kept.drain(from..));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Frees them.
    pub(super) fn clear(&self) {
        drop(std::mem::take(&mut *self.lock()));
    }
}
