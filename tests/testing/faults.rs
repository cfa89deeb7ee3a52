//! Faults to order.

use bus::Reason;

use super::*;

#[event(exchange = "faults", key = "page")]
pub(crate) struct Page {
    pub(crate) number: u32,
}

#[listener("page", queue = "printer", retry = 2, backoff = "10s")]
fn print(page: &Page, ctx: &Context, log: State<Log>) {
    log.add(format!("{} {} {}", page.number, ctx.attempt(), ctx.idempotency_key()));
}

#[listener("page", retry = 0)]
async fn scan(page: Page, log: State<Log>) {
    log.add(format!("scan {}", page.number));
}

#[listener("page", inline, retry = 1, backoff = "10s")]
fn peek(page: &Page, log: State<Log>) {
    log.add(format!("peek {}", page.number));
}

#[command]
fn copy(number: u32, log: State<Log>) -> u32 {
    log.add(format!("copy {number}"));
    number
}

#[command]
async fn copy_later(number: u32) -> u32 {
    number
}

#[command(inline)]
fn copy_here(number: u32) -> u32 {
    number
}

/// What `print` saw, without the keys.
fn printed(log: &Log) -> Vec<String> {
    let all = log.all().into_iter();
    let printed = all.filter(|entry| entry.starts_with(|c: char| c.is_ascii_digit()));
    printed.filter_map(|entry| Some(entry.rsplit_once(' ')?.0.to_owned())).collect()
}

#[test]
fn a_delivery_fails_so_often_and_is_retried_as_ever() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("printer").unwrap().fail(2, "no ink");
    let start = bus.time();
    bus.fire(Page { number: 1 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!(bus.time(), start + secs(20));
    assert_eq!(printed(&log), ["1 3"]);

    bus.inject("printer").unwrap().fail(3, "no paper");
    let outcomes = bus.fire(Page { number: 2 }).handled().wait().unwrap();
    let printer = outcomes.get("printer").unwrap();
    assert_eq!(printer.attempts(), Some(3));
    assert_eq!(printer.failure().unwrap().message(), "no paper");
    assert_eq!(printer.failure().unwrap().reason(), Reason::Error);
    assert!(outcomes.get("scan").unwrap().is_ok());
    let dead = bus.dead_letters().list().unwrap();
    assert_eq!((dead.len(), dead[0].listener()), (1, "printer"));
    // The faults are used up.
    bus.dead_letters().replay_all().unwrap();
    bus.settle();
    assert_eq!(printed(&log), ["1 3", "2 1"]);
}

#[test]
fn a_call_fails_with_the_text_and_does_not_run() {
    let Bench { bus, log, .. } = bench("faults");
    for command in ["copy", "copy_later", "copy_here"] {
        bus.inject(command).unwrap().fail(1, "no toner");
    }
    assert_eq!(copy::on(&bus).execute(1).wait(), Err(ExecuteError::Remote("no toner".into())));
    assert_eq!(
        copy_later::on(&bus).execute(1).wait(),
        Err(ExecuteError::Remote("no toner".into()))
    );
    assert_eq!(copy_here::on(&bus).execute(1).wait(), Err(ExecuteError::Remote("no toner".into())));
    assert!(log.all().is_empty());
    assert_eq!(copy::on(&bus).execute(2).wait(), Ok(2));
    assert_eq!(copy_later::on(&bus).execute(2).wait(), Ok(2));
    assert_eq!(copy_here::on(&bus).execute(2).wait(), Ok(2));
}

#[test]
fn what_is_delayed_comes_at_its_time_and_holds_nobody_up() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("printer").unwrap().delay(1, secs(30));
    bus.fire(Page { number: 1 });
    bus.fire(Page { number: 2 });
    bus.settle();
    assert_eq!(printed(&log), ["2 1"]);
    bus.advance(just_under(30));
    assert_eq!(printed(&log), ["2 1"]);
    bus.advance(NANOSECOND);
    assert_eq!(printed(&log), ["2 1", "1 1"]);

    for (command, limit) in [("copy", 29), ("copy_later", 31), ("copy_here", 31)] {
        bus.inject(command).unwrap().delay(1, secs(limit));
    }
    let start = bus.time();
    assert_eq!(copy::on(&bus).execute(3).wait(), Ok(3));
    assert_eq!(bus.time(), start + secs(29));
    // Later than their callers wait.
    assert_eq!(copy_later::on(&bus).execute(3).wait(), Err(ExecuteError::Timeout));
    assert_eq!(copy_here::on(&bus).execute(3).wait(), Err(ExecuteError::Timeout));
}

