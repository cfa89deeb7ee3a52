//! Firing events: who hears what, as what, in which order, and what the firing side is told.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bus::prelude::*;
use bus::{Clock, ErrorKind};
use support::{Door, Log, has, text, thread_id};

fn start(service: &str) -> (bus::Running, Log) {
    let log = Log::default();
    (bus::builder().services([service]).state(log.clone()).build().unwrap(), log)
}

mod parameters {
    use super::*;

    #[event(exchange = "parameters", key = "note")]
    #[derive(Debug)]
    pub(crate) struct Note {
        pub(crate) text: String,
    }

    #[listener]
    fn by_value(note: Note, log: State<Log>) {
        log.add(format!("value {}", note.text));
    }

    #[listener]
    fn by_reference(log_of: &Note, ctx: &Context, log: State<Log>) {
        log.add(format!("reference {} {}", log_of.text, ctx.key()));
    }

    #[listener]
    async fn by_arc(note: Arc<Note>, log: State<Log>, ctx: &Context) {
        futures_lite::future::yield_now().await;
        log.add(format!("arc {} {}", note.text, ctx.exchange()));
    }

    #[listener]
    async fn by_reference_later(note: &Note, log: State<Log>) {
        futures_lite::future::yield_now().await;
        log.add(format!("later {}", note.text));
    }

    #[listener("#", exchange = "parameters")]
    fn context_alone(ctx: &Context, log: State<Log>) {
        log.add(format!("context {}", ctx.key()));
    }

    #[listener("parameters_text")]
    fn text(text: &str, log: State<Log>) {
        log.add(text);
    }

    #[listener("parameters_numbers")]
    fn numbers(numbers: &[u32], log: State<Log>) {
        log.add(format!("{numbers:?}"));
    }

    #[listener("parameters_owned")]
    async fn owned(numbers: Vec<Option<u32>>, log: State<Log>) {
        log.add(format!("{numbers:?}"));
    }

    #[test]
    fn every_listener_hears_in_its_own_way() {
        let (bus, log) = start("parameters");
        let outcomes = bus.fire(Note { text: "hi".into() }).handled().wait().unwrap();
        let names: Vec<&str> = outcomes.iter().map(bus::Outcome::listener).collect();
        let functions =
            ["by_arc", "by_reference", "by_reference_later", "by_value", "context_alone"];
        assert_eq!(names, functions.map(|name| format!("parameters.{name}")));
        assert!(outcomes.ok().is_ok());
        let heard =
            ["arc hi parameters", "context note", "later hi", "reference hi note", "value hi"];
        assert_eq!(log.sorted(), heard);
    }

    #[test]
    fn an_event_by_name_becomes_text_and_slices() {
        let (bus, log) = start("parameters");
        for receipt in [
            bus.fire_event("parameters_text", "plain"),
            bus.fire_event("parameters_numbers", [1, 2]),
            bus.fire_event("parameters_owned", vec![Some(1), None]),
        ] {
            let outcomes = receipt.handled().wait().unwrap();
            assert_eq!(outcomes.len(), 1);
            outcomes.ok().unwrap();
        }
        assert_eq!(log.sorted(), ["[1, 2]", "[Some(1), None]", "plain"]);
    }

    #[test]
    fn an_event_by_name_may_carry_a_type_that_only_borrows() {
        #[derive(serde::Serialize)]
        struct Borrowed<'a>(&'a str);
        let (bus, log) = start("parameters");
        bus.fire_event("parameters_text", Borrowed("lent")).handled().wait().unwrap().ok().unwrap();
        assert_eq!(log.all(), ["lent"]);
    }
}

mod routing {
    use super::*;

    #[event(exchange = "routing", key = "order.v1.submit")]
    #[event(exchange = "routing", key = "order.v1.cancel", name = "withdraw")]
    #[event(exchange = "routing_other", key = "order.v1.submit", name = "elsewhere")]
    pub(crate) struct Order {}

    #[event(exchange = "routing", key = "order")]
    pub(crate) struct Bare {}

    #[listener]
    fn any(_: &Order, ctx: &Context, log: State<Log>) {
        log.add(format!("any {}", ctx.key()));
    }

    #[listener(Order::SUBMIT)]
    fn one(_: &Order, log: State<Log>) {
        log.add("one");
    }

