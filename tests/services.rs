//! A service is a module with a thread: what runs on it, what runs beside it, and what it is called.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::unused_self, reason = "`self` says what a handler excludes")]

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use bus::prelude::*;
use support::{Door, Log, thread_name, yield_often};

/// How many are inside at once, and how many ever were.
#[derive(Clone, Default)]
struct Crowd(std::sync::Arc<(AtomicUsize, AtomicUsize)>);

impl Crowd {
    fn enter(&self) {
        let inside = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(inside, Ordering::SeqCst);
    }
    fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

mod thread {
    use super::*;

    #[command]
    fn now() -> String {
        thread_name()
    }

    #[command]
    async fn later() -> String {
        yield_often().await;
        thread_name()
    }

    #[command(service = "thread.other")]
    fn elsewhere() -> String {
        thread_name()
    }

    #[test]
    fn a_services_thread_bears_its_name() {
        let bus = bus::builder().services(["thread"]).build().unwrap();
        assert_eq!(now::on(&bus).execute().wait().unwrap(), "thread");
        assert_eq!(later::on(&bus).execute().wait().unwrap(), "thread");
        assert_eq!(elsewhere::on(&bus).execute().wait().unwrap(), "thread.other");
    }
}

mod turns {
    use super::*;

    #[event(exchange = "turns", key = "come")]
    pub(crate) struct Come {}

    #[listener]
    fn one(_: &Come, crowd: State<Crowd>) {
        stay(&crowd);
    }

    #[listener]
    fn two(_: &Come, crowd: State<Crowd>) {
        stay(&crowd);
    }

    #[command]
    fn three(crowd: State<Crowd>) {
        stay(&crowd);
    }

    fn stay(crowd: &Crowd) {
        crowd.enter();
        for _ in 0..20 {
            std::thread::yield_now();
        }
        crowd.leave();
    }

    #[test]
    fn synchronous_handlers_of_one_service_run_one_after_another() {
        let crowd = Crowd::default();
        let bus = bus::builder().services(["turns"]).state(crowd.clone()).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        drop(bus.fire(Come {}));
                        three::on(&bus).execute().wait().unwrap();
                    }
                });
            }
        });
        bus.settle();
        assert_eq!(crowd.most(), 1);
    }
}

mod beside {
    use super::*;

    #[event(exchange = "beside", key = "meet")]
    pub(crate) struct Meet {}

    #[listener(service = "beside.left")]
    fn left(_: &Meet, both: State<Barrier>) {
        both.wait();
    }

    #[listener(service = "beside.right")]
    fn right(_: &Meet, both: State<Barrier>) {
        both.wait();
    }

    #[test]
    fn two_services_run_in_parallel() {
        let bus = bus::builder().services(["beside"]).state(Barrier::new(2)).build().unwrap();
        for _ in 0..20 {
            // Neither goes on before the other has come.
            bus.fire(Meet {}).handled().wait().unwrap().ok().unwrap();
        }
    }
}

mod overlap {
    use super::*;

    #[event(exchange = "overlap", key = "meet")]
    pub(crate) struct Meet {}

    #[listener]
    async fn left(_: &Meet, doors: State<[Door; 2]>) {
        doors[0].let_one();
        doors[1].pass().await;
    }

    #[listener]
    async fn right(_: &Meet, doors: State<[Door; 2]>) {
        doors[1].let_one();
        doors[0].pass().await;
    }

    #[test]
    fn asynchronous_handlers_of_one_service_overlap() {
        let doors = [Door::default(), Door::default()];
        let bus = bus::builder().services(["overlap"]).state(doors).build().unwrap();
        for _ in 0..20 {
            bus.fire(Meet {}).handled().wait().unwrap().ok().unwrap();
        }
    }
}

mod concurrency {
    use super::*;

    #[event(exchange = "concurrency", key = "job")]
    pub(crate) struct Job {}

    #[event(exchange = "concurrency", key = "rush")]
    pub(crate) struct Rush {}

    async fn work(crowd: &Crowd, door: &Door) {
        crowd.enter();
        door.pass().await;
        crowd.leave();
    }

    #[listener]
    async fn one(_: &Job, crowd: State<Crowd>, door: State<Door>) {
        work(&crowd, &door).await;
    }

    #[listener(concurrency = 3)]
    async fn three(_: &Rush, crowd: State<Crowd>, door: State<Door>) {
        work(&crowd, &door).await;
    }

    #[command]
    async fn unlimited(crowd: State<Crowd>, door: State<Door>) {
        work(&crowd, &door).await;
    }

    #[command(concurrency = 2)]
    async fn two(crowd: State<Crowd>, door: State<Door>) {
        work(&crowd, &door).await;
    }

    #[command]
    async fn pause() {
        yield_often().await;
    }

    fn most(expected: usize, send: impl Fn(&Bus)) {
        let (crowd, door) = (Crowd::default(), Door::default());
        let bus = bus::builder().services(["concurrency"]);
        let bus = bus.state(crowd.clone()).state(door.clone()).build().unwrap();
        for _ in 0..7 {
            send(&bus);
        }
        for _ in 0..expected {
            door.wait_for_one();
        }
        // Whoever else may start has done so by now.
        pause::on(&bus).execute().wait().unwrap();
        assert_eq!((door.waiting(), crowd.most()), (0, expected));
        // One ends and one begins.
        if expected < 7 {
            door.let_one();
            door.wait_for_one();
            pause::on(&bus).execute().wait().unwrap();
            assert_eq!((door.waiting(), crowd.most()), (0, expected));
        }
        door.open();
        bus.settle();
        assert_eq!(crowd.most(), expected);
    }

    #[test]
    fn a_listener_handles_one_event_at_a_time_unless_told_otherwise() {
        most(1, |bus| drop(bus.fire(Job {})));
    }

