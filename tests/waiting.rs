//! Waiting inside of handlers: a service never starves, and never runs two handlers at once.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use bus::prelude::*;
use bus::{Clock, Topic};
use support::Door;

mod nested {
    use super::*;

    #[command]
    fn depth(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        Ok(1 + depth::execute(left - 1).wait().map_err(|error| error.to_string())?)
    }

    /// Waits through two services in turn.
    #[command(service = "nested_other")]
    fn zigzag(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        Ok(1 + zag::execute(left - 1).wait().map_err(|error| error.to_string())?)
    }

    #[command]
    fn zag(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        Ok(1 + zigzag::execute(left - 1).wait().map_err(|error| error.to_string())?)
    }
}

fn start(services: &[&str]) -> bus::Running {
    bus::builder().services(services.iter().copied()).state(Busy::default()).build().unwrap()
}

#[test]
fn a_thousand_nested_waits_through_one_service_finish() {
    let bus = start(&["nested"]);
    assert_eq!(nested::depth::on(&bus).execute(1_000).wait(), Ok(1_000));
}

#[test]
fn a_thousand_nested_waits_through_two_services_finish() {
    let bus = start(&["nested", "nested_other"]);
    assert_eq!(nested::zigzag::on(&bus).execute(1_000).wait(), Ok(1_000));
}

#[test]
fn too_many_waiting_handlers_are_a_typed_error() {
    let bus = start(&["nested"]);
    let error = nested::depth::on(&bus).execute(1_100).wait().unwrap_err();
    assert!(error.to_string().contains("too many handlers wait"), "{error}");
    assert_eq!(nested::depth::on(&bus).execute(10).wait(), Ok(10));
}

/// Whether a handler of the service `turns` is running.
#[derive(Clone, Default)]
struct Busy(Arc<AtomicBool>, Arc<AtomicUsize>);

impl Busy {
    fn enter(&self) {
        assert!(!self.0.swap(true, Ordering::SeqCst), "two handlers of one service run at once");
        self.1.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        assert!(self.0.swap(false, Ordering::SeqCst));
    }

    fn work(&self) {
        self.enter();
        std::hint::black_box((0..500).sum::<u64>());
        std::thread::yield_now();
        self.leave();
    }
}

mod turns {
    use super::*;

    #[command]
    fn outer(rounds: u32, busy: State<Busy>) -> u32 {
        for round in 0..rounds {
            busy.work();
            assert_eq!(helper::execute(round).wait(), Ok(round));
            busy.work();
        }
        rounds
    }

    #[command]
    async fn patient(rounds: u32, busy: State<Busy>) -> u32 {
        for round in 0..rounds {
            busy.work();
            assert_eq!(helper::execute(round).await, Ok(round));
            busy.work();
        }
        rounds
    }

    #[command]
    fn short(busy: State<Busy>) {
        busy.work();
    }

    #[command(service = "turns_helper")]
    fn helper(round: u32) -> u32 {
        round
    }
}

#[test]
fn one_after_another_holds_while_handlers_wait() {
    let bus = start(&["turns", "turns_helper"]);
    let outer: Vec<_> = (0..20).map(|_| turns::outer::on(&bus).execute(20)).collect();
    let patient: Vec<_> = (0..20).map(|_| turns::patient::on(&bus).execute(20)).collect();
    let short: Vec<_> = (0..200).map(|_| turns::short::on(&bus).execute()).collect();
    for promise in outer.into_iter().chain(patient) {
        assert_eq!(promise.wait(), Ok(20));
    }
    for promise in short {
        assert_eq!(promise.wait(), Ok(()));
    }
}

mod circle {
    use super::*;

    /// Three services that hold their state while they call the next one.
    #[derive(Default)]
    pub(crate) struct First;
    #[derive(Default)]
    pub(crate) struct Second;
    #[derive(Default)]
    pub(crate) struct Third;

    fn next(promise: Promise<u32, String>) -> Result<u32, String> {
        match promise.wait() {
            Ok(hops) => Ok(hops + 1),
            Err(error) => Err(error.to_string()),
        }
    }

    #[service("first")]
    impl First {
        #[command]
        fn first(&mut self, hops: u32) -> Result<u32, String> {
            if hops == 0 { Ok(0) } else { next(second::execute(hops - 1)) }
        }

        #[command]
        fn own(&mut self) -> Result<u32, String> {
            next(first::execute(0))
        }

        #[command]
        async fn own_later(&mut self) -> Result<u32, String> {
            first::execute(0).await.map_err(|error| error.to_string())
        }

