//! Virtual time.

use super::*;

/// How much virtual time a call takes.
fn virtually<T>(bus: &TestBus, run: impl FnOnce() -> T) -> (T, Duration) {
    let before = bus.time();
    let output = run();
    (output, bus.time().duration_since(before).expect("time goes on"))
}

mod retried {
    use super::*;

    #[event(exchange = "retried", key = "job")]
    pub(crate) struct Job {
        pub(crate) name: String,
    }

    /// Fired when an attempt begins and when it ends.
    #[event(exchange = "retried", key = "mark")]
    pub(crate) struct Mark {
        job: String,
        attempt: u32,
    }

    /// Succeeds at the fourth attempt.
    #[listener(retry = 3, backoff = ["1s", "10s", "100s"])]
    fn work(job: &Job, ctx: &Context, log: State<Log>) -> Result<(), String> {
        log.add(format!("{} {}", job.name, ctx.attempt()));
        let mark = Mark { job: job.name.clone(), attempt: ctx.attempt() };
        mark.mark();
        (0..20).for_each(|_| std::thread::yield_now());
        mark.mark();
        if ctx.attempt() > 3 { Ok(()) } else { Err("not yet".into()) }
    }

    fn job(name: &str) -> Job {
        Job { name: name.into() }
    }

    #[test]
    fn waiting_moves_time_as_far_as_it_takes() {
        let Bench { bus, log, .. } = bench("time");
        let real = Instant::now();
        let (outcomes, took) = virtually(&bus, || bus.fire(job("a")).handled().wait().unwrap());
        outcomes.ok().unwrap();
        assert_eq!(took, secs(111));
        assert_eq!(log.all(), ["a 1", "a 2", "a 3", "a 4"]);
        assert!(real.elapsed() < REAL);
    }

    #[test]
    fn awaiting_moves_time_as_waiting_does() {
        let Bench { bus, .. } = bench("time");
        let handled = bus.fire(job("a")).handled();
        let (outcomes, took) = virtually(&bus, || smol::block_on(handled).unwrap());
        outcomes.ok().unwrap();
        assert_eq!(took, secs(111));
    }

    #[test]
    fn advancing_runs_everything_in_the_order_of_its_time() {
        let Bench { bus, log, .. } = bench("time");
        bus.fire(job("a"));
        bus.advance(Duration::from_millis(500));
        bus.fire(job("b"));
        bus.advance(secs(1000));
        // Each was due half a second after that of the other, however far apart from the next.
        let seen = ["a 1", "b 1", "a 2", "b 2", "a 3", "b 3", "a 4", "b 4"];
        assert_eq!(log.all(), seen);
    }

    #[test]
    fn advancing_goes_no_further_than_it_is_told() {
        let Bench { bus, log, .. } = bench("time");
        let ((), took) = virtually(&bus, || {
            bus.fire(job("a"));
            bus.advance(just_under(11));
        });
        assert_eq!(took, just_under(11));
        assert_eq!(log.all(), ["a 1", "a 2"]);
        bus.advance(NANOSECOND);
        assert_eq!(log.all(), ["a 1", "a 2", "a 3"]);
    }

    #[test]
    fn settling_moves_no_time() {
        let Bench { bus, log, .. } = bench("time");
        let ((), took) = virtually(&bus, || {
            bus.fire(job("a"));
            bus.settle();
        });
        assert_eq!((took, log.all()), (secs(0), vec!["a 1".to_owned()]));
    }

    #[test]
    fn an_answer_that_is_there_moves_no_time() {
        let Bench { bus, .. } = bench("time");
        bus.fire(job("a"));
        for _ in 0..100 {
            let ((), took) =
                virtually(&bus, || super::answered::answer::on(&bus).execute().wait().unwrap());
            assert_eq!(took, secs(0));
        }
    }

