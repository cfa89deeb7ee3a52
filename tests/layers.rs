//! Layers surround every attempt to handle something: in order, with a say, and alone in their faults.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[allow(dead_code, reason = "this example takes no arguments and no input")]
#[path = "examples/run.rs"]
mod run;
mod support;
#[path = "support/traced.rs"]
mod traced;

use std::cell::Cell;
use std::time::Duration;

use bus::prelude::*;
use bus::{Clock, Failure, Kind, Layer, Next, Ran, Reason, Running};
use support::{Door, Log, has};

/// Writes down what it sees, each line beginning with its name.
struct Scribe {
    name: &'static str,
    log: Log,
}

impl Scribe {
    fn note(&self, text: &str) {
        self.log.add(format!("{} {text}", self.name).trim().to_owned());
    }
}

impl Layer for Scribe {
    type Attempt = ();

    fn before(&self, _: &Context) -> Result<(), Failure> {
        self.note("before");
        Ok(())
    }

    fn around(&self, (): &mut (), _: &Context, next: Next<'_>) -> Ran {
        self.note("in");
        let ran = next.run();
        self.note("out");
        ran
    }

    fn after(&self, (): (), _: &Context, outcome: Result<(), &Failure>) {
        self.note(&outcome_text(outcome));
    }
}

fn outcome_text(outcome: Result<(), &Failure>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(failure) => format!("{:?}: {}", failure.reason(), failure.message()),
    }
}

/// Tells of every attempt how it began and ended.
struct Roll(Log);

impl Layer for Roll {
    type Attempt = String;

    fn before(&self, ctx: &Context) -> Result<String, Failure> {
        let subject = format!("{}/{}", ctx.exchange(), ctx.key());
        Ok(format!("{:?} {subject} to {} #{}", ctx.kind(), ctx.handler(), ctx.attempt()))
    }

    fn after(&self, attempt: String, _: &Context, outcome: Result<(), &Failure>) {
        self.0.add(format!("{attempt}: {}", outcome_text(outcome)));
    }
}

/// Refuses what its function says.
struct Guard(fn(&Context) -> Result<(), Failure>);

impl Layer for Guard {
    type Attempt = ();

    fn before(&self, ctx: &Context) -> Result<(), Failure> {
        (self.0)(ctx)
    }
}

/// A bus that runs one service, and the log that its handlers have.
fn start(service: &str, with: impl FnOnce(bus::Builder, &Log) -> bus::Builder) -> (Running, Log) {
    let log = Log::default();
    let builder = bus::builder().services([service]).state(log.clone());
    (with(builder, &log).build().unwrap(), log)
}

fn scribe(name: &'static str, log: &Log) -> Scribe {
    Scribe { name, log: log.clone() }
}

mod order {
    use super::*;

    #[event(exchange = "order", key = "come")]
    pub(crate) struct Come {}

    #[listener]
    fn come(_: &Come, log: State<Log>) {
        log.add("handled");
    }

    #[command]
    async fn three(log: State<Log>) {
        for poll in 1..=2 {
            log.add(format!("poll {poll}"));
            futures_lite::future::yield_now().await;
        }
        log.add("poll 3");
    }

    #[test]
    fn the_first_layer_is_the_outermost() {
        let (bus, log) =
            start("order", |bus, log| bus.layer(scribe("a", log)).layer(scribe("b", log)));
        bus.fire(Come {}).handled().wait().unwrap().ok().unwrap();
        bus.settle();
        assert_eq!(
            log.all(),
            ["a before", "b before", "a in", "b in", "handled", "b out", "a out", "b ok", "a ok"]
        );
    }

    #[test]
    fn every_poll_is_surrounded() {
        let (bus, log) = start("order", |bus, log| bus.layer(scribe("a", log)));
        three::on(&bus).execute().wait().unwrap();
        bus.settle();
        assert_eq!(
            log.all(),
            [
                "a before", "a in", "poll 1", "a out", "a in", "poll 2", "a out", "a in", "poll 3",
                "a out", "a ok"
            ]
        );
    }
}

