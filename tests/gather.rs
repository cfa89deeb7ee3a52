//! Scatter and gather: one command for many items, and their results as they come.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bus::prelude::*;
use bus::testing::TestBus;
use bus::{Clock, Running};
use futures_lite::future::block_on;
use futures_lite::{Stream as _, StreamExt as _};
use support::{Door, Log};

/// A door for each item, and what handlers saw.
#[derive(Clone, Default)]
struct Bench {
    doors: Arc<BTreeMap<u32, Door>>,
    log: Log,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Bench {
    fn new(doors: u32) -> Self {
        let doors = (0..doors).map(|number| (number, Door::default())).collect();
        Self { doors: Arc::new(doors), ..Self::default() }
    }

    fn door(&self, number: u32) -> &Door {
        &self.doors[&number]
    }

    fn enter(&self) -> Inside<'_> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        Inside(self)
    }
}

/// That a handler runs.
struct Inside<'a>(&'a Bench);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.log.add("left");
    }
}

mod work {
    use super::*;

    /// Goes through the door of its number; odd numbers fail behind it.
    #[command]
    async fn halve(number: u32, bench: State<Bench>) -> Result<u32, String> {
        let _inside = bench.enter();
        bench.log.add(format!("began {number}"));
        bench.door(number).pass().await;
        bench.log.add(format!("passed {number}"));
        if number.is_multiple_of(2) { Ok(number / 2) } else { Err(format!("{number} is odd")) }
    }

    /// Runs behind the asynchronous handlers that were sent before; a synchronous one would overtake
    /// them.
    #[command]
    async fn queue_up() {}

    /// One after another, on the service's thread.
    #[command]
    fn half(number: u32) -> Result<u32, String> {
        if number.is_multiple_of(2) { Ok(number / 2) } else { Err(format!("{number} is odd")) }
    }

    #[command]
    fn greet(name: &str, times: usize) -> String {
        name.repeat(times)
    }

    #[command]
    fn shout(name: &str) -> String {
        name.to_uppercase()
    }

    #[command]
    fn touch(bench: State<Bench>) {
        bench.log.add("touched");
    }

    #[command]
    fn explode(number: u32) -> u32 {
        assert!(number != 1, "on purpose");
        number
    }

    #[command(timeout = "5s")]
    async fn endless(number: u32, bench: State<Bench>) -> u32 {
        let _inside = bench.enter();
        std::future::pending::<()>().await;
        number
    }

    #[command]
    fn diligent(number: u32, ctx: &Context, bench: State<Bench>) -> Result<u32, String> {
        bench.log.add(format!("began {number}"));
        if number == 0 {
            return Ok(number);
        }
        bench.door(number).pass_blocking();
        bench.log.add(format!("cancelled {}", ctx.cancelled()));
        Err("not here".to_owned())
    }
}

fn start(service: &str, bench: &Bench) -> Running {
    bus::builder().services([service]).state(bench.clone()).build().unwrap()
}

#[track_caller]
fn until(reached: impl Fn() -> bool) {
    let begin = Instant::now();
    while !reached() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::yield_now();
    }
}

/// Returns once everything that was sent has begun, if it can.
fn all_began(bus: &Bus) {
    work::queue_up::on(bus).execute().wait().unwrap();
}

fn began(bench: &Bench) -> usize {
    bench.log.all().iter().filter(|line| line.starts_with("began")).count()
}

#[test]
fn every_item_comes_back_once_with_its_own_result() {
    let bus = start("work", &Bench::default());
    let mut results: Vec<_> = work::half::on(&bus).scatter(0..100).wait().collect();
    results.sort_by_key(|(number, _)| *number);
    assert_eq!(results.len(), 100);
    for (number, (item, result)) in (0..).zip(results) {
        assert_eq!(item, number);
        if number % 2 == 0 {
            assert_eq!(result, Ok(number / 2));
        } else {
            assert_eq!(result, Err(ExecuteError::Handler(format!("{number} is odd"))));
        }
    }
}

#[test]
fn results_come_as_they_are_there() {
    let bench = Bench::new(3);
    let bus = start("work", &bench);
    let mut gather = work::halve::on(&bus).scatter(0..3);
    let come = [2, 0, 1].map(|number| {
        bench.door(number).open();
        block_on(gather.next()).unwrap().0
    });
    assert_eq!(come, [2, 0, 1]);
    assert!(gather.is_empty());
    assert!(block_on(gather.next()).is_none());
}

