//! A service with state of its own: made on its thread, kept from overlaps, made anew after a
//! panic, torn down at the end.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::unused_self, reason = "`self` says what a handler excludes")]

mod support;

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::ThreadId;

use bus::prelude::*;
use bus::{Clock, ErrorKind, Reason};
use support::{Door, Log, has, text, thread_id, yield_often};

/// What a service has read and not yet written back.
mod exclusion {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Till {
        // Not `Send`: the state stays on its thread.
        coins: Rc<std::cell::Cell<u32>>,
    }

    #[event(exchange = "exclusion", key = "coin")]
    pub(crate) struct Coin {
        pub(crate) value: u32,
    }

    #[service]
    impl Till {
        #[listener]
        async fn take(&mut self, coin: &Coin, door: State<Door>, log: State<Log>) {
            log.add("take begins");
            let before = self.coins.get();
            door.pass().await;
            yield_often().await;
            self.coins.set(before + coin.value);
            log.add("take ends");
        }

        #[command]
        fn count(&self, log: State<Log>) -> u32 {
            log.add("count");
            self.coins.get()
        }

        #[command]
        async fn count_later(&self, log: State<Log>) -> u32 {
            log.add("count later");
            self.coins.get()
        }

        #[command]
        fn spend(&mut self, value: u32, log: State<Log>) -> u32 {
            log.add("spend");
            self.coins.set(self.coins.get() - value);
            self.coins.get()
        }

        #[command]
        fn stateless(log: State<Log>) {
            log.add("stateless");
        }
    }

    fn start() -> (bus::Running, Door, Log) {
        let (door, log) = (Door::default(), Log::default());
        let bus = bus::builder().services(["exclusion"]).state(door.clone()).state(log.clone());
        (bus.build().unwrap(), door, log)
    }

    #[test]
    fn mut_self_keeps_everything_else_out_across_its_awaits() {
        let (bus, door, log) = start();
        drop(bus.fire(Coin { value: 5 }));
        door.wait_for_one();
        let count = count::on(&bus).execute();
        let later = count_later::on(&bus).execute();
        let stateless = stateless::on(&bus).execute();
        let spend = spend::on(&bus).execute(2);
        drop(bus.fire(Coin { value: 1 }));
        door.open();
        assert_eq!(count.wait(), Ok(5));
        assert_eq!(later.wait(), Ok(5));
        stateless.wait().unwrap();
        assert_eq!(spend.wait(), Ok(3));
        bus.settle();
        assert_eq!(count::on(&bus).execute().wait(), Ok(4));
        let seen = log.all();
        assert_eq!(seen[..2], ["take begins", "take ends"], "{seen:?}");
        let second = seen.iter().rposition(|entry| entry == "take begins").unwrap();
        assert_eq!(seen[second + 1], "take ends", "{seen:?}");
    }

    #[test]
    fn updates_across_awaits_are_never_lost() {
        let (bus, door, _log) = start();
        door.open();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        drop(bus.fire(Coin { value: 3 }));
                        spend::on(&bus).execute(0).wait().unwrap();
                        count_later::on(&bus).execute().wait().unwrap();
                    }
                });
            }
        });
        bus.settle();
        assert_eq!(count::on(&bus).execute().wait(), Ok(300));
    }
}

/// `&self` handlers may overlap each other.
mod sharing {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Desk;

    #[service]
    impl Desk {
        #[command]
        async fn first(&self, doors: State<[Door; 2]>) {
            doors[0].let_one();
            doors[1].pass().await;
        }

        #[command]
        async fn second(&self, doors: State<[Door; 2]>) {
            doors[1].let_one();
            doors[0].pass().await;
        }
    }

    #[test]
    fn shared_self_handlers_overlap() {
        let bus = bus::builder().services(["sharing"]);
        let bus = bus.state([Door::default(), Door::default()]).build().unwrap();
        let both = (first::on(&bus).execute(), second::on(&bus).execute());
        // Each goes on only while the other one is running too.
        both.0.wait().unwrap();
        both.1.wait().unwrap();
    }
}

/// How often a state was made, and what is left of it.
#[derive(Default)]
struct Made(AtomicU32);

impl Made {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

mod rebuilt {
    use super::*;

    pub(crate) struct Ledger {
        entries: u32,
        made: u32,
    }

    #[event(exchange = "rebuilt", key = "entry")]
    pub(crate) struct Entry {
        pub(crate) good: bool,
    }

    #[service]
    impl Ledger {
        #[init]
        fn open(made: State<Made>) -> Self {
            Self { entries: 0, made: made.next() }
        }

        #[command]
        fn book(&mut self, good: bool) -> (u32, u32) {
            self.entries += 1;
            assert!(good, "a bad entry");
            (self.made, self.entries)
        }

