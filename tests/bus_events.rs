//! The bus's own events: heard like any other, made for nobody, and never the cause of themselves.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::events::{DeadLettered, Started, Stopping};
use bus::prelude::*;
use bus::{Clock, Running};
use support::{Door, Log};

fn start(services: &[&str]) -> (Running, Log) {
    let log = Log::default();
    let bus = bus::builder().services(services.iter().copied()).state(log.clone());
    (bus.build().unwrap(), log)
}

/// What fails.
mod press {
    use super::*;

    #[event(exchange = "press", key = "page.print")]
    pub(crate) struct Print {
        pub(crate) page: u32,
    }

    #[listener(retry = 1, backoff = "0s")]
    fn print(print: &Print) -> Result<(), String> {
        Err(format!("no ink for page {}", print.page))
    }

    #[command(retry = 0)]
    pub(crate) fn bind(copies: u32) -> Result<(), String> {
        Err(format!("no glue for {copies}"))
    }
}

mod ways {
    use super::*;

    #[listener]
    fn by_type(dead: &DeadLettered, log: State<Log>) {
        log.add(format!("type {}", dead.listener));
    }

    #[listener(DeadLettered::EVENT)]
    fn by_event(dead: DeadLettered, log: State<Log>) {
        log.add(format!("event {}", dead.listener));
    }

    #[listener("bus.dead_letter")]
    fn by_name(dead: &DeadLettered, log: State<Log>) {
        log.add(format!("name {}", dead.listener));
    }

    #[listener("bus.dead_letter")]
    fn undecoded(ctx: &Context, log: State<Log>) {
        log.add(format!("undecoded {}/{}", ctx.exchange(), ctx.key()));
    }

    #[listener("bus.dead_letter")]
    async fn as_json(dead: serde_json::Value, log: State<Log>) {
        log.add(format!("json {}", dead["listener"].as_str().unwrap()));
    }

    #[listener("bus.#")]
    fn by_pattern(ctx: &Context, log: State<Log>) {
        log.add(format!("pattern {}", ctx.key()));
    }

    #[test]
    fn they_are_heard_in_every_way() {
        let (bus, log) = start(&["ways", "press"]);
        let closure = log.clone();
        let hear = move |ctx: &Context| closure.add(format!("closure {}", ctx.key()));
        let _guard = bus.register_listener("bus.#", hear).unwrap();
        press::Print { page: 1 }.on(&bus);
        bus.shutdown().unwrap();
        assert_eq!(
            log.sorted(),
            [
                "closure bus.dead_letter",
                "closure bus.stopping",
                "event press.print",
                "json press.print",
                "name press.print",
                "pattern bus.dead_letter",
                "pattern bus.started",
                "pattern bus.stopping",
                "type press.print",
                "undecoded bus/bus.dead_letter",
            ]
        );
    }
}

impl press::Print {
    /// Fires it and waits until it has failed.
    fn on(self, bus: &Bus) {
        assert!(bus.fire(self).handled().wait().unwrap().ok().is_err());
        bus.settle();
    }
}

mod told {
    use super::*;

    #[listener]
    fn told(dead: &DeadLettered, ctx: &Context, log: State<Log<DeadLettered>>, ids: State<Log>) {
        log.add(dead.clone());
        ids.add(ctx.causation_id().unwrap());
        ids.add(ctx.correlation_id());
    }

    #[test]
    fn a_dead_letter_is_told_with_all_that_is_known_of_it() {
        let (dead, ids) = (Log::<DeadLettered>::default(), Log::<String>::default());
        let bus = bus::builder().services(["told", "press"]);
        let bus = bus.state(dead.clone()).state(ids.clone()).build().unwrap();
        press::Print { page: 7 }.on(&bus);
        let letters = bus.dead_letters().list().unwrap();
        let [letter] = &letters[..] else { panic!("{letters:?}") };
        let all = dead.all();
        let [told] = &all[..] else { panic!("{all:?}") };
        assert_eq!(told.id, letter.id());
        assert_eq!((&*told.listener, &*told.exchange), ("press.print", "press"));
        assert_eq!((&*told.key, &*told.reason), ("page.print", "no ink for page 7"));
        assert_eq!(told.attempts, 2);
        // It follows from what died.
        let id = letter.id().strip_suffix("/press.print").unwrap();
        assert_eq!(ids.all(), [id, id]);

        press::bind::on(&bus).dispatch(3).handled().wait().unwrap().ok().unwrap_err();
        bus.settle();
        let task = &dead.all()[1];
        assert_eq!(
            (&*task.listener, &*task.exchange, &*task.key),
            ("press.bind", "", "press.bind")
        );
        assert_eq!((&*task.reason, task.attempts), ("no glue for 3", 1));
    }
}

mod again {
    use super::*;

    #[event(exchange = "again", key = "try")]
    pub(crate) struct Try {}

    #[listener(retry = 0)]
    fn second_time_lucky(_: &Try, log: State<Log>) -> Result<(), String> {
        log.add("tried");
        if log.all().len() < 2 { Err("bad luck".into()) } else { Ok(()) }
    }

    #[listener]
    fn replay(dead: &DeadLettered, ctx: &Context) -> bus::Result<()> {
        ctx.bus().dead_letters().replay(&dead.id)
    }

    #[test]
    fn its_listener_can_replay_it() {
        let (bus, log) = start(&["again"]);
        drop(bus.fire(Try {}));
        bus.settle();
        assert_eq!(log.all(), ["tried", "tried"]);
        assert!(bus.dead_letters().list().unwrap().is_empty());
    }
}

/// Everything that listens fails, and so does everything that it causes.
mod wake {
    use super::*;

    #[event(exchange = "wake", key = "alarm")]
    pub(crate) struct Alarm {}

