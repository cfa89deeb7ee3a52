//! Inline handlers that are called directly, without a message, and listeners of one service that run
//! as a group: nothing that is promised of a delivery is missing.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bus::prelude::*;
use bus::{ExecuteError, Running};

fn bus_of(service: &str) -> Running {
    bus::builder().services([service]).build().unwrap()
}

mod direct {
    use super::*;

    #[event(local, exchange = "direct", key = "direct.rung")]
    pub(super) struct Rung {
        pub(super) number: u64,
    }

    pub(super) static HEARD: AtomicU64 = AtomicU64::new(0);

    #[listener(Rung::RUNG, inline)]
    fn one(rung: &Rung) {
        HEARD.fetch_add(rung.number, Ordering::Relaxed);
    }

    #[listener(Rung::RUNG, inline, retry = 0)]
    fn two(rung: &Rung) -> Result<(), String> {
        match rung.number {
            13 => Err("unlucky".to_owned()),
            14 => panic!("very unlucky"),
            _ => Ok(()),
        }
    }

    #[listener(Rung::RUNG, inline)]
    fn three(_: &Rung) {}

    #[command(inline)]
    pub(super) fn half(number: u64) -> Result<u64, String> {
        match number {
            1 => panic!("one has no half"),
            n if n % 2 == 1 => Err("odd".to_owned()),
            n => Ok(n / 2),
        }
    }

    fn handled(bus: &Running, name: &str) -> (u64, u64, u64) {
        let stats = bus.stats();
        let of = stats.handlers.iter().find(|handler| handler.name == name).unwrap();
        (of.handled, of.failed, of.panicked)
    }

    #[test]
    fn outcomes_name_every_listener_however_it_was_called() {
        let bus = bus_of("direct");
        for number in [1, 2, 13, 14, 3] {
            let outcomes = bus.fire(Rung { number }).handled().wait().unwrap();
            let names: Vec<&str> = outcomes.iter().map(bus::Outcome::listener).collect();
            assert_eq!(names, ["direct.one", "direct.three", "direct.two"]);
            let failed = usize::from(matches!(number, 13 | 14));
            assert_eq!(outcomes.failed().count(), failed);
        }
        assert_eq!(bus.dead_letters().list().unwrap().len(), 2);
    }

    #[test]
    fn everything_is_counted_also_on_threads_that_have_ended() {
        let bus = bus_of("direct");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for number in [1, 2, 13, 4, 14] {
                        drop(bus.fire(Rung { number }));
                    }
                    assert_eq!(half::on(&bus).execute(6).wait(), Ok(3));
                    assert_eq!(half::on(&bus).execute(8).wait(), Ok(4));
                    let odd = half::on(&bus).execute(7).wait();
                    assert_eq!(odd, Err(ExecuteError::Handler("odd".to_owned())));
                    assert_eq!(half::on(&bus).execute(1).wait(), Err(ExecuteError::Panicked));
                });
            }
        });
        assert_eq!(bus.stats().fired, 15);
        assert_eq!(handled(&bus, "direct.one"), (15, 0, 0));
        assert_eq!(handled(&bus, "direct.two"), (9, 6, 3));
        assert_eq!(handled(&bus, "direct.half"), (6, 6, 3));
    }

    #[test]
    fn a_listener_that_is_registered_later_hears_the_next_event() {
        let bus = bus_of("direct");
        drop(bus.fire(Rung { number: 1 }));
        drop(bus.fire(Rung { number: 1 }));
        let (sender, heard) = mpsc::channel();
        let pattern = ("direct", "direct.*");
        let guard = bus.register_listener(pattern, move |ctx: &Context| {
            let _ = sender.send(ctx.key().to_owned());
        });
        bus.fire(Rung { number: 1 }).handled().wait().unwrap();
        assert_eq!(heard.try_recv().unwrap(), "direct.rung");
        drop(guard);
        bus.fire(Rung { number: 1 }).handled().wait().unwrap();
        assert!(heard.try_recv().is_err());
    }

    #[test]
    fn a_bus_that_has_stopped_refuses_what_it_used_to_call_directly() {
        let bus = bus_of("direct");
        bus.fire(Rung { number: 1 }).wait().unwrap();
        bus.fire(Rung { number: 1 }).wait().unwrap();
        bus.shutdown().unwrap();
        let error = bus.fire(Rung { number: 2 }).wait().unwrap_err();
        assert_eq!(error.into_event::<Rung>().unwrap().number, 2);
    }

    #[test]
    fn who_has_fired_keeps_nothing_of_a_bus_alive() {
        let state = Arc::new(());
        let bus = bus::builder().services(["direct"]).state(state.clone()).build().unwrap();
        drop(bus.fire(Rung { number: 1 }));
        drop(bus.fire(Rung { number: 1 }));
        drop(bus);
        assert_eq!(Arc::strong_count(&state), 1);
    }
}

