//! A place for one answer, where it is made on one thread and waited for on another.

use std::task::{Context, Poll, Waker};

use crate::execute_error::ExecuteError;
use crate::pace;
use crate::sync::{Brief, BriefGuard};

/// A place for one answer and the one who waits for it.
pub(crate) struct Slot<T, E>(Brief<Answer<T, E>>);

enum Answer<T, E> {
    Open(Option<Waker>),
    There(Result<T, ExecuteError<E>>),
    Taken,
}

impl<T, E> Default for Slot<T, E> {
    fn default() -> Self {
        Self(Brief::new(Answer::Open(None)))
    }
}

impl<T, E> Answer<T, E> {
    /// Takes the answer, if it is there; nothing if it is still to come, and its waker is none that is
    /// `known`.
    fn take_unless(
        &mut self,
        known: impl FnOnce(&Waker) -> bool,
    ) -> Option<Poll<Result<T, ExecuteError<E>>>> {
        match self {
            Self::Open(waker) => waker.as_ref().is_some_and(known).then_some(Poll::Pending),
            Self::Taken => Some(Poll::Pending),
            Self::There(_) => match std::mem::replace(self, Self::Taken) {
                Self::There(answer) => Some(Poll::Ready(answer)),
                Self::Open(_) | Self::Taken => Some(Poll::Pending),
            },
        }
    }
}

impl<T, E> Slot<T, E> {
    fn lock(&self) -> BriefGuard<'_, Answer<T, E>> {
        self.0.lock()
    }

    /// Gives the answer, unless one was given before; says whether it did.
    pub(crate) fn fill(&self, answer: Result<T, ExecuteError<E>>) -> bool {
        let mut state = self.lock();
        let Answer::Open(waker) = &mut *state else { return false };
        let waker = waker.take();
        *state = Answer::There(answer);
        drop(state);
        if let Some(waker) = waker {
            pace::answer(waker);
        }
        true
    }

    pub(crate) fn is_filled(&self) -> bool {
        !matches!(*self.lock(), Answer::Open(_))
    }

    pub(crate) fn take(&self, cx: &mut Context<'_>) -> Poll<Result<T, ExecuteError<E>>> {
        let taken = self.lock().take_unless(|waker| waker.will_wake(cx.waker()));
        if let Some(taken) = taken {
            return taken;
        }
        // It may be another's, who does as he likes where it is made and dropped: nothing is held there.
        let mut waker = Some(cx.waker().clone());
        let taken = {
            let mut state = self.lock();
            if let Answer::Open(known) = &mut *state {
                std::mem::swap(known, &mut waker);
            }
            state.take_unless(|_| true)
        };
        drop(waker);
        taken.unwrap_or(Poll::Pending)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_answer_counts() {
        let slot = Slot::<u32, Infallible>::default();
        slot.fill(Ok(1));
        slot.fill(Ok(2));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(slot.take(&mut cx), Poll::Ready(Ok(1)));
        assert_eq!(slot.take(&mut cx), Poll::Pending);
    }

    /// A waker that looks whether the answer is there when it is dropped.
    struct Looks(Arc<Slot<u32, Infallible>>);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.is_filled();
        }
    }

    #[test]
    fn nothing_is_held_where_a_waker_goes() {
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let slot = Arc::new(Slot::<u32, Infallible>::default());
            let waker = || Waker::from(Arc::new(Looks(slot.clone())));
            for waker in [waker(), waker()] {
                assert!(slot.take(&mut Context::from_waker(&waker)).is_pending());
            }
            slot.fill(Ok(7));
            let _ = done.send(slot.take(&mut Context::from_waker(Waker::noop())));
        });
        let answer = is_done.recv_timeout(Duration::from_secs(20)).expect("an answer");
        assert_eq!(answer, Poll::Ready(Ok(7)));
    }
}
