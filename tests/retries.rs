//! Failed deliveries are tried again, at their times, and kept when they failed for good.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::prelude::*;
use bus::{Clock, ErrorKind, Reason, Running};
use support::{Door, Log, has, text};

/// The least that a clock moves.
const NEXT: Duration = Duration::from_nanos(1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether the printer has ink again; a clone is the same printer.
#[derive(Clone, Default)]
struct Printer(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Printer {
    fn repair(&self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
    fn print(&self) -> Result<(), String> {
        let works = self.0.load(std::sync::atomic::Ordering::SeqCst);
        if works { Ok(()) } else { Err("no ink".into()) }
    }
}

/// The idempotency keys that handlers saw.
struct Keys(Log);

impl std::ops::Deref for Keys {
    type Target = Log;
    fn deref(&self) -> &Log {
        &self.0
    }
}

struct Bench {
    bus: Running,
    clock: Clock,
    log: Log,
    keys: Log,
    printer: Printer,
    door: Door,
}

fn bench(service: &str) -> Bench {
    let (clock, log, keys) = (Clock::manual(), Log::default(), Log::default());
    let (printer, door) = (Printer::default(), Door::default());
    let bus = bus::builder().services([service]).clock(clock.clone());
    let bus = bus.state(log.clone()).state(Keys(keys.clone()));
    let bus = bus.state(printer.clone()).state(door.clone()).build().unwrap();
    Bench { bus, clock, log, keys, printer, door }
}

mod waits {
    use super::*;

    #[event(exchange = "waits", key = "page")]
    pub(crate) struct Page {
        pub(crate) number: u32,
    }

    #[listener(retry = 3, backoff = ["1s", "5s"])]
    fn print(
        page: &Page,
        ctx: &Context,
        log: State<Log>,
        keys: State<Keys>,
        printer: State<Printer>,
    ) -> Result<(), String> {
        keys.add(ctx.idempotency_key());
        log.add(format!("{} {} {}", page.number, ctx.attempt(), ctx.redelivered()));
        printer.print()
    }

    #[test]
    fn an_attempt_comes_when_its_wait_is_over_and_not_before() {
        let Bench { bus, clock, log, printer, .. } = bench("waits");
        let handled = bus.fire(Page { number: 1 }).handled();
        bus.settle();
        let mut seen = vec!["1 1 false"];
        for (wait, next) in [(1, "1 2 true"), (5, "1 3 true"), (5, "1 4 true")] {
            assert_eq!(log.all(), seen);
            clock.advance(secs(wait).saturating_sub(NEXT));
            bus.settle();
            assert_eq!(log.all(), seen);
            if seen.len() == 3 {
                printer.repair();
            }
            clock.advance(NEXT);
            bus.settle();
            seen.push(next);
        }
        assert_eq!(log.all(), seen);
        assert!(handled.wait().unwrap().ok().is_ok());
        assert_eq!(bus.stats().dead_letters, 0);
    }

    #[test]
    fn the_last_attempt_ends_among_the_dead_letters() {
        let Bench { bus, clock, log, .. } = bench("waits");
        let handled = bus.fire(Page { number: 1 }).handled();
        for wait in [1, 5, 5] {
            bus.settle();
            clock.advance(secs(wait));
        }
        let outcomes = handled.wait().unwrap();
        assert_eq!(outcomes.get("waits.print").unwrap().attempts(), Some(4));
        assert_eq!(log.all().len(), 4);
        let dead = bus.dead_letters().list().unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].listener(), dead[0].attempts()), ("waits.print", 4));
        assert_eq!((dead[0].exchange(), dead[0].key()), ("waits", "page"));
        assert_eq!(
            (dead[0].reason().reason(), dead[0].reason().message()),
            (Reason::Error, "no ink")
        );
        assert_eq!(dead[0].payload(), r#"{"number":1}"#);
        assert_eq!(dead[0].time(), clock.time());
        bus.settle();
        let stats = bus.stats();
        let print = stats.handlers.iter().find(|handler| handler.name == "waits.print").unwrap();
        assert_eq!((print.failed, print.retried, print.dead, print.handled), (4, 3, 1, 0));
    }

    #[test]
    fn a_replay_has_all_attempts_again_and_the_same_idempotency_key() {
        let Bench { bus, clock, log, keys, .. } = bench("waits");
        drop(bus.fire(Page { number: 1 }));
        let exhaust = || {
            for wait in [1, 5, 5] {
                bus.settle();
                clock.advance(secs(wait));
            }
            bus.settle();
            let dead = bus.dead_letters().list().unwrap();
            assert_eq!((dead.len(), dead[0].attempts()), (1, 4));
            dead[0].id().to_owned()
        };
        let id = exhaust();
        bus.dead_letters().replay(&id).unwrap();
        assert_eq!(exhaust(), id);
        let life = ["1 1 false", "1 2 true", "1 3 true", "1 4 true"];
        assert_eq!(log.all(), [life, life].concat());
        let mut keys = keys.all();
        keys.dedup();
        assert_eq!(keys.len(), 1, "{keys:?}");
    }
}

/// Each takes one at a time.
mod beside {
    use super::*;

    #[event(exchange = "beside", key = "page")]
    pub(crate) struct Page {
        pub(crate) number: u32,
    }

    fn tell(who: &str, page: &Page, log: &Log) -> Result<(), String> {
        log.add(format!("{who} {}", page.number));
        if page.number == 1 { Err("no ink".into()) } else { Ok(()) }
    }

    #[listener(retry = 1, backoff = "1s")]
    fn now(page: &Page, log: State<Log>) -> Result<(), String> {
        tell("now", page, &log)
    }

    #[listener(retry = 1, backoff = "1s", concurrency = 1)]
    async fn later(page: &Page, log: State<Log>) -> Result<(), String> {
        tell("later", page, &log)
    }

    #[derive(Default)]
    pub(crate) struct Press;

    #[service]
    impl Press {
        #[listener(retry = 1, backoff = "1s")]
        async fn hold(&mut self, page: &Page, log: State<Log>) -> Result<(), String> {
            tell("hold", page, &log)
        }
    }

    #[test]
    fn a_delivery_that_waits_holds_nobody_up() {
        let Bench { bus, log, .. } = bench("beside");
        drop(bus.fire(Page { number: 1 }));
        bus.settle();
        assert!(bus.fire(Page { number: 2 }).handled().wait().unwrap().ok().is_ok());
        assert_eq!(log.sorted(), ["hold 1", "hold 2", "later 1", "later 2", "now 1", "now 2"]);
        assert_eq!(bus.stats().retrying, 3);
    }
}

/// Nothing is said of attempts.
mod unsaid {
    use super::*;

    #[event(exchange = "unsaid", key = "page")]
    pub(crate) struct Page {}

    #[listener]
    fn print(_: &Page, log: State<Log>) -> Result<(), String> {
        log.add("tried");
        Err("no ink".into())
    }

    #[test]
    fn four_further_attempts_come_after_1_5_30_and_120_seconds() {
        let Bench { bus, clock, log, .. } = bench("unsaid");
        drop(bus.fire(Page {}));
        bus.settle();
        for (before, wait) in (1..).zip([1, 5, 30, 120]) {
            clock.advance(secs(wait).saturating_sub(NEXT));
            bus.settle();
            assert_eq!(log.all().len(), before);
            clock.advance(NEXT);
            bus.settle();
            assert_eq!(log.all().len(), before + 1);
        }
        assert_eq!(bus.dead_letters().list().unwrap()[0].attempts(), 5);
    }
}

mod panics {
    use super::*;

    #[event(exchange = "panics", key = "page")]
    pub(crate) struct Page {
        pub(crate) torn: bool,
    }

    #[listener(retry = 2, backoff = "0s")]
    fn print(page: &Page, ctx: &Context) {
        assert!(!page.torn && ctx.attempt() > 1, "the paper is torn");
    }

    #[listener(retry = 2, backoff = "0s")]
    async fn print_later(page: Page, ctx: &Context) {
        futures_lite::future::yield_now().await;
        print(&page, ctx);
    }

    #[test]
    fn a_panic_is_tried_again_and_kept_at_last() {
        let Bench { bus, .. } = bench("panics");
        bus.fire(Page { torn: false }).handled().wait().unwrap().ok().unwrap();
        let torn = bus.fire(Page { torn: true }).handled().wait().unwrap();
        for name in ["panics.print", "panics.print_later"] {
            let outcome = torn.get(name).unwrap();
            assert_eq!(outcome.failure().unwrap().reason(), Reason::Panic);
            assert_eq!(outcome.attempts(), Some(3));
        }
        for letter in bus.dead_letters().list().unwrap() {
            has(letter.reason().message(), &["the paper is torn"]);
        }
        let handlers = bus.stats().handlers;
        let of = |name: &str| {
            let stats = handlers.iter().find(|handler| handler.name == name).unwrap();
            (stats.panicked, stats.retried, stats.handled, stats.dead)
        };
        assert_eq!([of("panics.print"), of("panics.print_later")], [(4, 3, 1, 1); 2]);
    }
}

mod at_once {
    use super::*;

    #[event(exchange = "at_once", key = "page")]
    pub(crate) struct Page {}

    #[listener(retry = 2, backoff = "0s")]
    async fn print(_: Page, ctx: &Context, log: State<Log>) -> Result<(), String> {
        log.add(ctx.attempt().to_string());
        Err("no ink".into())
    }

    #[test]
    fn a_wait_of_nothing_needs_no_clock() {
        let Bench { bus, log, .. } = bench("at_once");
        let outcomes = bus.fire(Page {}).handled().wait().unwrap();
        assert_eq!(outcomes.get("print").unwrap().attempts(), Some(3));
        assert_eq!(log.all(), ["1", "2", "3"]);
    }
}

mod chosen {
    use super::*;

    #[derive(Debug)]
    pub(crate) enum Jam {
        Soft,
        Hard,
    }

    impl std::fmt::Display for Jam {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{self:?} jam")
        }
    }

    fn is_soft(jam: &Jam) -> bool {
        matches!(jam, Jam::Soft)
    }

    #[event(exchange = "chosen", key = "page")]
    pub(crate) struct Page {
        pub(crate) soft: bool,
    }

    #[listener(retry = 2, backoff = "0s", retry_if = is_soft)]
    fn print(page: &Page) -> Result<(), Jam> {
        Err(if page.soft { Jam::Soft } else { Jam::Hard })
    }

    #[command(retry = 2, backoff = "0s", retry_if = is_soft)]
    fn print_now(soft: bool, log: State<Log>) -> Result<(), Jam> {
        log.add("now");
        Err(if soft { Jam::Soft } else { Jam::Hard })
    }

    #[test]
    fn retry_if_chooses_which_errors_are_tried_again() {
        let Bench { bus, .. } = bench("chosen");
        let soft = bus.fire(Page { soft: true }).handled().wait().unwrap();
        assert_eq!(soft.get("print").unwrap().attempts(), Some(3));
        let hard = bus.fire(Page { soft: false }).handled().wait().unwrap();
        assert_eq!(hard.get("print").unwrap().attempts(), Some(1));
        has(&text(hard.ok()), &["Hard jam"]);
        let soft = print_now::on(&bus).dispatch(true).handled().wait().unwrap();
        assert_eq!(soft.get("print_now").unwrap().attempts(), Some(3));
        let hard = print_now::on(&bus).dispatch(false).handled().wait().unwrap();
        assert_eq!(hard.get("print_now").unwrap().attempts(), Some(1));
    }

    #[test]
    fn a_call_that_somebody_waits_for_is_made_once() {
        let Bench { bus, log, .. } = bench("chosen");
        let error = print_now::on(&bus).execute(true).wait().unwrap_err();
        assert!(matches!(error, ExecuteError::Handler(Jam::Soft)));
        bus.settle();
        assert_eq!(log.all(), ["now"]);
        assert_eq!((bus.stats().retrying, bus.stats().dead_letters), (0, 0));
    }
}

