//! Starting and stopping: accepted work is finished, new work is refused, and who is stuck is named.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::prelude::*;
use bus::{Clock, ErrorKind, ExecuteError};
use support::{Door, Log, has, text};

/// More than any drain takes; nothing waits for it.
const LONG: Duration = Duration::from_secs(3600);

/// Two services that pass a number to and fro until it is zero.
mod ping {
    use super::*;

    #[event(exchange = "relay", key = "to.pong")]
    #[derive(Debug)]
    pub(crate) struct ToPong {
        pub(crate) left: u32,
    }

    #[listener(exchange = "relay")]
    fn pinged(event: &super::pong::ToPing, log: State<Log<u32>>) {
        log.add(event.left);
        if event.left > 0 {
            drop(ToPong { left: event.left - 1 }.fire());
        }
    }
}

mod pong {
    use super::*;

    #[event(exchange = "relay", key = "to.ping")]
    pub(crate) struct ToPing {
        pub(crate) left: u32,
    }

    #[listener]
    async fn ponged(event: super::ping::ToPong, ctx: &Context) {
        futures_lite::future::yield_now().await;
        drop(ctx.bus().fire(ToPing { left: event.left }));
    }
}

fn relay() -> (bus::Running, Log<u32>) {
    let log = Log::<u32>::default();
    (bus::builder().services(["ping", "pong"]).state(log.clone()).build().unwrap(), log)
}

#[test]
fn dropping_the_owner_loses_no_accepted_event() {
    for _ in 0..20 {
        let (bus, log) = relay();
        for _ in 0..50 {
            drop(bus.fire(pong::ToPing { left: 0 }));
        }
        drop(bus);
        assert_eq!(log.all().len(), 50);
    }
}

#[test]
fn shutdown_finishes_the_chains_that_handlers_fire() {
    for _ in 0..20 {
        let (bus, log) = relay();
        drop(bus.fire(pong::ToPing { left: 40 }));
        drop(bus.fire(pong::ToPing { left: 20 }));
        bus.shutdown().unwrap();
        assert_eq!(log.all().len(), 41 + 21);
    }
}

#[test]
fn settle_waits_for_the_whole_chain() {
    let (bus, log) = relay();
    for round in 1..=20 {
        drop(bus.fire(pong::ToPing { left: 15 }));
        bus.settle();
        assert_eq!(log.all().len(), 16 * round);
    }
}

#[test]
fn after_shutdown_nothing_is_taken_and_the_event_comes_back() {
    let (bus, log) = relay();
    bus.shutdown().unwrap();
    let error = bus.fire(pong::ToPing { left: 7 }).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = error.into_event::<ping::ToPong>().unwrap_err();
    assert_eq!(error.into_event::<pong::ToPing>().unwrap().left, 7);
    let error = bus.fire(pong::ToPing { left: 8 }).handled().wait().unwrap_err();
    assert_eq!(error.into_event::<pong::ToPing>().unwrap().left, 8);
    let receipt = bus.try_fire(pong::ToPing { left: 9 }).unwrap();
    assert_eq!(receipt.wait().unwrap_err().into_event::<pong::ToPing>().unwrap().left, 9);
    assert_eq!(bus.fire_event("gone", 1).wait().unwrap_err().kind(), ErrorKind::Closed);
    let execute = stubborn::hold::on(&bus).execute();
    assert!(matches!(execute.wait(), Err(ExecuteError::NotFound(_) | ExecuteError::Closed)));
    let error = bus.register_command("late", || 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = bus.register_listener("late", |_: u32| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(log.all(), [0_u32; 0]);
}

#[test]
fn a_second_shutdown_is_harmless() {
    let (bus, _log) = relay();
    let other = bus.clone();
    drop(bus.fire(pong::ToPing { left: 9 }));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| other.shutdown().unwrap());
        }
    });
    bus.shutdown().unwrap();
    bus.shutdown_within(Duration::ZERO).unwrap();
    assert!(!bus.health().ready);
}

#[test]
fn health_tells_whether_the_bus_takes_work() {
    let (bus, _log) = relay();
    assert!(bus.health().ready && bus.health().live);
    assert_eq!(bus.health().reasons, [""; 0]);
    bus.shutdown().unwrap();
    let health = bus.health();
    assert!(!health.ready && health.live);
    has(&health.reasons.join(" "), &["stopped"]);
}

/// A handler that does not end before it is let go.
mod stubborn {
    use super::*;

    #[event(exchange = "stubborn", key = "hold")]
    pub(crate) struct Hold {}

    #[command]
    pub(crate) fn hold(door: State<Door>) -> u32 {
        door.pass_blocking();
        7
    }

    #[command]
    fn queued() -> u32 {
        8
    }

    #[command(service = "bystander")]
    fn bystander() {}

