//! Running a workload on its peers: interleaved, repetition by repetition, each one checked.

mod stats;

use std::time::{Duration, Instant};

pub(crate) use self::stats::{Summary, ratio};
use crate::order::Tally;

/// What is measured: the same work, done by several.
pub(crate) struct Workload {
    /// Its name on the command line, as the issue names it.
    pub(crate) name: &'static str,
    /// What one operation is.
    pub(crate) about: &'static str,
    /// What our ratio to the baseline should be at most.
    pub(crate) target: f64,
    /// What the peers must have handled of `n` orders from number `first` on.
    pub(crate) expected: Box<dyn Fn(u64, u64) -> Tally>,
    /// The one that all are compared with is first.
    pub(crate) peers: Vec<Candidate>,
}

/// One who can do a workload.
pub(crate) struct Candidate {
    /// Its name on the command line and in the table.
    pub(crate) name: &'static str,
    /// Makes it ready to run.
    pub(crate) make: Box<dyn Fn() -> Run>,
}

/// Does `n` operations with the orders from number `first` on, and tells what was handled.
pub(crate) type Run = Box<dyn FnMut(u64, u64) -> Tally>;

impl Candidate {
    /// A candidate of this name.
    pub(crate) fn new<R>(name: &'static str, make: impl Fn() -> R + 'static) -> Self
    where
        R: FnMut(u64, u64) -> Tally + 'static,
    {
        Self { name, make: Box::new(move || Box::new(make())) }
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workload").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How long one repetition of one peer takes, about.
    pub(crate) time: Duration,
    /// How many repetitions there are.
    pub(crate) repetitions: usize,
}

/// What one peer took for one workload, in nanoseconds an operation.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    /// Who.
    pub(crate) peer: &'static str,
    /// Each repetition.
    pub(crate) nanoseconds: Vec<f64>,
}

/// A peer that did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Of which workload.
    pub(crate) workload: &'static str,
    /// Who.
    pub(crate) peer: &'static str,
    /// What it should have handled.
    pub(crate) expected: Tally,
    /// What it handled.
    pub(crate) found: Tally,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { workload, peer, expected, found } = self;
        write!(
            f,
            "`{peer}` handled {} orders of sum {} in {workload}; expected {} of sum {}",
            found.count, found.sum, expected.count, expected.sum
        )
    }
}

/// Measures every peer for which `wanted` holds, and the baseline.
///
/// # Errors
///
/// The first peer that lost or doubled something.
pub(crate) fn run(
    workload: &Workload,
    effort: Effort,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Timing>, Lost> {
    let mut first = 0;
    let chosen = workload.peers.iter().enumerate().filter(|(i, peer)| *i == 0 || wanted(peer.name));
    let mut running = Vec::new();
    for (_, candidate) in chosen {
        let mut run = (candidate.make)();
        let n = calibrate(workload, candidate.name, &mut run, effort.time, &mut first)?;
        let timing = Timing { peer: candidate.name, nanoseconds: Vec::new() };
        running.push((run, n, timing));
    }
    let len = running.len();
    for repetition in 0..effort.repetitions {
        for index in 0..len {
            // Nobody always comes after the same one.
            let (run, n, timing) = &mut running[(index + repetition) % len];
            let time = once(workload, timing.peer, run, first, *n)?;
            timing.nanoseconds.push(nanoseconds_each(time, *n));
            first += *n;
        }
    }
    Ok(running.into_iter().map(|(_, _, timing)| timing).collect())
}

/// How many operations take about `time`; warms up on the way.
fn calibrate(
    workload: &Workload,
    peer: &'static str,
    run: &mut Run,
    time: Duration,
    first: &mut u64,
) -> Result<u64, Lost> {
    let mut n = 16;
    loop {
        let took = once(workload, peer, run, *first, n)?;
        *first += n;
        if took >= time / 3 {
            let each = nanoseconds_each(took, n);
            return Ok(whole(nanoseconds(time) / each).max(1));
        }
        n *= 2;
    }
}

fn once(
    workload: &Workload,
    peer: &'static str,
    run: &mut Run,
    first: u64,
    n: u64,
) -> Result<Duration, Lost> {
    let start = Instant::now();
    let found = run(first, n);
    let took = start.elapsed();
    let expected = (workload.expected)(first, n);
    if found == expected {
        return Ok(took);
    }
    Err(Lost { workload: workload.name, peer, expected, found })
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52 operations")]
fn nanoseconds_each(time: Duration, n: u64) -> f64 {
    nanoseconds(time) / n as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive count far below 2^63"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Order, Sink};

    const EFFORT: Effort = Effort { time: Duration::from_micros(50), repetitions: 3 };

    fn direct() -> impl FnMut(u64, u64) -> Tally {
        let sink = Sink::new();
        move |first, n| {
            (first..first + n).for_each(|id| sink.add(&Order::new(id)));
            sink.take()
        }
    }

    /// Loses an order now and then.
    fn forgetful() -> impl FnMut(u64, u64) -> Tally {
        let sink = Sink::new();
        move |first, n| {
            (first..first + n).filter(|id| id % 13 != 12).for_each(|id| sink.add(&Order::new(id)));
            sink.take()
        }
    }

    fn workload(peers: Vec<Candidate>) -> Workload {
        let expected = Box::new(|first, n| Tally::of(first, n, 1));
        Workload { name: "T", about: "a test", target: 1.0, expected, peers }
    }

    #[test]
    fn every_peer_is_measured_in_every_repetition() {
        let peers = vec![Candidate::new("one", direct), Candidate::new("two", direct)];
        let timings = run(&workload(peers), EFFORT, |_| true).unwrap();
        let counts: Vec<_> = timings.iter().map(|t| (t.peer, t.nanoseconds.len())).collect();
        assert_eq!(counts, [("one", 3), ("two", 3)]);
        assert!(timings.iter().flat_map(|t| &t.nanoseconds).all(|time| *time > 0.0));
    }

    #[test]
    fn a_peer_that_loses_an_order_fails_the_run() {
        let peers = vec![Candidate::new("right", direct), Candidate::new("forgetful", forgetful)];
        let lost = run(&workload(peers), EFFORT, |_| true).unwrap_err();
        assert_eq!((lost.workload, lost.peer), ("T", "forgetful"));
        assert_eq!(lost.found.count + 1, lost.expected.count);
    }

    #[test]
    fn the_baseline_runs_also_where_another_peer_is_asked_for() {
        let peers = ["base", "ours", "other"].map(|name| Candidate::new(name, direct));
        let timings = run(&workload(peers.into()), EFFORT, |name| name == "ours").unwrap();
        assert_eq!(timings.iter().map(|t| t.peer).collect::<Vec<_>>(), ["base", "ours"]);
    }
}