        #[command]
        fn read_badly(&self) -> u32 {
            panic!("entry {} cannot be read", self.entries);
        }

        #[listener(retry = 0)]
        async fn book_later(&mut self, entry: &Entry, door: State<Door>) {
            self.entries += 1;
            door.pass().await;
            assert!(entry.good, "a bad entry");
        }

        #[command]
        async fn look(&self) -> (u32, u32) {
            (self.made, self.entries)
        }

        #[command]
        fn stateless_panic() {
            panic!("no state was touched");
        }
    }

    fn start() -> (bus::Running, Door) {
        let door = Door::default();
        let bus = bus::builder().services(["rebuilt"]).state(Made::default()).state(door.clone());
        (bus.build().unwrap(), door)
    }

    #[test]
    fn a_state_is_made_anew_after_a_panic() {
        let (bus, _door) = start();
        assert_eq!(book::on(&bus).execute(true).wait(), Ok((1, 1)));
        assert_eq!(book::on(&bus).execute(true).wait(), Ok((1, 2)));
        assert_eq!(book::on(&bus).execute(false).wait(), Err(ExecuteError::Panicked));
        assert_eq!(book::on(&bus).execute(true).wait(), Ok((2, 1)));
        assert_eq!(read_badly::on(&bus).execute().wait(), Err(ExecuteError::Panicked));
        assert_eq!(book::on(&bus).execute(true).wait(), Ok((3, 1)));
    }

    #[test]
    fn a_panic_that_touched_no_state_leaves_it_alone() {
        let (bus, _door) = start();
        assert_eq!(book::on(&bus).execute(true).wait(), Ok((1, 1)));
        assert_eq!(stateless_panic::on(&bus).execute().wait(), Err(ExecuteError::Panicked));
        assert_eq!(book::on(&bus).execute(true).wait(), Ok((1, 2)));
    }

    #[test]
    fn an_async_panic_rebuilds_before_anything_that_comes_after() {
        let (bus, door) = start();
        door.open();
        bus.fire(Entry { good: false }).handled().wait().unwrap();
        assert_eq!(look::on(&bus).execute().wait(), Ok((2, 0)));
    }

    #[test]
    fn who_waited_behind_a_panic_gets_the_new_state() {
        let (bus, door) = start();
        drop(bus.fire(Entry { good: false }));
        door.wait_for_one();
        let first = book::on(&bus).execute(true);
        let second = look::on(&bus).execute();
        door.open();
        assert_eq!(first.wait(), Ok((2, 1)));
        assert_eq!(second.wait(), Ok((2, 1)));
    }
}

mod kept {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Ledger {
        entries: u32,
    }

    #[service("kept.book", on_panic = keep)]
    impl Ledger {
        #[command]
        fn enter(&mut self, good: bool) -> u32 {
            self.entries += 1;
            assert!(good, "a bad entry");
            self.entries
        }
    }

    #[test]
    fn on_panic_keep_keeps_the_state() {
        let bus = bus::builder().services(["kept"]).build().unwrap();
        assert_eq!(enter::on(&bus).execute(true).wait(), Ok(1));
        assert_eq!(enter::on(&bus).execute(false).wait(), Err(ExecuteError::Panicked));
        assert_eq!(enter::on(&bus).execute(true).wait(), Ok(3));
    }
}

/// A state that can be made only while its disk is there.
mod unmade {
    use super::*;

    pub(crate) struct Disk;

    #[derive(Default)]
    pub(crate) struct Broken(AtomicBool);

    #[event(exchange = "unmade", key = "write")]
    pub(crate) struct Write {}

    #[service]
    impl Disk {
        #[init]
        fn mount(broken: State<Broken>) -> Result<Self, String> {
            if broken.0.load(Ordering::SeqCst) { Err("no disk".into()) } else { Ok(Self) }
        }

        #[command]
        fn crash(&self, broken: State<Broken>) {
            broken.0.store(true, Ordering::SeqCst);
            panic!("head crash");
        }

        #[command]
        fn read(&self) -> u32 {
            1
        }

        #[listener(retry = 1, backoff = "1s")]
        fn write(&mut self, _: &Write) {}
    }

    #[command]
    fn repair(broken: State<Broken>) {
        broken.0.store(false, Ordering::SeqCst);
    }

    #[test]
    fn while_a_state_cannot_be_made_callers_are_told_and_events_are_tried_again() {
        let clock = Clock::manual();
        let bus = bus::builder().services(["unmade"]).clock(clock.clone());
        let bus = bus.state(Broken::default()).build().unwrap();
        assert_eq!(read::on(&bus).execute().wait(), Ok(1));
        assert_eq!(crash::on(&bus).execute().wait(), Err(ExecuteError::Panicked));
        let promise = read::on(&bus).execute();
        bus.settle();
        assert!(promise.is_done());
        has(&text(promise.wait()), &["no disk"]);
        let written = bus.fire(Write {}).handled();
        bus.settle();
        assert_eq!(bus.stats().retrying, 1);
        repair::on(&bus).execute().wait().unwrap();
        clock.advance(std::time::Duration::from_secs(1));
        assert!(written.wait().unwrap().ok().is_ok());
        assert_eq!(read::on(&bus).execute().wait(), Ok(1));
    }