    #[listener(Order::WITHDRAW)]
    fn withdrawn(ctx: &Context, log: State<Log>) {
        log.add(format!("withdrawn {}", ctx.key()));
    }

    #[listener("order.*.submit", exchange = "routing")]
    fn star(_: &Order, log: State<Log>) {
        log.add("star");
    }

    #[listener("order.#", exchange = "routing")]
    fn hash(ctx: &Context, log: State<Log>) {
        log.add(format!("hash {}", ctx.key()));
    }

    #[listener("#.submit", exchange = "routing_other")]
    fn elsewhere(ctx: &Context, log: State<Log>) {
        log.add(format!("elsewhere {}", ctx.exchange()));
    }

    /// Bound to both exchanges, since both can carry its payload: heard once for each event.
    #[listener("order.#.submit")]
    fn both(_: &Order, ctx: &Context, log: State<Log>) {
        log.add(format!("both {}", ctx.exchange()));
    }

    fn heard(fire: impl FnOnce(&Bus) -> bus::Receipt) -> Vec<String> {
        let (bus, log) = start("routing");
        fire(&bus).handled().wait().unwrap().ok().unwrap();
        log.sorted()
    }

    #[test]
    fn a_key_reaches_what_it_matches_and_nothing_else() {
        let submit = ["any order.v1.submit", "both routing", "hash order.v1.submit", "one", "star"];
        assert_eq!(heard(|bus| bus.fire(Order {})), submit);
        assert_eq!(heard(|bus| bus.fire_as(Order::SUBMIT, Order {})), submit);
        let withdraw = ["any order.v1.cancel", "hash order.v1.cancel", "withdrawn order.v1.cancel"];
        assert_eq!(heard(|bus| bus.fire_as(Order::WITHDRAW, Order {})), withdraw);
        let other = ["any order.v1.submit", "both routing_other", "elsewhere routing_other"];
        assert_eq!(heard(|bus| bus.fire_as(Order::ELSEWHERE, Order {})), other);
        assert_eq!(heard(|bus| bus.fire(Bare {})), ["hash order"]);
    }

    #[test]
    fn try_fire_takes_what_there_is_room_for() {
        assert_eq!(heard(|bus| bus.try_fire(Bare {}).unwrap()), ["hash order"]);
    }

    #[command]
    fn fire_by_their_names() {
        let order = Order {};
        drop(order.submit());
        drop(order.withdraw());
        drop(Bare {}.fire());
    }

    #[test]
    fn the_named_methods_fire_on_the_current_bus() {
        let (bus, log) = start("routing");
        fire_by_their_names::on(&bus).execute().wait().unwrap();
        bus.settle();
        let hashes: Vec<_> =
            log.all().into_iter().filter(|entry| entry.starts_with("hash")).collect();
        assert_eq!(hashes, ["hash order.v1.submit", "hash order.v1.cancel", "hash order"]);
        assert_eq!(Order::EVENT, Order::SUBMIT);
        assert_eq!(
            (Order::WITHDRAW.exchange(), Order::WITHDRAW.key()),
            ("routing", "order.v1.cancel")
        );
    }

    #[test]
    fn without_a_bus_the_event_comes_back() {
        let error = Bare {}.fire().wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotStarted);
        assert!(error.into_event::<Bare>().is_ok());
    }
}

/// Events that tell when they are copied or written.
mod untouched {
    use super::*;
    use serde::{Deserialize, Serialize, Serializer};

    static CLONES: AtomicU32 = AtomicU32::new(0);
    static WRITES: AtomicU32 = AtomicU32::new(0);

    #[derive(Debug, Deserialize, Event)]
    #[event(exchange = "untouched", key = "witness")]
    pub(crate) struct Witness {
        address: usize,
    }

    impl Clone for Witness {
        fn clone(&self) -> Self {
            CLONES.fetch_add(1, Ordering::SeqCst);
            Self { address: self.address }
        }
    }