        #[command]
        fn tell(&mut self) -> Result<(), String> {
            let outcomes = Told { hops: 0 }.fire().handled().wait();
            outcomes.map(drop).map_err(|error| format!("{:?}: {error}", error.kind()))
        }

        #[listener]
        fn told(&mut self, _told: &Told) {}
    }

    #[event(exchange = "waiting", key = "told")]
    pub(crate) struct Told {
        pub(crate) hops: u32,
    }

    #[service("second")]
    impl Second {
        #[command]
        fn second(&mut self, hops: u32) -> Result<u32, String> {
            if hops == 0 { Ok(0) } else { next(third::execute(hops - 1)) }
        }

        /// Calls back to who called.
        #[command]
        fn back(&mut self, hops: u32) -> Result<u32, String> {
            if hops == 0 { Ok(0) } else { next(first::execute(hops - 1)) }
        }
    }

    #[service("third")]
    impl Third {
        #[command]
        fn third(&mut self, hops: u32) -> Result<u32, String> {
            if hops == 0 { Ok(0) } else { next(first::execute(hops - 1)) }
        }
    }
}

#[test]
fn a_circle_of_three_that_hold_their_state_is_a_deadlock_at_once() {
    let bus = start(&["first", "second", "third"]);
    for _ in 0..50 {
        let error = circle::first::on(&bus).execute(3).wait().unwrap_err().to_string();
        // Whoever closes the circle names it from itself.
        let circle = ["first", "second", "third", "first", "second", "third"];
        let named = |from: usize| circle[from..from + 4].join(" waits for ");
        let expected = |from| format!("waiting would never end: {}", named(from));
        assert!((0..3).any(|from| error == expected(from)), "{error}");
    }
    // Everybody is well again.
    assert_eq!(circle::first::on(&bus).execute(2).wait(), Ok(2));
}

#[test]
fn a_service_that_holds_its_state_and_waits_for_itself_is_a_deadlock_at_once() {
    let bus = start(&["first"]);
    let deadlock = "waiting would never end: first waits for first";
    let error = circle::own::on(&bus).execute().wait().unwrap_err();
    assert_eq!(error.to_string(), deadlock);
    let error = circle::own_later::on(&bus).execute().wait().unwrap_err();
    assert_eq!(error.to_string(), deadlock);
    let error = circle::tell::on(&bus).execute().wait().unwrap_err();
    assert_eq!(error.to_string(), format!("Deadlock: {deadlock}"));
}

/// Two that hold their state, and when they have met, each calls the other.
mod pair {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Left;
    #[derive(Default)]
    pub(crate) struct Right;

    #[service]
    impl Left {
        #[command]
        fn call_right(&mut self, met: State<Barrier>) -> Result<u32, String> {
            met.wait();
            answer_right::execute().wait().map_err(|error| error.to_string())
        }

        #[command]
        fn answer_left(&mut self) -> u32 {
            1
        }
    }

    #[service]
    impl Right {
        #[command]
        async fn call_left(&mut self, met: State<Barrier>) -> Result<u32, String> {
            met.wait();
            answer_left::execute().await.map_err(|error| error.to_string())
        }

        #[command]
        fn answer_right(&mut self) -> u32 {
            2
        }
    }

    #[test]
    fn of_two_that_hold_their_state_and_call_each_other_one_is_told_at_once() {
        // By this clock no timeout passes.
        let bus = bus::builder().services(["pair"]).clock(Clock::manual());
        let bus = bus.state(Barrier::new(2)).build().unwrap();
        for _ in 0..50 {
            let (left, right) = (call_right::on(&bus).execute(), call_left::on(&bus).execute());
            let told = |circle: &str| {
                let text = format!("waiting would never end: {circle}");
                Err(ExecuteError::Handler(text))
            };
            let left_told = told("pair.left waits for pair.right waits for pair.left");
            let right_told = told("pair.right waits for pair.left waits for pair.right");
            let answers = (left.wait(), right.wait());
            assert!(answers == (left_told, Ok(1)) || answers == (Ok(2), right_told), "{answers:?}");
        }
    }
}

/// Three that hold their state while they wait for whoever catches what they throw.
mod ring {
    use super::*;

    #[event(exchange = "ring", key = "to.one")]
    #[event(key = "to.two")]
    #[event(key = "to.three")]
    pub(crate) struct Ball {
        /// How often it is thrown on before it goes back to the first; nothing once it is back.
        left: Option<u32>,
    }