mod nested {
    use super::*;

    #[event(local, exchange = "nested", key = "nested.outer")]
    struct Outer {}

    #[event(local, exchange = "nested", key = "nested.inner")]
    struct Inner {}

    static CAUSES: Mutex<Vec<Option<String>>> = Mutex::new(Vec::new());

    #[listener(Outer::OUTER, inline)]
    fn outer(_: &Outer) {
        // On the bus that runs this.
        drop(Inner {}.fire());
        drop(Inner {}.fire());
        drop(told::execute());
        drop(told::execute());
    }

    static CALLS: Mutex<Vec<Option<String>>> = Mutex::new(Vec::new());

    #[command]
    fn told(ctx: &Context) {
        CALLS.lock().unwrap().push(ctx.causation_id());
    }

    #[listener(Inner::INNER)]
    fn inner(ctx: &Context) {
        assert_eq!(ctx.causation_id(), Some(ctx.correlation_id()));
        CAUSES.lock().unwrap().push(ctx.causation_id());
    }

    #[test]
    fn what_a_listener_sends_that_is_called_directly_is_caused_by_its_event() {
        let bus = bus_of("nested");
        for _ in 0..3 {
            bus.fire(Outer {}).wait().unwrap();
        }
        bus.settle();
        let causes = CAUSES.lock().unwrap();
        let distinct: std::collections::BTreeSet<_> = causes.iter().flatten().collect();
        assert_eq!((causes.len(), distinct.len()), (6, 3));
        // Those of what it calls, too, by whichever way it comes.
        let calls = CALLS.lock().unwrap();
        let called: std::collections::BTreeSet<_> = calls.iter().flatten().collect();
        assert_eq!((calls.len(), called), (6, distinct));
    }
}

mod slow {
    use super::*;

    #[event(local, exchange = "slow", key = "slow.begun")]
    pub(super) struct Begun {
        pub(super) hold: bool,
    }

    static HELD: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>> = Mutex::new(None);

    #[listener(Begun::BEGUN, inline)]
    fn hold(begun: &Begun) {
        if begun.hold
            && let Some((begun, release)) = HELD.lock().unwrap().take()
        {
            begun.send(()).unwrap();
            release.recv().unwrap();
        }
    }

    #[test]
    fn a_shutdown_waits_for_a_listener_that_is_called_directly() {
        let bus = bus_of("slow");
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel();
        *HELD.lock().unwrap() = Some((begun, released));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                bus.fire(Begun { hold: false }).wait().unwrap();
                bus.fire(Begun { hold: false }).wait().unwrap();
                bus.fire(Begun { hold: true }).wait().unwrap();
            });
            has_begun.recv().unwrap();
            assert!(bus.shutdown_within(Duration::from_millis(20)).is_err());
            release.send(()).unwrap();
        });
    }
}

mod last {
    use super::*;

    #[event(local, exchange = "last", key = "last.word")]
    struct Word {
        waits: bool,
    }