    #[listener(retry = 0)]
    fn held(_: &Hold) {}

    fn start() -> (bus::Running, Door) {
        let door = Door::default();
        let builder = bus::builder().services(["stubborn", "bystander"]).state(door.clone());
        (builder.build().unwrap(), door)
    }

    #[test]
    fn the_deadline_names_the_stuck_service_and_no_other() {
        let (bus, door) = start();
        bystander::on(&bus).execute().wait().unwrap();
        let held = hold::on(&bus).execute();
        door.wait_for_one();
        let error = bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        has(&error.to_string(), &["`stubborn`", "stuck"]);
        assert!(!error.to_string().contains("bystander"), "{error}");
        assert!(!bus.health().live);
        // A second shutdown is harmless also then.
        bus.shutdown().unwrap();
        // What was stuck may still end, and its caller be answered.
        door.open();
        assert_eq!(held.wait(), Ok(7));
    }

    #[test]
    fn what_the_deadline_cuts_off_is_told_to_who_waits_for_it() {
        let (bus, door) = start();
        let held = hold::on(&bus).execute();
        door.wait_for_one();
        let queued = queued::on(&bus).execute();
        let fired = bus.fire(Hold {}).handled();
        bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        assert_eq!(queued.wait(), Err(ExecuteError::Closed));
        has(&text(fired.wait().unwrap().ok()), &["`stubborn.held`", "stopped"]);
        assert_eq!(bus.dead_letters().list().unwrap().len(), 1);
        door.open();
        assert_eq!(held.wait(), Ok(7));
    }

    #[test]
    fn what_waits_on_the_stuck_thread_itself_is_told_too() {
        let (bus, door) = start();
        let first = hold::on(&bus).execute();
        door.wait_for_one();
        // The worker takes these two at once, when it has ended the first.
        let held = hold::on(&bus).execute();
        let queued = queued::on(&bus).execute();
        door.let_one();
        assert_eq!(first.wait(), Ok(7));
        door.wait_for_one();
        bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        assert!(queued.is_done());
        assert_eq!(queued.wait(), Err(ExecuteError::Closed));
        door.open();
        assert_eq!(held.wait(), Ok(7));
    }

    #[command(inline)]
    fn hold_here(door: State<Door>) -> u32 {
        door.pass_blocking();
        7
    }

    #[test]
    fn an_inline_handler_that_is_stuck_on_its_callers_thread_is_told_of() {
        let (bus, door) = start();
        std::thread::scope(|scope| {
            let held = scope.spawn(|| hold_here::on(&bus).execute().wait());
            door.wait_for_one();
            let error = bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
            door.open();
            assert_eq!(held.join().unwrap(), Ok(7));
            assert_eq!(error.kind(), ErrorKind::Timeout);
            has(&error.to_string(), &["on the threads of callers: 1 inline handlers"]);
        });
    }

    #[test]
    fn an_endless_limit_is_no_panic() {
        let (bus, _door) = start();
        bus.shutdown_within(Duration::MAX).unwrap();
    }
}

mod inside {
    use super::*;

    #[command]
    fn stop(ctx: &Context) -> String {
        text(ctx.bus().shutdown())
    }

    #[command]
    fn settle(ctx: &Context) {
        ctx.bus().settle();
    }

    #[test]
    fn a_handler_cannot_shut_its_own_bus_down() {
        let bus = bus::builder().services(["inside"]).build().unwrap();
        has(&stop::on(&bus).execute().wait().unwrap(), &["a handler cannot wait for its own bus"]);
        // It goes on.
        settle::on(&bus).execute().wait().unwrap();
        bus.shutdown().unwrap();
    }
}

/// A delivery that fails for ever.
mod failing {
    use super::*;

    #[event(exchange = "failing", key = "hit")]
    pub(crate) struct Hit {}

    #[listener(retry = 3, backoff = "1h")]
    fn fails(_: &Hit, ctx: &Context, log: State<Log<u32>>) -> Result<(), String> {
        log.add(ctx.attempt());
        Err("always".into())
    }

    #[test]
    fn deliveries_that_wait_for_an_attempt_get_all_of_them_at_shutdown() {
        for clock in [Clock::system(), Clock::manual()] {
            let log = Log::<u32>::default();
            let bus = bus::builder().services(["failing"]).clock(clock).state(log.clone());
            let bus = bus.build().unwrap();
            let receipt = bus.fire(Hit {});
            bus.settle();
            assert_eq!((log.all(), bus.stats().retrying), (vec![1], 1));
            bus.shutdown_within(LONG).unwrap();
            assert_eq!(log.all(), [1, 2, 3, 4]);
            let outcomes = receipt.handled().wait().unwrap();
            assert_eq!(outcomes.get("fails").unwrap().attempts(), Some(4));
            let dead = bus.dead_letters().list().unwrap();
            assert_eq!(dead.len(), 1);
            let replay = bus.dead_letters().replay(dead[0].id()).unwrap_err();
            assert_eq!(replay.kind(), ErrorKind::Closed);
            assert_eq!(bus.dead_letters().list().unwrap(), dead);
        }
    }