    fn throw(ball: &Ball, on: Topic<Ball>, bus: &Bus) -> Option<bus::Handled> {
        let left = ball.left?.checked_sub(1);
        let to = if left.is_some() { on } else { Ball::ONE };
        Some(bus.fire_as(to, Ball { left }).handled())
    }

    fn text(outcomes: bus::Result<bus::Outcomes>) -> Result<(), String> {
        outcomes.and_then(bus::Outcomes::ok).map_err(|error| format!("{:?}: {error}", error.kind()))
    }

    #[derive(Default)]
    pub(crate) struct One;
    #[derive(Default)]
    pub(crate) struct Two;
    #[derive(Default)]
    pub(crate) struct Three;

    #[service]
    impl One {
        #[listener(Ball::ONE, retry = 0)]
        fn catch(&mut self, ball: &Ball, ctx: &Context) -> Result<(), String> {
            throw(ball, Ball::TWO, ctx.bus()).map_or(Ok(()), |thrown| text(thrown.wait()))
        }
    }

    #[service]
    impl Two {
        #[listener(Ball::TWO, retry = 0)]
        fn catch_two(&mut self, ball: &Ball, ctx: &Context) -> Result<(), String> {
            throw(ball, Ball::THREE, ctx.bus()).map_or(Ok(()), |thrown| text(thrown.wait()))
        }
    }

    #[service]
    impl Three {
        #[listener(Ball::THREE, retry = 0)]
        async fn catch_three(&mut self, ball: &Ball, ctx: &Context) -> Result<(), String> {
            match throw(ball, Ball::ONE, ctx.bus()) {
                Some(thrown) => text(thrown.await),
                None => Ok(()),
            }
        }
    }

    #[test]
    fn waiting_for_outcomes_closes_circles_of_one_of_two_and_of_three() {
        let bus = start(&["ring"]);
        let names = ["ring.one", "ring.two", "ring.three"];
        for others in 0..3_u8 {
            for _ in 0..20 {
                let ball = Ball { left: Some(others.into()) };
                let outcomes = bus.fire_as(Ball::ONE, ball).handled().wait().unwrap();
                let failure = outcomes.get("catch").unwrap().failure().unwrap();
                // Whoever closes the circle names it from itself.
                let members = &names[..=usize::from(others)];
                let from = |first: usize| {
                    let circle = members.iter().cycle().skip(first).take(members.len() + 1);
                    let circle: Vec<&str> = circle.copied().collect();
                    format!("Deadlock: waiting would never end: {}", circle.join(" waits for "))
                };
                let told = (0..members.len()).any(|first| failure.message().contains(&from(first)));
                assert!(told, "{}", failure.message());
            }
        }
    }
}

/// One that holds its state while it waits for two, of which the first is done.
mod patient {
    use super::*;

    #[event(exchange = "patient", key = "asked")]
    pub(crate) struct Asked {}

    #[derive(Default)]
    pub(crate) struct Quick;
    #[derive(Default)]
    pub(crate) struct Host;

    #[service]
    impl Host {
        #[command]
        fn ask_both(&mut self) -> Result<(), String> {
            let outcomes = Asked {}.fire().handled().wait();
            outcomes.and_then(bus::Outcomes::ok).map_err(|error| error.to_string())
        }

        #[command]
        fn visit(&mut self) -> u32 {
            7
        }
    }

    #[service]
    impl Quick {
        #[listener]
        fn answer(&mut self, _: &Asked) {}

        #[command]
        fn call(&mut self) -> Result<u32, String> {
            visit::execute().wait().map_err(|error| error.to_string())
        }
    }

    #[listener]
    fn answer_slowly(_: &Asked, door: State<Door>) {
        door.pass_blocking();
    }

    #[test]
    fn who_is_done_closes_no_circle() {
        let door = Door::default();
        let bus = bus::builder().services(["patient"]).clock(Clock::manual());
        let bus = bus.state(door.clone()).build().unwrap();
        let asked = ask_both::on(&bus).execute();
        door.wait_for_one();
        let done = || bus.stats().handlers.iter().map(|handler| handler.handled).sum::<u64>();
        while done() < 1 {
            std::thread::yield_now();
        }
        // Behind the first answer, and before the second: its service waits for the one that waits.
        let called = call::on(&bus).execute();
        (0..1_000).for_each(|_| std::thread::yield_now());
        door.open();
        assert_eq!((asked.wait(), called.wait()), (Ok(()), Ok(7)));
    }
}

/// As `patient`, with more listeners than have a bit beside the count of what is open.
mod crowd {
    use super::*;

    #[event(exchange = "crowd", key = "asked")]
    pub(crate) struct Asked {}

