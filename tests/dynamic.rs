//! Closures as commands and listeners, registered while the bus runs.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::sync::{Arc, Mutex};

use bus::prelude::*;
use bus::{ErrorKind, Failure, Reason, Running};
use support::{Door, Log, has, text};

#[event(exchange = "shop", key = "order.v1.submit")]
#[event(exchange = "shop", key = "order.v1.cancel")]
struct Order {
    id: u32,
}

#[bus::payload]
#[derive(Debug, PartialEq)]
struct Point {
    x: i32,
}

#[command("linked.here")]
fn linked() -> u32 {
    1
}

fn start() -> (Running, Log) {
    (bus::builder().build().unwrap(), Log::default())
}

#[test]
fn a_command_takes_and_gives_what_a_closure_does() {
    let (bus, _) = start();
    let guards = [
        bus.register_command("none", || 7_u32),
        bus.register_command("unit", |_: u32| ()),
        bus.register_command("one", |name: String| format!("Hello, {name}!")),
        bus.register_command(
            "six",
            |a: u8, b: i64, c: String, d: Point, e: Option<u8>, f: Vec<u8>| {
                format!("{a} {b} {c} {d:?} {e:?} {f:?}")
            },
        ),
        bus.register_command("context", |a: u8, ctx: &Context| {
            format!("{a} {} {}", ctx.key(), ctx.service())
        }),
        bus.register_command("later", |point: Point| async move {
            futures_lite::future::yield_now().await;
            Point { x: point.x + 1 }
        }),
        bus.register_command("fallible", |x: i32| if x > 0 { Ok(x) } else { Err(Point { x }) }),
        bus.register_command("fallible_later", |x: i32| async move {
            if x > 0 { Ok(x) } else { Err(format!("{x} is too little")) }
        }),
    ];
    let _guards: Vec<_> = guards.into_iter().map(Result::unwrap).collect();
    assert_eq!(bus.execute_command("none", ()).wait(), Ok(7_u32));
    assert_eq!(bus.execute_command("unit", (1,)).wait(), Ok(()));
    assert_eq!(bus.execute_command("one", ("Bob",)).wait(), Ok("Hello, Bob!".to_owned()));
    let six = bus.execute_command("six", (1, -2, "c", Point { x: 3 }, Some(4), [5]));
    assert_eq!(six.wait(), Ok("1 -2 c Point { x: 3 } Some(4) [5]".to_owned()));
    assert_eq!(bus.execute_command("context", (1,)).wait(), Ok("1 context dynamic".to_owned()));
    assert_eq!(bus.execute_command("later", (Point { x: 1 },)).wait(), Ok(Point { x: 2 }));
    assert_eq!(bus.execute_command("fallible", (1,)).wait(), Ok(1));
    let failed = bus.execute_command::<_, i32>("fallible", (-1,)).wait().unwrap_err();
    let ExecuteError::Handler(failure) = failed else { panic!("{failed}") };
    assert_eq!(failure.decode::<Point>(), Some(Point { x: -1 }));
    has(&text(bus.execute_command::<_, i32>("fallible_later", (0,)).wait()), &["0 is too little"]);
}

