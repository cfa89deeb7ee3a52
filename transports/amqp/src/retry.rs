//! The queues beside a queue: where its failed messages wait, where its suspects are tried one by
//! one, and where its dead letters are kept. Their names and times are fixed, so that every process
//! declares them alike.

use std::time::Duration;

/// How long a message waits before it comes back: the rungs of a ladder. A queue with a time to live
/// delays each of its messages alike; one with a time for each message would let a long wait hold
/// up the short ones behind it.
const RUNGS: [(u64, &str); 7] = [
    (100, "100ms"),
    (1_000, "1s"),
    (5_000, "5s"),
    (30_000, "30s"),
    (120_000, "2m"),
    (600_000, "10m"),
    (3_600_000, "1h"),
];

/// One of the [`RUNGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rung(usize);

impl Rung {
    /// The shortest that is not shorter than `after`, and what of `after` is left once it is over,
    /// since an hour is the longest. `None` for no wait at all.
    pub(crate) fn at_least(after: Duration) -> Option<(Self, Duration)> {
        if after.is_zero() {
            return None;
        }
        let last = RUNGS.len() - 1;
        let rung = Self(
            RUNGS.iter().position(|(ms, _)| u128::from(*ms) >= after.as_millis()).unwrap_or(last),
        );
        let rung = if rung.time() < after && rung.0 < last { Self(rung.0 + 1) } else { rung };
        Some((rung, after.saturating_sub(rung.time())))
    }

    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(RUNGS[self.0].0)
    }

    /// The name of the rung of a queue.
    pub(crate) fn of(self, queue: &str) -> String {
        format!("{queue}.retry.{}", RUNGS[self.0].1)
    }
}

/// The queue of the dead letters of a queue.
pub(crate) fn dead(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The queue of those of its messages that were delivered and never settled. Whoever consumes a
/// queue consumes it too, one message at a time: what kills its consumer kills it alone.
pub(crate) fn suspect(queue: &str) -> String {
    format!("{queue}.suspect")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(ms: u64) -> Option<(&'static str, u64)> {
        let (rung, rest) = Rung::at_least(Duration::from_millis(ms))?;
        Some((RUNGS[rung.0].1, u64::try_from(rest.as_millis()).unwrap()))
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked() {
        assert_eq!(rung(0), None);
        for (asked, name) in
            [(1, "100ms"), (100, "100ms"), (101, "1s"), (5_000, "5s"), (5_001, "30s")]
        {
            assert_eq!(rung(asked), Some((name, 0)), "{asked} ms");
        }
        let (rung, _) = Rung::at_least(Duration::from_micros(100_001)).unwrap();
        assert_eq!(rung.time(), Duration::from_secs(1));
    }

    #[test]
    fn what_is_longer_than_an_hour_waits_again() {
        assert_eq!(rung(3_600_000), Some(("1h", 0)));
        assert_eq!(rung(9_000_000), Some(("1h", 5_400_000)));
    }
}