mod tasks {
    use super::*;

    #[command(retry = 2, backoff = "1s")]
    async fn print(
        page: String,
        copies: &[u32],
        ctx: &Context,
        log: State<Log>,
        printer: State<Printer>,
    ) -> Result<u32, String> {
        log.add(format!("{page} {copies:?} {} {}", ctx.attempt(), ctx.idempotency_key()));
        printer.print().map(|()| 1)
    }

    #[test]
    fn a_task_is_tried_again_with_its_arguments_and_kept_at_last() {
        let Bench { bus, clock, log, printer, .. } = bench("tasks");
        let handled = print::on(&bus).dispatch("cover".to_owned(), &[2, 3]).handled();
        for _ in 0..3 {
            bus.settle();
            clock.advance(secs(1));
        }
        assert_eq!(handled.wait().unwrap().get("print").unwrap().attempts(), Some(3));
        let dead = bus.dead_letters().list().unwrap();
        assert_eq!(
            (dead[0].listener(), dead[0].exchange(), dead[0].key()),
            ("tasks.print", "", "tasks.print")
        );
        assert_eq!(dead[0].payload(), r#"["cover",[2,3]]"#);
        printer.repair();
        bus.dead_letters().replay(dead[0].id()).unwrap();
        bus.settle();
        assert_eq!(bus.dead_letters().list().unwrap(), []);
        let all = log.all();
        let key = all[0].split(' ').next_back().unwrap();
        let attempts = [1, 2, 3, 1].map(|attempt| format!("cover [2, 3] {attempt} {key}"));
        assert_eq!(all, attempts);
    }
}

mod kept {
    use super::*;

