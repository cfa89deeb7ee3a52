//! Calling functions through the bus: typed, by name, as tasks, on a given bus, once.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::time::Duration;

use bus::prelude::*;
use bus::{Clock, Error, ErrorKind, Failure, NotFound};
use support::{Door, Log, has, text, thread_id};

mod shapes {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    #[bus::payload]
    #[derive(Debug, PartialEq)]
    pub(crate) struct Point {
        pub(crate) x: i32,
        pub(crate) y: Option<i32>,
    }

    #[command]
    fn nothing() {}

    #[command]
    fn hello(name: &str) -> String {
        format!("Hello, {name}!")
    }

    #[command]
    fn all(
        byte: u8,
        slice: &[i64],
        point: &Point,
        points: Vec<Point>,
        path: &Path,
        map: BTreeMap<String, Option<u32>>,
    ) -> String {
        format!("{byte} {slice:?} {point:?} {points:?} {} {map:?}", path.display())
    }

    #[command]
    async fn later(mut point: Point, by: i32) -> Point {
        futures_lite::future::yield_now().await;
        point.x += by;
        point
    }

    #[command]
    fn supplied(log: State<Log>, prefix: &str, ctx: &Context, suffix: String) -> String {
        log.add("called");
        format!("{prefix}{}{suffix}", ctx.key())
    }

    fn start() -> (bus::Running, Log) {
        let log = Log::default();
        (bus::builder().services(["shapes"]).state(log.clone()).build().unwrap(), log)
    }

    #[test]
    fn parameters_arrive_as_they_were_given() {
        let (bus, _) = start();
        nothing::on(&bus).execute().wait().unwrap();
        assert_eq!(hello::on(&bus).execute("Alice").wait().unwrap(), "Hello, Alice!");
        let (point, path) = (Point { x: 1, y: None }, PathBuf::from("/tmp"));
        let map = BTreeMap::from([("k".to_owned(), Some(1))]);
        let points = || vec![Point { x: 2, y: Some(3) }];
        let through = all::on(&bus).execute(7, &[-1, 2], &point, points(), &path, map.clone());
        let direct = all(7, &[-1, 2], &point, points(), &path, map);
        assert_eq!(through.wait().unwrap(), direct);
        let moved = later::on(&bus).execute(point, 5).wait().unwrap();
        assert_eq!(moved, Point { x: 6, y: None });
    }

    #[test]
    fn what_the_bus_supplies_is_no_parameter_of_the_call() {
        let (bus, log) = start();
        let answer = supplied::on(&bus).execute("<", ">".to_owned()).wait().unwrap();
        assert_eq!((answer.as_str(), log.all()), ("<shapes.supplied>", vec!["called".to_owned()]));
    }

    #[test]
    fn the_function_is_still_a_function() {
        nothing();
        assert_eq!(hello("Bob"), "Hello, Bob!");
        let point = futures_lite::future::block_on(later(Point { x: 1, y: None }, 1));
        assert_eq!(point.x, 2);
        let _: fn(&str) -> String = hello;
    }

    #[test]
    fn by_name_takes_a_tuple_and_gives_the_type_that_is_asked_for() {
        let (bus, log) = start();
        let hello: String = bus.execute_command("shapes.hello", ("Alice",)).wait().unwrap();
        assert_eq!(hello, "Hello, Alice!");
        let point: (i32, Option<i32>) = {
            let point: Point = bus
                .execute_command("shapes.later", (Point { x: 1, y: Some(2) }, 3))
                .wait()
                .unwrap();
            (point.x, point.y)
        };
        assert_eq!(point, (4, Some(2)));
        let json: serde_json::Value = bus
            .execute_command("shapes.later", (serde_json::json!({"x": 1, "y": null}), 3))
            .wait()
            .unwrap();
        assert_eq!(json, serde_json::json!({"x": 4, "y": null}));
        bus.execute_command::<_, ()>("shapes.nothing", ()).wait().unwrap();
        bus.execute_command::<_, ()>("shapes.nothing", [0; 0]).wait().unwrap();
        let text: String = bus.execute_command("shapes.supplied", ("a", "b")).wait().unwrap();
        assert_eq!(text, "ashapes.suppliedb");
        assert_eq!(log.all(), ["called"]);
    }

