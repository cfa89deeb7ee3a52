//! An error or a panic in one handler concerns that delivery alone: not the other listeners, not
//! the firing side, not the service's thread, not its next message.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::prelude::*;
use bus::{ErrorKind, Reason};
use support::{Log, has, text};

/// One event, three listeners of one service: two fail, each in its own way.
mod neighbours {
    use super::*;

    #[event(exchange = "neighbours", key = "hit")]
    pub(crate) struct Hit {
        pub(crate) number: u32,
    }

    #[listener(retry = 0)]
    fn errs(hit: &Hit) -> Result<(), String> {
        Err(format!("no ink for {}", hit.number))
    }

    #[listener(retry = 0)]
    fn panics(hit: &Hit) {
        panic!("paper jam at {}", hit.number);
    }

    #[listener(retry = 0)]
    async fn panics_later(hit: &Hit) {
        futures_lite::future::yield_now().await;
        panic!("late paper jam at {}", hit.number);
    }

    #[listener]
    fn works(hit: &Hit, log: State<Log<u32>>) {
        log.add(hit.number);
    }

    #[test]
    fn a_failing_listener_harms_no_other() {
        let bus = bus::builder().services(["neighbours"]).state(Log::<u32>::default()).build();
        let bus = bus.unwrap();
        for number in 1..=3 {
            let outcomes = bus.fire(Hit { number }).handled().wait().unwrap();
            assert_eq!(outcomes.len(), 4);
            assert!(outcomes.get("neighbours.works").unwrap().is_ok());
            let errs = outcomes.get("errs").unwrap().failure().unwrap();
            assert_eq!(errs.reason(), Reason::Error);
            assert_eq!(errs.message(), format!("no ink for {number}"));
            for (name, start) in [("panics", "paper jam"), ("panics_later", "late paper jam")] {
                let panics = outcomes.get(name).unwrap().failure().unwrap();
                assert_eq!(panics.reason(), Reason::Panic);
                assert_eq!(panics.message(), format!("{start} at {number}"));
            }
        }
        bus.settle();
        let stats = bus.stats();
        let works = stats.handlers.iter().find(|handler| handler.name == "neighbours.works");
        assert_eq!(works.unwrap().handled, 3);
        let panics = stats.handlers.iter().find(|handler| handler.name == "neighbours.panics");
        assert_eq!(panics.unwrap().panicked, 3);
    }

    #[test]
    fn ok_names_each_listener_that_failed_and_no_other() {
        let bus = bus::builder().services(["neighbours"]).state(Log::<u32>::default()).build();
        let outcomes = bus.unwrap().fire(Hit { number: 7 }).handled().wait().unwrap();
        let error = outcomes.ok().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handler);
        let text = error.to_string();
        has(&text, &["3 of 4", "`neighbours.errs`: no ink for 7", "`neighbours.panics`: panicked"]);
        assert!(!text.contains("works"), "{text}");
    }
}

/// Commands of one service, each of which dies in its own way.
mod crashing {
    use super::*;

    #[command]
    fn panics(text: &str) -> u32 {
        panic!("{text}");
    }

    #[command]
    fn panics_without_a_text() -> u32 {
        std::panic::panic_any(7_u32);
    }

    #[command]
    async fn panics_after_an_await() -> u32 {
        futures_lite::future::yield_now().await;
        panic!("a secret");
    }

    #[command]
    fn thread() -> String {
        support::thread_name()
    }

    #[test]
    fn a_panic_leaves_its_service_serving() {
        let bus = bus::builder().services(["crashing"]).build().unwrap();
        for _ in 0..20 {
            let crash = panics::on(&bus).execute("boom").wait();
            assert_eq!(crash, Err(ExecuteError::Panicked));
            let crash = panics_without_a_text::on(&bus).execute().wait();
            assert_eq!(crash, Err(ExecuteError::Panicked));
            let crash = panics_after_an_await::on(&bus).execute().wait();
            assert_eq!(crash, Err(ExecuteError::Panicked));
            assert_eq!(thread::on(&bus).execute().wait().unwrap(), "crashing");
        }
        bus.shutdown().unwrap();
    }

    #[test]
    fn the_text_of_a_panic_does_not_reach_the_caller() {
        let bus = bus::builder().services(["crashing"]).build().unwrap();
        let crash = panics::on(&bus).execute("a secret").wait().unwrap_err();
        assert!(crash.outcome_unknown());
        assert!(!format!("{crash} {crash:?}").contains("secret"));
    }

    #[test]
    fn a_task_that_panics_is_a_dead_letter_with_the_text() {
        let bus = bus::builder().services(["crashing"]).retry(0, &[]).build().unwrap();
        let outcomes = panics::on(&bus).dispatch("no toner").handled().wait().unwrap();
        assert_eq!(outcomes.get("panics").unwrap().failure().unwrap().message(), "no toner");
        let dead = bus.dead_letters().list().unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].listener(), dead[0].attempts()), ("crashing.panics", 1));
        assert_eq!(dead[0].reason().reason(), Reason::Panic);
        assert_eq!(dead[0].payload(), r#"["no toner"]"#);
    }
}

/// An inline listener runs on the thread that fires.
mod inlined {
    use super::*;