    #[derive(Default)]
    pub(crate) struct Quick;
    #[derive(Default)]
    pub(crate) struct Host;

    #[service]
    impl Host {
        #[command]
        fn ask_all(&mut self) -> Result<(), String> {
            let outcomes = Asked {}.fire().handled().wait();
            outcomes.and_then(bus::Outcomes::ok).map_err(|error| error.to_string())
        }

        #[command]
        fn welcome(&mut self) -> u32 {
            7
        }
    }

    /// Listeners of a service with state that take nothing but the event.
    macro_rules! quick {
        ($($name:ident)*) => {
            const LISTENERS: u64 = [$(stringify!($name)),*].len() as u64;

            #[service]
            impl Quick {
                $(
                    #[listener]
                    fn $name(_: &Asked) {}
                )*

                #[command]
                fn step_in(&mut self, steps: State<Steps>) -> Result<u32, String> {
                    steps.0.pass_blocking();
                    welcome::execute().wait().map_err(|error| error.to_string())
                }
            }
        };
    }

    /// Where who steps in is seen.
    #[derive(Clone, Default)]
    pub(crate) struct Steps(Door);

    quick! {
        a0 a1 a2 a3 a4 a5 a6 a7 b0 b1 b2 b3 b4 b5 b6 b7 c0 c1 c2 c3 c4 c5 c6 c7
        d0 d1 d2 d3 d4 d5 d6 d7 e0 e1 e2 e3 e4 e5 e6 e7
    }

    #[listener(service = "crowd.ahead")]
    fn answer_slowly(_: &Asked, door: State<Door>) {
        door.pass_blocking();
    }

    #[test]
    fn who_is_done_closes_no_circle_among_however_many() {
        let door = Door::default();
        let steps = Steps::default();
        let bus = bus::builder().services(["crowd"]).clock(Clock::manual()).state(steps.clone());
        let bus = bus.state(door.clone()).build().unwrap();
        let asked = ask_all::on(&bus).execute();
        door.wait_for_one();
        let done = || bus.stats().handlers.iter().map(|handler| handler.handled).sum::<u64>();
        while done() < LISTENERS {
            std::thread::yield_now();
        }
        let stepped = step_in::on(&bus).execute();
        steps.0.wait_for_one();
        steps.0.open();
        (0..1_000).for_each(|_| std::thread::yield_now());
        door.open();
        assert_eq!((asked.wait(), stepped.wait()), (Ok(()), Ok(7)));
    }
}

mod meeting {
    use super::*;

    /// Waits until the asynchronous handler of the same service has run.
    #[command]
    fn wait_for_news() -> u32 {
        answer::execute().wait().unwrap_or(0)
    }

    #[command]
    async fn answer() -> u32 {
        helper::execute().await.unwrap_or(0) + 1
    }

    #[command]
    fn helper() -> u32 {
        41
    }
}

#[test]
fn asynchronous_handlers_of_a_waiting_service_go_on() {
    let bus = start(&["meeting"]);
    assert_eq!(meeting::wait_for_news::on(&bus).execute().wait(), Ok(42));
}

/// One that waits for what another handler of its service brings about, which stands at a door.
mod underway {
    use super::*;

    type Doors = [Door; 2];

    #[command]
    async fn early(doors: State<Doors>) {
        doors[0].pass().await;
        doors[1].let_one();
    }

    #[command]
    fn late() -> bool {
        stand::execute().wait().is_ok()
    }

    #[command(service = "underway_helper")]
    fn stand(doors: State<Doors>) {
        doors[1].pass_blocking();
    }

    #[derive(Default)]
    pub(crate) struct Shelf;

    #[service]
    impl Shelf {
        #[command]
        async fn early_shared(&self, doors: State<Doors>) {
            doors[0].pass().await;
            doors[1].let_one();
        }

        #[command]
        fn late_shared(&self) -> bool {
            stand::execute().wait().is_ok()
        }
    }

    #[test]
    fn asynchronous_handlers_that_have_begun_go_on_while_their_service_waits() {
        let doors = Doors::default();
        let bus = bus::builder().services(["underway", "underway_helper"]).clock(Clock::manual());
        let bus = bus.state(doors.clone()).build().unwrap();
        let meet = |early: Promise<()>, late: Promise<bool>| {
            doors[0].wait_for_one();
            doors[1].wait_for_one();
            doors[0].let_one();
            assert_eq!((late.wait(), early.wait()), (Ok(true), Ok(())));
        };
        meet(early::on(&bus).execute(), late::on(&bus).execute());
        meet(early_shared::on(&bus).execute(), late_shared::on(&bus).execute());
    }
}