    #[test]
    fn time_stands_still_while_a_handler_runs_however_many_wait() {
        for _ in 0..20 {
            let Bench { bus, .. } = bench("time");
            std::thread::scope(|scope| {
                for index in 0..4_u32 {
                    let bus = &bus;
                    scope.spawn(move || {
                        bus.fire(job(&index.to_string())).handled().wait().unwrap().ok().unwrap();
                    });
                }
            });
            let marks = bus.fired::<Mark>();
            assert_eq!(marks.len(), 4 * 4 * 2);
            for index in 0..4 {
                let of_job = marks.iter().filter(|mark| mark.job == index.to_string());
                let times: Vec<_> = of_job.map(|mark| (mark.attempt, mark.time())).collect();
                let first = times[0].1;
                let after = times
                    .iter()
                    .map(|(attempt, time)| (*attempt, time.duration_since(first).unwrap()));
                let expected = [(1, 0), (2, 1), (3, 11), (4, 111)];
                let expected = expected.map(|(attempt, after)| [(attempt, secs(after)); 2]);
                assert_eq!(after.collect::<Vec<_>>(), expected.concat());
            }
        }
    }

    #[test]
    fn by_hand_nobody_who_waits_moves_it() {
        let Bench { bus, log, .. } = bench_with("time", TestBuilder::by_hand);
        let mut handled = bus.fire(job("a")).handled();
        let (polled, took) = virtually(&bus, || {
            bus.settle();
            smol::block_on(smol::future::poll_once(&mut handled))
        });
        assert!(polled.is_none());
        assert_eq!((took, log.all().len()), (secs(0), 1));
        bus.advance(secs(111));
        handled.wait().unwrap().ok().unwrap();
    }

    #[test]
    fn dropping_it_finishes_what_waits_for_time() {
        let Bench { bus, log, .. } = bench("time");
        bus.fire(job("a"));
        drop(bus);
        assert_eq!(log.all().len(), 4);
    }
}

mod answered {
    use super::*;

    const HOURS: Duration = Duration::from_secs(7 * 3600);

    #[command]
    pub(crate) fn answer() {}

    // Longer than any test runs.
    #[command(timeout = "7h")]
    async fn hang() {
        std::future::pending::<()>().await;
    }

    #[command]
    async fn call_hang(log: State<Log>) {
        log.add(format!("{:?}", hang::execute().await));
    }

    #[command]
    fn wait_hang(log: State<Log>) {
        log.add(format!("{:?}", hang::execute().wait()));
    }

    #[command(timeout = "7s")]
    async fn stand_at_the_door(door: State<Door>) {
        door.pass().await;
    }

    #[test]
    fn a_command_that_never_answers_times_out_in_virtual_time() {
        let Bench { bus, .. } = bench("time");
        let real = Instant::now();
        for wait in [|promise: Promise<()>| promise.wait(), |promise| smol::block_on(promise)] {
            let (answer, took) = virtually(&bus, || wait(hang::on(&bus).execute()));
            assert_eq!((answer, took), (Err(ExecuteError::Timeout), HOURS));
            let limited = hang::on(&bus).execute().timeout(secs(2));
            let (answer, took) = virtually(&bus, || wait(limited));
            assert_eq!((answer, took), (Err(ExecuteError::Timeout), secs(2)));
        }
        assert!(real.elapsed() < REAL);
    }

    #[test]
    fn a_handler_that_waits_for_time_is_settled() {
        let Bench { bus, log, .. } = bench("time");
        for call in
            [|bus: &Bus| call_hang::on(bus).execute(), |bus: &Bus| wait_hang::on(bus).execute()]
        {
            let call = call(&bus);
            let ((), took) = virtually(&bus, || bus.settle());
            assert_eq!((took, call.is_done()), (secs(0), false));
            bus.advance(HOURS);
            assert!(call.is_done());
        }
        assert_eq!(log.all(), ["Err(Timeout)", "Err(Timeout)"]);
    }

    #[test]
    fn what_awaits_the_outside_is_given_up_after_a_while() {
        let Bench { bus, door, .. } =
            bench_with("time", |builder| builder.patience(Duration::from_millis(20)));
        let (real, promise) = (Instant::now(), stand_at_the_door::on(&bus).execute());
        door.wait_for_one();
        let (answer, took) = virtually(&bus, || promise.wait());
        assert_eq!((answer, took), (Err(ExecuteError::Timeout), secs(7)));
        let promise = stand_at_the_door::on(&bus).execute();
        bus.advance(secs(7));
        assert_eq!(promise.wait(), Err(ExecuteError::Timeout));
        let promise = stand_at_the_door::on(&bus).execute();
        assert_eq!(smol::block_on(promise), Err(ExecuteError::Timeout));
        assert!(real.elapsed() > Duration::from_millis(60));
        door.open();
    }