/// A service without state whose handler waits, so that another thread takes its mailbox over.
mod shared {
    use super::*;

    const COMES: u32 = 16;

    #[event(exchange = "shared", key = "come")]
    pub(crate) struct Come {
        number: u32,
    }

    #[listener]
    fn come(_: &Come) {}

    /// Lets the one that waits go on, with all the others still behind it.
    #[command]
    fn knock() {}

    #[command]
    fn open() {
        let knocked = knock::execute();
        for number in 0..COMES {
            drop(Come { number }.fire());
        }
        knocked.wait().unwrap();
    }

    #[test]
    fn whichever_thread_of_a_service_runs_it_it_is_surrounded() {
        for _ in 0..20 {
            let (bus, log) = start("shared", |bus, log| bus.layer(Roll(log.clone())));
            open::on(&bus).execute().wait().unwrap();
            bus.settle();
            let comes = log.all().iter().filter(|line| line.contains("shared/come")).count();
            assert_eq!(comes, COMES as usize);
        }
    }
}

mod seen {
    use super::*;

    #[event(exchange = "seen", key = "come")]
    pub(crate) struct Come {}

    #[listener]
    fn one(_: &Come) {}

    #[listener(inline)]
    fn two(_: &Come) {}

    #[listener("come", exchange = "seen", retry = 1, backoff = "0s")]
    async fn three(ctx: &Context) -> Result<(), String> {
        if ctx.attempt() == 1 { Err("not yet".into()) } else { Ok(()) }
    }

    #[command]
    fn add(a: u32, b: u32) -> u32 {
        a + b
    }

    #[command(inline)]
    fn double(a: u32) -> u32 {
        2 * a
    }

    #[command]
    async fn fail() -> Result<(), String> {
        Err("no".into())
    }

    #[derive(Default)]
    pub(crate) struct Till;

    #[service("seen.till")]
    impl Till {
        #[init]
        fn open(log: State<Log>) -> Self {
            log.add("opened");
            Self
        }

        #[command]
        fn ring(&mut self) {}

        #[shutdown]
        fn close(&mut self, log: State<Log>) {
            log.add("closed");
        }
    }

    fn bus() -> (Running, Log) {
        start("seen", |bus, log| bus.layer(Roll(log.clone())))
    }

    #[test]
    fn a_command_is_seen_however_it_is_called() {
        let (bus, log) = bus();
        let _sum = bus.register_command("sum", |a: u32, b: u32| a + b).unwrap();
        log.add("begin");
        assert_eq!(add::on(&bus).execute(1, 2).wait(), Ok(3));
        bus.settle();
        assert_eq!(bus.execute_command("seen.add", (1, 2)).wait(), Ok(3));
        bus.settle();
        add::on(&bus).dispatch(1, 2).wait().unwrap();
        bus.settle();
        assert_eq!(double::on(&bus).execute(2).wait(), Ok(4));
        assert_eq!(bus.execute_command("sum", (1, 2)).wait(), Ok(3));
        bus.settle();
        assert!(fail::on(&bus).execute().wait().is_err());
        bus.settle();
        assert_eq!(
            log.all()[2..],
            [
                "Command /seen.add to seen.add #1: ok",
                "Command /seen.add to seen.add #1: ok",
                "Command /seen.add to seen.add #1: ok",
                "Command /seen.double to seen.double #1: ok",
                "Command /sum to sum #1: ok",
                "Command /seen.fail to seen.fail #1: Error: no",
            ]
        );
    }

    #[test]
    fn each_listener_and_each_attempt_is_seen() {
        let (bus, log) = bus();
        let _four = bus.register_listener(Come::EVENT, |_: &Context| ()).unwrap();
        bus.fire(Come {}).handled().wait().unwrap().ok().unwrap();
        bus.settle();
        assert_eq!(
            log.sorted(),
            [
                "Event seen/come to bus.closures.come #1: ok",
                "Event seen/come to seen.one #1: ok",
                "Event seen/come to seen.three #1: Error: not yet",
                "Event seen/come to seen.three #2: ok",
                "Event seen/come to seen.two #1: ok",
                "opened",
            ]
        );
    }