    impl Serialize for Witness {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            WRITES.fetch_add(1, Ordering::SeqCst);
            serializer.serialize_unit()
        }
    }

    #[listener]
    fn first(witness: &Witness, log: State<Log<usize>>) {
        log.add(std::ptr::from_ref(witness).addr());
    }

    #[listener(service = "untouched.second")]
    async fn second(witness: &Witness, log: State<Log<usize>>) {
        log.add(std::ptr::from_ref(witness).addr());
    }

    #[listener(service = "untouched.shared")]
    fn shared(witness: Arc<Witness>, log: State<Log<usize>>) {
        log.add(std::ptr::from_ref(&*witness).addr());
    }

    #[listener(service = "taking")]
    fn taken(witness: Witness) {
        assert_eq!(witness.address, 0);
    }

    #[test]
    fn in_the_process_an_event_is_shared_and_neither_copied_nor_written() {
        let log = Log::<usize>::default();
        let bus = bus::builder().services(["untouched"]).state(log.clone()).build().unwrap();
        bus.fire(Witness { address: 0 }).handled().wait().unwrap().ok().unwrap();
        assert_eq!(log.all().len(), 3);
        assert!(log.all().iter().all(|address| *address == log.all()[0]), "{:?}", log.all());
        assert_eq!((CLONES.load(Ordering::SeqCst), WRITES.load(Ordering::SeqCst)), (0, 0));
        // A listener that takes it has a copy of its own, and nobody else has.
        let bus = bus::builder().services(["untouched", "taking"]).state(log).build().unwrap();
        bus.fire(Witness { address: 0 }).handled().wait().unwrap().ok().unwrap();
        assert_eq!((CLONES.load(Ordering::SeqCst), WRITES.load(Ordering::SeqCst)), (1, 0));
    }
}

mod order {
    use super::*;

    #[event(exchange = "order", key = "step")]
    pub(crate) struct Step {
        pub(crate) publisher: usize,
        pub(crate) number: u32,
    }

    #[listener]
    fn now(step: &Step, logs: State<Vec<Log<u32>>>) {
        logs[step.publisher].add(step.number);
    }

    #[listener(service = "order.later")]
    async fn later(step: Step, logs: State<Vec<Log<u32>>>) {
        if step.number.is_multiple_of(3) {
            futures_lite::future::yield_now().await;
        }
        logs[4 + step.publisher].add(step.number);
    }

    #[test]
    fn what_one_publisher_fires_arrives_in_its_order() {
        let logs: Vec<Log<u32>> = (0..8).map(|_| Log::default()).collect();
        let bus =
            bus::builder().services(["order"]).state(logs.clone()).mailbox(7).build().unwrap();
        std::thread::scope(|scope| {
            for publisher in 0..4 {
                let bus = &bus;
                scope.spawn(move || {
                    for number in 0..200 {
                        let receipt = bus.fire(Step { publisher, number });
                        // Some are held back and some are not.
                        if number % 5 == 0 {
                            receipt.wait().unwrap();
                        }
                    }
                });
            }
        });
        bus.settle();
        let expected: Vec<u32> = (0..200).collect();
        for log in &logs {
            assert_eq!(log.all(), expected);
        }
    }
}

mod receipts {
    use super::*;
    use std::future::Future;
    use std::task::{Context as TaskContext, Poll, Waker};

    #[event(exchange = "receipts", key = "job")]
    #[derive(Debug)]
    pub(crate) struct Job {
        pub(crate) number: u32,
    }

    #[event(exchange = "receipts", key = "unheard")]
    pub(crate) struct Unheard {}

    #[listener]
    fn work(job: &Job, door: State<Door>, log: State<Log<u32>>) {
        door.pass_blocking();
        log.add(job.number);
    }

    fn held(bound: usize) -> (bus::Running, Door, Log<u32>) {
        let (door, log) = (Door::default(), Log::<u32>::default());
        let bus = bus::builder().services(["receipts"]).mailbox(bound);
        (bus.state(door.clone()).state(log.clone()).build().unwrap(), door, log)
    }

    fn is_pending(receipt: &mut bus::Receipt) -> bool {
        let mut cx = TaskContext::from_waker(Waker::noop());
        std::pin::Pin::new(receipt).poll(&mut cx).is_pending()
    }

