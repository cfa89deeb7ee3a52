//! Every fault in the wiring of a program at once, each with its place. All handlers of this file
//! are linked into every bus of this process, so each group has services of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::unused_self, reason = "`self` says what a handler excludes")]

mod support;

use bus::prelude::*;
use bus::{ErrorKind, Fault};
use support::{Log, has};

/// The line of the first occurrence of `what` in this file, which stands there as code.
fn line_of(what: &str) -> u32 {
    let line = include_str!("wiring_faults.rs").lines().position(|line| line.contains(what));
    u32::try_from(line.unwrap() + 1).unwrap()
}

fn at(what: &str) -> String {
    format!("tests/wiring_faults.rs:{}", line_of(what))
}

mod first {
    use super::*;

    pub(crate) struct Missing;
    pub(crate) struct MissingToo;

    #[command("twin.command")]
    fn first_twin() {}

    #[listener("wiring_a", queue = "twin.queue")]
    fn first_queue(_: u32) {}

    #[command]
    fn wants_two(_a: State<Missing>, _b: State<MissingToo>) {}

    #[listener("wiring_b")]
    async fn wants_one(_: u32, _given: State<Log>, _missing: State<Missing>) {}

    #[derive(Default)]
    pub(crate) struct Ledger;

    #[service]
    impl Ledger {
        #[init]
        fn opens_with(_missing: State<MissingToo>) -> Self {
            Self
        }
        #[command]
        fn ledger_command(&self) {}
    }
}

mod second {
    use super::*;

    #[command("twin.command")]
    fn second_twin() {}

    #[listener("wiring_c", queue = "twin.queue")]
    fn second_queue(_: u32) {}

    #[event(local, exchange = "wiring", key = "opaque.sent")]
    pub(crate) struct Opaque {}

    pub(crate) struct NoSerde;

    #[listener("opaque.*", exchange = "wiring")]
    fn takes_another_type(_: &NoSerde) {}

    #[listener("untold.*.pattern")]
    fn hears_who_knows_what(_: u32) {}

    #[event(exchange = "wiring", key = "claimed.twice")]
    pub(crate) struct Claimed {
        pub(crate) a: u32,
    }

    #[event(exchange = "wiring", key = "claimed.twice")]
    pub(crate) struct ClaimedAgain {
        pub(crate) b: u32,
    }
}

mod fine {
    use super::*;

    #[command]
    fn works() -> u32 {
        1
    }
}

fn faults(services: &[&str]) -> Vec<Fault> {
    let builder = bus::builder().services(services.iter().copied()).state(Log::<String>::default());
    let report = builder.verify();
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    assert_eq!(error.faults(), report.faults());
    for fault in error.faults() {
        has(&error.to_string(), &[&fault.to_string()]);
    }
    error.faults().to_vec()
}

#[track_caller]
fn find(faults: &[Fault], place: &str, parts: &[&str]) {
    let line = line_of(place);
    let found = faults.iter().any(|fault| {
        fault.place() == Some(("tests/wiring_faults.rs", line))
            && parts.iter().all(|part| fault.message().contains(part))
    });
    assert!(found, "no fault at line {line} has {parts:?} in {faults:#?}");
}

#[test]
fn every_fault_is_reported_at_once_and_sorted_by_place() {
    let faults = faults(&["first", "second", "nowhere"]);
    find(&faults, "fn second_twin", &["`twin.command`", "implemented twice", &at("fn first_twin")]);
    find(&faults, "fn second_queue", &["`twin.queue`", "two listeners", &at("fn first_queue")]);
    find(&faults, "fn wants_two", &["`wants_two`", "first::Missing>"]);
    find(&faults, "fn wants_two", &["`wants_two`", "first::MissingToo>"]);
    find(&faults, "fn wants_one", &["`wants_one`", "first::Missing>", "it has", "Log"]);
    find(&faults, "impl Ledger", &["`ledger`", "first::MissingToo>"]);
    find(&faults, "fn takes_another_type", &["NoSerde", "`opaque.sent`", "Opaque", "upcasts"]);
    find(&faults, "fn hears_who_knows_what", &["`untold.*.pattern`", "exchange = ", "`wiring`"]);
    let twice = faults.iter().find(|fault| fault.message().contains("one payload type")).unwrap();
    has(
        twice.message(),
        &["`claimed.twice`", "Claimed", "ClaimedAgain", "tests/wiring_faults.rs:"],
    );
    let nowhere = faults.iter().find(|fault| fault.place().is_none()).unwrap();
    has(nowhere.message(), &["`nowhere`", "`first`", "`second`", "`fine`", "bus::link!"]);
    let places: Vec<_> = faults.iter().map(Fault::place).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(faults.len(), 10, "{faults:#?}");
}

#[test]
fn a_service_that_does_not_run_needs_no_state_and_has_no_twin() {
    let faults = faults(&["first"]);
    assert!(!faults.iter().any(|fault| fault.message().contains("twin")), "{faults:#?}");
    find(&faults, "fn wants_two", &["first::Missing>"]);
}

#[test]
fn an_unknown_service_lists_the_known_ones() {
    let faults = faults(&["fin"]);
    let unknown = faults.iter().find(|fault| fault.place().is_none()).unwrap();
    has(unknown.message(), &["no service `fin`", "`fine`", "`first.ledger`"]);
}

/// Alone it is a `Transport` error: the unit tests of the builder, which link nothing, say so.
#[test]
fn a_transport_that_is_not_compiled_in_is_told_with_the_other_faults() {
    let error = bus::builder().transport("carrier-pigeon://user:secret@roof").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    has(error.faults()[0].message(), &["`carrier-pigeon`", "not compiled in", "`memory`"]);
    assert!(!format!("{error} {error:?}").contains("secret"));
}