    #[test]
    fn what_runs_for_ever_costs_its_caller_the_real_limit_at_most() {
        let Bench { bus, door, .. } = bench("time");
        let promise = stuck::on(&bus).execute();
        door.wait_for_one();
        assert_eq!(promise.wait_timeout(Duration::from_millis(10)), Err(ExecuteError::Timeout));
        door.open();
    }

    #[command]
    fn stuck(door: State<Door>) {
        door.pass_blocking();
    }
}

mod outside {
    use super::*;

    #[listener("fetch", timeout = "1s", retry = 0)]
    async fn fetch(page: String, log: State<Log>) {
        let page = smol::unblock(|| {
            (0..50).for_each(|_| std::thread::yield_now());
            page
        });
        log.add(page.await);
    }

    #[test]
    fn what_awaits_the_outside_is_waited_for() {
        let Bench { bus, log, .. } = bench("time");
        for round in 0..50 {
            bus.fire_event("fetch", "page");
            bus.settle();
            assert_eq!(log.all().len(), 3 * round + 1);
            bus.fire_event("fetch", "page");
            bus.advance(secs(10));
            assert_eq!(log.all().len(), 3 * round + 2);
            bus.fire_event("fetch", "page").handled().wait().unwrap().ok().unwrap();
            assert_eq!(log.all().len(), 3 * round + 3);
        }
    }
}

/// A chain through every kind of handler.
mod chain {
    use super::*;

    #[event(exchange = "chain", key = "link")]
    pub(crate) struct Link {
        left: u32,
    }

    #[listener(concurrency = 4)]
    async fn pull(link: Link, ctx: &Context) -> Result<(), Box<dyn std::error::Error>> {
        add::execute(weigh::execute(link.left).await?).await?;
        if link.left > 0 {
            ctx.bus().fire(Link { left: link.left - 1 });
        }
        Ok(())
    }

    #[command]
    fn weigh(links: u32) -> u32 {
        smol::block_on(async { futures_lite::future::yield_now().await });
        halve::execute(links * 2).wait().unwrap_or_default()
    }

    #[command(service = "time.halving")]
    fn halve(links: u32) -> u32 {
        links / 2
    }

    #[derive(Default)]
    pub(crate) struct Scales {
        total: u32,
    }

    #[service("time.scales")]
    impl Scales {
        #[command]
        async fn add(&mut self, links: u32) {
            self.total += weigh::execute(links).await.unwrap_or_default();
        }

        #[command]
        fn total(&self) -> u32 {
            self.total
        }
    }

    #[test]
    fn settled_is_what_is_done_to_its_end() {
        let Bench { bus, .. } = bench("time");
        for round in 1..=200 {
            bus.fire(Link { left: 3 });
            bus.settle();
            assert_eq!(bus.stats().services.iter().map(|service| service.open).sum::<u64>(), 0);
            let ((), took) = virtually(&bus, || {
                assert_eq!(total::on(&bus).execute().wait(), Ok(round * (3 + 2 + 1)));
            });
            assert_eq!(took, secs(0));
        }
    }
}

mod limited {
    use super::*;

    #[event(exchange = "limited", key = "page")]
    pub(crate) struct Page {}

    #[listener(timeout = "10s", retry = 2, backoff = "1s")]
    async fn print(_: Page) {
        std::future::pending::<()>().await;
    }

    #[test]
    fn handlers_exceed_their_limits_and_are_retried_in_virtual_time() {
        let Bench { bus, .. } = bench("time");
        let real = Instant::now();
        let (outcomes, took) = virtually(&bus, || bus.fire(Page {}).handled().wait().unwrap());
        assert_eq!(outcomes.get("print").unwrap().attempts(), Some(3));
        assert_eq!(took, secs(10 + 1 + 10 + 1 + 10));
        let handled = bus.fire(Page {}).handled();
        bus.advance(secs(31));
        assert_eq!(bus.dead_letters().list().unwrap().len(), 1);
        bus.advance(secs(1));
        assert_eq!(bus.dead_letters().list().unwrap().len(), 2);
        drop(handled);
        assert!(real.elapsed() < REAL);
    }

    #[test]
    fn dropping_it_ends_what_would_hang_for_ever() {
        let Bench { bus, .. } = bench("time");
        let real = Instant::now();
        bus.fire(Page {});
        bus.settle();
        drop(bus);
        assert!(real.elapsed() < REAL);
    }
}
