//! How a process starts and ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};
use bus::{ErrorKind, ExecuteError};

use crate::process::{Process, wait};
use crate::till::{Paid, Stored, change, ring};

pub(crate) const CASES: &[Case] = cases![
    a_shutdown_hands_back_what_has_not_started,
    a_shutdown_waits_for_what_was_fired,
    after_shutdown_events_are_given_back,
    a_process_is_ready_once_it_has_started,
    every_call_is_answered_while_one_of_two_who_serve_it_ends,
];

fn a_shutdown_hands_back_what_has_not_started(bench: &Bench) {
    const EVENTS: u64 = 20;
    let shop = Process::start(bench, &["till"]);
    let mut first = Process::start(bench, &["store"]);
    for id in 0..EVENTS {
        shop.fire(Stored { id }).wait().expect("the broker takes it");
    }
    let mut done = vec![first.next(bench)];
    let second = std::thread::scope(|scope| {
        // It holds all of them, and has started the first, which waits at the gate.
        let stopping = first.clone();
        let stopped = scope.spawn(move || stopping.shutdown());
        let mut second = Process::start(bench, &["store"]);
        second.open_gate();
        bench.until("the first to take no more", || {
            first.fire(Stored { id: 99 }).wait().is_err().then_some(())
        });
        first.open_gate();
        stopped.join().expect("it does not panic").expect("it ends in time");
        second
    });
    done.extend(first.rest());
    assert_eq!(done, ["0"], "it started more than the one that it had started");
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    bench.until("the rest", || {
        seen.extend(second.rest().iter().filter_map(|id| id.parse::<u64>().ok()));
        (seen.iter().filter(|id| **id != 99).count() as u64 == EVENTS - 1).then_some(())
    });
    assert!(!seen.contains(&0), "what was handled came again");
    second.stop();
    shop.stop();
}

fn a_shutdown_waits_for_what_was_fired(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    for id in 100..300 {
        // Nobody waits for them.
        drop(shop.fire(Paid { id }));
    }
    shop.stop();
    let books = Process::start(bench, &["books"]);
    for id in 100..300 {
        let told = books.next(bench);
        assert!(told.starts_with(&format!("paid {id} ")), "{told}");
    }
    books.stop();
}

fn after_shutdown_events_are_given_back(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    shop.shutdown().expect("it ends");
    let error = shop.fire(Paid { id: 5 }).wait().map(drop).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.into_event::<Paid>().map(|paid| paid.id).ok(), Some(5));
    let answer = change::on(&shop).execute(1).wait();
    assert!(matches!(answer, Err(ExecuteError::Closed)), "{answer:?}");
}

fn a_process_is_ready_once_it_has_started(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let health = shop.health();
    assert!(health.ready, "{health:?}");
    shop.shutdown().expect("it ends");
    assert!(!shop.health().ready);
}

fn every_call_is_answered_while_one_of_two_who_serve_it_ends(bench: &Bench) {
    /// How many are under way at a time.
    const CALLS: usize = 16;
    let caller = Process::start(bench, &["books"]);
    let stays = Process::start(bench, &["till"]);
    let done = Arc::new(AtomicBool::new(false));
    let serve = |process: &Process| {
        let served = process.register_command("double", |number: usize| 2 * number);
        served.expect("this process has none of that name")
    };
    let kept = serve(&stays);
    let calling = {
        let (bus, done) = (caller.clone(), done.clone());
        move || {
            let mut failures = Vec::new();
            while !done.load(Ordering::Acquire) {
                let rings: Vec<_> = (0..CALLS).map(|_| ring::on(&bus).execute()).collect();
                let double = |number| bus.execute_command::<_, usize>("double", (number,));
                let doubled: Vec<_> = (0..CALLS).map(double).collect();
                for (number, (ring, double)) in rings.into_iter().zip(doubled).enumerate() {
                    failures.extend(ring.wait().err().map(|error| error.to_string()));
                    match double.wait() {
                        Ok(answer) => assert_eq!(answer, 2 * number),
                        Err(error) => failures.push(error.to_string()),
                    }
                }
            }
            failures
        }
    };
    let calling = std::thread::spawn(calling);
    for _ in 0..5 {
        let leaves = Process::start(bench, &["till"]);
        serve(&leaves).keep();
        // It takes its part of them.
        assert_eq!(leaves.next(bench), "ring");
        leaves.stop();
    }
    done.store(true, Ordering::Release);
    let failures = wait(bench, move || calling.join().expect("the answers are right"));
    assert_eq!(failures, [""; 0]);
    drop(kept);
    caller.stop();
    stays.stop();
}
