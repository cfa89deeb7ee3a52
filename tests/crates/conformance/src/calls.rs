//! Commands that another process serves.

use std::time::Duration;

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};
use bus::ExecuteError;

use crate::process::{Process, wait};
use crate::till::{Missing, change, dawdle, explode, open, whisper};

pub(crate) const CASES: &[Case] = cases![
    an_answer_and_a_typed_error_arrive_as_themselves,
    an_error_without_serde_arrives_as_its_text,
    a_panic_arrives_without_its_text,
    arguments_that_do_not_decode_are_told,
    a_command_that_nobody_serves_is_not_found,
    a_local_command_is_not_served_to_others,
    a_call_ends_by_its_timeout,
    a_call_whose_process_ends_has_an_answer,
    a_closure_serves_other_processes,
];

fn an_answer_and_a_typed_error_arrive_as_themselves(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    for process in [&shop, &books] {
        let answer = change::on(process).execute(40).wait();
        assert_eq!(answer.map(|(rest, _)| rest), Ok(60));
        let answer = change::on(process).execute(140).wait();
        assert_eq!(answer, Err(ExecuteError::Handler(Missing { cents: 40 })));
    }
    let by_name = books.execute_command::<_, (u64, String)>("till.change", (140,)).wait();
    match by_name {
        Err(ExecuteError::Handler(failure)) => {
            assert_eq!(failure.decode(), Some(Missing { cents: 40 }));
        }
        other => panic!("{other:?}"),
    }
    books.stop();
    shop.stop();
}

fn an_error_without_serde_arrives_as_its_text(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    match open::on(&books).execute().wait() {
        Err(ExecuteError::Remote(text)) => assert_eq!(text, "the till is locked"),
        other => panic!("{other:?}"),
    }
    let here = open::on(&shop).execute().wait();
    assert!(matches!(here, Err(ExecuteError::Handler(_))), "{here:?}");
    books.stop();
    shop.stop();
}

fn a_panic_arrives_without_its_text(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    match explode::on(&books).execute().wait() {
        Err(error @ ExecuteError::Panicked) => assert!(!error.to_string().contains("secret")),
        other => panic!("{other:?}"),
    }
    books.stop();
    shop.stop();
}

fn arguments_that_do_not_decode_are_told(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    let answer = books.execute_command::<_, (u64, String)>("till.change", ("x",)).wait();
    assert!(matches!(answer, Err(ExecuteError::Codec(_))), "{answer:?}");
    books.stop();
    shop.stop();
}

fn a_command_that_nobody_serves_is_not_found(bench: &Bench) {
    let books = Process::start(bench, &["books"]);
    let answer = change::on(&books).execute(40).wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    let answer = books.execute_command::<_, u64>("nobody.serves_this", ()).wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    books.stop();
}

fn a_local_command_is_not_served_to_others(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    assert_eq!(whisper::on(&shop).execute().wait(), Ok(1));
    let answer = whisper::on(&books).execute().wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    let answer = books.execute_command::<_, u64>("till.whisper", ()).wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    books.stop();
    shop.stop();
}

fn a_call_ends_by_its_timeout(bench: &Bench) {
    let (mut shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    let call = dawdle::on(&books).execute().timeout(Duration::from_millis(300));
    assert_eq!(shop.next(bench), "dawdling");
    let answer = wait(bench, move || call.wait());
    assert!(matches!(answer, Err(ExecuteError::Timeout)), "{answer:?}");
    shop.open_gate();
    assert_eq!(change::on(&books).execute(40).wait().map(|(rest, _)| rest), Ok(60));
    books.stop();
    shop.stop();
}

fn a_call_whose_process_ends_has_an_answer(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    let call = dawdle::on(&books).execute();
    assert_eq!(shop.next(bench), "dawdling");
    // Accepted work is finished.
    shop.stop();
    assert_eq!(wait(bench, move || call.wait()), Ok(1));
    books.stop();
}

fn a_closure_serves_other_processes(bench: &Bench) {
    let (shop, books) = (Process::start(bench, &["till"]), Process::start(bench, &["books"]));
    let guard = shop.register_command("sum", |a: u64, b: u64| a + b).expect("nobody else does");
    assert_eq!(books.execute_command::<_, u64>("sum", (1, 2)).wait(), Ok(3));
    drop(guard);
    bench.until("nobody to serve it", || {
        let gone = books.execute_command::<_, u64>("sum", (1, 2)).wait();
        matches!(gone, Err(ExecuteError::NotFound(_))).then_some(())
    });
    books.stop();
    shop.stop();
}
