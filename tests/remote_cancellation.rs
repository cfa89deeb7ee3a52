//! Cancelling, scattering and gathering between buses over one broker, each like a process of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bus::prelude::*;
use bus::{Builder, Running};
use futures_lite::future::{block_on, poll_once};
use support::{Door, Log};

/// What the handlers of one process see.
#[derive(Clone, Default)]
struct Bench {
    door: Door,
    log: Log,
}

/// A local of a handler: tells when it is dropped.
struct Local(State<Bench>);

impl Drop for Local {
    fn drop(&mut self) {
        self.0.log.add("dropped");
    }
}

mod work {
    use super::*;

    #[command]
    fn toil(number: u32, ctx: &Context, bench: State<Bench>) -> Result<u32, String> {
        bench.log.add(format!("began {number}"));
        bench.door.pass_blocking();
        if number == 7 {
            return Ok(number);
        }
        while !ctx.cancelled() {
            std::thread::yield_now();
        }
        bench.log.add(format!("stopped {number}"));
        Err("stopped".to_owned())
    }

    #[command(service = "work.beside")]
    async fn wait(number: u32, bench: State<Bench>) -> u32 {
        let _local = Local(bench.clone());
        bench.door.pass().await;
        number
    }

    #[command]
    fn half(number: u32) -> Result<u32, String> {
        if number.is_multiple_of(2) { Ok(number / 2) } else { Err(format!("{number} is odd")) }
    }
}

/// A broker of its own for each test.
fn broker() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("memory:cancel-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn process(broker: &str, service: &str, bench: &Bench) -> Running {
    let builder = Builder::new().transport(broker).services([service]);
    builder.state(bench.clone()).build().unwrap()
}

mod front {
    /// The service of those who only call.
    #[bus::command]
    fn nothing() {}
}

fn front(broker: &str) -> Running {
    process(broker, "front", &Bench::default())
}

#[track_caller]
fn until(reached: impl Fn() -> bool) {
    let begin = Instant::now();
    while !reached() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn a_cancelled_call_is_stopped_in_the_process_that_runs_it() {
    let (broker, bench) = (broker(), Bench::default());
    let (worker, front) = (process(&broker, "work", &bench), front(&broker));
    let toil = work::toil::on(&front).execute(1);
    bench.door.wait_for_one();
    bench.door.let_one();
    toil.cancel();
    assert_eq!(toil.wait(), Err(ExecuteError::Cancelled));
    until(|| bench.log.all() == ["began 1", "stopped 1"]);

    let waits = work::wait::on(&front).execute(1);
    bench.door.wait_for_one();
    waits.cancel();
    assert_eq!(waits.wait(), Err(ExecuteError::Cancelled));
    // Nobody opens the door.
    until(|| bench.log.all().last().unwrap() == "dropped");
    worker.shutdown().unwrap();
}

#[test]
fn a_cancelled_call_stops_no_other_and_one_that_is_behind_it_never_starts() {
    let (broker, bench) = (broker(), Bench::default());
    let (_worker, front) = (process(&broker, "work", &bench), front(&broker));
    let first = work::toil::on(&front).execute(7);
    bench.door.wait_for_one();
    let (second, third) = (work::toil::on(&front).execute(2), work::toil::on(&front).execute(7));
    let beside = work::wait::on(&front).execute(1);
    bench.door.wait_for_one();
    second.cancel();
    beside.cancel();
    // One is heard of after the other.
    until(|| bench.log.all().last().unwrap() == "dropped");
    bench.door.open();
    assert_eq!((first.wait(), third.wait()), (Ok(7), Ok(7)));
    let began: Vec<_> =
        bench.log.all().into_iter().filter(|line| line.starts_with("began")).collect();
    assert_eq!(began, ["began 7", "began 7"]);
}

#[test]
fn the_first_success_stops_the_rest_in_every_process() {
    let broker = broker();
    let benches: [Bench; 3] = Default::default();
    let _workers = benches.clone().map(|bench| process(&broker, "work", &bench));
    let front = front(&broker);
    let mut first = work::toil::on(&front).scatter([1, 7, 2]).first_ok();
    assert!(block_on(poll_once(&mut first)).is_none());
    for bench in &benches {
        bench.door.wait_for_one();
    }
    for bench in &benches {
        bench.door.open();
    }
    assert_eq!(first.wait(), Ok((7, 7)));
    let stopped = || {
        let logs = benches.iter().flat_map(|bench| bench.log.all());
        logs.filter(|line| line.starts_with("stopped")).count()
    };
    until(|| stopped() == 2);
}

#[test]
fn results_come_back_from_other_processes_with_their_items() {
    let broker = broker();
    let _workers = [0; 2].map(|_| process(&broker, "work", &Bench::default()));
    let front = front(&broker);
    let mut results: HashMap<u32, Result<u32, ExecuteError<String>>> =
        work::half::on(&front).scatter(0..200).in_flight(16).wait().collect();
    for number in (0..200).step_by(2) {
        assert_eq!(results.remove(&number), Some(Ok(number / 2)));
        let odd = ExecuteError::Handler(format!("{} is odd", number + 1));
        assert_eq!(results.remove(&(number + 1)), Some(Err(odd)));
    }
    assert!(results.is_empty());
    let ((), nobody) = crate::nobody::on(&front).scatter([()]).all().wait().remove(0);
    assert!(matches!(nobody, Err(ExecuteError::NotFound(_))), "{nobody:?}");
}

#[command("far.nobody")]
fn nobody();

#[test]
fn an_answer_that_is_there_is_not_cancelled() {
    let (broker, bench) = (broker(), Bench::default());
    let (_worker, front) = (process(&broker, "work", &bench), front(&broker));
    let half = work::half::on(&front).execute(4);
    until(|| half.is_done());
    half.cancel();
    assert_eq!(half.wait(), Ok(2));
}
