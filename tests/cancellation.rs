//! Cancelling and deadlines: what never starts, what is dropped, and what only sees the flag.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::prelude::*;
use bus::{Clock, Failure, Reason, Running};
use support::{Door, Log, has};

struct Bench {
    bus: Running,
    clock: Clock,
    door: Door,
    log: Log,
}

fn bench(service: &str) -> Bench {
    let (clock, door, log) = (Clock::manual(), Door::default(), Log::default());
    let bus = bus::builder().services([service]).clock(clock.clone());
    let bus = bus.state(door.clone()).state(log.clone()).build().unwrap();
    Bench { bus, clock, door, log }
}

/// A local of a handler: tells when it is dropped.
struct Local(State<Log>);

impl Drop for Local {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

/// What an asynchronous handler does here: it can be seen to be dropped before its end.
async fn work(ctx: &Context, door: &Door, log: State<Log>) -> u32 {
    let _local = Local(log.clone());
    door.pass().await;
    // Another await, at which it would be dropped if it were to be.
    futures_lite::future::yield_now().await;
    log.add(format!("cancelled {}", ctx.cancelled()));
    7
}

fn toil(ctx: &Context, door: &Door, log: &Log) -> u32 {
    door.pass_blocking();
    log.add(format!("cancelled {}", ctx.cancelled()));
    7
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

mod before {
    use super::*;

    #[command]
    fn now(number: u32, ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        log.add(format!("began {number}"));
        toil(ctx, &door, &log)
    }

    #[command(concurrency = 1)]
    async fn later(number: u32, ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        log.add(format!("began {number}"));
        work(ctx, &door, log.clone()).await
    }

    #[test]
    fn what_is_cancelled_before_it_starts_never_does() {
        let calls: [fn(&Bus, u32) -> Promise<u32>; 2] = [
            |bus, number| now::on(bus).execute(number),
            |bus, number| later::on(bus).execute(number),
        ];
        for call in calls {
            let Bench { bus, door, log, .. } = bench("before");
            let first = call(&bus, 1);
            door.wait_for_one();
            let (second, third) = (call(&bus, 2), call(&bus, 3));
            assert!(!second.is_done());
            second.cancel();
            assert!(second.is_done());
            let error = second.wait().unwrap_err();
            assert_eq!(error, ExecuteError::Cancelled);
            door.open();
            assert_eq!((first.wait(), third.wait()), (Ok(7), Ok(7)));
            bus.settle();
            let began: Vec<_> =
                log.all().into_iter().filter(|line| line.starts_with("began")).collect();
            assert_eq!(began, ["began 1", "began 3"]);
        }
    }
}

mod during {
    use super::*;

    #[command]
    async fn free(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        work(ctx, &door, log).await
    }

    #[command]
    fn now(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        toil(ctx, &door, &log)
    }

    #[derive(Default)]
    pub(crate) struct Desk {
        half_done: bool,
    }

    #[service]
    impl Desk {
        #[command]
        async fn read(&self, ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
            work(ctx, &door, log).await
        }

        #[command]
        async fn write(&mut self, ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
            self.half_done = true;
            let answer = work(ctx, &door, log).await;
            self.half_done = false;
            answer
        }

        #[command]
        fn is_well(&self) -> bool {
            !self.half_done
        }
    }

    /// Cancels a call whose handler has begun and only sees the flag; gives what it saw.
    fn cancel(call: impl Fn(&Bus) -> Promise<u32>) -> Vec<String> {
        let Bench { bus, door, log, .. } = bench("during");
        let promise = call(&bus);
        door.wait_for_one();
        promise.cancel();
        assert!(promise.is_done(), "the caller has its answer at once");
        assert_eq!(promise.wait(), Err(ExecuteError::Cancelled));
        let well = is_well::on(&bus).execute();
        assert!(log.all().is_empty(), "it stands at the door");
        door.let_one();
        assert_eq!(well.wait(), Ok(true));
        bus.settle();
        log.all()
    }

    #[test]
    fn an_asynchronous_handler_is_dropped_at_its_next_await() {
        for call in [|bus: &Bus| free::on(bus).execute(), |bus: &Bus| read::on(bus).execute()] {
            let Bench { bus, door, log, .. } = bench("during");
            let promise = call(&bus);
            door.wait_for_one();
            promise.cancel();
            assert_eq!(promise.wait(), Err(ExecuteError::Cancelled));
            // Nobody opens the door: it does not go on behind it.
            bus.settle();
            assert_eq!(log.all(), ["dropped"]);
            let stats = bus.stats();
            let of =
                |name: &str| stats.handlers.iter().find(|handler| handler.name.ends_with(name));
            let (free, read) = (of(".free").unwrap(), of(".read").unwrap());
            assert_eq!((free.failed + read.failed, free.handled + read.handled), (1, 0));
        }
    }

    #[test]
    fn one_that_has_the_state_for_itself_sees_the_flag_and_ends() {
        assert_eq!(cancel(|bus| write::on(bus).execute()), ["cancelled true", "dropped"]);
    }

    #[test]
    fn a_synchronous_one_sees_the_flag_and_ends() {
        assert_eq!(cancel(|bus| now::on(bus).execute()), ["cancelled true"]);
    }

    #[test]
    fn nobody_cancelled_and_nobody_sees_a_flag() {
        let Bench { bus, door, log, clock } = bench("during");
        door.open();
        let calls = [now::on(&bus).execute(), free::on(&bus).execute(), write::on(&bus).execute()];
        for call in calls {
            assert_eq!(call.wait(), Ok(7));
        }
        clock.advance(secs(1));
        bus.settle();
        let seen = log.all();
        assert_eq!(seen.iter().filter(|line| *line == "cancelled false").count(), 3, "{seen:?}");
        assert!(!seen.contains(&"cancelled true".to_owned()));
    }
}

mod nested {
    use super::*;

    #[command]
    async fn outer(log: State<Log>) {
        let _local = Local(log);
        inner::execute().await.unwrap();
    }

    #[command(service = "nested.inner")]
    async fn inner(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        work(ctx, &door, log).await
    }

    #[test]
    fn what_a_cancelled_handler_has_called_goes_on() {
        let Bench { bus, door, log, .. } = bench("nested");
        let outer = outer::on(&bus).execute();
        door.wait_for_one();
        outer.cancel();
        while log.all().is_empty() {
            std::thread::yield_now();
        }
        door.open();
        bus.settle();
        assert_eq!(log.all(), ["dropped", "cancelled false", "dropped"]);
    }
}

mod limits {
    use super::*;

    #[event(exchange = "limits", key = "come")]
    pub(crate) struct Come {}

    // Longer than any test runs: only the clock of the bus brings it about.
    #[listener(timeout = "1h", retry = 1, backoff = "1s")]
    async fn later(_: &Come, ctx: &Context, door: State<Door>, log: State<Log>) {
        work(ctx, &door, log).await;
    }

    #[event(exchange = "limits", key = "go")]
    pub(crate) struct Go {}

    #[listener(timeout = "5s")]
    fn now(_: &Go, ctx: &Context, door: State<Door>, log: State<Log>) -> Result<(), String> {
        toil(ctx, &door, &log);
        if ctx.attempt() == 1 { Err("late".into()) } else { Ok(()) }
    }

    #[command(timeout = "5s")]
    fn called(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        toil(ctx, &door, &log)
    }

    #[command]
    fn unlimited(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        toil(ctx, &door, &log)
    }

    #[command]
    async fn ping() {
        support::yield_often().await;
    }

    #[test]
    fn an_asynchronous_listener_is_dropped_at_its_timeout_and_tried_again() {
        let Bench { bus, door, log, clock } = bench("limits");
        let handled = bus.fire(Come {}).handled();
        for attempt in 1..=2 {
            door.wait_for_one();
            clock.advance(Duration::from_millis(3_599_999));
            ping::on(&bus).execute().wait().unwrap();
            assert_eq!(log.all().len(), attempt - 1, "in time");
            clock.advance(Duration::from_millis(1));
            bus.settle();
            assert_eq!(log.all().len(), attempt, "dropped");
            clock.advance(secs(1));
        }
        let outcomes = handled.wait().unwrap();
        let outcome = outcomes.get("later").unwrap();
        assert_eq!(outcome.failure().map(Failure::reason), Some(Reason::Timeout));
        assert_eq!(outcome.attempts(), Some(2));
        assert_eq!(log.all(), ["dropped", "dropped"]);
    }

    #[derive(Default)]
    pub(crate) struct Desk;

    #[service]
    impl Desk {
        #[listener(Stay::STAY, timeout = "5s", retry = 0)]
        async fn stay(&mut self, ctx: &Context, door: State<Door>, log: State<Log>) {
            work(ctx, &door, log).await;
        }

        #[command]
        fn glance(&self) {}
    }

    #[event(exchange = "limits", key = "stay")]
    pub(crate) struct Stay {}

    #[test]
    fn a_timeout_drops_also_who_has_the_state_for_itself_and_frees_it() {
        let Bench { bus, door, log, clock } = bench("limits");
        let handled = bus.fire(Stay {}).handled();
        door.wait_for_one();
        let glance = glance::on(&bus).execute();
        ping::on(&bus).execute().wait().unwrap();
        assert!(!glance.is_done());
        clock.advance(secs(5));
        assert_eq!(glance.wait(), Ok(()));
        let outcomes = handled.wait().unwrap();
        let failure = outcomes.get("stay").unwrap().failure().unwrap();
        assert_eq!((failure.reason(), log.all()), (Reason::Timeout, vec!["dropped".to_owned()]));
    }

    #[test]
    fn a_synchronous_listener_sees_its_timeout_pass_and_what_it_returns_counts() {
        let Bench { bus, door, log, clock } = bench("limits");
        let handled = bus.fire(Go {}).handled();
        door.wait_for_one();
        clock.advance(secs(5));
        door.let_one();
        bus.settle();
        assert_eq!(log.all(), ["cancelled true"]);
        // The next attempt has five seconds of its own.
        clock.advance(secs(1));
        door.wait_for_one();
        clock.advance(secs(4));
        door.let_one();
        handled.wait().unwrap().ok().unwrap();
        assert_eq!(log.all(), ["cancelled true", "cancelled false"]);
    }

    #[test]
    fn a_command_sees_its_own_timeout_pass_and_not_its_callers() {
        let Bench { bus, door, log, clock } = bench("limits");
        let limited = called::on(&bus).execute();
        door.wait_for_one();
        clock.advance(secs(5));
        assert_eq!(limited.wait(), Err(ExecuteError::Timeout));
        door.let_one();
        bus.settle();
        let impatient = unlimited::on(&bus).execute().timeout(secs(1));
        door.wait_for_one();
        clock.advance(secs(2));
        assert_eq!(impatient.wait(), Err(ExecuteError::Timeout));
        door.let_one();
        bus.settle();
        assert_eq!(log.all(), ["cancelled true", "cancelled false"]);
    }
}

mod late {
    use super::*;

    #[command]
    fn diligent(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        door.pass_blocking();
        while !ctx.cancelled() {
            std::thread::yield_now();
        }
        log.add("saw it");
        7
    }

    /// Stops when the deadline has passed.
    #[command]
    fn sluggish(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        door.pass_blocking();
        while ctx.bus().health().live {
            std::thread::yield_now();
        }
        assert!(ctx.cancelled());
        log.add("saw it");
        7
    }

    /// As `diligent`, without holding its thread.
    #[command]
    async fn awaits(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        door.pass().await;
        while !ctx.cancelled() {
            futures_lite::future::yield_now().await;
        }
        log.add("saw it");
        7
    }

    #[command]
    fn unhurried(ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
        toil(ctx, &door, &log)
    }

    #[derive(Default)]
    pub(crate) struct Slow;

    #[service("slow")]
    impl Slow {
        #[command]
        fn linger(&self, ctx: &Context, door: State<Door>, log: State<Log>) -> u32 {
            door.pass_blocking();
            while !ctx.cancelled() {
                std::thread::yield_now();
            }
            log.add("saw it");
            7
        }

        #[shutdown]
        fn close(&mut self, ctx: &Context, log: State<Log>) {
            log.add(format!("closes, cancelled {}", ctx.cancelled()));
        }
    }

    #[event(exchange = "late", key = "come")]
    pub(crate) struct Come {}

    #[listener]
    async fn come(_: &Come, ctx: &Context, door: State<Door>, log: State<Log>) {
        work(ctx, &door, log).await;
    }

    #[command]
    async fn endless(door: State<Door>) -> u32 {
        door.pass().await;
        7
    }

    #[test]
    fn a_handler_that_stops_when_a_shutdown_asks_it_to_is_not_late() {
        for call in [|bus: &Bus| diligent::on(bus).execute(), |bus: &Bus| awaits::on(bus).execute()]
        {
            let Bench { bus, door, log, .. } = bench("late");
            door.let_one();
            let call = call(&bus);
            door.wait_for_one();
            bus.shutdown_within(Duration::from_millis(500)).unwrap();
            assert_eq!(log.all(), ["saw it"]);
            assert_eq!(call.wait(), Ok(7));
        }
    }

    #[test]
    fn what_a_shutdown_has_time_for_does_not_see_the_flag() {
        let Bench { bus, door, log, .. } = bench("late");
        let call = unhurried::on(&bus).execute();
        door.wait_for_one();
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| bus.shutdown_within(secs(3_600)));
            while bus.health().ready {
                std::thread::yield_now();
            }
            door.let_one();
            stopping.join().unwrap().unwrap();
        });
        assert_eq!((call.wait(), log.all()), (Ok(7), vec!["cancelled false".to_owned()]));
    }

    #[test]
    fn the_shutdown_of_a_service_is_wanted_although_its_handlers_were_asked_to_stop() {
        let Bench { bus, door, log, .. } = bench("slow");
        door.let_one();
        let call = linger::on(&bus).execute();
        door.wait_for_one();
        bus.shutdown_within(Duration::from_millis(500)).unwrap();
        assert_eq!(call.wait(), Ok(7));
        assert_eq!(log.all(), ["saw it", "closes, cancelled false"]);
    }

    #[test]
    fn past_the_deadline_of_a_shutdown_a_handler_sees_the_flag() {
        let Bench { bus, door, log, .. } = bench("late");
        door.let_one();
        let call = sluggish::on(&bus).execute();
        door.wait_for_one();
        assert!(!call.is_done());
        let error = bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        has(&error.to_string(), &["`late` (1 deliveries)"]);
        // It had a moment to see it, so its thread is not left behind.
        assert!(!error.to_string().contains("stuck"), "{error}");
        assert_eq!(log.all(), ["saw it"]);
        assert_eq!(call.wait(), Ok(7));
    }

    #[test]
    fn past_the_deadline_of_a_shutdown_an_asynchronous_handler_is_dropped_and_its_work_kept() {
        let Bench { bus, door, log, .. } = bench("late");
        let handled = bus.fire(Come {}).handled();
        let call = endless::on(&bus).execute();
        door.wait_for_one();
        door.wait_for_one();
        bus.shutdown_within(Duration::from_millis(1)).unwrap_err();
        assert_eq!(log.all(), ["dropped"]);
        let error = call.wait().unwrap_err();
        assert_eq!(error, ExecuteError::Interrupted);
        assert!(error.outcome_unknown(), "it began");
        let outcomes = handled.wait().unwrap();
        let failure = outcomes.get("come").unwrap().failure().unwrap();
        assert_eq!(failure.reason(), Reason::Cancelled);
        let letters = bus.dead_letters().list().unwrap();
        assert_eq!((letters[0].reason(), letters[0].attempts()), (failure, 1));
    }
}