    #[test]
    fn the_start_and_the_end_of_a_service_are_no_attempts() {
        let (bus, log) = bus();
        ring::on(&bus).execute().wait().unwrap();
        bus.shutdown().unwrap();
        assert_eq!(
            log.all(),
            ["opened", "Command /seen.till.ring to seen.till.ring #1: ok", "closed"]
        );
    }
}

mod refusal {
    use super::*;

    #[event(exchange = "refusal", key = "come")]
    pub(crate) struct Come {}

    #[listener(retry = 2, backoff = "1s")]
    fn come(_: &Come, log: State<Log>) {
        log.add("handled");
    }

    #[command]
    fn now(log: State<Log>) -> Result<u32, String> {
        log.add("ran");
        Err("no".into())
    }

    #[command]
    async fn later(log: State<Log>) -> u32 {
        log.add("ran");
        1
    }

    #[command(inline)]
    fn here(log: State<Log>) -> u32 {
        log.add("ran");
        1
    }

    fn no(_: &Context) -> Result<(), Failure> {
        Err(Failure::refused("not on Sundays"))
    }

    #[test]
    fn the_caller_of_a_refused_command_learns_why_and_nothing_ran() {
        // Whatever the layer calls its failure, the handler has answered nobody.
        for refuse in [no, |_: &Context| Err(Failure::error("not on Sundays", true))] {
            let (bus, log) = start("refusal", |bus, _| bus.layer(Guard(refuse)));
            let refused = ExecuteError::Refused("not on Sundays".to_owned());
            assert!(!refused.outcome_unknown());
            assert_eq!(refused.to_string(), "not on Sundays");
            let here_too = now::on(&bus).execute().wait().unwrap_err();
            assert_eq!(here_too, ExecuteError::Refused("not on Sundays".to_owned()));
            assert_eq!(later::on(&bus).execute().wait(), Err(refused.clone()));
            assert_eq!(here::on(&bus).execute().wait(), Err(refused));
            let by_name = bus.execute_command::<_, u32>("refusal.later", ()).wait().unwrap_err();
            assert!(matches!(by_name, ExecuteError::Refused(_)), "{by_name:?}");
            let error = bus::Error::from(by_name);
            assert_eq!(error.kind(), bus::ErrorKind::Refused);
            assert_eq!(log.all(), [""; 0]);
        }
    }

    #[test]
    fn a_refused_delivery_is_a_dead_letter_at_once() {
        let (bus, log) = start("refusal", |bus, _| bus.layer(Guard(no)));
        let outcomes = bus.fire(Come {}).handled().wait().unwrap();
        let failure = outcomes.get("come").unwrap().failure().unwrap();
        assert_eq!((failure.reason(), failure.message()), (Reason::Refused, "not on Sundays"));
        assert_eq!(bus.dead_letters().list().unwrap()[0].attempts(), 1);
        let task = now::on(&bus).dispatch().handled().wait().unwrap();
        has(&task.ok().unwrap_err().to_string(), &["refusal.now", "not on Sundays"]);
        assert_eq!(log.all(), [""; 0]);
    }

    #[test]
    fn a_postponed_delivery_is_tried_again() {
        let clock = Clock::manual();
        let (bus, log) = start("refusal", |bus, _| {
            bus.clock(clock.clone()).layer(Guard(|ctx| {
                let early = ctx.attempt() < 3;
                if early { Err(Failure::postponed("too early")) } else { Ok(()) }
            }))
        });
        let handled = bus.fire(Come {}).handled();
        for _ in 0..2 {
            bus.settle();
            assert_eq!(log.all(), [""; 0]);
            clock.advance(Duration::from_secs(1));
        }
        handled.wait().unwrap().ok().unwrap();
        assert_eq!(log.all(), ["handled"]);
    }