    #[test]
    fn firing_never_blocks_and_the_receipt_holds_back_over_the_bound() {
        let (bus, door, log) = held(2);
        drop(bus.fire(Job { number: 0 }));
        door.wait_for_one();
        let mut receipts: Vec<_> = (1..=4).map(|number| bus.fire(Job { number })).collect();
        // One runs, two wait within the bound; the third and the fourth are over it.
        let pending: Vec<bool> = receipts[1..].iter_mut().map(is_pending).collect();
        assert_eq!(pending, [false, true, true]);
        let last = receipts.pop().unwrap();
        let waiter = std::thread::spawn(move || last.wait());
        door.open();
        assert!(waiter.join().unwrap().unwrap().routed);
        bus.settle();
        assert_eq!(log.all(), [0, 1, 2, 3, 4]);
        let stats = bus.stats();
        let service = stats.services.iter().find(|service| service.name == "receipts").unwrap();
        assert_eq!(service.over_bound, 2);
    }

    #[test]
    fn everybody_who_is_held_back_is_let_go() {
        let (bus, door, log) = held(1);
        std::thread::scope(|scope| {
            for publisher in 0..8 {
                let bus = &bus;
                scope.spawn(move || {
                    for number in 0..25 {
                        bus.fire(Job { number: publisher * 100 + number }).wait().unwrap();
                    }
                });
            }
            door.open();
        });
        bus.settle();
        assert_eq!(log.all().len(), 200);
    }

    #[test]
    fn try_fire_gives_the_event_back_at_the_bound() {
        let (bus, door, _log) = held(2);
        drop(bus.fire(Job { number: 0 }));
        door.wait_for_one();
        drop(bus.try_fire(Job { number: 1 }).unwrap());
        drop(bus.try_fire(Job { number: 2 }).unwrap());
        let full = bus.try_fire(Job { number: 3 }).unwrap_err();
        has(&full.to_string(), &["at its bound"]);
        assert_eq!(full.0.number, 3);
        door.open();
    }