#[test]
fn a_listener_takes_what_a_closure_does() {
    let (bus, log) = start();
    let heard = |what: &'static str| {
        let log = log.clone();
        move |id: u32| log.add(format!("{what} {id}"))
    };
    let (value, borrowed, context, both, only, later) = (
        heard("value"),
        heard("borrowed"),
        heard("context"),
        heard("both"),
        heard("only"),
        heard("later"),
    );
    let later = Arc::new(later);
    let guards = [
        bus.register_listener(Order::SUBMIT, move |order: Order| value(order.id)),
        bus.register_listener("order.*.submit", move |order: &Order| borrowed(order.id)),
        bus.register_listener(("shop", "#"), move |order: Order, ctx: &Context| {
            assert_eq!(ctx.key(), "order.v1.submit");
            context(order.id);
        }),
        bus.register_listener(String::from("order.#"), move |order: &Order, ctx: &Context| {
            assert_eq!(ctx.exchange(), "shop");
            both(order.id);
        }),
        bus.register_listener(("shop", "order.#"), move |ctx: &Context| only(ctx.attempt())),
        bus.register_listener(Order::SUBMIT, move |order: Order| {
            let later = later.clone();
            async move { later(order.id) }
        }),
    ];
    let _guards: Vec<_> = guards.into_iter().map(Result::unwrap).collect();
    bus.fire(Order { id: 5 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!(log.sorted(), ["borrowed 5", "both 5", "context 5", "later 5", "only 1", "value 5"]);
}

#[test]
fn a_listener_may_fail() {
    let bus = bus::builder().retry(0, &[]).build().unwrap();
    let _guards = [
        bus.register_listener("hit", |_: u32| Err::<(), _>("no ink")).unwrap(),
        bus.register_listener("hit", |id: u32| assert_eq!(id, 0, "jam")).unwrap(),
        bus.register_listener(("bus", "*"), |_: String| ()).unwrap(),
    ];
    let outcomes = bus.fire_event("hit", 1).handled().wait().unwrap();
    let reasons: Vec<Reason> = outcomes.failed().map(|o| o.failure().unwrap().reason()).collect();
    assert_eq!(reasons.len(), 3);
    for reason in [Reason::Error, Reason::Panic, Reason::Decode] {
        assert!(reasons.contains(&reason), "{reason:?} is not in {reasons:?}");
    }
    assert_eq!(bus.dead_letters().list().unwrap().len(), 3);
}

#[test]
fn a_closure_that_panics_harms_no_other() {
    let (bus, _) = start();
    let _guards = [
        bus.register_command("panics", |text: String| -> u32 { panic!("{text}") }).unwrap(),
        bus.register_command("panics_later", |text: String| async move {
            assert!(text.is_empty(), "{text}");
        })
        .unwrap(),
        bus.register_command("works", || 1).unwrap(),
    ];
    for _ in 0..3 {
        let panicked = bus.execute_command::<_, u32>("panics", ("jam",)).wait();
        assert_eq!(panicked, Err(ExecuteError::Panicked));
        let panicked = bus.execute_command::<_, ()>("panics_later", ("jam",)).wait();
        assert_eq!(panicked, Err(ExecuteError::Panicked));
        assert_eq!(bus.execute_command("works", ()).wait(), Ok(1));
    }
}

#[test]
fn wrong_arguments_of_a_closure_are_a_codec_error() {
    let (bus, _) = start();
    let _guard = bus.register_command("add", |a: i32, point: Point| a + point.x).unwrap();
    for (arguments, part) in [
        (serde_json::json!([1, {"x": "two"}]), "x"),
        (serde_json::json!([1]), "tuple"),
        (serde_json::json!([1, {"x": 2}, 3]), "trailing"),
    ] {
        let answer = bus.execute_command::<_, i32>("add", arguments).wait();
        let Err(ExecuteError::Codec(error)) = answer else { panic!("{answer:?}") };
        has(&error.to_string(), &[part]);
    }
    let answer = bus.execute_command::<_, String>("add", (1, Point { x: 2 })).wait();
    has(&text(answer), &["the answer is of another type"]);
}

#[test]
fn a_dropped_guard_ends_the_command_and_frees_its_name() {
    let (bus, _) = start();
    let guard = bus.register_command("twice", || 1).unwrap();
    let error = bus.register_command("twice", || 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    has(&error.to_string(), &["`twice`"]);
    drop(guard);
    let answer = bus.execute_command::<_, u32>("twice", ()).wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    let _guard = bus.register_command("twice", || 2).unwrap();
    assert_eq!(bus.execute_command("twice", ()).wait(), Ok(2));
}

#[test]
fn the_name_of_a_linked_command_is_taken_and_the_place_told() {
    let (bus, _) = start();
    let error = bus.register_command("linked.here", || 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    has(&error.to_string(), &["`linked.here`", "tests/dynamic.rs:"]);
    assert_eq!(linked::on(&bus).execute().wait(), Ok(1));
}

#[test]
fn a_dropped_guard_stops_delivery_and_lets_what_was_accepted_be_heard() {
    let (bus, log) = start();
    let (door, heard, at) = (Door::default(), log.clone(), Door::default());
    let (held, _) = (at.clone(), door.clone());
    let guard = bus.register_listener("heard", move |text: String| {
        held.pass_blocking();
        heard.add(text);
    });
    let guard = guard.unwrap();
    drop(bus.fire_event("heard", "first"));
    at.wait_for_one();
    drop(bus.fire_event("heard", "second"));
    drop(guard);
    assert!(!bus.fire_event("heard", "third").wait().unwrap().routed);
    at.open();
    bus.settle();
    assert_eq!(log.all(), ["first", "second"]);
}

#[test]
fn a_kept_registration_needs_no_guard() {
    let (bus, log) = start();
    let heard = log.clone();
    bus.register_listener("kept", move |text: String| heard.add(text)).unwrap().keep();
    bus.register_command("kept", || 1).unwrap().keep();
    bus.fire_event("kept", "yes").handled().wait().unwrap().ok().unwrap();
    assert_eq!(
        (log.all(), bus.execute_command("kept", ()).wait()),
        (vec!["yes".to_owned()], Ok(1))
    );
}

#[test]
fn the_builder_registers_for_the_life_of_the_bus() {
    let log = Log::<String>::default();
    let heard = log.clone();
    let bus = bus::builder()
        .register_command("built", |x: u32| x * 2)
        .register_listener(Order::CANCEL, move |order: &Order| heard.add(order.id.to_string()))
        .build()
        .unwrap();
    assert_eq!(bus.execute_command("built", (4,)).wait(), Ok(8));
    bus.fire_as(Order::CANCEL, Order { id: 9 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!(log.all(), ["9"]);
    let twice = bus::builder().register_command("linked.here", || 1).build().unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Duplicate);
}

#[test]
fn names_and_patterns_are_checked() {
    let (bus, _) = start();
    for name in ["", "a..b", "a b", "a.*", "ü"] {
        let error = bus.register_command(name, || 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Name, "{name}");
    }
    for pattern in ["", "a..b", "a.b*", "##"] {
        let error = bus.register_listener(pattern, |_: u32| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Name, "{pattern}");
    }
}

#[test]
fn a_pattern_without_an_exchange_that_can_be_told_lists_the_exchanges() {
    let (bus, _) = start();
    let error = bus.register_listener("order.#", |_: u32| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    has(&error.to_string(), &["`order.#`", "`shop`", "`bus`"]);
}

#[test]
fn two_closures_on_one_pattern_are_told_apart() {
    let bus = bus::builder().retry(0, &[]).build().unwrap();
    let keys = Log::<String>::default();
    let listen = |fails: bool| {
        let keys = keys.clone();
        bus.register_listener("twin", move |_: u32, ctx: &Context| {
            keys.add(ctx.idempotency_key());
            if fails { Err("no") } else { Ok(()) }
        })
    };
    let _guards = [listen(true).unwrap(), listen(false).unwrap(), listen(true).unwrap()];
    let outcomes = bus.fire_event("twin", 1).handled().wait().unwrap();
    assert_eq!((outcomes.len(), outcomes.failed().count()), (3, 2));
    let mut keys = keys.sorted();
    keys.dedup();
    assert_eq!(keys.len(), 3, "{keys:?}");
    let dead = bus.dead_letters().list().unwrap();
    assert_ne!(dead[0].id(), dead[1].id());
    bus.dead_letters().drop(dead[1].id()).unwrap();
    assert_eq!(bus.dead_letters().list().unwrap(), dead[..1]);
}

#[test]
fn a_closure_may_own_other_registrations_and_the_bus() {
    let (bus, log) = start();
    let heard = log.clone();
    let inner = bus.register_listener("inner", move |text: String| heard.add(text)).unwrap();
    let handle = (*bus).clone();
    let inner = Mutex::new(Some(inner));
    let outer = bus.register_listener("outer", move |text: String| {
        drop(handle.fire_event("inner", text.clone()));
        if text == "last" {
            drop(inner.lock().unwrap().take());
        }
    });
    let outer = outer.unwrap();
    for text in ["first", "last", "none"] {
        drop(bus.fire_event("outer", text));
        bus.settle();
    }
    assert_eq!(log.all(), ["first", "last"]);
    // What it owns is dropped with it, guards included.
    let guard = bus.register_listener("more", |_: u32| ()).unwrap();
    let owner = bus.register_command("owner", move || std::mem::size_of_val(&guard)).unwrap();
    drop((owner, outer));
    assert!(!bus.fire_event("more", 1).wait().unwrap().routed);
}

#[test]
fn handlers_register_and_give_back() {
    let (bus, _) = start();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let _guard = bus.register_command("learn", move |name: String, ctx: &Context| {
        let guard = ctx.bus().register_command(&name, || 42).map_err(|error| error.to_string())?;
        keep.lock().unwrap().push(guard);
        Ok::<(), String>(())
    });
    bus.execute_command::<_, ()>("learn", ("trick",)).wait().unwrap();
    assert_eq!(bus.execute_command("trick", ()).wait(), Ok(42));
    let again: Result<(), ExecuteError<Failure>> = bus.execute_command("learn", ("trick",)).wait();
    has(&text(again), &["`trick` is served already"]);
    kept.lock().unwrap().clear();
    assert!(bus.execute_command::<_, u32>("trick", ()).wait().is_err());
}