    #[test]
    fn concurrency_is_how_many_run_at_once() {
        most(3, |bus| drop(bus.fire(Rush {})));
        most(2, |bus| drop(two::on(bus).execute()));
    }

    #[test]
    fn calls_have_no_limit_and_tasks_run_one_at_a_time() {
        most(7, |bus| drop(unlimited::on(bus).execute()));
        most(1, |bus| drop(unlimited::on(bus).dispatch()));
    }
}

mod fairness {
    use super::*;

    #[event(exchange = "fairness", key = "tick")]
    pub(crate) struct Tick {
        pub(crate) left: u32,
    }

    /// Fires itself on, so that the mailbox is never empty.
    #[listener]
    fn tick(tick: &Tick, stop: State<Door>) {
        if tick.left > 0 && stop.waiting() == 0 {
            drop(Tick { left: tick.left - 1 }.fire());
        }
    }

    #[command]
    async fn slow(stop: State<Door>) {
        yield_often().await;
        stop.open();
        stop.pass().await;
    }

    #[test]
    fn a_full_mailbox_does_not_starve_asynchronous_handlers() {
        let door = Door::default();
        let bus = bus::builder().services(["fairness"]).state(door.clone()).build().unwrap();
        drop(bus.fire(Tick { left: u32::MAX }));
        slow::on(&bus).execute().wait().unwrap();
        bus.shutdown().unwrap();
    }
}

mod names {
    use super::*;

    #[derive(Default)]
    pub(crate) struct GreatLedger;

    #[service]
    impl GreatLedger {
        #[command]
        fn of_state(&self, ctx: &Context) -> String {
            ctx.service().to_owned()
        }
        #[listener("names_state")]
        fn hear(&self, _: u32) {}
    }

    #[derive(Default)]
    pub(crate) struct Other;

    #[service("names.renamed")]
    impl Other {
        #[command]
        fn of_renamed(&self, ctx: &Context) -> String {
            ctx.service().to_owned()
        }
    }

    pub(crate) mod below {
        use super::*;
        #[command]
        pub(crate) fn of_below(ctx: &Context) -> String {
            ctx.service().to_owned()
        }
    }

    pub(crate) mod said {
        use super::*;
        bus::service_name!("spoken");
        pub(crate) mod deeper {
            use super::*;
            #[command]
            pub(crate) fn of_said(ctx: &Context) -> String {
                ctx.service().to_owned()
            }
            #[listener("names_said", queue = "names_queue")]
            fn hear(_: u32, ctx: &Context) {
                assert_eq!(ctx.service(), "spoken");
            }
        }
    }

    #[test]
    fn a_service_is_named_by_its_module_its_type_or_what_is_said() {
        let bus = bus::builder().services(["names", "spoken", "services"]).build().unwrap();
        let by_name = |name: &str| bus.execute_command::<_, String>(name, ()).wait().unwrap();
        assert_eq!(by_name("names.great_ledger.of_state"), "names.great_ledger");
        assert_eq!(by_name("names.renamed.of_renamed"), "names.renamed");
        assert_eq!(by_name("names.of_below"), "names");
        assert_eq!(by_name("spoken.of_said"), "spoken");
        assert_eq!(by_name("of_root"), "services");
        let listeners: Vec<&str> =
            bus.catalog().listeners().iter().map(bus::ListenerEntry::name).collect();
        assert!(listeners.contains(&"names.great_ledger.hear"), "{listeners:?}");
        assert!(listeners.contains(&"names_queue"), "{listeners:?}");
        bus.fire_event("names_said", 1).handled().wait().unwrap().ok().unwrap();
        let services: Vec<(&str, bool, bool)> = bus
            .catalog()
            .services()
            .map(|(name, service)| (name, service.is_stateful(), service.is_selected()))
            .collect();
        for expected in [
            ("names", false, true),
            ("names.great_ledger", true, true),
            ("names.renamed", true, true),
            ("services", false, true),
            ("spoken", false, true),
            ("thread", false, false),
        ] {
            assert!(services.contains(&expected), "{expected:?} is not in {services:?}");
        }
    }

    #[test]
    fn a_selected_service_brings_what_is_below_it_and_nothing_else() {
        let bus = bus::builder().services(["names.great_ledger"]).build().unwrap();
        assert!(bus.execute_command::<_, String>("names.great_ledger.of_state", ()).wait().is_ok());
        assert!(bus.execute_command::<_, String>("names.of_below", ()).wait().is_err());
        assert!(!bus.fire_event("names_said", 1).wait().unwrap().routed);
        let running: Vec<String> =
            bus.stats().services.into_iter().map(|service| service.name).collect();
        assert_eq!(running, ["names.great_ledger"]);
    }
}

#[command]
fn of_root(ctx: &Context) -> String {
    ctx.service().to_owned()
}

mod inside {
    use super::*;

    #[event(exchange = "inside", key = "made")]
    pub(crate) struct Made {}

    #[derive(Default)]
    pub(crate) struct Maker;

    #[service]
    impl Maker {
        #[init]
        fn make(ctx: &Context) -> Self {
            drop(Made {}.fire());
            drop(ctx.bus().fire(Made {}));
            Self
        }
        #[command]
        fn made(&self) {}
    }

    #[listener(service = "inside.hearing")]
    fn heard(_: &Made, ctx: &Context, log: State<Log>) {
        log.add(ctx.causation_id().is_some().to_string());
    }

    #[test]
    fn what_init_fires_is_heard_once_all_services_run() {
        let log = Log::<String>::default();
        let bus = bus::builder().services(["inside"]).state(log.clone()).build().unwrap();
        bus.settle();
        assert_eq!(log.all().len(), 2);
        made::on(&bus).execute().wait().unwrap();
    }
}