    #[test]
    fn a_refusal_is_seen_further_out_and_not_further_in() {
        let (bus, log) = start("refusal", |bus, log| {
            bus.layer(scribe("out", log)).layer(Guard(no)).layer(scribe("in", log))
        });
        now::on(&bus).execute().wait().unwrap_err();
        later::on(&bus).execute().wait().unwrap_err();
        bus.settle();
        let seen = ["out before", "out Refused: not on Sundays"];
        assert_eq!(log.all(), [seen, seen].concat());
    }
}

mod panics {
    use super::*;

    /// Panics in one of its three places, once.
    struct Bad {
        place: &'static str,
        left: std::sync::atomic::AtomicU32,
    }

    impl Bad {
        fn at(&self, place: &str) {
            use std::sync::atomic::Ordering;
            let now = place == self.place && self.left.swap(0, Ordering::SeqCst) == 1;
            assert!(!now, "bad layer");
        }
    }

    impl Layer for Bad {
        type Attempt = ();
        fn before(&self, _: &Context) -> Result<(), Failure> {
            self.at("before");
            Ok(())
        }
        fn around(&self, (): &mut (), _: &Context, next: Next<'_>) -> Ran {
            self.at("around");
            next.run()
        }
        fn after(&self, (): (), _: &Context, _: Result<(), &Failure>) {
            self.at("after");
        }
    }

    #[command]
    fn now() -> u32 {
        1
    }

    #[command]
    async fn later() -> u32 {
        1
    }

    fn bad(place: &'static str) -> (Running, Log) {
        start("panics", |bus, log| {
            bus.layer(scribe("out", log)).layer(Bad { place, left: 1.into() })
        })
    }

    #[test]
    fn a_layer_that_panics_fails_one_attempt_alone() {
        for place in ["before", "around"] {
            let calls: [fn(&Bus) -> Promise<u32>; 2] =
                [|bus| now::on(bus).execute(), |bus| later::on(bus).execute()];
            for call in calls {
                let (bus, log) = bad(place);
                assert_eq!(call(&bus).wait(), Err(ExecuteError::Panicked));
                assert_eq!(call(&bus).wait(), Ok(1));
                bus.settle();
                let ends = log
                    .all()
                    .into_iter()
                    .filter(|line| line.contains("ok") || line.contains("Panic"));
                assert_eq!(ends.collect::<Vec<_>>(), ["out Panic: bad layer", "out ok"]);
                bus.shutdown().unwrap();
            }
        }
    }

    #[test]
    fn a_panic_after_the_outcome_changes_nothing() {
        let (bus, log) = bad("after");
        assert_eq!(now::on(&bus).execute().wait(), Ok(1));
        assert_eq!(later::on(&bus).execute().wait(), Ok(1));
        bus.settle();
        assert_eq!(log.all().iter().filter(|line| *line == "out ok").count(), 2);
        assert_eq!(bus.stats().handlers.iter().map(|handler| handler.failed).sum::<u64>(), 0);
    }
}

mod short {
    use super::*;

    thread_local! {
        /// Whether this thread is inside of the layer.
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }

    struct Inside;

    impl Layer for Inside {
        type Attempt = ();
        fn before(&self, _: &Context) -> Result<(), Failure> {
            Ok(())
        }
        fn around(&self, (): &mut (), _: &Context, next: Next<'_>) -> Ran {
            INSIDE.set(true);
            let ran = next.run();
            INSIDE.set(false);
            ran
        }
    }

    /// Tells where it was dropped.
    struct Local(Log);

    impl Drop for Local {
        fn drop(&mut self) {
            self.0.add(format!("dropped {}", if INSIDE.get() { "inside" } else { "outside" }));
        }
    }

    #[event(exchange = "short", key = "come")]
    pub(crate) struct Come {}

    #[listener(timeout = "1s", retry = 0)]
    async fn come(_: &Come, log: State<Log>, door: State<Door>) {
        let _local = Local((*log).clone());
        door.pass().await;
    }

    #[command]
    async fn called(log: State<Log>, door: State<Door>) {
        let _local = Local((*log).clone());
        door.pass().await;
    }