#[test]
fn all_are_in_the_order_of_the_items() {
    let bench = Bench::new(3);
    let bus = start("work", &bench);
    let mut all = work::halve::on(&bus).scatter([0, 2, 1]).all();
    assert!(block_on(futures_lite::future::poll_once(&mut all)).is_none());
    for number in [1, 2, 0] {
        bench.door(number).open();
        until(|| bench.log.all().contains(&format!("passed {number}")));
    }
    let odd = ExecuteError::Handler("1 is odd".to_owned());
    assert_eq!(block_on(all), [(0, Ok(0)), (2, Ok(1)), (1, Err(odd))]);
}

#[test]
fn the_first_success_cancels_the_rest() {
    let bench = Bench::new(4);
    let bus = start("work", &bench);
    bench.door(1).open(); // it fails, which ends nothing
    bench.door(2).open();
    let first = work::halve::on(&bus).scatter([0, 1, 2, 3]).in_flight(3).first_ok();
    assert_eq!(first.wait(), Ok((2, 1)));
    bus.settle(); // although nobody opens the door of 0
    assert_eq!(bench.running.load(Ordering::SeqCst), 0);
    let log = bench.log.all();
    assert!(!log.contains(&"passed 0".to_owned()), "{log:?}");
}

#[test]
fn after_the_first_success_a_synchronous_handler_sees_the_flag_and_the_next_never_starts() {
    let bench = Bench::new(3);
    let bus = start("work", &bench);
    // 1 stands at its door on the service's thread, and 2 in its mailbox behind it.
    let mut gather = work::diligent::on(&bus).scatter([1, 2]);
    assert!(block_on(futures_lite::future::poll_once(gather.next())).is_none());
    bench.door(1).wait_for_one();
    gather.cancel();
    let cancelled = |result| matches!(result, Err(ExecuteError::Cancelled));
    assert!(gather.all().wait().into_iter().all(|(_, result)| cancelled(result)));
    bench.door(1).open();
    bus.settle();
    assert_eq!(bench.log.all(), ["began 1", "cancelled true"]);
}

#[test]
fn what_was_not_sent_before_the_first_success_is_not() {
    let bench = Bench::new(2);
    let bus = start("work", &bench);
    let first = work::diligent::on(&bus).scatter([0, 1]).in_flight(1).first_ok();
    assert_eq!(block_on(first), Ok((0, 0)));
    bus.settle();
    assert_eq!(bench.log.all(), ["began 0"]);
}

#[test]
fn where_all_fail_each_failure_has_its_item() {
    let bench = Bench::new(4);
    let bus = start("work", &bench);
    let mut first = work::halve::on(&bus).scatter([1, 3]).first_ok();
    for number in [3, 1] {
        assert!(block_on(futures_lite::future::poll_once(&mut first)).is_none());
        bench.door(number).open();
        until(|| bench.log.all().contains(&format!("passed {number}")));
    }
    // In the order of the items, and not in that in which they failed.
    let failed = first.wait().unwrap_err();
    let odd = |number: u32| (number, ExecuteError::Handler(format!("{number} is odd")));
    assert_eq!(failed.failures(), [odd(1), odd(3)]);
    assert_eq!(failed.to_string(), "all 2 items failed, the first: 1 is odd");
    assert_eq!(bus::Error::from(failed).kind(), bus::ErrorKind::Handler);
    let nothing = work::halve::on(&bus).scatter([]).first_ok().wait().unwrap_err();
    assert_eq!(nothing.to_string(), "nothing was scattered");
}

#[test]
fn no_more_than_so_many_are_in_flight() {
    for (limit, items, most) in [(None, 100, 64), (Some(3), 10, 3), (Some(0), 3, 1)] {
        let bench = Bench::new(items);
        let bus = start("work", &bench);
        let gather = work::halve::on(&bus).scatter(0..items);
        let mut all = match limit {
            Some(limit) => gather.in_flight(limit).all(),
            None => gather.all(),
        };
        assert!(block_on(futures_lite::future::poll_once(&mut all)).is_none());
        all_began(&bus);
        assert_eq!(began(&bench), most);
        (0..items).for_each(|number| bench.door(number).open());
        assert_eq!(all.wait().len(), items as usize);
        assert_eq!(bench.most.load(Ordering::SeqCst), most);
    }
}

#[test]
fn who_takes_no_results_holds_the_sending_back() {
    let bench = Bench::new(3);
    let bus = start("work", &bench);
    (0..3).for_each(|number| bench.door(number).open());
    let mut results = work::halve::on(&bus).scatter(0..3).in_flight(1).wait();
    bus.settle();
    assert_eq!(began(&bench), 0);
    for taken in 1..=3 {
        assert!(results.next().is_some());
        bus.settle();
        assert_eq!(began(&bench), taken);
    }
    assert!(results.next().is_none());
}