    #[event(exchange = "kept", key = "page")]
    pub(crate) struct Page {
        pub(crate) number: u32,
    }

    #[listener(retry = 0)]
    fn print(
        page: &Page,
        ctx: &Context,
        log: State<Log>,
        printer: State<Printer>,
    ) -> Result<(), String> {
        log.add(format!("print {} {}", page.number, ctx.idempotency_key()));
        printer.print()
    }

    #[listener(retry = 0)]
    fn count(page: &Page, log: State<Log>) {
        log.add(format!("count {}", page.number));
    }

    fn three() -> Bench {
        let bench = bench("kept");
        for number in 1..=3 {
            drop(bench.bus.fire(Page { number }));
        }
        bench.bus.settle();
        bench
    }

    fn numbers(log: &Log, what: &str) -> Vec<String> {
        let all = log.all();
        let of = all.iter().filter_map(|entry| entry.strip_prefix(what));
        of.map(|entry| entry.split(' ').nth(1).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_replay_goes_to_the_listener_that_failed_and_to_no_other() {
        let Bench { bus, log, printer, .. } = three();
        let dead = bus.dead_letters().list().unwrap();
        assert_eq!(dead.len(), 3);
        printer.repair();
        bus.dead_letters().replay(dead[1].id()).unwrap();
        bus.settle();
        assert_eq!(numbers(&log, "print"), ["1", "2", "3", "2"]);
        assert_eq!(numbers(&log, "count"), ["1", "2", "3"]);
        let left: Vec<_> = bus.dead_letters().list().unwrap();
        assert_eq!(left, [dead[0].clone(), dead[2].clone()]);
        let keys = log.all();
        let key = |entry: &String| entry.split(' ').nth(2).map(str::to_owned);
        let second: Vec<_> =
            keys.iter().filter(|entry| entry.starts_with("print 2")).map(key).collect();
        assert_eq!(second[0], second[1]);
    }

    #[test]
    fn replaying_all_keeps_the_order_of_death() {
        let Bench { bus, log, printer, .. } = three();
        printer.repair();
        assert_eq!(bus.dead_letters().replay_all().unwrap(), 3);
        bus.settle();
        assert_eq!(numbers(&log, "print"), ["1", "2", "3", "1", "2", "3"]);
        assert_eq!(bus.dead_letters().list().unwrap(), []);
    }

    #[test]
    fn a_replay_that_fails_is_a_dead_letter_again() {
        let Bench { bus, log, .. } = three();
        let before = bus.dead_letters().list().unwrap();
        assert_eq!(bus.dead_letters().replay_all().unwrap(), 3);
        bus.settle();
        let ids = |letters: &[bus::DeadLetter]| -> Vec<String> {
            letters.iter().map(|letter| letter.id().to_owned()).collect()
        };
        assert_eq!(ids(&bus.dead_letters().list().unwrap()), ids(&before));
        assert_eq!(numbers(&log, "print").len(), 6);
    }

    #[test]
    fn a_dropped_dead_letter_is_gone() {
        let Bench { bus, printer, .. } = three();
        let dead = bus.dead_letters().list().unwrap();
        bus.dead_letters().drop(dead[0].id()).unwrap();
        printer.repair();
        for lost in [bus.dead_letters().drop(dead[0].id()), bus.dead_letters().replay(dead[0].id())]
        {
            let error = lost.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            has(&error.to_string(), &[dead[0].id()]);
        }
        assert_eq!(bus.dead_letters().replay_all().unwrap(), 2);
    }

    #[test]
    fn a_receipt_that_is_asked_after_a_replay_is_still_answered() {
        for is_settled in [false, true] {
            let Bench { bus, printer, .. } = bench("kept");
            let receipt = bus.fire(Page { number: 1 });
            bus.settle();
            printer.repair();
            assert_eq!(bus.dead_letters().replay_all().unwrap(), 1);
            if is_settled {
                bus.settle();
            }
            let outcomes = receipt.handled().wait().unwrap();
            assert_eq!(outcomes.get("print").unwrap().failure().unwrap().message(), "no ink");
        }
    }
}

mod slow {
    use super::*;

    #[event(exchange = "slow", key = "page")]
    pub(crate) struct Page {}

    #[listener(retry = 1, backoff = "1s", timeout = "10s")]
    async fn print(_: Page, ctx: &Context, log: State<Log>, door: State<Door>) {
        log.add(ctx.attempt().to_string());
        if ctx.attempt() == 1 {
            door.pass().await;
            log.add("went on");
        }
    }

    #[test]
    fn a_listener_that_exceeds_its_timeout_is_stopped_and_tried_again() {
        let Bench { bus, clock, log, door, .. } = bench("slow");
        let handled = bus.fire(Page {}).handled();
        door.wait_for_one();
        clock.advance(secs(10));
        bus.settle();
        assert_eq!(bus.stats().retrying, 1);
        clock.advance(secs(1));
        assert!(handled.wait().unwrap().ok().is_ok());
        assert_eq!(log.all(), ["1", "2"]);
    }
}