    #[test]
    fn an_attempt_that_is_due_while_the_bus_stops_is_made() {
        for _ in 0..200 {
            let (clock, log) = (Clock::manual(), Log::<u32>::default());
            let bus = bus::builder().services(["failing"]).clock(clock.clone());
            let bus = bus.state(log.clone()).build().unwrap();
            drop(bus.fire(Hit {}));
            bus.settle();
            std::thread::scope(|scope| {
                scope.spawn(|| clock.advance(LONG));
                bus.shutdown().unwrap();
            });
            assert_eq!(log.all(), [1, 2, 3, 4]);
        }
    }
}

/// One event for handlers of every kind.
mod load {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    type Heard = Log<(u32, &'static str)>;

    #[event(exchange = "load", key = "brick")]
    pub(crate) struct Brick {
        number: u32,
    }

    #[listener(service = "load.now")]
    fn now(brick: &Brick, heard: State<Heard>) {
        heard.add((brick.number, "now"));
    }

    #[listener(service = "load.later", concurrency = 8)]
    async fn later(brick: &Brick, heard: State<Heard>) {
        futures_lite::future::yield_now().await;
        heard.add((brick.number, "later"));
    }

    #[listener(service = "load.at_last", retry = 3, backoff = "1h")]
    fn at_last(brick: &Brick, ctx: &Context, heard: State<Heard>) -> Result<(), String> {
        if ctx.attempt() <= brick.number % 4 {
            return Err("not yet".into());
        }
        heard.add((brick.number, "at last"));
        Ok(())
    }

    #[listener(service = "load.asking")]
    fn asking(brick: &Brick, heard: State<Heard>) {
        heard.add((weigh::execute(brick.number).wait().unwrap(), "asking"));
    }

    #[listener(service = "load.asking", concurrency = 8)]
    async fn asking_later(brick: &Brick, heard: State<Heard>) {
        heard.add((weigh::execute(brick.number).await.unwrap(), "asking later"));
    }

    #[command(service = "load.scales")]
    fn weigh(number: u32) -> u32 {
        number
    }

    #[derive(Default)]
    pub(crate) struct Wall {
        bricks: u32,
    }

    #[service]
    impl Wall {
        #[listener(Brick::BRICK)]
        async fn hold(&mut self, brick: &Brick, heard: State<Heard>) {
            self.put(brick).await;
            heard.add((brick.number, "hold"));
        }

        #[listener(Brick::BRICK)]
        async fn lean(&mut self, brick: &Brick, heard: State<Heard>) {
            self.put(brick).await;
            heard.add((brick.number, "lean"));
        }

        #[shutdown]
        fn count(&mut self, heard: State<Heard>) {
            heard.add((self.bricks, "wall"));
        }
    }

    impl Wall {
        /// Loses count unless nobody else puts one meanwhile.
        async fn put(&mut self, brick: &Brick) {
            let before = self.bricks;
            weigh::execute(brick.number).await.unwrap();
            self.bricks = before + 1;
        }
    }

    #[test]
    fn shutdown_under_load_loses_nothing_that_was_accepted() {
        for _ in 0..10 {
            let (heard, next, accepted) = (Heard::default(), AtomicU32::new(0), Log::default());
            let bus = bus::builder().services(["load"]).mailbox(16).state(heard.clone());
            let bus = bus.build().unwrap();
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            match bus.fire(Brick { number }).wait() {
                                Ok(_) => accepted.add(number),
                                Err(error) => break assert_eq!(error.kind(), ErrorKind::Closed),
                            }
                        }
                    });
                }
                while accepted.all().len() < 200 {
                    std::thread::yield_now();
                }
                bus.shutdown_within(LONG).unwrap();
            });
            let accepted = accepted.sorted();
            let kinds = ["asking", "asking later", "at last", "hold", "later", "lean", "now"];
            let each = accepted.iter().flat_map(|number| kinds.map(|kind| (*number, kind)));
            let mut all: Vec<(u32, &str)> = each.collect();
            all.push((2 * u32::try_from(accepted.len()).unwrap(), "wall"));
            all.sort_unstable();
            assert_eq!(heard.sorted(), all);
            assert!(bus.dead_letters().list().unwrap().is_empty());
        }
    }
}