    #[test]
    fn what_is_cut_short_is_dropped_inside_and_told() {
        let (clock, door) = (Clock::manual(), Door::default());
        let (bus, log) = start("short", |bus, log| {
            bus.layer(Inside).layer(Roll(log.clone())).clock(clock.clone()).state(door.clone())
        });
        drop(bus.fire(Come {}));
        door.wait_for_one();
        clock.advance(Duration::from_secs(1));
        bus.settle();
        let call = called::on(&bus).execute();
        door.wait_for_one();
        call.cancel();
        bus.settle();
        drop(bus.fire(Come {}));
        door.wait_for_one();
        bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        let come = "Event short/come to short.come #1";
        assert_eq!(
            log.all(),
            [
                "dropped inside".to_owned(),
                format!("{come}: Timeout: the handler took longer than 1s"),
                "dropped inside".to_owned(),
                "Command /short.called to short.called #1: Cancelled: the caller cancelled it"
                    .to_owned(),
                "dropped inside".to_owned(),
                format!("{come}: Cancelled: the bus stopped before the handler was done"),
            ]
        );
    }
}

mod part {
    use super::*;

    /// Fires something of its own.
    struct Herald;

    #[event(exchange = "part", key = "word")]
    pub(crate) struct Word {
        when: String,
    }

    impl Layer for Herald {
        type Attempt = ();
        fn before(&self, ctx: &Context) -> Result<(), Failure> {
            if ctx.kind() == Kind::Command {
                drop(Word { when: "before".into() }.fire());
            }
            Ok(())
        }
        fn after(&self, (): (), ctx: &Context, _: Result<(), &Failure>) {
            if ctx.kind() == Kind::Command {
                drop(Word { when: "after".into() }.fire());
            }
        }
    }

    #[listener]
    fn heard(word: &Word, ctx: &Context, log: State<Log>) {
        log.add(format!("{} {:?}", word.when, ctx.causation_id()));
    }

    #[command]
    fn now(ctx: &Context) -> String {
        ctx.id()
    }

    #[command]
    async fn later(ctx: &Context) -> String {
        ctx.id()
    }

    #[test]
    fn what_a_layer_fires_is_fired_by_the_handler() {
        for call in [|bus: &Bus| now::on(bus).execute(), |bus: &Bus| later::on(bus).execute()] {
            let (bus, log) = start("part", |bus, _| bus.layer(Herald));
            let id = call(&bus).wait().unwrap();
            bus.settle();
            let cause = Some(id);
            assert_eq!(log.all(), [format!("before {cause:?}"), format!("after {cause:?}")]);
        }
    }
}

mod time {
    use super::*;

    /// How long attempts took, and how long they waited before.
    struct Times(Log);

    impl Layer for Times {
        type Attempt = std::time::Instant;
        fn before(&self, ctx: &Context) -> Result<Self::Attempt, Failure> {
            let waited = ctx.bus().clock().time().duration_since(ctx.time());
            self.0.add(format!("waited {:?}", waited.unwrap_or_default()));
            Ok(ctx.bus().clock().now())
        }
        fn after(&self, began: Self::Attempt, ctx: &Context, _: Result<(), &Failure>) {
            self.0.add(format!("took {:?}", ctx.bus().clock().now() - began));
        }
    }

    #[event(exchange = "time", key = "come")]
    pub(crate) struct Come {}

    #[listener]
    fn come(_: &Come, door: State<Door>) {
        door.pass_blocking();
    }

    #[command]
    fn call(door: State<Door>) {
        door.pass_blocking();
    }

    #[test]
    fn a_layer_can_measure_by_the_clock_of_the_bus() {
        let (clock, door) = (Clock::manual(), Door::default());
        let (bus, log) = start("time", |bus, log| {
            bus.layer(Times(log.clone())).clock(clock.clone()).state(door.clone())
        });
        drop(bus.fire(Come {}));
        door.wait_for_one();
        drop(call::on(&bus).execute());
        clock.advance(Duration::from_secs(3));
        door.let_one();
        door.wait_for_one();
        clock.advance(Duration::from_secs(4));
        door.let_one();
        bus.settle();
        assert_eq!(log.all(), ["waited 0ns", "took 3s", "waited 3s", "took 4s"]);
    }
}