    #[event(exchange = "inlined", key = "hit")]
    pub(crate) struct Hit {}

    #[listener(inline, retry = 0)]
    fn panics(_: &Hit) {
        panic!("on the thread that fires");
    }

    #[command(inline)]
    fn panics_too() -> u32 {
        panic!("on the thread that executes");
    }

    #[test]
    fn an_inline_panic_does_not_reach_who_fires_or_executes() {
        let bus = bus::builder().services(["inlined"]).build().unwrap();
        let outcomes = bus.fire(Hit {}).handled().wait().unwrap();
        assert_eq!(outcomes.get("panics").unwrap().failure().unwrap().reason(), Reason::Panic);
        assert_eq!(panics_too::on(&bus).execute().wait(), Err(ExecuteError::Panicked));
    }
}

/// Everything that a payload's own code can do wrong.
mod payloads {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Deserialize, Event)]
    #[event(exchange = "payloads", key = "spiteful")]
    pub(crate) struct Spiteful {}

    impl Serialize for Spiteful {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("not even the dead letter can be written");
        }
    }

    #[listener(retry = 0)]
    fn errs(_: &Spiteful) -> Result<(), &'static str> {
        Err("no")
    }

    #[listener]
    fn fine(_: &Spiteful) {}

    #[command]
    fn ping() -> u32 {
        1
    }

    #[test]
    fn a_payload_that_panics_when_it_is_written_ends_no_service() {
        let bus = bus::builder().services(["payloads"]).build().unwrap();
        let outcomes = bus.fire(Spiteful {}).handled().wait().unwrap();
        assert_eq!(outcomes.get("errs").unwrap().failure().unwrap().message(), "no");
        assert!(outcomes.get("fine").unwrap().is_ok());
        assert_eq!(ping::on(&bus).execute().wait(), Ok(1));
    }
}

/// A payload whose end is a panic.
mod dropped {
    use super::*;

    #[event(local, exchange = "dropped", key = "bomb")]
    pub(crate) struct Bomb {}

    impl Drop for Bomb {
        fn drop(&mut self) {
            // Not on the thread of the test, where an assertion may be failing.
            assert!(support::thread_name() != "dropped", "dropped on the thread of the service");
        }
    }

    #[listener]
    fn hears(_: &Bomb) {}

    #[listener]
    fn hears_too(_: &Bomb) {}

    #[command]
    fn ping() -> u32 {
        1
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_ends_no_service() {
        let bus = bus::builder().services(["dropped"]).build().unwrap();
        for _ in 0..20 {
            drop(bus.fire(Bomb {}));
            assert_eq!(ping::on(&bus).execute().wait(), Ok(1));
        }
        bus.shutdown().unwrap();
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_loses_no_event_behind_it() {
        let bus = bus::builder().services(["dropped"]).build().unwrap();
        for _ in 0..20 {
            drop(bus.fire(Bomb {}));
        }
        assert_eq!(bus.fire(Bomb {}).handled().wait().unwrap().len(), 2);
        // It waits for every event that was accepted.
        bus.shutdown_within(Duration::from_secs(5)).unwrap();
    }
}

/// An error that is hard to read.
mod unreadable {
    use super::*;

    struct Unreadable;

    impl std::fmt::Display for Unreadable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("an error that cannot be read");
        }
    }

    #[event(exchange = "unreadable", key = "hit")]
    pub(crate) struct Hit {}

    #[listener(retry = 0)]
    fn errs(_: &Hit) -> Result<(), Unreadable> {
        Err(Unreadable)
    }

    #[command(local)]
    fn errs_too() -> Result<(), Unreadable> {
        Err(Unreadable)
    }

    #[command(local, inline)]
    fn errs_here() -> Result<(), Unreadable> {
        Err(Unreadable)
    }

    #[command]
    fn ping() -> u32 {
        1
    }

    #[test]
    fn an_error_that_panics_when_it_is_read_keeps_no_shutdown_waiting() {
        let bus = bus::builder().services(["unreadable"]).build().unwrap();
        let (called, has_called) = std::sync::mpsc::channel::<()>();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let bus = &bus;
            scope.spawn(move || {
                // The first call finds the way, the others take it.
                for _ in 0..3 {
                    let error = errs_here::on(bus).execute().wait();
                    let error = error.map_err(|error| error.map_handler(drop));
                    assert_eq!(error, Err(ExecuteError::Panicked));
                }
                drop(called);
                // It lives on, and does nothing more.
                let _ = stopped.recv();
            });
            let _ = has_called.recv();
            let stopped = bus.shutdown_within(Duration::from_secs(5));
            drop(stop);
            stopped.unwrap();
        });
    }

    #[test]
    fn an_error_that_panics_when_it_is_read_ends_no_service() {
        let bus = bus::builder().services(["unreadable"]).build().unwrap();
        let outcomes = bus.fire(Hit {}).handled().wait().unwrap();
        has(&text(outcomes.ok()), &["an error that cannot be read"]);
        let error = errs_too::on(&bus).execute().wait().map_err(|error| error.map_handler(drop));
        assert_eq!(error, Err(ExecuteError::Panicked));
        assert_eq!(ping::on(&bus).execute().wait(), Ok(1));
    }
}