    #[test]
    fn at_64_times_the_bound_firing_fails_and_gives_the_event_back() {
        let (bus, door, log) = held(1);
        drop(bus.fire(Job { number: 0 }));
        door.wait_for_one();
        for number in 1..=64 {
            drop(bus.fire(Job { number }));
        }
        let error = bus.fire(Job { number: 65 }).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.is_retryable());
        has(&error.to_string(), &["`receipts`"]);
        assert_eq!(error.into_event::<Job>().unwrap().number, 65);
        door.open();
        bus.settle();
        assert_eq!(log.all().len(), 65);
    }

    #[test]
    fn an_event_that_nobody_hears_is_accepted_and_says_so() {
        let (bus, _door, _log) = held(1);
        assert!(!bus.fire(Unheard {}).wait().unwrap().routed);
        assert!(!bus.fire_event("nobody_hears_this", 1).wait().unwrap().routed);
        let outcomes = bus.fire(Unheard {}).handled().wait().unwrap();
        assert!(outcomes.is_empty() && outcomes.ok().is_ok());
        assert_eq!(bus.stats().unrouted, 3);
    }

    #[test]
    fn a_name_that_is_no_key_fails_the_receipt() {
        let (bus, _door, _log) = held(1);
        for (name, why) in [
            ("", "empty"),
            ("a..b", "`a..b` has an empty word"),
            ("a.*", "`a.*` has a wildcard"),
            (&"x".repeat(256), "256 bytes"),
        ] {
            let error = bus.fire_event(name, 1).wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Name, "{name}");
            has(&error.to_string(), &[why]);
        }
    }

    #[test]
    fn a_payload_that_cannot_be_written_fails_the_receipt() {
        let (bus, _door, _log) = held(1);
        let unwritable = std::collections::HashMap::from([(vec![1], 2)]);
        let error = bus.fire_event("unwritable", unwritable).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        has(&format!("{error:?}"), &["`unwritable`", "key must be a string"]);
    }

    #[test]
    fn a_receipt_is_awaited_like_any_future() {
        let (bus, door, _log) = held(4);
        door.open();
        futures_lite::future::block_on(async {
            assert!(bus.fire(Job { number: 1 }).await.unwrap().routed);
            let outcomes = bus.fire(Job { number: 2 }).handled().await.unwrap();
            assert!(outcomes.get("work").unwrap().is_ok());
        });
        let mut handled = Box::pin(bus.fire(Job { number: 3 }).handled());
        bus.settle();
        let mut cx = TaskContext::from_waker(Waker::noop());
        assert!(matches!(handled.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    }

    #[test]
    fn the_outcome_of_an_unknown_listener_is_nothing() {
        let (bus, door, _log) = held(1);
        door.open();
        let outcomes = bus.fire(Job { number: 1 }).handled().wait().unwrap();
        assert!(outcomes.get("receipts.wor").is_none());
        assert!(outcomes.get("wor").is_none());
        assert_eq!(outcomes.get("work").unwrap().to_string(), "`receipts.work` succeeded");
    }
}

mod context {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[derive(Debug, Clone, PartialEq)]
    struct Seen {
        what: &'static str,
        id: String,
        key: String,
        correlation: String,
        causation: Option<String>,
        attempt: u32,
        time: SystemTime,
        service: String,
    }

    fn seen(what: &'static str, ctx: &Context) -> Seen {
        assert!(!ctx.cancelled());
        assert!(ctx.headers().is_empty());
        Seen {
            what,
            id: ctx.id(),
            key: ctx.idempotency_key(),
            correlation: ctx.correlation_id(),
            causation: ctx.causation_id(),
            attempt: ctx.attempt(),
            time: ctx.time(),
            service: ctx.service().to_owned(),
        }
    }

    #[event(exchange = "context", key = "first")]
    pub(crate) struct First {}

    #[event(exchange = "context", key = "second")]
    pub(crate) struct Second {}

    #[listener]
    fn a(_: &First, ctx: &Context, log: State<Log<Seen>>) {
        log.add(seen("a", ctx));
        drop(Second {}.fire());
    }

    #[listener(service = "context.b", retry = 1, backoff = "1m")]
    async fn b(_: &First, ctx: &Context, log: State<Log<Seen>>) -> Result<(), &'static str> {
        futures_lite::future::yield_now().await;
        log.add(seen("b", ctx));
        if ctx.attempt() == 1 { Err("once more") } else { Ok(()) }
    }

    #[listener]
    async fn c(_: &Second, ctx: &Context, log: State<Log<Seen>>) {
        futures_lite::future::yield_now().await;
        log.add(seen("c", ctx));
        deep::execute().await.unwrap();
    }

    #[command]
    fn deep(ctx: &Context, log: State<Log<Seen>>) {
        log.add(seen("deep", ctx));
    }

    #[test]
    fn a_message_has_one_id_and_every_handler_its_own_key() {
        let (log, clock) = (Log::<Seen>::default(), Clock::manual());
        let bus = bus::builder().services(["context"]).clock(clock.clone());
        let bus = bus.state(log.clone()).build().unwrap();
        let fired = clock.time();
        drop(bus.fire(First {}));
        bus.settle();
        clock.advance(Duration::from_secs(60));
        bus.settle();
        let all = log.all();
        let find = |what: &str, attempt: u32| {
            let found = all.iter().find(|seen| seen.what == what && seen.attempt == attempt);
            found.unwrap_or_else(|| panic!("{what} {attempt} is not in {all:?}"))
        };
        let (a, b1, b2) = (find("a", 1), find("b", 1), find("b", 2));
        let (c, deep) = (find("c", 1), find("deep", 1));
        assert_eq!(all.len(), 5);
        assert_eq!((&a.id, &a.id), (&b1.id, &b2.id));
        assert_eq!(b1.key, b2.key);
        assert_ne!(a.key, b1.key);
        assert_eq!((a.time, b1.time, b2.time), (fired, fired, fired));
        assert_eq!((a.service.as_str(), b1.service.as_str()), ("context", "context.b"));
        assert_eq!((a.causation.as_ref(), &a.correlation), (None, &a.id));
        assert_ne!(c.id, a.id);
        assert_eq!((c.causation.as_ref(), &c.correlation), (Some(&a.id), &a.id));
        assert_eq!((deep.causation.as_ref(), &deep.correlation), (Some(&c.id), &a.id));
    }
}

mod time {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[event(exchange = "time", key = "note")]
    pub(crate) struct Note {}

    #[command]
    fn hold(door: State<Door>) {
        door.pass_blocking();
    }

    #[listener]
    fn noted(_: &Note, ctx: &Context, times: State<Log<SystemTime>>) {
        times.add(ctx.time());
    }