    #[test]
    fn wrong_arguments_name_the_parameter_and_the_field() {
        let (bus, _) = start();
        let wrong = |arguments: serde_json::Value| {
            let answer = bus.execute_command::<_, Point>("shapes.later", arguments).wait();
            let Err(ExecuteError::Codec(error)) = answer else { panic!("{answer:?}") };
            (error.path().to_owned(), error.to_string())
        };
        let (path, text) = wrong(serde_json::json!([{"x": "one", "y": null}, 3]));
        assert_eq!(path, "point.x");
        has(&text, &["`point.x`", "expected i32"]);
        assert_eq!(wrong(serde_json::json!([{"x": 1, "y": null}, "three"])).0, "by");
        has(&wrong(serde_json::json!([{"x": 1}])).1, &["tuple of size 2"]);
        has(&wrong(serde_json::json!([{"x": 1}, 2, 3])).1, &["trailing"]);
        let answer = bus.execute_command::<_, ()>("shapes.nothing", (1,)).wait();
        assert!(matches!(answer, Err(ExecuteError::Codec(_))), "{answer:?}");
    }

    #[test]
    fn an_answer_of_another_type_is_a_codec_error_that_says_so() {
        let (bus, _) = start();
        let answer =
            bus.execute_command::<_, Vec<u8>>("shapes.later", (Point { x: 1, y: None }, 3));
        has(&text(answer.wait()), &["the answer is of another type"]);
        let answer = bus.execute_command::<_, u32>("shapes.hello", ("Alice",)).wait();
        assert!(matches!(answer, Err(ExecuteError::Codec(_))), "{answer:?}");
    }

    #[test]
    fn an_unknown_name_brings_the_near_ones() {
        let (bus, _) = start();
        let answer = bus.execute_command::<_, String>("shapes.helo", ("Alice",)).wait();
        let Err(ExecuteError::NotFound(error)) = answer else { panic!("{answer:?}") };
        assert_eq!(error.command(), "shapes.helo");
        assert_eq!(error.near()[0], "shapes.hello");
        has(
            &error.to_string(),
            &["nobody serves the command `shapes.helo`", "did you mean `shapes.hello`"],
        );
        let answer = bus.execute_command::<_, String>("hello", ("Alice",)).wait();
        let Err(ExecuteError::NotFound(error)) = answer else { panic!("{answer:?}") };
        assert_eq!(error.near()[0], "shapes.hello");
    }

