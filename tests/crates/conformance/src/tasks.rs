//! Commands that nobody waits for.

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};

use crate::process::Process;
use crate::till::count;

pub(crate) const CASES: &[Case] = cases![
    a_task_waits_for_a_worker,
    a_task_is_tried_again_and_kept,
    each_task_is_run_by_one_worker,
];

fn a_task_waits_for_a_worker(bench: &Bench) {
    let books = Process::start(bench, &["books"]);
    count::on(&books).dispatch(7).wait().expect("the broker takes it");
    books.stop();
    let shop = Process::start(bench, &["till"]);
    assert_eq!(shop.next(bench), "count 7");
    shop.stop();
}

fn a_task_is_tried_again_and_kept(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    count::on(&books).dispatch(13).wait().expect("the broker takes it");
    assert_eq!([shop.next(bench), shop.next(bench)], ["count 13", "count 13"]);
    let dead = bench
        .until("a dead letter", || shop.dead_letters().list().expect("the broker tells").pop());
    assert_eq!((dead.listener(), dead.payload(), dead.attempts()), ("till.count", "[13]", 2));
    shop.dead_letters().replay(dead.id()).expect("it is there");
    assert_eq!([shop.next(bench), shop.next(bench)], ["count 13", "count 13"]);
    books.stop();
    shop.stop();
}

fn each_task_is_run_by_one_worker(bench: &Bench) {
    const TASKS: usize = 40;
    let workers = [Process::start(bench, &["till"]), Process::start(bench, &["till"])];
    let books = Process::start(bench, &["books"]);
    for coins in 100..100 + TASKS {
        count::on(&books).dispatch(coins as u64).wait().expect("the broker takes it");
    }
    let mut told = Vec::new();
    bench.until("all of them", || {
        told.extend(workers.iter().flat_map(Process::rest));
        (told.len() >= TASKS).then_some(())
    });
    told.sort();
    let expected: Vec<String> = (100..100 + TASKS).map(|coins| format!("count {coins}")).collect();
    assert_eq!(told, expected);
    books.stop();
    workers.into_iter().for_each(Process::stop);
}