    #[test]
    fn a_delivery_that_finds_no_state_says_so_in_its_reason() {
        let bus = bus::builder().services(["unmade"]).retry(0, &[]);
        let bus = bus.state(Broken::default()).build().unwrap();
        assert_eq!(crash::on(&bus).execute().wait(), Err(ExecuteError::Panicked));
        let outcomes = read::on(&bus).dispatch().handled().wait().unwrap();
        let failure = outcomes.get("read").unwrap().failure().unwrap();
        assert_eq!((failure.reason(), failure.message()), (Reason::Service, "no disk"));
    }
}

mod life {
    use super::*;

    pub(crate) struct Session {
        thread: ThreadId,
        opened: Rc<u32>,
    }

    type Steps = Log<(&'static str, ThreadId)>;

    #[service]
    impl Session {
        #[init]
        async fn open(
            made: State<Made>,
            steps: State<Steps>,
            names: State<Log>,
            ctx: &Context,
        ) -> Self {
            yield_often().await;
            steps.add(("open", thread_id()));
            names.add(format!("{} {}", support::thread_name(), ctx.service()));
            Self { thread: thread_id(), opened: Rc::new(made.next()) }
        }

        #[command]
        fn opened(&self, steps: State<Steps>) -> u32 {
            steps.add(("opened", thread_id()));
            *self.opened
        }

        #[shutdown]
        async fn close(&mut self, steps: State<Steps>) -> Result<(), String> {
            yield_often().await;
            steps.add(("close", self.thread));
            Err("a session that ends badly keeps nobody".into())
        }
    }

    #[test]
    fn init_handlers_and_shutdown_share_one_thread_and_each_runs_once() {
        let (steps, names) = (Steps::default(), Log::<String>::default());
        let bus = bus::builder().services(["life"]).state(Made::default());
        let bus = bus.state(steps.clone()).state(names.clone()).build().unwrap();
        assert_eq!(opened::on(&bus).execute().wait(), Ok(1));
        assert_eq!(opened::on(&bus).execute().wait(), Ok(1));
        bus.shutdown().unwrap();
        let all = steps.all();
        let what: Vec<&str> = all.iter().map(|(step, _)| *step).collect();
        assert_eq!(what, ["open", "opened", "opened", "close"]);
        assert!(all.iter().all(|(_, thread)| *thread == all[0].1), "{all:?}");
        assert_eq!(names.all(), ["life.session life.session"]);
    }
}

mod failing {
    use super::*;

    pub(crate) struct Errs;
    pub(crate) struct Panics;
    #[derive(Default)]
    pub(crate) struct Fine;

    #[service]
    impl Errs {
        #[init]
        fn open() -> Result<Self, std::num::ParseIntError> {
            "x".parse::<u32>().map(|_| Self)
        }
        #[command]
        fn errs(&self) {}
    }

    #[service]
    impl Panics {
        #[init]
        fn open() -> Self {
            panic!("no key");
        }
        #[command]
        fn panics(&self) {}
    }

    #[service]
    impl Fine {
        #[command]
        fn fine(&self) {}

        #[shutdown]
        fn close(&self, log: State<Log>) {
            log.add("closed");
        }
    }

    fn start(services: &[&str]) -> (bus::Error, Log) {
        let log = Log::<String>::default();
        let builder = bus::builder().services(services.iter().copied()).state(log.clone());
        (builder.build().unwrap_err(), log)
    }

    #[test]
    fn a_failed_init_stops_the_start_with_the_services_name() {
        let (error, _) = start(&["failing.errs"]);
        assert_eq!(error.kind(), ErrorKind::Init);
        has(&error.to_string(), &["`failing.errs`", "invalid digit"]);
    }

    #[test]
    fn a_panic_in_init_stops_the_start_with_the_services_name() {
        let (error, _) = start(&["failing.panics"]);
        assert_eq!(error.kind(), ErrorKind::Init);
        has(&error.to_string(), &["`failing.panics`", "no key"]);
    }

    #[test]
    fn one_failed_init_shuts_down_the_services_that_were_made() {
        for _ in 0..20 {
            let (error, log) = start(&["failing.errs", "failing.fine"]);
            assert_eq!(error.kind(), ErrorKind::Init);
            assert_eq!(log.all(), ["closed"]);
        }
    }
}