#[test]
fn dropping_it_lets_run_what_was_sent_and_sends_no_more() {
    let bench = Bench::new(3);
    let bus = start("work", &bench);
    let mut gather = work::halve::on(&bus).scatter(0..3).in_flight(2);
    assert!(block_on(futures_lite::future::poll_once(gather.next())).is_none());
    drop(gather);
    (0..3).for_each(|number| bench.door(number).open());
    bus.settle();
    let mut passed = bench.log.all();
    passed.retain(|line| line.starts_with("passed"));
    passed.sort();
    assert_eq!(passed, ["passed 0", "passed 1"]);
}

#[test]
fn what_is_cancelled_tells_whether_it_was_sent() {
    let bench = Bench::new(3);
    let bus = start("work", &bench);
    let mut gather = work::halve::on(&bus).scatter([0, 1, 2]).in_flight(2);
    bench.door(0).open();
    assert_eq!(block_on(gather.next()), Some((0, Ok(0))));
    assert!(block_on(futures_lite::future::poll_once(gather.next())).is_none());
    gather.cancel();
    let left: Vec<_> = gather.wait().collect();
    assert_eq!(left, [(1, Err(ExecuteError::Cancelled)), (2, Err(ExecuteError::Cancelled))]);
    bus.settle();
    assert_eq!(bench.running.load(Ordering::SeqCst), 0);

    let mut unsent = work::halve::on(&bus).scatter([0]);
    unsent.cancel();
    let (_, result) = unsent.all().wait().remove(0);
    assert_eq!(result, Err(ExecuteError::NotSent));
    assert!(!result.unwrap_err().outcome_unknown());
}

#[test]
fn items_are_the_parameters_and_lent_ones_are_owned() {
    let bench = Bench::default();
    let bus = start("work", &bench);
    let names = ["a", "b"].map(str::to_owned);
    let shouted = work::shout::on(&bus).scatter(names.iter().cloned()).all().wait();
    assert_eq!(
        shouted,
        [("a".to_owned(), Ok("A".to_owned())), ("b".to_owned(), Ok("B".to_owned()))]
    );
    let pairs = vec![("ab".to_owned(), 2), ("c".to_owned(), 3)];
    let greeted = work::greet::on(&bus).scatter(pairs.clone()).all().wait();
    let expected = ["abab", "ccc"].map(|text| Ok(text.to_owned()));
    assert_eq!(greeted, pairs.into_iter().zip(expected).collect::<Vec<_>>());
    let touched = work::touch::on(&bus).scatter([(); 2]).all().wait();
    assert_eq!((touched, bench.log.all().len()), (vec![((), Ok(())); 2], 2));
}

#[test]
fn a_panic_is_the_result_of_its_item_alone() {
    let bus = start("work", &Bench::default());
    let all = work::explode::on(&bus).scatter(0..3).all().wait();
    assert_eq!(all, [(0, Ok(0)), (1, Err(ExecuteError::Panicked)), (2, Ok(2))]);
}

#[test]
fn it_is_awaited_in_any_executor_and_is_a_stream() {
    let bus = start("work", &Bench::default());
    let gather = || work::half::on(&bus).scatter([2, 4]);
    let sum = |results: Vec<(u32, Result<u32, _>)>| -> u32 {
        results
            .into_iter()
            .map(|(_, half): (u32, Result<u32, ExecuteError<String>>)| half.unwrap())
            .sum()
    };
    assert_eq!(sum(smol::block_on(smol::spawn(gather().collect()))), 3);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(sum(runtime.block_on(async { gather().all().await })), 3);
    assert_eq!(gather().size_hint(), (2, Some(2)));
    let (_, half) = std::thread::spawn({
        let first = gather().first_ok();
        move || first.wait()
    })
    .join()
    .unwrap()
    .unwrap();
    assert!(half < 3);
}

#[test]
fn without_a_bus_and_after_its_end_each_item_says_so() {
    let started = work::half::scatter([1, 2]).all().wait();
    let not_started = || Err(ExecuteError::NotStarted);
    assert_eq!(started, [(1, not_started()), (2, not_started())]);
    let bus = start("work", &Bench::default());
    bus.shutdown().unwrap();
    let closed = work::half::on(&bus).scatter([1]).within(Duration::from_secs(1)).all().wait();
    assert_eq!(closed, [(1, Err(ExecuteError::Closed))]);
}