    #[test]
    fn the_time_of_an_event_is_that_of_its_firing() {
        let (clock, door) = (Clock::manual(), Door::default());
        let times = Log::<SystemTime>::default();
        let bus = bus::builder().services(["time"]).clock(clock.clone());
        let bus = bus.state(door.clone()).state(times.clone()).build().unwrap();
        drop(hold::on(&bus).execute());
        door.wait_for_one();
        let fired = clock.time();
        drop(bus.fire(Note {}));
        clock.advance(Duration::from_secs(5));
        door.open();
        bus.settle();
        assert_eq!(times.all(), [fired]);
    }
}

mod inline {
    use super::*;
    use std::thread::ThreadId;

    #[event(local, exchange = "inline", key = "down")]
    pub(crate) struct Down {
        pub(crate) left: u32,
    }

    #[listener(inline)]
    fn go_down(down: &Down, log: State<Log<ThreadId>>) {
        log.add(thread_id());
        if down.left > 0 {
            drop(Down { left: down.left - 1 }.fire());
        }
    }

    #[event(exchange = "inline", key = "fail")]
    pub(crate) struct Fail {}

    #[listener(inline, retry = 1, backoff = "0s")]
    fn fails(_: &Fail, log: State<Log<ThreadId>>, names: State<Log>) -> Result<(), &'static str> {
        log.add(thread_id());
        names.add(support::thread_name());
        Err("again")
    }

    fn start() -> (bus::Running, Log<ThreadId>, Log) {
        let (log, names) = (Log::default(), Log::default());
        let bus = bus::builder().services(["inline"]).state(log.clone()).state(names.clone());
        (bus.build().unwrap(), log, names)
    }

    #[test]
    fn an_inline_listener_is_done_when_firing_returns() {
        let (bus, log, _) = start();
        drop(bus.fire(Down { left: 3 }));
        assert_eq!(log.all(), vec![thread_id(); 4]);
    }

    #[test]
    fn inline_listeners_that_nest_go_to_their_service_at_some_depth() {
        let (bus, log, _) = start();
        drop(bus.fire(Down { left: 1000 }));
        bus.settle();
        let here = log.all().iter().filter(|thread| **thread == thread_id()).count();
        assert_eq!(log.all().len(), 1001);
        assert!((2..1000).contains(&here), "{here} ran here");
    }

    #[test]
    fn later_attempts_of_an_inline_listener_run_on_its_service() {
        let (bus, log, names) = start();
        let outcomes = bus.fire(Fail {}).handled().wait().unwrap();
        has(&text(outcomes.ok()), &["again"]);
        let all = log.all();
        assert_eq!((all.len(), all[0]), (2, thread_id()));
        assert_eq!(names.all()[1], "inline");
    }
}

mod written {
    use super::*;

    /// Everything that this writes stands at one place.
    macro_rules! write {
        ($name:ident, $Event:ident, $exchange:tt) => {
            #[event(exchange = $exchange, key = "same")]
            pub(crate) struct $Event {}

            #[listener]
            fn $name(_: &$Event, log: State<Log>) {
                log.add(stringify!($Event));
            }
        };
    }

    #[allow(dead_code, reason = "what a macro of this crate writes is looked at more closely")]
    mod here {
        use super::*;

        macro_rules! both {
            () => {
                write!(same, One, "written.one");

                #[service("written.here.state")]
                impl super::Counter {
                    #[listener]
                    fn same(&self, _: &One, log: State<Log>) {
                        log.add("state");
                    }
                }

                write!(other, Two, "written.two");
            };
        }
        both!();
    }

    #[derive(Default)]
    pub(crate) struct Counter;

    #[test]
    fn what_one_macro_writes_is_told_apart() {
        let log = Log::<String>::default();
        let bus = bus::builder().services(["written"]).state(log.clone()).build().unwrap();
        bus.fire(here::One {}).handled().wait().unwrap().ok().unwrap();
        bus.fire(here::Two {}).handled().wait().unwrap().ok().unwrap();
        assert_eq!(log.sorted(), ["One", "Two", "state"]);
    }
}

