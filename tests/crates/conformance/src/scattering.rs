//! One command for many items, what reaches those who run it, and what can be told of what waits.

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};
use bus::ExecuteError;

use crate::process::{Process, wait};
use crate::till::{Missing, change, count, seek, toil};

pub(crate) const CASES: &[Case] = cases![
    each_item_comes_back_with_its_own_result,
    the_first_success_stops_the_others_where_they_run,
    a_running_handler_sees_that_its_caller_gave_up,
    what_waits_for_a_worker_can_be_counted,
];

fn each_item_comes_back_with_its_own_result(bench: &Bench) {
    let workers = [Process::start(bench, &["till"]), Process::start(bench, &["till"])];
    let books = Process::start(bench, &["books"]);
    let gather = change::on(&books).scatter([40, 140, 60]);
    let all = wait(bench, move || gather.all().wait());
    let results: Vec<_> =
        all.into_iter().map(|(cents, result)| (cents, result.map(|(rest, _)| rest))).collect();
    let missing = Err(ExecuteError::Handler(Missing { cents: 40 }));
    assert_eq!(results, [(40, Ok(60)), (140, missing), (60, Ok(40))]);
    books.stop();
    workers.into_iter().for_each(Process::stop);
}

fn the_first_success_stops_the_others_where_they_run(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    let gather = seek::on(&books).scatter([1, 7]);
    let found = wait(bench, move || gather.first_ok().wait());
    assert_eq!(found.map_err(|_| "nothing was found"), Ok((7, 7)));
    let told = [shop.next(bench), shop.next(bench)];
    assert_eq!(told, ["seeking 1", "given up 1"]);
    books.stop();
    shop.stop();
}

fn a_running_handler_sees_that_its_caller_gave_up(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    let promise = toil::on(&books).execute();
    assert_eq!(shop.next(bench), "toiling");
    promise.cancel();
    assert_eq!(shop.next(bench), "asked to stop");
    assert_eq!(promise.wait(), Err(ExecuteError::Cancelled));
    books.stop();
    shop.stop();
}

fn what_waits_for_a_worker_can_be_counted(bench: &Bench) {
    let books = Process::start(bench, &["books"]);
    for coins in 1..4 {
        count::on(&books).dispatch(coins).wait().expect("the broker takes it");
    }
    let numbers = |process: &Process| {
        let stats = process.stats();
        let count = stats.handlers.iter().find(|handler| handler.name == "till.count")?;
        Some((count.waiting, count.consumers))
    };
    bench.until("three to wait for nobody", || (numbers(&books) == Some((3, 0))).then_some(()));
    let shop = Process::start(bench, &["till"]);
    bench.until("a worker to take them", || {
        numbers(&books)
            .is_some_and(|(waiting, consumers)| waiting == 0 && consumers > 0)
            .then_some(())
    });
    books.stop();
    shop.stop();
}
