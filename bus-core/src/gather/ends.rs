//! What a [`Gather`] comes to: all results, the first success, or each in its turn.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Gather;
use crate::error::{Error, ErrorKind};
use crate::execute_error::ExecuteError;

/// The results of a [`Gather`], each waited for on this thread when it is asked for.
#[must_use = "nothing is sent before its results are asked for"]
pub struct Results<I, T, E = Infallible>(Gather<I, T, E>);

impl<I, T, E> Results<I, T, E> {
    pub(super) fn of(gather: Gather<I, T, E>) -> Self {
        Self(gather)
    }

    /// See [`Gather::cancel`].
    pub fn cancel(&mut self) {
        self.0.cancel();
    }
}

impl<I, T, E> Iterator for Results<I, T, E> {
    type Item = (I, Result<T, ExecuteError<E>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.wait_landed().map(|(_, item, result)| (item, result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<I, T, E> ExactSizeIterator for Results<I, T, E> {}
impl<I, T, E> std::iter::FusedIterator for Results<I, T, E> {}

/// Every item of a [`Gather`] with its result, in the order in which they were scattered: await it or
/// wait for it.
#[must_use = "nothing is sent before it is awaited or waited for"]
pub struct All<I, T, E = Infallible> {
    gather: Gather<I, T, E>,
    landed: Vec<super::Landed<I, T, E>>,
}

/// Every item with its result.
type AllResults<I, T, E> = Vec<(I, Result<T, ExecuteError<E>>)>;

impl<I, T, E> All<I, T, E> {
    pub(super) fn of(gather: Gather<I, T, E>) -> Self {
        Self { landed: Vec::with_capacity(gather.len()), gather }
    }

    /// Waits on this thread until every item has its result.
    pub fn wait(mut self) -> AllResults<I, T, E> {
        while let Some(landed) = self.gather.wait_landed() {
            self.landed.push(landed);
        }
        self.take()
    }

    fn take(&mut self) -> AllResults<I, T, E> {
        let mut landed = std::mem::take(&mut self.landed);
        landed.sort_unstable_by_key(|(number, ..)| *number);
        landed.into_iter().map(|(_, item, result)| (item, result)).collect()
    }
}

impl<I, T, E> Future for All<I, T, E> {
    type Output = AllResults<I, T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some(landed) = std::task::ready!(this.gather.poll_landed(cx)) {
            this.landed.push(landed);
        }
        Poll::Ready(this.take())
    }
}

/// The first success of a [`Gather`] with its item: await it or wait for it. When it ends, what still
/// runs is cancelled.
#[must_use = "nothing is sent before it is awaited or waited for"]
pub struct FirstOk<I, T, E = Infallible> {
    gather: Gather<I, T, E>,
    failures: Vec<(usize, I, ExecuteError<E>)>,
}

impl<I, T, E> FirstOk<I, T, E> {
    pub(super) fn of(gather: Gather<I, T, E>) -> Self {
        Self { failures: Vec::with_capacity(gather.len()), gather }
    }

    /// Waits on this thread for the first success.
    ///
    /// # Errors
    ///
    /// Every item with its failure, in the order of the items, if none succeeded.
    pub fn wait(mut self) -> Result<(I, T), AllFailed<I, E>> {
        loop {
            let landed = self.gather.wait_landed();
            if let Some(end) = self.take(landed) {
                return end;
            }
        }
    }

    /// The end, if this is it.
    fn take(
        &mut self,
        landed: Option<super::Landed<I, T, E>>,
    ) -> Option<Result<(I, T), AllFailed<I, E>>> {
        match landed {
            Some((_, item, Ok(answer))) => {
                self.gather.cancel();
                Some(Ok((item, answer)))
            }
            Some((number, item, Err(error))) => {
                self.failures.push((number, item, error));
                None
            }
            None => {
                let mut failures = std::mem::take(&mut self.failures);
                failures.sort_unstable_by_key(|(number, ..)| *number);
                let failures = failures.into_iter().map(|(_, item, error)| (item, error));
                Some(Err(AllFailed(failures.collect())))
            }
        }
    }
}

impl<I, T, E> Future for FirstOk<I, T, E> {
    type Output = Result<(I, T), AllFailed<I, E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let landed = std::task::ready!(this.gather.poll_landed(cx));
            if let Some(end) = this.take(landed) {
                return Poll::Ready(end);
            }
        }
    }
}

/// That no item of a [`Gather`] succeeded: each with its failure, in the order of the items.
///
/// # Examples
///
/// What may have run and what did not can be told apart, so as to try the latter again:
///
/// ```
/// # use autobus_core as bus;
/// fn again<I, E>(none: bus::AllFailed<I, E>) -> Vec<I> {
///     let failures = none.into_failures().into_iter();
///     failures.filter(|(_, error)| !error.outcome_unknown()).map(|(item, _)| item).collect()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllFailed<I, E = Infallible>(Vec<(I, ExecuteError<E>)>);

impl<I, E> AllFailed<I, E> {
    /// Each item with its failure.
    pub fn failures(&self) -> &[(I, ExecuteError<E>)] {
        &self.0
    }

    /// Each item with its failure.
    pub fn into_failures(self) -> Vec<(I, ExecuteError<E>)> {
        self.0
    }
}

impl<I, E: fmt::Display> fmt::Display for AllFailed<I, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("nothing was scattered"),
            [(_, error)] => write!(f, "the only item failed: {error}"),
            [(_, first), ..] => write!(f, "all {} items failed, the first: {first}", self.0.len()),
        }
    }
}

impl<I: fmt::Debug, E: fmt::Debug + fmt::Display> std::error::Error for AllFailed<I, E> {}

/// Of the kind of the first failure.
impl<I, E: fmt::Display> From<AllFailed<I, E>> for Error {
    fn from(failed: AllFailed<I, E>) -> Self {
        let text = failed.to_string();
        let first = failed.0.into_iter().next();
        let kind = first.map_or(ErrorKind::Execute, |(_, error)| Self::from(error).kind());
        Self::new(kind, text)
    }
}

impl<I, T, E> fmt::Debug for Results<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Results").field(&self.0).finish()
    }
}

impl<I, T, E> fmt::Debug for All<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("All").field("gather", &self.gather).finish_non_exhaustive()
    }
}

impl<I, T, E> fmt::Debug for FirstOk<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstOk").field("gather", &self.gather).finish_non_exhaustive()
    }
}

// Items and answers are moved, and never pinned.
impl<I, T, E> Unpin for Results<I, T, E> {}
impl<I, T, E> Unpin for All<I, T, E> {}
impl<I, T, E> Unpin for FirstOk<I, T, E> {}