/// What becomes of a payload that nobody hears any more.
mod ends {
    use std::sync::Mutex;
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[event(local, exchange = "ends", key = "guarded")]
    struct Guarded {
        #[expect(dead_code, reason = "its end is what counts")]
        guard: Sender<()>,
        _name: String,
    }

    /// Named like what is asked of fields.
    trait Memory {
        fn memory(self) -> usize;
        fn prefetch(&self);
    }

    impl<T: std::fmt::Debug> Memory for T {
        fn memory(self) -> usize {
            0
        }

        fn prefetch(&self) {}
    }

    #[event(local, exchange = "ends", key = "loud")]
    struct Loud {
        name: String,
    }

    /// Tells of the end of a payload.
    static ENDED: Mutex<Option<Sender<()>>> = Mutex::new(None);
    /// Is told of it.
    static ENDS: Mutex<Option<Receiver<()>>> = Mutex::new(None);

    impl Drop for Loud {
        fn drop(&mut self) {
            ENDED.lock().unwrap().take();
        }
    }

    #[listener(service = "ends.service")]
    fn guarded(_: &Guarded) {}

    #[listener(service = "ends.service")]
    fn loud(_: &Loud) {}

    /// Comes after it, and keeps the service busy until it has ended.
    #[listener("after", service = "ends.service", retry = 0)]
    fn after(_: &Context) -> Result<(), RecvTimeoutError> {
        match ENDS.lock().unwrap().take().unwrap().recv_timeout(LONG) {
            Err(RecvTimeoutError::Disconnected) => Ok(()),
            other => other,
        }
    }

    #[test]
    fn a_payload_whose_end_can_be_noticed_ends_before_the_service_goes_on() {
        let bus = bus::builder().services(["ends"]).build().unwrap();
        let after = || bus.fire_event("after", ()).handled().wait().unwrap().ok().unwrap();
        let (guard, is_open) = mpsc::channel();
        1_u8.prefetch();
        assert_eq!(1_u8.memory(), 0);
        *ENDS.lock().unwrap() = Some(is_open);
        drop(bus.fire(Guarded { guard, _name: "a".to_owned() }));
        after();
        let (ended, ends) = mpsc::channel();
        *ENDS.lock().unwrap() = Some(ends);
        *ENDED.lock().unwrap() = Some(ended);
        drop(bus.fire(Loud { name: "b".to_owned() }));
        after();
    }

    mod shapes {
        use super::*;

        #[event(local, exchange = "ends", key = "plain")]
        pub(crate) struct Plain {
            pub(crate) r#type: u64,
            #[cfg(not(any()))]
            pub(crate) text: String,
            #[cfg(any())]
            pub(crate) missing: Missing,
            #[deprecated]
            pub(crate) numbers: Vec<(u32, u32)>,
        }

        #[event(local, exchange = "ends", key = "tuple")]
        pub(crate) struct Tuple(pub(crate) Option<String>, pub(crate) &'static str);

        #[event(local, exchange = "ends", key = "packed")]
        #[repr(C, packed)]
        pub(crate) struct Packed {
            pub(crate) small: u8,
            pub(crate) large: u64,
        }

        #[event(local, exchange = "ends", key = "choice")]
        pub(crate) enum Choice {
            Text(#[expect(dead_code, reason = "its end is what counts")] String),
        }

        #[event(local, exchange = "ends", key = "nothing")]
        pub(crate) struct Nothing;
    }

    #[test]
    fn an_event_of_any_shape_knows_what_its_end_frees() {
        use shapes::{Choice, Nothing, Packed, Plain, Tuple};

        let text = String::with_capacity(30);
        #[allow(deprecated, reason = "it is asked like any other")]
        let plain = Plain { r#type: 1, text, numbers: Vec::with_capacity(2) };
        assert_eq!((plain.r#type, plain.__memory()), (1, Some(46)));
        let tuple = Tuple(Some("abc".to_owned()), "");
        assert_eq!((tuple.1, tuple.__memory()), ("", Some(3)));
        assert_eq!(Packed { small: 1, large: 2 }.__memory(), Some(0));
        assert_eq!(Choice::Text(String::new()).__memory(), None);
        assert_eq!(Nothing.__memory(), Some(0));
        assert_eq!(Loud { name: String::new() }.__memory(), None);
    }
}