    static DOOR: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>> = Mutex::new(None);
    static ANSWER: Mutex<Option<u32>> = Mutex::new(None);

    #[command]
    fn answer() -> u32 {
        7
    }

    #[listener(Word::WORD, inline)]
    fn hear(word: &Word) {
        if word.waits
            && let Some((begun, release)) = DOOR.lock().unwrap().take()
        {
            begun.send(()).unwrap();
            release.recv().unwrap();
        }
        *ANSWER.lock().unwrap() = answer::execute().wait().ok();
    }

    #[test]
    fn a_listener_that_is_called_directly_has_its_calls_answered_while_the_bus_stops() {
        let bus = bus_of("last");
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel();
        *DOOR.lock().unwrap() = Some((begun, released));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..3 {
                    bus.fire(Word { waits: false }).wait().unwrap();
                    assert_eq!(ANSWER.lock().unwrap().take(), Some(7));
                }
                bus.fire(Word { waits: true }).wait().unwrap();
            });
            has_begun.recv().unwrap();
            let stopping = scope.spawn(|| bus.shutdown_within(Duration::from_secs(60)));
            while bus.fire(Word { waits: false }).wait().is_ok() {
                std::thread::yield_now();
            }
            ANSWER.lock().unwrap().take();
            release.send(()).unwrap();
            stopping.join().unwrap().unwrap();
        });
        assert_eq!(ANSWER.lock().unwrap().take(), Some(7));
    }
}

mod group {
    use super::*;

    #[event(local, exchange = "group", key = "group.met")]
    struct Met {}

    static DOOR: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);

    #[command(service = "elsewhere")]
    fn knock(number: u64) -> u64 {
        number
    }

    /// Waits, in the middle of a group, for the answer of another service.
    #[listener(Met::MET)]
    fn first(_: &Met) {
        assert_eq!(knock::execute(7).wait(), Ok(7));
    }

    #[listener(Met::MET, retry = 0)]
    fn second(_: &Met) -> Result<(), String> {
        Err("always".to_owned())
    }

    #[listener(Met::MET, retry = 0)]
    fn third(_: &Met) {
        panic!("always");
    }

    #[listener(Met::MET)]
    fn fourth(_: &Met) {
        if let Some(door) = DOOR.lock().unwrap().take() {
            door.send(()).unwrap();
        }
    }

    #[test]
    fn listeners_of_a_group_fail_wait_and_panic_alone() {
        let (sender, door) = mpsc::channel();
        *DOOR.lock().unwrap() = Some(sender);
        let bus = bus::builder().services(["group", "elsewhere"]).build().unwrap();
        let outcomes = bus.fire(Met {}).handled().wait().unwrap();
        door.recv().unwrap();
        let failed: Vec<&str> = outcomes.failed().map(bus::Outcome::listener).collect();
        assert_eq!(failed, ["group.second", "group.third"]);
        bus.settle();
        assert!(bus.stats().services.iter().all(|service| service.open == 0));
    }
}

mod company {
    use super::*;

    #[event(local, exchange = "company", key = "company.called")]
    struct Called {}

    static GATE: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);

    #[command(service = "gate")]
    fn pass() {
        let (sender, gate) = mpsc::channel();
        *GATE.lock().unwrap() = Some(sender);
        gate.recv().unwrap();
    }

    /// It goes on once the next listener of its own group has run.
    #[listener(Called::CALLED)]
    fn asks(_: &Called) {
        pass::execute().wait().unwrap();
    }

    #[listener(Called::CALLED)]
    fn opens(_: &Called) {
        loop {
            if let Some(gate) = GATE.lock().unwrap().take() {
                gate.send(()).unwrap();
                return;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_listener_that_waits_does_not_keep_the_others_of_its_group_waiting() {
        let bus = bus::builder().services(["company", "gate"]).build().unwrap();
        bus.fire(Called {}).handled().wait().unwrap().ok().unwrap();
        bus.settle();
    }
}
