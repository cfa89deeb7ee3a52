//! The bus for tests: virtual time, capture, replacements, faults.

#[path = "testing/capture.rs"]
mod capture;
#[path = "testing/faults.rs"]
mod faults;
#[path = "testing/replacing.rs"]
mod replacing;
mod support;
#[path = "testing/time.rs"]
mod time;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::prelude::*;
use bus::testing::{TestBuilder, TestBus};
use bus::{Clock, ErrorKind};
use support::{Door, Log, has, text};

const NANOSECOND: Duration = Duration::from_nanos(1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The last moment before so many seconds are over.
fn just_under(seconds: u64) -> Duration {
    secs(seconds).saturating_sub(NANOSECOND)
}

/// What no test takes that moves virtual time alone, on however slow a machine.
const REAL: Duration = Duration::from_secs(20);

/// What handlers of these tests take, besides the bus.
struct Bench {
    bus: TestBus,
    log: Log,
    door: Door,
}

fn bench(service: &str) -> Bench {
    bench_with(service, |builder| builder)
}

fn bench_with(service: &str, change: impl FnOnce(TestBuilder) -> TestBuilder) -> Bench {
    let (log, door) = (Log::default(), Door::default());
    let builder = TestBus::builder().services([service]).state(log.clone()).state(door.clone());
    // A test that needs this is wrong: nothing here awaits the outside and is to be given up.
    let builder = change(builder.patience(secs(3600)));
    Bench { bus: builder.build().expect("it is wired rightly"), log, door }
}

mod alone {
    use super::*;

    #[event(exchange = "alone", key = "said")]
    pub(crate) struct Said {
        pub(crate) word: String,
    }

    #[listener]
    fn repeat(said: &Said, log: State<Log>) {
        log.add(&*said.word);
    }

    #[test]
    fn two_of_them_share_nothing() {
        let (one, two) = (bench("alone"), bench("alone"));
        one.bus.fire(Said { word: "one".into() });
        one.bus.settle();
        one.bus.inject("alone.repeat").unwrap().fail(1, "not today");
        one.bus.advance(secs(5));
        two.bus.fire(Said { word: "two".into() }).handled().wait().unwrap().ok().unwrap();
        assert_eq!((one.log.all(), two.log.all()), (vec!["one".into()], vec!["two".into()]));
        assert_eq!((one.bus.fired::<Said>().len(), two.bus.fired::<Said>().len()), (1, 1));
        assert!(one.bus.time() > two.bus.time() + secs(4));
    }

    #[test]
    fn nobodys_default_and_the_current_one_where_it_is_entered() {
        let (outer, inner) = (bench("alone"), bench("alone"));
        let said = |word: &str| Said { word: word.into() }.fire().wait();
        assert_eq!(said("nowhere").unwrap_err().kind(), ErrorKind::NotStarted);
        let in_outer = outer.bus.enter();
        said("outer").unwrap();
        let in_inner = inner.bus.enter();
        said("inner").unwrap();
        // Left out of order, the last one entered stays.
        drop(in_outer);
        said("still inner").unwrap();
        std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| said("another thread"));
            assert_eq!(elsewhere.join().unwrap().unwrap_err().kind(), ErrorKind::NotStarted);
        });
        drop(in_inner);
        assert_eq!(said("nowhere").unwrap_err().kind(), ErrorKind::NotStarted);
        outer.bus.settle();
        inner.bus.settle();
        assert_eq!(outer.log.all(), ["outer"]);
        assert_eq!(inner.log.all(), ["inner", "still inner"]);
    }

    #[test]
    fn a_missing_state_is_reported_as_usual() {
        let error = TestBus::builder().services(["alone"]).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Wiring);
        has(&error.to_string(), &["`repeat` takes `State<", "tests/testing.rs:"]);
        let report = TestBus::builder().services(["alone"]).verify();
        assert_eq!(report.faults(), error.faults());
    }

    #[test]
    fn made_of_a_programs_builder_it_keeps_all_but_time_and_transport() {
        let log = Log::<String>::default();
        let program = bus::builder().services(["alone"]).state(log.clone());
        let program = program.transport("amqp://nowhere.invalid").clock(Clock::system());
        let bus = TestBuilder::from(program).build().unwrap();
        bus.fire(Said { word: "here".into() });
        bus.settle();
        assert_eq!(log.all(), ["here"]);
        let before = bus.time();
        bus.advance(secs(1));
        assert_eq!(bus.time(), before + secs(1));
    }
}