#[test]
fn what_is_dropped_is_lost_and_ends_the_wait_all_the_same() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("printer").unwrap().drop(1);
    let outcomes = bus.fire(Page { number: 1 }).handled().wait().unwrap();
    has(&text(outcomes.ok()), &["1 of 3 listeners failed", "`printer`", "dropped by a test"]);
    assert!(printed(&log).is_empty());
    assert_eq!((bus.stats().retrying, bus.stats().dead_letters), (0, 0));

    bus.inject("copy").unwrap().drop(1);
    let start = bus.time();
    assert_eq!(copy::on(&bus).execute(1).wait(), Err(ExecuteError::Timeout));
    assert_eq!(bus.time(), start + secs(30));
    assert_eq!(copy::on(&bus).execute(1).wait(), Ok(1));
}

#[test]
fn what_is_duplicated_comes_twice_with_one_idempotency_key() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("printer").unwrap().duplicate(1);
    bus.inject("scan").unwrap().duplicate(1);
    bus.fire(Page { number: 1 }).handled().wait().unwrap().ok().unwrap();
    let all = log.sorted();
    assert_eq!(all.len(), 5);
    assert_eq!(all[0], all[1]);
    assert_eq!(all[2..], ["peek 1", "scan 1", "scan 1"]);
    // Nothing of it is left for the next.
    bus.fire(Page { number: 2 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!(printed(&log), ["1 1", "1 1", "2 1"]);
}

#[test]
fn a_task_may_come_twice_and_a_call_never() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("copy").unwrap().duplicate(1);
    assert_eq!(copy::on(&bus).execute(1).wait(), Ok(1));
    bus.settle();
    assert_eq!(log.all(), ["copy 1"]);
    copy::on(&bus).dispatch(2).handled().wait().unwrap().ok().unwrap();
    assert_eq!(log.all(), ["copy 1", "copy 2", "copy 2"]);
}

#[test]
fn an_inline_handler_meets_its_faults_too() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("peek").unwrap().fail(1, "blind").delay(1, secs(5)).duplicate(1);
    let start = bus.time();
    bus.fire(Page { number: 1 });
    bus.fire(Page { number: 2 });
    bus.fire(Page { number: 3 });
    bus.settle();
    let peeked =
        || log.all().into_iter().filter(|entry| entry.starts_with("peek")).collect::<Vec<_>>();
    assert_eq!(peeked(), ["peek 3", "peek 3"]);
    bus.advance(secs(10));
    assert_eq!(peeked(), ["peek 3", "peek 3", "peek 2", "peek 1"]);
    assert_eq!(bus.time(), start + secs(10));
}

#[test]
fn faults_come_in_the_order_of_writing_one_an_attempt() {
    let Bench { bus, log, .. } = bench("faults");
    let printer = bus.inject("printer").unwrap();
    printer.delay(1, secs(5)).fail(1, "no ink").duplicate(1);
    printer.drop(1);
    assert_eq!(printer.left(), 4);
    bus.fire(Page { number: 1 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!((printed(&log).len(), printer.left()), (1, 3));
    // Its first attempt fails, and the second comes twice.
    bus.fire(Page { number: 2 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!(printed(&log), ["1 1", "2 2", "2 2"]);
    assert_eq!(printer.left(), 1);
    printer.clear();
    assert_eq!(printer.left(), 0);
    bus.fire(Page { number: 3 }).handled().wait().unwrap().ok().unwrap();
    printer.fail(0, "never");
    assert_eq!(printer.left(), 0);
    printer.fail(u64::MAX, "for ever").fail(1, "and once more");
    assert_eq!(printer.left(), u64::MAX);
}

#[test]
fn a_handler_is_found_by_its_name_its_path_and_its_function() {
    let Bench { bus, log, .. } = bench("faults");
    let _heard = bus.register_listener("said", |_: String| ()).unwrap();
    for name in ["printer", "faults.print", "print"] {
        bus.inject(name).unwrap().fail(1, "no ink");
    }
    assert_eq!(bus.inject("printer").unwrap().left(), 3);
    bus.inject("dynamic.said").unwrap().fail(5, "deaf");
    assert!(bus.fire_event("said", "x").handled().wait().unwrap().ok().is_err());
    for (unknown, near) in [
        ("prnter", "there is no handler `prnter`; did you mean `printer`"),
        ("faults.scam", "there is no handler `faults.scam`; did you mean `faults.scan`"),
        ("zzz", "there is no handler `zzz`"),
        // Of a service that does not run.
        ("alone.repeat", "there is no handler `alone.repeat`"),
    ] {
        let error = bus.inject(unknown).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with(near), "{error}");
    }
    assert!(log.all().is_empty());
}

#[test]
fn stopping_gives_what_is_delayed_its_attempt() {
    let Bench { bus, log, .. } = bench("faults");
    bus.inject("printer").unwrap().delay(1, secs(3600));
    bus.fire(Page { number: 1 });
    bus.settle();
    bus.shutdown().unwrap();
    assert_eq!(printed(&log), ["1 1"]);
}
