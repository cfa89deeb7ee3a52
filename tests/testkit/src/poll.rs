//! Waiting for a state of a foreign server, which tells nobody when it changes.
//!
//! Asking again and again is the exception in these tests, for what cannot be awaited: a server that
//! gets ready, or a queue that fills.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, OrPanic as _};

/// How long to wait between two questions: a loopback round trip takes far less, a start far more.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long [`poll_until`], and everything else that waits by itself, waits at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks every 20 ms, for at most 30 s, until the answer is `Some`.
///
/// # Panics
///
/// If there was none in time; `what` names what was awaited.
#[track_caller]
pub fn poll_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    try_poll_until(what, PATIENCE, || Ok(ask())).or_panic()
}

/// Asks every 20 ms until the answer is `Some`, or an error.
///
/// # Errors
///
/// That of `ask`; `TimedOut` if there was no answer in time; `what` names what was awaited.
pub fn try_poll_until<T>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        if let Some(value) = ask()? {
            return Ok(value);
        }
        if start.elapsed() >= patience {
            let message = format!("{what}: not within {:.0} s", patience.as_secs_f64());
            return Err(Error::new(ErrorKind::TimedOut, message));
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = poll_until("three", || {
            asked += 1;
            (asked == 3).then_some("yes")
        });
        assert_eq!((answer, asked), ("yes", 3));
    }

    #[test]
    fn what_never_comes_is_named() {
        let error = try_poll_until("the moon", Duration::ZERO, || Ok(None::<()>)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the moon: not within 0 s");
    }
}
