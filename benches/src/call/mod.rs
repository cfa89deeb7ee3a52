//! W4: commands.

#[cfg(feature = "peers")]
mod actix;
mod channels;
mod floor;
#[cfg(feature = "peers")]
mod kameo;
#[cfg(feature = "peers")]
mod mediators;
mod ours;
#[cfg(feature = "peers")]
mod ractor;
#[cfg(feature = "peers")]
mod tokio;

use std::hint::black_box;

use crate::measure::{Candidate, Workload};
use crate::order::{Order, Tally};

/// How many calls of W4b are in flight.
const FLIGHT: u64 = 1_000;

/// How many messages a bounded peer holds.
const BOUND: usize = 1_024;

/// W4a to W4d.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        workload("W4a", "command, waited for one by one", 1.1, sequential()),
        workload("W4b", "command, 1,000 in flight", 1.0, in_flight()),
        workload("W4c", "inline command", 2.0, inline()),
        #[cfg(feature = "peers")]
        workload("W4d", "command, awaited by a tokio task", 1.0, awaited()),
    ]
}

fn workload(
    name: &'static str,
    about: &'static str,
    target: f64,
    peers: Vec<Candidate>,
) -> Workload {
    let expected = Box::new(|first, n| Tally::of(first, n, 1));
    Workload { name, about, target, expected, peers }
}

fn sequential() -> Vec<Candidate> {
    vec![
        Candidate::new("crossbeam + oneshot", channels::sequential),
        Candidate::new("autobus", ours::sequential),
        #[cfg(feature = "peers")]
        Candidate::new("tokio mpsc + oneshot", tokio::sequential),
        #[cfg(feature = "peers")]
        Candidate::new("kameo", kameo::sequential),
        #[cfg(feature = "peers")]
        Candidate::new("actix", actix::sequential),
        #[cfg(feature = "peers")]
        Candidate::new("ractor", ractor::sequential),
    ]
}

fn in_flight() -> Vec<Candidate> {
    vec![
        Candidate::new("crossbeam + oneshot", channels::in_flight),
        Candidate::new("autobus", ours::in_flight),
        Candidate::new("floor of the promises", floor::in_flight),
        #[cfg(feature = "peers")]
        Candidate::new("tokio mpsc + oneshot", tokio::in_flight),
        #[cfg(feature = "peers")]
        Candidate::new("kameo", kameo::in_flight),
        #[cfg(feature = "peers")]
        Candidate::new("actix", actix::in_flight),
        #[cfg(feature = "peers")]
        Candidate::new("ractor", ractor::in_flight),
    ]
}

fn inline() -> Vec<Candidate> {
    vec![
        Candidate::new("direct call", direct),
        Candidate::new("autobus", ours::inline),
        #[cfg(feature = "peers")]
        Candidate::new("mediator", mediators::mediator),
        #[cfg(feature = "peers")]
        Candidate::new("hexeract-mediator", mediators::hexeract),
    ]
}

#[cfg(feature = "peers")]
fn awaited() -> Vec<Candidate> {
    vec![
        Candidate::new("tokio mpsc + oneshot, across threads", tokio::across),
        Candidate::new("autobus", ours::awaited),
        Candidate::new("floor of the promises", floor::awaited),
        Candidate::new("kameo, across threads", kameo::across),
        Candidate::new("ractor, across threads", ractor::across),
        Candidate::new("tokio mpsc + oneshot, among tasks", tokio::awaited),
        Candidate::new("kameo, among tasks", kameo::awaited),
        Candidate::new("ractor, among tasks", ractor::awaited),
    ]
}

/// What every handler does.
#[inline(never)]
fn price(order: Order) -> u64 {
    let weight = order.weight();
    drop(order);
    weight
}

fn direct() -> impl FnMut(u64, u64) -> Tally {
    |first, n| answers(first, n, |order| price(black_box(order)))
}

/// Calls with each of `n` orders, one after another.
fn answers(first: u64, n: u64, mut call: impl FnMut(Order) -> u64) -> Tally {
    let mut tally = Tally::default();
    for id in first..first + n {
        tally = tally.and(Tally { count: 1, sum: call(Order::new(id)) });
    }
    tally
}

/// Calls with each of `n` orders, [`FLIGHT`] at a time, before the first answer is waited for.
fn flights<A>(
    first: u64,
    n: u64,
    mut call: impl FnMut(Order) -> A,
    mut wait: impl FnMut(A) -> u64,
) -> Tally {
    let mut tally = Tally::default();
    let mut calls = Vec::new();
    let mut next = first;
    while next < first + n {
        let end = (next + FLIGHT).min(first + n);
        calls.extend((next..end).map(|id| call(Order::new(id))));
        for answer in calls.drain(..) {
            tally = tally.and(Tally { count: 1, sum: wait(answer) });
        }
        next = end;
    }
    tally
}

/// As [`answers`], awaited.
#[cfg(feature = "peers")]
async fn answers_async<F: Future<Output = u64>>(
    first: u64,
    n: u64,
    mut call: impl FnMut(Order) -> F,
) -> Tally {
    let mut tally = Tally::default();
    for id in first..first + n {
        tally = tally.and(Tally { count: 1, sum: call(Order::new(id)).await });
    }
    tally
}

/// As [`flights`], awaited: `send` is done before the next one begins, and what it gives is awaited
/// for the answer.
#[cfg(feature = "peers")]
async fn flights_async<S, A>(first: u64, n: u64, mut send: impl FnMut(Order) -> S) -> Tally
where
    S: Future<Output = A>,
    A: Future<Output = u64>,
{
    let mut tally = Tally::default();
    let mut calls = Vec::new();
    let mut next = first;
    while next < first + n {
        let end = (next + FLIGHT).min(first + n);
        for id in next..end {
            calls.push(send(Order::new(id)).await);
        }
        for answer in calls.drain(..) {
            tally = tally.and(Tally { count: 1, sum: answer.await });
        }
        next = end;
    }
    tally
}