#[test]
fn ten_thousand_at_once_come_back() {
    let bus = start("work", &Bench::default());
    let all = work::explode::on(&bus).scatter(2..10_002).in_flight(10_000).all();
    let answers: Vec<u32> = block_on(all).into_iter().map(|(_, answer)| answer.unwrap()).collect();
    assert!(answers.iter().copied().eq(2..10_002));
}

mod time {
    use super::*;

    fn start(bench: &Bench) -> TestBus {
        let bus = TestBus::builder().services(["work"]).state(bench.clone());
        // Nothing but the test itself opens doors.
        bus.patience(Duration::ZERO).build().unwrap()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn past_its_time_each_item_tells_whether_it_may_have_run() {
        let bench = Bench::new(4);
        let bus = start(&bench);
        let begin = bus.time();
        bench.door(0).open();
        let gather = work::halve::on(&bus).scatter(0..4).in_flight(2).within(secs(3));
        let all = gather.all().wait();
        let [timeout, not_sent] = [ExecuteError::Timeout, ExecuteError::NotSent];
        assert!(timeout.outcome_unknown() && !not_sent.outcome_unknown());
        assert_eq!(
            all,
            [(0, Ok(0)), (1, Err(timeout.clone())), (2, Err(timeout)), (3, Err(not_sent))]
        );
        assert_eq!(bus.time(), begin + secs(3));
        // They are let run.
        (1..3).for_each(|number| bench.door(number).open());
        bus.settle();
        let log = bench.log.all();
        assert!(log.contains(&"passed 2".to_owned()), "{log:?}");
        assert_eq!(bench.running.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn the_shorter_of_two_limits_holds_and_time_moves_no_further() {
        let bench = Bench::new(1);
        let bus = start(&bench);
        for (first, second) in [(2, 9), (9, 2)] {
            let begin = bus.time();
            let gather =
                work::halve::on(&bus).scatter([0]).within(secs(first)).within(secs(second));
            assert_eq!(block_on(gather.all()), [(0, Err(ExecuteError::Timeout))]);
            assert_eq!(bus.time(), begin + secs(2));
        }
    }

    #[test]
    fn a_first_success_that_is_late_is_none_and_cancels() {
        let bench = Bench::new(2);
        let bus = start(&bench);
        let failed = work::halve::on(&bus).scatter([0, 1]).within(secs(1)).first_ok().wait();
        let timeout = || ExecuteError::Timeout;
        assert_eq!(failed.unwrap_err().into_failures(), [(0, timeout()), (1, timeout())]);
        bus.settle(); // although nobody opens a door
        assert_eq!(bench.running.load(Ordering::SeqCst), 0);
        assert_eq!(began(&bench), 2);
    }

    #[test]
    fn an_items_timeout_begins_when_it_is_sent() {
        let bus = start(&Bench::default());
        let begin = bus.time();
        let results = work::endless::on(&bus).scatter(0..3).in_flight(1).wait();
        let mut after = Vec::new();
        for (number, result) in results {
            assert_eq!(result, Err(ExecuteError::Timeout));
            after.push((number, bus.time().duration_since(begin).unwrap()));
        }
        assert_eq!(after, [(0, secs(5)), (1, secs(10)), (2, secs(15))]);
    }

    #[test]
    fn time_does_not_move_while_a_result_is_there() {
        let bench = Bench::new(8);
        let bus = start(&bench);
        let begin = bus.time();
        bench.door(7).open();
        let mut gather = work::halve::on(&bus).scatter(0..8);
        let odd = ExecuteError::Handler("7 is odd".to_owned());
        assert_eq!(block_on(gather.next()), Some((7, Err(odd))));
        assert_eq!(bus.time(), begin);
    }

    #[test]
    fn a_clock_that_is_moved_by_hand_is_waited_for() {
        let (bench, clock) = (Bench::new(1), Clock::manual());
        let bus = bus::builder().services(["work"]).state(bench.clone()).clock(clock.clone());
        let bus = bus.build().unwrap();
        let mut all = work::halve::on(&bus).scatter([0]).within(secs(2)).all();
        assert!(block_on(futures_lite::future::poll_once(&mut all)).is_none());
        clock.advance(secs(1));
        assert!(block_on(futures_lite::future::poll_once(&mut all)).is_none());
        clock.advance(secs(1));
        assert_eq!(all.wait(), [(0, Err(ExecuteError::Timeout))]);
        bench.door(0).open();
    }
}

mod inside {
    use super::*;

    #[command]
    fn sum(numbers: Vec<u32>) -> u32 {
        let halves = leaf::scatter(numbers).wait();
        halves.map(|(_, half)| half.unwrap()).sum()
    }

    #[command]
    async fn sum_later(numbers: Vec<u32>) -> u32 {
        let mut sum = 0;
        let mut gather = leaf::scatter(numbers);
        while let Some((_, half)) = gather.next().await {
            sum += half.unwrap();
        }
        sum
    }

    #[command]
    fn leaf(number: u32) -> u32 {
        number
    }

    #[command]
    fn deep(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        let (_, below) = deep::scatter([left - 1]).all().wait().remove(0);
        below.map(|below| below + 1).map_err(|error| error.to_string())
    }

    #[derive(Default)]
    pub(crate) struct Desk {
        entries: u32,
    }

    #[service]
    impl Desk {
        #[command]
        fn wait_for_reads(&self) -> Vec<Result<u32, String>> {
            results(read::scatter([(); 3]).all().wait())
        }

        #[command]
        fn wait_for_oneself(&mut self) -> Vec<Result<u32, String>> {
            self.entries += 1;
            results(read::scatter([(); 3]).all().wait())
        }

        #[command]
        async fn await_oneself(&mut self) -> Vec<Result<u32, String>> {
            self.entries += 1;
            results(read::scatter([(); 3]).all().await)
        }

        #[command]
        fn read(&self) -> u32 {
            self.entries
        }
    }

    fn results(all: Vec<((), Result<u32, ExecuteError>)>) -> Vec<Result<u32, String>> {
        let text = |result: Result<_, ExecuteError>| result.map_err(|error| error.to_string());
        all.into_iter().map(|((), result)| text(result)).collect()
    }

    #[test]
    fn a_handler_that_gathers_does_not_starve_its_service() {
        let bus = start("inside", &Bench::default());
        let numbers: Vec<u32> = (1..=200).collect();
        assert_eq!(sum::on(&bus).execute(numbers.clone()).wait(), Ok(20_100));
        assert_eq!(sum_later::on(&bus).execute(numbers).wait(), Ok(20_100));
    }

    #[test]
    fn many_handlers_of_one_service_gather_from_it_at_once() {
        let bus = start("inside", &Bench::default());
        let sums = sum::on(&bus).scatter((0..50).map(|_| vec![1, 2, 3])).all().wait();
        assert!(sums.iter().all(|(_, sum)| *sum == Ok(6)), "{sums:?}");
    }

    #[test]
    fn handlers_that_share_a_state_gather_from_each_other() {
        let bus = start("inside", &Bench::default());
        assert_eq!(wait_for_reads::on(&bus).execute().wait().unwrap(), [Ok(0), Ok(0), Ok(0)]);
    }

    #[test]
    fn waiting_for_what_never_starts_is_a_deadlock_of_each_item() {
        let bus = start("inside", &Bench::default());
        for promise in [wait_for_oneself::on(&bus).execute(), await_oneself::on(&bus).execute()] {
            let results = promise.wait().unwrap();
            let cycle = "waiting would never end: inside.desk waits for inside.desk";
            assert_eq!(results, [(); 3].map(|()| Err(cycle.to_owned())));
        }
        assert_eq!(read::on(&bus).execute().wait(), Ok(2));
    }

    #[test]
    fn too_many_waiting_handlers_are_an_error_of_the_item() {
        let bus = start("inside", &Bench::default());
        assert_eq!(deep::on(&bus).execute(100).wait(), Ok(100));
        let error = deep::on(&bus).execute(1_100).wait().unwrap_err();
        assert!(error.to_string().contains("too many handlers wait"), "{error}");
    }
}

mod contracts {
    use super::*;

    #[command("far.triple")]
    pub(crate) fn triple(number: u32) -> u32;

    mod far {
        use super::*;

        #[command(serves = super::triple)]
        fn triple(number: u32) -> u32 {
            3 * number
        }
    }

    #[test]
    fn a_contract_is_scattered_as_well() {
        let bus = bus::builder().services(["contracts"]).build().unwrap();
        assert_eq!(triple::on(&bus).scatter([1, 2]).all().wait(), [(1, Ok(3)), (2, Ok(6))]);
        // A closure stands in, and is reached through the codec.
        let bus =
            TestBus::builder().services(["contracts"]).replace::<triple, _>(|number: u32| number);
        let bus = bus.build().unwrap();
        assert_eq!(triple::on(&bus).scatter([7]).all().wait(), [(7, Ok(7))]);
    }
}
