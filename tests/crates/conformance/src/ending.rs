//! How a process starts and ends.

use std::collections::BTreeSet;

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};
use bus::{ErrorKind, ExecuteError};

use crate::process::Process;
use crate::till::{Paid, Stored, change};

pub(crate) const CASES: &[Case] = cases![
    a_shutdown_hands_back_what_has_not_started,
    a_shutdown_waits_for_what_was_fired,
    after_shutdown_events_are_given_back,
    a_process_is_ready_once_it_has_started,
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