    #[listener(retry = 1, backoff = "0s")]
    async fn mourn(dead: &DeadLettered, log: State<Log>) -> Result<(), String> {
        log.add(format!("mourn {}", dead.listener));
        Alarm {}.fire();
        futures_lite::future::yield_now().await;
        ring::dispatch();
        panic!("the mourner is dead");
    }

    #[listener(retry = 0)]
    fn alarm(_: &Alarm) -> Result<(), String> {
        ring::dispatch();
        Err("no siren".into())
    }

    #[listener(inline, retry = 0)]
    fn alarm_here(_: &Alarm) -> Result<(), String> {
        Err("no horn".into())
    }

    #[command(retry = 0)]
    fn ring() -> Result<(), String> {
        Err("no bell".into())
    }

    #[test]
    fn what_fails_in_the_wake_of_a_dead_letter_is_kept_and_not_announced() {
        let (bus, log) = start(&["wake", "press"]);
        press::Print { page: 1 }.on(&bus);
        // Two attempts to mourn the one that died by itself.
        assert_eq!(log.all(), ["mourn press.print", "mourn press.print"]);
        let letters = bus.dead_letters().list().unwrap();
        let mut dead: Vec<&str> = letters.iter().map(bus::DeadLetter::listener).collect();
        dead.sort_unstable();
        let alarms =
            ["wake.alarm", "wake.alarm", "wake.alarm_here", "wake.alarm_here", "wake.mourn"];
        assert_eq!(dead, [&["press.print"], &alarms[..], &["wake.ring"; 4]].concat());
        // Another death by itself is announced again.
        press::Print { page: 2 }.on(&bus);
        assert_eq!(log.all().len(), 4);
        // So is one that has nothing to do with the first, of a listener that was told of it.
        drop(bus.fire(Alarm {}));
        bus.settle();
        assert_eq!(log.all().len(), 4 + 2 * 3, "two alarms and a ring");
    }
}

mod starts {
    use super::*;

    #[listener]
    fn started(started: &Started, log: State<Log>) {
        log.add(format!("started {}", started.services.join(", ")));
    }

    #[listener(retry = 0)]
    fn stopping(_: &Stopping, log: State<Log>) {
        log.add("stopping");
        Last {}.fire();
        log.add(format!("asked {}", ask::execute().wait().unwrap()));
    }

    #[event(exchange = "starts", key = "last")]
    pub(crate) struct Last {}

    #[listener(service = "starts.other")]
    fn last(_: &Last, log: State<Log>) {
        log.add("last");
    }

    #[command(service = "starts.other")]
    fn ask() -> u32 {
        7
    }

    #[test]
    fn starting_and_stopping_are_told_once_and_what_follows_is_handled() {
        let (bus, log) = start(&["starts"]);
        bus.settle();
        assert_eq!(log.all(), ["started starts, starts.other"]);
        bus.shutdown().unwrap();
        bus.shutdown().unwrap();
        drop(bus);
        let all = log.all();
        assert_eq!(all[..2], ["started starts, starts.other", "stopping"]);
        assert_eq!(log.sorted(), ["asked 7", "last", "started starts, starts.other", "stopping"]);
    }

    #[test]
    fn a_closure_of_the_builder_hears_the_start() {
        let log = Log::<String>::default();
        let closure = log.clone();
        let hear = move |started: &Started| closure.add(started.services.join(", "));
        let bus = bus::builder().services(["press"]).register_listener(Started::EVENT, hear);
        let bus = bus.build().unwrap();
        bus.settle();
        assert_eq!(log.all(), ["bus.closures, press"]);
    }
}

mod late {
    use super::*;

    #[event(exchange = "late", key = "hit")]
    pub(crate) struct Hit {}

    #[listener(retry = 3, backoff = "1h")]
    fn fails(_: &Hit) -> Result<(), String> {
        Err("always".into())
    }

    #[listener]
    fn dead(dead: &DeadLettered, log: State<Log>) {
        log.add(format!("{} after {}", dead.listener, dead.attempts));
    }

    #[test]
    fn what_dies_while_the_bus_stops_is_announced() {
        let (bus, log) = start(&["late"]);
        drop(bus.fire(Hit {}));
        bus.settle();
        assert_eq!(log.all(), [""; 0]);
        bus.shutdown().unwrap();
        assert_eq!(log.all(), ["late.fails after 4"]);
    }

    #[command(service = "held")]
    async fn hold(door: State<Door>) {
        door.pass().await;
    }

    #[test]
    fn what_dies_when_it_is_too_late_is_kept_all_the_same() {
        let (door, log) = (Door::default(), Log::<String>::default());
        let bus = bus::builder().services(["late", "held"]).state(door.clone()).state(log.clone());
        let bus = bus.clock(Clock::manual()).build().unwrap();
        hold::on(&bus).dispatch().wait().unwrap();
        door.wait_for_one();
        bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        assert_eq!(bus.dead_letters().list().unwrap()[0].listener(), "held.hold");
        assert_eq!(log.all(), [""; 0]);
    }
}

#[test]
fn where_nobody_listens_there_is_no_event() {
    let (bus, _) = start(&["press"]);
    press::Print { page: 1 }.on(&bus);
    assert_eq!(bus.dead_letters().list().unwrap().len(), 1);
    bus.shutdown().unwrap();
    assert_eq!((bus.stats().fired, bus.stats().unrouted), (1, 0));
}

#[test]
fn nobody_is_warned_of_events_that_the_program_did_not_declare() {
    let report = bus::verify();
    let faults = report.to_string();
    assert!(!faults.contains("`bus."), "{faults}");
    let (bus, _) = start(&["press"]);
    assert!(bus.catalog().events().all(|(exchange, _)| exchange != "bus"));
}