/// Events for one service each, and calls: what passes by the table.
mod lone {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    type Heard = Log<(&'static str, u32)>;

    #[event(exchange = "lone", key = "parcel")]
    pub(crate) struct Parcel {
        number: u32,
    }

    #[event(exchange = "lone", key = "stamp")]
    pub(crate) struct Stamp {
        number: u32,
    }

    #[listener(service = "lone.post")]
    fn carry(parcel: &Parcel, ctx: &Context, heard: State<Heard>) {
        let number = parcel.number;
        let carried = heard.all().iter().filter(|(what, _)| *what == "carried").count();
        if ctx.bus().stats().fired <= carried as u64 {
            heard.add(("not counted as fired", number));
        }
        let stamped = Stamp { number }.fire().wait();
        heard.add((if stamped.is_ok() { "carried" } else { "refused" }, number));
    }

    #[listener(service = "lone.stamps")]
    fn stamp(stamp: &Stamp, heard: State<Heard>) {
        heard.add(("stamped", stamp.number));
    }

    #[command(service = "lone.scales")]
    fn weigh(number: u32, heard: State<Heard>) -> u32 {
        heard.add(("weighed", number));
        number
    }

    #[test]
    fn shutdown_under_load_loses_nothing_that_passes_by_the_table() {
        for _ in 0..50 {
            let (heard, next, accepted) = (Heard::default(), AtomicU32::new(0), Heard::default());
            let bus = bus::builder().services(["lone"]).mailbox(16).state(heard.clone());
            let bus = bus.build().unwrap();
            let fire = || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    match bus.fire(Parcel { number }).wait() {
                        Ok(_) => accepted.add(("carried", number)),
                        Err(error) => break assert_eq!(error.kind(), ErrorKind::Closed),
                    }
                    accepted.add(("stamped", number));
                }
            };
            let call = || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    match weigh::on(&bus).execute(number).wait() {
                        Ok(weight) => accepted.add(("weighed", weight)),
                        Err(error) => break assert_eq!(error, ExecuteError::Closed),
                    }
                }
            };
            std::thread::scope(|scope| {
                (0..2).for_each(|_| drop(scope.spawn(fire)));
                (0..2).for_each(|_| drop(scope.spawn(call)));
                while accepted.all().len() < 100 {
                    std::thread::yield_now();
                }
                bus.shutdown_within(LONG).unwrap();
            });
            assert_eq!(heard.sorted(), accepted.sorted());
            let stats = bus.stats();
            let count = |kind| heard.all().iter().filter(|(what, _)| *what == kind).count() as u64;
            assert_eq!(stats.fired, count("carried") + count("stamped"));
            assert!(bus.dead_letters().list().unwrap().is_empty());
        }
    }
}

/// What never comes to an end by itself.
mod endless {
    use std::time::Instant;

    use super::*;

    /// What no shutdown takes that has a moment, on however slow a machine.
    const REAL: Duration = Duration::from_secs(20);

    #[event(exchange = "endless", key = "turn")]
    pub(crate) struct Turn {}

    #[listener]
    fn turn(_: &Turn) {
        drop(Turn {}.fire());
    }

    #[test]
    fn the_deadline_holds_also_for_a_chain_that_never_ends() {
        let bus = bus::builder().services(["endless"]).build().unwrap();
        drop(bus.fire(Turn {}));
        let start = Instant::now();
        let error = bus.shutdown_within(Duration::from_millis(20)).unwrap_err();
        assert!(start.elapsed() < REAL);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        has(&error.to_string(), &["within 20ms", "not done: `endless`"]);
        // Nobody is stuck: its thread ends, and the next shutdown has nothing to do.
        assert!(!error.to_string().contains("stuck"), "{error}");
        bus.shutdown().unwrap();
    }
}

/// Buses side by side.
mod side {
    use super::*;

    #[event(exchange = "side", key = "note")]
    pub(crate) struct Note {
        pub(crate) from: u32,
        pub(crate) hops: u32,
    }

    #[command]
    async fn pass_on(from: u32, hops: u32) {
        drop(Note { from, hops }.fire());
    }

    #[listener]
    fn noted(note: &Note, log: State<Log<u32>>) {
        log.add(note.from);
        if note.hops > 0 {
            drop(pass_on::execute(note.from, note.hops - 1));
        }
    }

    #[test]
    fn ten_buses_in_parallel_do_not_see_each_other() {
        std::thread::scope(|scope| {
            for from in 0..10 {
                scope.spawn(move || {
                    let log = Log::<u32>::default();
                    let bus = bus::builder().services(["side"]).state(log.clone());
                    let bus = bus.build().unwrap();
                    for _ in 0..20 {
                        drop(bus.fire(Note { from, hops: 5 }));
                        pass_on::on(&bus).execute(from, 3).wait().unwrap();
                    }
                    bus.shutdown().unwrap();
                    assert_eq!(log.all(), vec![from; 20 * (6 + 4)]);
                });
            }
        });
    }
}