    #[test]
    fn a_command_of_a_service_that_does_not_run_here_is_not_found() {
        let bus = bus::builder().services(["errors"]).build().unwrap();
        let answer = hello::on(&bus).execute("Alice").wait();
        assert!(
            matches!(answer, Err(ExecuteError::NotFound(ref name)) if name.command() == "shapes.hello"),
            "{answer:?}"
        );
        let error = hello::on(&bus).dispatch("Alice").wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

mod errors {
    use super::*;
    use std::io;

    #[bus::payload]
    #[derive(Debug, PartialEq)]
    pub(crate) enum Refusal {
        Broke { missing: u32 },
    }

    impl std::fmt::Display for Refusal {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let Self::Broke { missing } = self;
            write!(f, "{missing} are missing")
        }
    }

    impl std::error::Error for Refusal {}

    #[command]
    fn pay(amount: u32) -> Result<u32, Refusal> {
        if amount > 10 { Err(Refusal::Broke { missing: amount - 10 }) } else { Ok(10 - amount) }
    }

    /// The error is no serde type.
    #[command]
    fn read(path: &str) -> io::Result<String> {
        Err(io::Error::new(io::ErrorKind::NotFound, format!("no {path}")))
    }

    fn start() -> bus::Running {
        bus::builder().services(["errors"]).build().unwrap()
    }

    #[test]
    fn the_handlers_error_arrives_as_itself() {
        let bus = start();
        assert_eq!(pay::on(&bus).execute(4).wait(), Ok(6));
        let error = pay::on(&bus).execute(12).wait().unwrap_err();
        assert_eq!(error, ExecuteError::Handler(Refusal::Broke { missing: 2 }));
        assert!(!error.outcome_unknown());
        let error = read::on(&bus).execute("paper").wait().unwrap_err();
        let ExecuteError::Handler(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn by_name_the_error_gives_its_text_and_its_value() {
        let bus = start();
        let error = bus.execute_command::<_, u32>("errors.pay", (12,)).wait().unwrap_err();
        let ExecuteError::Handler(failure) = error else { panic!("{error}") };
        assert_eq!(failure.message(), "2 are missing");
        assert_eq!(failure.decode::<Refusal>(), Some(Refusal::Broke { missing: 2 }));
        let error = bus.execute_command::<_, String>("errors.read", ("paper",)).wait().unwrap_err();
        let ExecuteError::Handler(failure) = error else { panic!("{error}") };
        assert_eq!((failure.message(), failure.decode::<String>()), ("no paper", None));
    }

    #[test]
    fn the_question_mark_takes_every_error_into_the_buss_own() {
        fn all(bus: &Bus) -> bus::Result<u32> {
            let rest = pay::on(bus).execute(4).wait()?;
            bus.execute_command::<_, u32>("errors.pay", (4,)).wait()?;
            Ok(rest + pay::on(bus).execute(11).wait()?)
        }
        let error = all(&start()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handler);
        has(&error.to_string(), &["1 are missing"]);
        let error: Error = ExecuteError::<Failure>::Timeout.into();
        assert!(error.is_retryable());
    }

    #[test]
    fn the_question_mark_takes_every_error_into_a_box() {
        fn all(bus: &Bus) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
            read::on(bus).execute("x").wait().or_else(|error| match error {
                ExecuteError::Handler(_) => Ok(String::new()),
                other => Err(other),
            })?;
            bus.fire_event("nobody", 1).wait()?;
            Ok(pay::on(bus).execute(11).wait()?)
        }
        has(&text(all(&start())), &["1 are missing"]);
    }
}

mod tasks {
    use super::*;

    #[command(retry = 0)]
    fn store(number: u32, log: State<Log<u32>>) -> Result<u32, String> {
        log.add(number);
        if number == 13 { Err("not this one".into()) } else { Ok(number) }
    }

    #[test]
    fn a_dispatched_command_runs_and_tells_its_outcome() {
        let log = Log::<u32>::default();
        let bus = bus::builder().services(["tasks"]).state(log.clone()).build().unwrap();
        assert!(store::on(&bus).dispatch(1).wait().unwrap().routed);
        let outcomes = store::on(&bus).dispatch(2).handled().wait().unwrap();
        assert_eq!(outcomes.len(), 1);
        assert!(outcomes.get("tasks.store").unwrap().is_ok());
        let outcomes = store::on(&bus).dispatch(13).handled().wait().unwrap();
        has(&text(outcomes.ok()), &["`tasks.store`", "not this one"]);
        assert_eq!(log.all(), [1, 2, 13]);
        bus.shutdown().unwrap();
        let error = store::on(&bus).dispatch(3).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(store::on(&bus).execute(3).wait(), Err(ExecuteError::Closed));
    }
}

mod waiting {
    use super::*;

    #[command]
    async fn held(door: State<Door>, log: State<Log>) -> u32 {
        door.pass().await;
        log.add("ended");
        7
    }

    #[command(timeout = "5s")]
    async fn held_shortly(door: State<Door>) -> u32 {
        door.pass().await;
        7
    }

    #[command]
    fn held_hard(door: State<Door>, ctx: &Context, log: State<Log>) -> u32 {
        door.pass_blocking();
        log.add(format!("cancelled {}", ctx.cancelled()));
        7
    }

    fn start() -> (bus::Running, Clock, Door, Log) {
        let (clock, door, log) = (Clock::manual(), Door::default(), Log::default());
        let bus = bus::builder().services(["waiting"]).clock(clock.clone());
        let bus = bus.state(door.clone()).state(log.clone()).build().unwrap();
        (bus, clock, door, log)
    }

    #[test]
    fn a_commands_own_timeout_ends_the_wait_and_not_the_command() {
        let (bus, clock, door, log) = start();
        let (brief, other) = (held_shortly::on(&bus).execute(), held::on(&bus).execute());
        door.wait_for_one();
        door.wait_for_one();
        clock.advance(Duration::from_secs(5));
        let ended = brief.wait().unwrap_err();
        assert_eq!(ended, ExecuteError::Timeout);
        assert!(ended.outcome_unknown());
        assert!(!other.is_done());
        clock.advance(Duration::from_secs(25));
        assert_eq!(other.wait(), Err(ExecuteError::Timeout), "30 s are the default");
        door.open();
        bus.settle();
        assert_eq!(log.all(), ["ended"]);
    }

    #[test]
    fn a_limit_of_the_caller_ends_the_wait_and_not_the_command() {
        let (bus, clock, door, log) = start();
        let waiter = held::on(&bus).execute().timeout(Duration::from_secs(1));
        let other = held::on(&bus).execute().timeout(Duration::from_secs(3600));
        clock.advance(Duration::from_secs(1));
        assert_eq!(waiter.wait(), Err(ExecuteError::Timeout));
        door.open();
        assert_eq!(other.wait_timeout(Duration::from_secs(1)), Ok(7));
        bus.settle();
        assert_eq!(log.all(), ["ended", "ended"]);
    }

    #[test]
    fn wait_timeout_ends_by_the_clock_of_the_bus() {
        let (bus, clock, door, _log) = start();
        std::thread::scope(|scope| {
            let call = held::on(&bus).execute();
            door.wait_for_one();
            let thread = scope.spawn(|| call.wait_timeout(Duration::from_secs(1)));
            // However early or late the other thread begins to wait.
            while !thread.is_finished() {
                clock.advance(Duration::from_secs(1));
                std::thread::yield_now();
            }
            assert_eq!(thread.join().unwrap(), Err(ExecuteError::Timeout));
        });
        door.open();
    }

    #[test]
    fn a_dropped_promise_lets_the_command_run() {
        let (bus, _, door, log) = start();
        drop(held::on(&bus).execute());
        door.wait_for_one();
        door.open();
        bus.settle();
        assert_eq!(log.all(), ["ended"]);
    }

    #[test]
    fn a_call_that_is_cancelled_before_it_starts_never_runs() {
        let (bus, _, door, log) = start();
        let first = held_hard::on(&bus).execute();
        door.wait_for_one();
        let second = held_hard::on(&bus).execute();
        second.cancel();
        assert!(second.is_done());
        assert_eq!(second.wait(), Err(ExecuteError::Cancelled));
        door.open();
        assert_eq!(first.wait(), Ok(7));
        bus.settle();
        assert_eq!(log.all(), ["cancelled false"]);
    }

    #[test]
    fn cancelling_drops_an_asynchronous_handler_and_tells_a_synchronous_one() {
        let (bus, _, door, log) = start();
        let asynchronous = held::on(&bus).execute();
        door.wait_for_one();
        asynchronous.cancel();
        bus.settle();
        let synchronous = held_hard::on(&bus).execute();
        door.wait_for_one();
        synchronous.cancel();
        door.open();
        bus.settle();
        assert_eq!(log.all(), ["cancelled true"]);
        assert_eq!(asynchronous.wait(), Err(ExecuteError::Cancelled));
        assert_eq!(synchronous.wait(), Err(ExecuteError::Cancelled));
    }

    #[test]
    fn cancelling_after_the_answer_changes_nothing() {
        let (bus, _, door, _) = start();
        door.open();
        let promise = held::on(&bus).execute();
        bus.settle();
        promise.cancel();
        assert_eq!(promise.wait(), Ok(7));
    }
}

mod inline {
    use super::*;

    #[command(inline)]
    fn here(depth: u32, threads: State<Log<std::thread::ThreadId>>) -> u32 {
        threads.add(thread_id());
        if depth == 0 { 0 } else { 1 + here::execute(depth - 1).wait().unwrap() }
    }

    #[command(inline, retry = 1, backoff = "0s")]
    fn task(threads: State<Log<std::thread::ThreadId>>) -> Result<(), String> {
        threads.add(thread_id());
        Err("again".into())
    }

    fn start() -> (bus::Running, Log<std::thread::ThreadId>) {
        let threads = Log::default();
        (bus::builder().services(["inline"]).state(threads.clone()).build().unwrap(), threads)
    }

    #[test]
    fn an_inline_command_runs_on_the_callers_thread() {
        let (bus, threads) = start();
        let promise = here::on(&bus).execute(0);
        assert!(promise.is_done());
        assert_eq!((promise.wait(), threads.all()), (Ok(0), vec![thread_id()]));
    }

    #[test]
    fn inline_commands_that_nest_go_to_their_service_at_some_depth() {
        let (bus, threads) = start();
        assert_eq!(here::on(&bus).execute(40).wait(), Ok(40));
        let here = threads.all().iter().filter(|thread| **thread == thread_id()).count();
        assert!((2..40).contains(&here), "{here} ran here");
    }
}

mod names {
    use super::*;

    #[command("names.wanted")]
    fn given() -> String {
        "given".into()
    }

    #[command(service = "names")]
    fn of_service() -> String {
        "of service".into()
    }

    #[command(local)]
    fn private(secret: Secret) -> Secret {
        secret
    }

    /// No serde type.
    #[derive(Debug, PartialEq)]
    pub(crate) struct Secret(u32);

    #[command(handle = another)]
    fn renamed() -> u32 {
        3
    }

    pub(crate) mod left {
        use super::*;
        bus::service_name!("names.left");
        #[command]
        pub(crate) fn create() -> String {
            "left".into()
        }
    }

    pub(crate) mod right {
        use super::*;
        bus::service_name!("names.right");
        #[command]
        pub(crate) fn create() -> String {
            "right".into()
        }
    }

    fn start() -> bus::Running {
        bus::builder().services(["names"]).build().unwrap()
    }

    #[test]
    fn a_given_name_is_the_name() {
        let bus = start();
        assert_eq!(given::on(&bus).execute().wait(), Ok("given".to_owned()));
        let by_name: String = bus.execute_command("names.wanted", ()).wait().unwrap();
        assert_eq!(by_name, "given");
        assert!(bus.execute_command::<_, String>("names.given", ()).wait().is_err());
        let by_name: String = bus.execute_command("names.of_service", ()).wait().unwrap();
        assert_eq!(by_name, "of service");
        assert_eq!(another::on(&bus).execute().wait(), Ok(3));
    }

    #[test]
    fn functions_of_one_name_live_side_by_side_in_two_services() {
        let bus = start();
        assert_eq!(left::create::on(&bus).execute().wait(), Ok("left".to_owned()));
        assert_eq!(right::create::on(&bus).execute().wait(), Ok("right".to_owned()));
        let by_name: String = bus.execute_command("names.right.create", ()).wait().unwrap();
        assert_eq!(by_name, "right");
    }

    #[test]
    fn a_local_command_needs_no_serde_and_has_no_name_to_call_it_by() {
        let bus = start();
        assert_eq!(private::on(&bus).execute(Secret(5)).wait(), Ok(Secret(5)));
        let answer = bus.execute_command::<_, u32>("names.private", (5,)).wait();
        has(&text(answer), &["`names.private`", "local command", "handle"]);
    }
}

mod contracts {
    use super::*;

    #[command]
    pub(crate) fn convert(amount: u32, to: &str) -> Result<u32, String>;

    #[command]
    pub(crate) async fn unserved(name: String) -> u32;

    pub(crate) mod server {
        use super::*;
        bus::service_name!("contracts.server");

        #[command(serves = super::convert)]
        fn convert_here(amount: u32, to: &str, ctx: &Context) -> Result<u32, String> {
            assert_eq!(ctx.key(), "contracts.convert");
            if to == "EUR" { Ok(amount * 2) } else { Err(format!("no rate for {to}")) }
        }

        #[test]
        fn an_implementation_answers_for_its_contract_in_the_same_process() {
            let bus = bus::builder().services(["contracts.server"]).build().unwrap();
            assert_eq!(convert_here::on(&bus).execute(3, "EUR").wait(), Ok(6));
            assert_eq!(convert::on(&bus).execute(3, "EUR").wait(), Ok(6));
            let error = convert::on(&bus).execute(3, "XXX").wait().unwrap_err();
            assert_eq!(error, ExecuteError::Handler("no rate for XXX".to_owned()));
            let outcomes = convert::on(&bus).dispatch(3, "EUR").handled().wait().unwrap();
            assert!(outcomes.ok().is_ok());
        }
    }

    /// What the caller knows of a route.
    #[bus::payload]
    #[derive(Debug, PartialEq)]
    pub(crate) struct Leg {
        pub(crate) from: String,
    }

    #[command]
    pub(crate) fn plan(leg: Leg) -> Result<Leg, Vec<u32>>;

    pub(crate) mod planner {
        use super::*;
        bus::service_name!("contracts.planner");

        /// What the server knows of it.
        #[bus::payload]
        #[derive(Debug, PartialEq)]
        pub(crate) struct Leg {
            pub(crate) from: Option<String>,
        }

        #[command("contracts.plan")]
        fn plan_here(leg: Leg) -> Result<Leg, [u32; 2]> {
            leg.from
                .filter(|from| !from.is_empty())
                .map(|from| Leg { from: Some(from) })
                .ok_or([1, 2])
        }
    }

    #[test]
    fn an_implementation_with_types_of_its_own_is_reached_through_the_codec() {
        let bus = bus::builder().services(["contracts.planner"]).build().unwrap();
        let from = |from: &str| plan::on(&bus).execute(Leg { from: from.to_owned() });
        assert_eq!(from("Ulm").wait(), Ok(Leg { from: "Ulm".to_owned() }));
        assert_eq!(from("").wait(), Err(ExecuteError::Handler(vec![1, 2])));
        let task = plan::on(&bus).dispatch(Leg { from: "Ulm".to_owned() });
        assert_eq!(task.wait().unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_contract_that_nobody_serves_is_not_found() {
        let bus = bus::builder().services(["contracts.server"]).build().unwrap();
        let answer = unserved::on(&bus).execute("x".to_owned()).wait();
        let Err(ExecuteError::NotFound(name)) = answer else { panic!("{answer:?}") };
        assert_eq!(name.command(), "contracts.unserved");
        let _: &NotFound = &name;
    }

    #[test]
    fn a_closure_can_serve_a_contract() {
        let bus = bus::builder().services(["contracts.server"]).build().unwrap();
        let guard = bus.register_command("contracts.unserved", |name: String| {
            u32::try_from(name.len()).unwrap()
        });
        let _guard = guard.unwrap();
        assert_eq!(unserved::on(&bus).execute("four".to_owned()).wait(), Ok(4));
    }
}

#[test]
fn without_a_bus_a_call_says_so() {
    let error = errors::pay::execute(1).wait().unwrap_err();
    assert_eq!(error, ExecuteError::NotStarted);
    let error = errors::pay::dispatch(1).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotStarted);
    has(&error.to_string(), &["bus::start()", "on(&bus)"]);
}
