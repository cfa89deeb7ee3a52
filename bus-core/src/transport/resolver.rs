//! [`Resolver`]: where a transport answers a request; [`Completion`]: where somebody waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::error::Error;
use crate::park;

/// Where a transport answers a request, once; dropping it answers that the transport gave it up.
///
/// Whoever waits is called on the thread that resolves, so no lock may be held meanwhile.
pub struct Resolver<T, E: Abandoned = Error>(Option<Answer<T, E>>);

/// What is called with the answer.
type Answer<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// What is answered where a [`Resolver`] is dropped.
pub trait Abandoned {
    /// The transport gave the request up.
    fn abandoned() -> Self;
}

impl Abandoned for Error {
    fn abandoned() -> Self {
        Self::transport("the transport gave the request up")
    }
}

impl<T, E: Abandoned> Resolver<T, E> {
    /// Calls `answer` with the outcome.
    pub fn new(answer: impl FnOnce(Result<T, E>) + Send + 'static) -> Self {
        Self(Some(Box::new(answer)))
    }

    /// Answers.
    pub fn resolve(mut self, result: Result<T, E>) {
        if let Some(answer) = self.0.take() {
            answer(result);
        }
    }
}

impl<T: Send + 'static, E: Abandoned + Send + 'static> Resolver<T, E> {
    /// A resolver, and where its answer appears.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use bus::transport::Resolver;
    ///
    /// let (resolver, completion) = Resolver::<u32>::pair();
    /// std::thread::spawn(move || resolver.resolve(Ok(7)));
    /// assert_eq!(completion.wait(None)?, Some(7));
    /// # Ok::<(), bus::Error>(())
    /// ```
    pub fn pair() -> (Self, Completion<T, E>) {
        let slot = Arc::new(Mutex::new(Slot { answer: None, waker: None }));
        let filled = slot.clone();
        let resolver = Self::new(move |answer| {
            let waker = {
                let mut slot = filled.lock().unwrap_or_else(PoisonError::into_inner);
                slot.answer = Some(answer);
                slot.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        });
        (resolver, Completion(slot))
    }
}

impl<T, E: Abandoned> Drop for Resolver<T, E> {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Err(E::abandoned()));
        }
    }
}

impl<T, E: Abandoned> std::fmt::Debug for Resolver<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver(..)")
    }
}

/// The answer of a request to a transport: await it, or wait for it.
///
/// # Cancel safety
///
/// Dropping it changes nothing of the request.
pub struct Completion<T, E = Error>(Arc<Mutex<Slot<T, E>>>);

struct Slot<T, E> {
    answer: Option<Result<T, E>>,
    waker: Option<Waker>,
}

impl<T, E> Completion<T, E> {
    /// Blocks this thread for the answer; `None` once `deadline` has passed.
    ///
    /// # Errors
    ///
    /// Those of the request.
    pub fn wait(mut self, deadline: Option<Instant>) -> Result<Option<T>, E> {
        park::until(deadline, |cx| Pin::new(&mut self).poll(cx)).transpose()
    }
}

impl<T, E> Future for Completion<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = slot.answer.take() {
            return Poll::Ready(answer);
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T, E> std::fmt::Debug for Completion<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Completion(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_dropped_resolver_answers_that_it_was_given_up() {
        let (resolver, completion) = Resolver::<()>::pair();
        drop(resolver);
        assert_eq!(completion.wait(None).unwrap_err().kind(), ErrorKind::Transport);
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let (_resolver, completion) = Resolver::<()>::pair();
        assert_eq!(completion.wait(Some(Instant::now())).unwrap(), None);
    }
}