mod spans {
    use super::*;
    use crate::traced::{self, Traced};

    #[event(exchange = "spans", key = "placed")]
    pub(crate) struct Placed {}

    #[command]
    fn place(ctx: &Context) -> String {
        price::execute().wait().unwrap();
        tally::execute().wait().unwrap();
        ask::execute().wait().unwrap();
        Placed {}.fire();
        ctx.traceparent()
    }

    #[command(service = "spans.prices")]
    async fn price() -> u32 {
        tracing::info!("one");
        futures_lite::future::yield_now().await;
        tracing::info!("two");
        7
    }

    #[command(inline)]
    fn tally() {}

    #[derive(Default)]
    pub(crate) struct Desk {
        asked: u32,
    }

    #[service("spans.desk")]
    impl Desk {
        /// Waits while the other one runs on top of it.
        #[command]
        fn ask(&self) -> u32 {
            reply::execute().wait().unwrap()
        }

        #[command]
        fn reply(&self) -> u32 {
            self.asked
        }
    }

    #[listener(service = "spans.bills", retry = 1, backoff = "0s")]
    fn bill(_: &Placed, ctx: &Context) -> Result<(), String> {
        if ctx.attempt() == 1 { Err("no paper".into()) } else { Ok(()) }
    }

    #[listener(service = "spans.bills")]
    fn ship(_: &Placed) {}

    /// Runs `place` and gives its answer, with the spans of its chain, in order of their handlers.
    fn trace() -> (String, Vec<Traced>) {
        traced::begin();
        let (bus, _) = start("spans", |bus, _| bus.layer(bus::TracingLayer));
        let traceparent = place::on(&bus).execute().wait().unwrap();
        bus.shutdown().unwrap();
        let mut spans = traced::spans();
        spans.retain(|span| span.field("traceparent")[..35] == traceparent[..35]);
        spans.sort_by_key(|span| {
            (span.field("handler").to_owned(), span.field("attempt").to_owned())
        });
        (traceparent, spans)
    }