mod shared {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Books {
        entries: u32,
    }

    #[service("books")]
    impl Books {
        /// Borrows the state while it asks another service, which asks back.
        #[command]
        fn report(&self) -> Result<u32, String> {
            let asked = ask::execute().wait().map_err(|error| error.to_string())?;
            Ok(asked + self.entries)
        }

        #[command]
        async fn report_later(&self) -> Result<u32, String> {
            let asked = ask::execute().await.map_err(|error| error.to_string())?;
            Ok(asked + self.entries)
        }

        #[command]
        fn count(&self) -> u32 {
            self.entries
        }

        #[command]
        fn enter(&mut self) -> u32 {
            self.entries += 1;
            self.entries
        }
    }

    #[command(service = "clerk")]
    fn ask() -> u32 {
        count::execute().wait().unwrap_or(99)
    }
}

#[test]
fn a_handler_that_borrows_the_state_may_be_asked_back_while_it_waits() {
    let bus = start(&["books", "clerk"]);
    assert_eq!(shared::report::on(&bus).execute().wait(), Ok(0));
    assert_eq!(shared::report_later::on(&bus).execute().wait(), Ok(0));
}

#[test]
fn a_pending_exclusive_handler_does_not_stop_what_the_others_wait_for() {
    let bus = start(&["books", "clerk"]);
    for round in 0..200 {
        let reports = [
            shared::report::on(&bus).execute(),
            shared::report_later::on(&bus).execute(),
            shared::report_later::on(&bus).execute(),
        ];
        let entered = shared::enter::on(&bus).execute();
        for report in reports {
            assert!(report.wait().is_ok());
        }
        assert_eq!(entered.wait(), Ok(round + 1));
    }
}

mod deep {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Deep;

    #[service("deep")]
    impl Deep {
        /// Has a large stack, for a handler.
        #[allow(clippy::large_stack_arrays, reason = "it is there to be large")]
        #[command]
        fn dive(&self, left: u32) -> Result<u32, String> {
            let ballast = std::hint::black_box([0_u8; 48 << 10]);
            if left == 0 {
                return Ok(0);
            }
            let rest = dive::execute(left - 1).wait();
            std::hint::black_box(&ballast);
            rest.map(|rest| rest + 1).map_err(|error| error.to_string())
        }

        #[command]
        fn ask(&self, id: u32) -> Result<u32, String> {
            reply::execute(id).wait().map_err(|error| error.to_string())
        }
    }

    #[command(service = "deep_helper")]
    fn reply(id: u32, door: State<Door>) -> u32 {
        door.pass_blocking();
        id
    }
}

#[test]
fn a_service_with_state_that_calls_itself_too_deep_is_told_and_lives() {
    let bus = start(&["deep"]);
    assert_eq!(deep::dive::on(&bus).execute(100).wait(), Ok(100));
    let error = deep::dive::on(&bus).execute(5_000).wait().unwrap_err().to_string();
    assert!(error.contains("too many handlers wait"), "{error}");
    assert_eq!(deep::dive::on(&bus).execute(100).wait(), Ok(100));
}

#[test]
fn many_waiting_handlers_of_a_service_with_state_do_not_pile_up() {
    let door = Door::default();
    let bus = bus::builder().services(["deep", "deep_helper"]).state(door.clone());
    let bus = bus.build().unwrap();
    let asked: Vec<_> = (0..2_000).map(|id| deep::ask::on(&bus).execute(id)).collect();
    door.wait_for_one();
    // Whoever would pile up has the time for it.
    (0..1_000).for_each(|_| std::thread::yield_now());
    door.open();
    for (id, promise) in (0..).zip(asked) {
        assert_eq!(promise.wait(), Ok(id));
    }
}

mod impatient {
    use super::*;

    pub(crate) struct Impatient;

    #[service("impatient")]
    impl Impatient {
        #[init]
        fn start() -> Result<Self, ExecuteError> {
            ready::execute().wait().map(|()| Self)
        }

        #[command]
        fn never(&self) {}
    }

    #[command(service = "impatient_helper")]
    fn ready() {}
}

#[test]
fn an_init_that_waits_for_a_service_which_has_not_started_is_a_deadlock_at_once() {
    let services = ["impatient", "impatient_helper"];
    let error = bus::builder().services(services).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "service `impatient` did not start: waiting would never end: impatient waits for \
         impatient_helper waits for the start of the bus waits for impatient"
    );
}