    /// The version, the trace's id, the span's id and the flags, if the standard allows them.
    fn parts(traceparent: &str) -> Option<(&str, &str)> {
        let parts: Vec<&str> = traceparent.split('-').collect();
        let is_id = |text: &str, digits| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == digits && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0')
        };
        match parts[..] {
            ["00", trace, span, "01"] if is_id(trace, 32) && is_id(span, 16) => Some((trace, span)),
            _ => None,
        }
    }

    #[test]
    fn a_trace_goes_from_firing_to_handling_and_from_command_to_nested_command() {
        let (root, spans) = trace();
        let (trace, _) = parts(&root).unwrap();
        let found: Vec<_> =
            spans.iter().map(|span| (span.field("handler"), span.field("attempt"))).collect();
        assert_eq!(
            found,
            [
                ("spans.bills.bill", "1"),
                ("spans.bills.bill", "2"),
                ("spans.bills.ship", "1"),
                ("spans.desk.ask", "1"),
                ("spans.desk.reply", "1"),
                ("spans.place", "1"),
                ("spans.prices.price", "1"),
                ("spans.tally", "1"),
            ]
        );
        let mut ids = Vec::new();
        for span in &spans {
            let (same, id) = parts(span.field("traceparent")).unwrap();
            assert_eq!(same, trace);
            ids.push(id);
            let parent = match span.field("handler") {
                "spans.place" => "",
                "spans.desk.reply" => spans[3].field("traceparent"),
                _ => &root,
            };
            assert_eq!(span.field("parent"), parent);
        }
        assert_eq!(spans[5].field("traceparent"), root);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), spans.len(), "every attempt has an id of its own");
    }

    #[test]
    fn what_begins_by_itself_is_a_trace_by_itself() {
        let (bus, _) = start("spans", |bus, _| bus);
        let (other, _) = start("spans", |bus, _| bus);
        let mut traces: Vec<String> = (0..50)
            .flat_map(|_| [place::on(&bus).execute(), place::on(&other).execute()])
            .map(|promise| parts(&promise.wait().unwrap()).unwrap().0.to_owned())
            .collect();
        traces.sort_unstable();
        traces.dedup();
        assert_eq!(traces.len(), 100);
    }

    #[test]
    fn a_span_tells_who_handles_what_and_how_it_went() {
        let (_, spans) = trace();
        let bill = |attempt: usize| &spans[attempt - 1];
        for (field, text) in [
            ("handler", "spans.bills.bill"),
            ("service", "spans.bills"),
            ("exchange", "spans"),
            ("key", "placed"),
            ("otel.name", "process placed"),
            ("otel.kind", "consumer"),
        ] {
            assert_eq!([bill(1).field(field), bill(2).field(field)], [text, text]);
        }
        assert_eq!(
            (bill(1).field("failure"), bill(1).field("otel.status_code")),
            ("no paper", "ERROR")
        );
        assert_eq!((bill(2).field("failure"), bill(2).field("otel.status_code")), ("", "OK"));
        assert_eq!(bill(1).field("id"), bill(2).field("id"));
        let place = &spans[5];
        assert_eq!(place.field("correlation_id"), place.field("id"));
        assert_eq!(place.field("correlation_id"), bill(1).field("correlation_id"));
        assert_ne!(place.field("id"), bill(1).field("id"));
    }

    #[test]
    fn what_a_handler_logs_is_inside_of_its_span_on_every_poll() {
        let (_, spans) = trace();
        let price =
            spans.iter().find(|span| span.field("handler") == "spans.prices.price").unwrap();
        assert_eq!(price.entered, 2);
        let logged = |text: &str| {
            traced::lines()
                .iter()
                .any(|line| line.text == text && line.inside == ["spans.prices.price"])
        };
        assert!(logged("one") && logged("two"));
    }

    #[test]
    fn only_an_inline_handler_is_inside_of_its_callers_span() {
        let (_, spans) = trace();
        for span in spans {
            let inline = span.field("handler") == "spans.tally";
            let outer: &[&str] = if inline { &["spans.place"] } else { &[] };
            assert_eq!(span.inside, outer, "{}", span.field("handler"));
        }
    }

    #[test]
    fn without_the_layer_there_is_no_span() {
        traced::begin();
        let (bus, _) = start("spans", |bus, _| bus);
        let traceparent = place::on(&bus).execute().wait().unwrap();
        bus.shutdown().unwrap();
        assert!(parts(&traceparent).is_some());
        assert!(!traced::spans().iter().any(|span| span.field("traceparent") == traceparent));
    }
}

#[test]
fn the_example_refuses_counts_and_traces() {
    let run = run::example("layers").run();
    assert!(run.success, "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let [refused, close, open, welcome] = lines[..] else { panic!("{}", run.stdout) };
    assert_eq!(refused, "alice's account stays open: `accounts.close` is not allowed here");
    for (line, begin) in [
        (close, "accounts.close   0 succeeded, 1 failed, in "),
        (open, "accounts.open    2 succeeded, 0 failed, in "),
        (welcome, "letters.welcome  1 succeeded, 1 failed, in "),
    ] {
        assert!(line.starts_with(begin) && line.ends_with('s'), "{line}");
    }
    let trace_of = |text: &str| {
        let line = run.stderr.lines().find(|line| line.ends_with(text)).expect(text);
        let (_, rest) = line.split_once("traceparent=\"").expect(line);
        rest[3..35].to_owned()
    };
    for owner in ["alice", "bob"] {
        let opening = trace_of(&format!("opening the account of {owner}"));
        assert_eq!(opening, trace_of(&format!("writing to {owner}")));
    }
    assert_ne!(trace_of("writing to alice"), trace_of("writing to bob"));
}
