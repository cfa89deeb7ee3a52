//! Who waits for receipts is held back, who does not goes on until it is far too much, and nobody is
//! held back by itself.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;
#[path = "support/traced.rs"]
mod traced;

use std::future::Future as _;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context as TaskContext, Poll, Waker};

use bus::prelude::*;
use bus::{ErrorKind, Full, Reason, Running};
use support::{Door, Log, has, text};

/// The bound of the mailboxes.
const BOUND: usize = 2;
/// What a mailbox holds at the most.
const HARD: usize = 64 * BOUND;

/// A bus whose service `counter` stands at its door with the first parcel.
struct Post {
    bus: Running,
    door: Door,
    log: Log<u32>,
}

fn post(services: &[&str]) -> Post {
    let (door, log) = (Door::default(), Log::default());
    let bus = bus::builder().services(services.iter().copied()).mailbox(BOUND);
    let bus = bus.state(door.clone()).state(log.clone()).build().unwrap();
    drop(bus.fire(counter::Parcel { number: 0 }));
    door.wait_for_one();
    Post { bus, door, log }
}

impl Post {
    fn fire(&self, number: u32) -> Receipt {
        self.bus.fire(counter::Parcel { number })
    }

    /// Fires as many as the mailbox takes, and waits for none; nobody else hears them.
    fn fill(&self) {
        for number in 1..=HARD {
            drop(self.bus.fire_event("spoken", number));
        }
        assert_eq!(self.bus.stats().services[0].waiting, HARD);
    }

    fn dead(&self) -> Vec<bus::DeadLetter> {
        self.bus.dead_letters().list().unwrap()
    }
}

mod counter {
    use super::*;

    #[event(exchange = "counter", key = "parcel")]
    #[derive(Debug, PartialEq)]
    pub(crate) struct Parcel {
        pub(crate) number: u32,
    }

    #[listener]
    fn weigh(parcel: &Parcel, door: State<Door>, log: State<Log<u32>>) {
        door.pass_blocking();
        log.add(parcel.number);
    }

    #[listener("spoken")]
    fn spoken(number: u32, log: State<Log<u32>>) {
        log.add(number);
    }

    #[command]
    pub(crate) fn label(number: u32, log: State<Log<u32>>) {
        log.add(number);
    }
}

mod stamp {
    use super::*;

    #[listener]
    fn stamp(_: &counter::Parcel) {}

    #[listener(inline)]
    fn glue(_: &counter::Parcel) {}
}

use counter::Parcel;

fn is_pending(receipt: &mut Receipt) -> bool {
    let mut cx = TaskContext::from_waker(Waker::noop());
    matches!(pin!(receipt).poll(&mut cx), Poll::Pending)
}

#[test]
fn a_full_mailbox_holds_back_who_awaits() {
    let post = post(&["counter"]);
    let mut within: Vec<Receipt> = (1..=2).map(|number| post.fire(number)).collect();
    assert!(!within.iter_mut().any(is_pending), "within the bound");
    let mut third = post.fire(3);
    let mut fourth = post.fire(4);
    assert!(is_pending(&mut third) && is_pending(&mut fourth));
    post.door.let_one();
    post.door.wait_for_one();
    futures_lite::future::block_on(third).unwrap();
    assert!(is_pending(&mut fourth));
    post.door.let_one();
    assert!(futures_lite::future::block_on(fourth).unwrap().routed);
    post.door.open();
    post.bus.settle();
    assert_eq!(post.log.all(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_full_mailbox_holds_back_who_waits() {
    let post = post(&["counter"]);
    post.fire(1).wait().unwrap();
    post.fire(2).wait().unwrap();
    let begun = Barrier::new(2);
    let order = Log::<&str>::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let receipt = post.fire(3);
            begun.wait();
            receipt.wait().unwrap();
            order.add("accepted");
        });
        begun.wait();
        for _ in 0..1_000 {
            std::thread::yield_now();
        }
        order.add("space");
        post.door.let_one();
    });
    assert_eq!(order.all(), ["space", "accepted"]);
    post.door.open();
}

#[test]
fn firing_never_blocks_and_what_is_over_the_bound_is_handled_in_order() {
    let post = post(&["counter"]);
    post.fill();
    assert!(post.bus.stats().services[0].over_bound >= (HARD - BOUND) as u64);
    has(&post.bus.health().reasons.join(" "), &["`counter`", "over its bound"]);
    post.door.open();
    post.bus.settle();
    assert!(post.log.all().into_iter().eq(0..=u32::try_from(HARD).unwrap()));
    assert!(post.dead().is_empty());
}

#[test]
fn trying_to_fire_at_the_bound_gives_the_event_back() {
    let post = post(&["counter"]);
    assert!(post.bus.try_fire(Parcel { number: 1 }).is_ok());
    assert!(post.bus.try_fire(Parcel { number: 2 }).is_ok());
    let Err(Full(parcel)) = post.bus.try_fire(Parcel { number: 3 }) else { panic!("not full") };
    assert_eq!(parcel, Parcel { number: 3 });
    post.door.open();
    post.bus.settle();
    assert!(post.bus.try_fire(parcel).is_ok());
    post.bus.settle();
    assert_eq!(post.log.all(), [0, 1, 2, 3]);
    assert!(post.dead().is_empty());
}

#[test]
fn a_mailbox_is_bound_to_1_024_deliveries_unless_told_otherwise() {
    let (door, log) = (Door::default(), Log::<u32>::default());
    let bus = bus::builder().services(["counter"]).state(door.clone()).state(log.clone());
    let bus = bus.build().unwrap();
    drop(bus.fire(Parcel { number: 0 }));
    door.wait_for_one();
    for number in 1..=1_024 {
        assert!(bus.try_fire(Parcel { number }).is_ok());
    }
    assert!(bus.try_fire(Parcel { number: 1_025 }).is_err());
    door.open();
    bus.settle();
    assert_eq!(log.all().len(), 1_025);
}

#[test]
fn far_over_the_bound_the_event_comes_back_to_who_reads() {
    let post = post(&["counter"]);
    post.fill();
    let refused = [
        post.fire(901).wait().unwrap_err(),
        futures_lite::future::block_on(post.fire(902)).unwrap_err(),
        post.fire(903).handled().wait().unwrap_err(),
        futures_lite::future::block_on(post.fire(904).handled()).unwrap_err(),
    ];
    for (error, number) in refused.into_iter().zip(901..) {
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.is_retryable());
        has(&error.to_string(), &["`counter`", "full"]);
        assert_eq!(error.into_event::<Parcel>().unwrap(), Parcel { number });
    }
    let error = post.bus.fire_event("spoken", 905).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let error = counter::label::on(&post.bus).dispatch(906).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(post.dead().is_empty());
    post.door.open();
    post.bus.settle();
    assert_eq!(post.log.all().len(), HARD + 1);
}

#[test]
fn an_event_that_was_refused_and_dropped_is_a_dead_letter_of_each_listener() {
    let post = post(&["counter", "stamp"]);
    post.fill();
    drop(post.fire(901));
    drop(post.fire(902).handled());
    let letters = post.dead();
    let mut dead: Vec<_> = letters.iter().map(|dead| (dead.payload(), dead.listener())).collect();
    dead.sort_unstable();
    let of = |payload| ["counter.weigh", "stamp.glue", "stamp.stamp"].map(|name| (payload, name));
    assert_eq!(dead, [of(r#"{"number":901}"#), of(r#"{"number":902}"#)].concat());
    for letter in &letters {
        assert_eq!((letter.reason().reason(), letter.attempts()), (Reason::Full, 0));
    }
    post.door.open();
    post.bus.settle();
    assert_eq!(post.bus.dead_letters().replay_all().unwrap(), 6);
    post.bus.settle();
    assert_eq!(post.log.all()[HARD + 1..], [901, 902]);
}

#[test]
fn what_was_fired_by_name_or_dispatched_is_kept_as_well() {
    let post = post(&["counter"]);
    post.fill();
    drop(post.bus.fire_event("spoken", 901));
    drop(counter::label::on(&post.bus).dispatch(902));
    let letters = post.dead();
    let dead: Vec<_> = letters.iter().map(|dead| (dead.listener(), dead.payload())).collect();
    assert_eq!(dead, [("counter.spoken", "901"), ("counter.label", "[902]")]);
    post.door.open();
    post.bus.settle();
    assert_eq!(post.bus.dead_letters().replay_all().unwrap(), 2);
    post.bus.settle();
    assert_eq!(post.log.all()[HARD + 1..], [901, 902]);
}

#[test]
fn a_refusal_that_nobody_reads_is_logged() {
    traced::begin();
    let post = post(&["counter"]);
    drop(post.bus.fire_event("no key *", 1));
    drop(post.bus.fire_event("no.*", 1));
    text(post.bus.fire_event("no.#", 1).wait());
    let logged = |part: &str| {
        let unread = |line: &&traced::Traced| line.text.contains("nobody read why");
        let lines = traced::lines();
        lines.iter().filter(unread).filter(|line| line.field("error").contains(part)).count()
    };
    assert_eq!((logged("`no.*`"), logged("`no.#`")), (1, 0));
    post.door.open();
}

mod warned {
    use super::*;

    #[event(exchange = "warned", key = "drop")]
    pub(crate) struct Drop {}

    #[listener]
    fn dropped(_: &Drop, door: State<Door>) {
        door.pass_blocking();
    }

    #[test]
    fn each_overrun_is_warned_of_once() {
        traced::begin();
        let warnings = || {
            let lines = traced::lines();
            let is_one = |line: &&traced::Traced| {
                line.text.contains("over its bound") && line.field("service") == "warned"
            };
            lines.iter().filter(is_one).count()
        };
        let door = Door::default();
        let bus = bus::builder().services(["warned"]).mailbox(BOUND).state(door.clone());
        let bus = bus.build().unwrap();
        for overrun in 1..=3 {
            drop(bus.fire(Drop {}));
            door.wait_for_one();
            drop(bus.fire(Drop {}));
            drop(bus.fire(Drop {}));
            assert_eq!(warnings(), overrun - 1, "within the bound");
            for _ in 0..10 {
                drop(bus.fire(Drop {}));
            }
            assert_eq!(warnings(), overrun);
            for left in (0..13).rev() {
                door.let_one();
                if left > 0 {
                    door.wait_for_one();
                }
            }
            bus.settle();
        }
    }
}

/// Two services that fire more at each other than they take: each event makes two, five times over.
mod now {
    use super::*;

    #[event(exchange = "now", key = "ping")]
    pub(crate) struct Ping {
        pub(crate) left: u32,
    }

    #[event(exchange = "now", key = "pong")]
    pub(crate) struct Pong {
        pub(crate) left: u32,
    }

    #[listener(service = "now.left")]
    fn heard_ping(ping: &Ping, count: State<Log<u32>>) {
        for _ in 0..(if ping.left > 0 { 2 } else { 0 }) {
            Pong { left: ping.left - 1 }.fire().wait().unwrap();
        }
        count.add(ping.left);
    }

    #[listener(service = "now.right")]
    fn heard_pong(pong: &Pong, count: State<Log<u32>>) {
        for _ in 0..(if pong.left > 0 { 2 } else { 0 }) {
            Ping { left: pong.left - 1 }.fire().wait().unwrap();
        }
        count.add(pong.left);
    }
}

/// The same with asynchronous handlers, which take one at a time.
mod later {
    use super::*;

    #[event(exchange = "later", key = "ping")]
    pub(crate) struct Ping {
        pub(crate) left: u32,
    }

    #[event(exchange = "later", key = "pong")]
    pub(crate) struct Pong {
        pub(crate) left: u32,
    }

    #[listener(service = "later.left")]
    async fn heard_ping(ping: &Ping, count: State<Log<u32>>) {
        for _ in 0..(if ping.left > 0 { 2 } else { 0 }) {
            Pong { left: ping.left - 1 }.fire().await.unwrap();
        }
        count.add(ping.left);
    }

    #[listener(service = "later.right")]
    async fn heard_pong(pong: &Pong, count: State<Log<u32>>) {
        for _ in 0..(if pong.left > 0 { 2 } else { 0 }) {
            Ping { left: pong.left - 1 }.fire().await.unwrap();
        }
        count.add(pong.left);
    }
}

fn flood(service: &str, fire: impl Fn(&Bus)) {
    for _ in 0..20 {
        let count = Log::<u32>::default();
        let bus = bus::builder().services([service]).mailbox(BOUND).state(count.clone());
        let bus = bus.build().unwrap();
        fire(&bus);
        bus.settle();
        assert_eq!(count.all().len(), 4 * (2_usize.pow(6) - 1));
        assert!(bus.dead_letters().list().unwrap().is_empty());
    }
}

#[test]
fn two_services_that_flood_each_other_do_not_lock_up() {
    flood("now", |bus| {
        for _ in 0..2 {
            drop(bus.fire(now::Ping { left: 5 }));
            drop(bus.fire(now::Pong { left: 5 }));
        }
    });
}

#[test]
fn two_asynchronous_services_that_flood_each_other_do_not_lock_up() {
    flood("later", |bus| {
        for _ in 0..2 {
            drop(bus.fire(later::Ping { left: 5 }));
            drop(bus.fire(later::Pong { left: 5 }));
        }
    });
}

mod own {
    use super::*;

    #[event(exchange = "own", key = "echo")]
    pub(crate) struct Echo {
        pub(crate) left: u32,
    }

    #[listener]
    async fn echo(echo: Echo, count: State<Log<u32>>) {
        for _ in 0..echo.left {
            Echo { left: 0 }.fire().await.unwrap();
        }
        count.add(echo.left);
    }

    #[test]
    fn a_service_that_floods_itself_does_not_lock_up() {
        let count = Log::<u32>::default();
        let bus = bus::builder().services(["own"]).mailbox(BOUND).state(count.clone());
        let bus = bus.build().unwrap();
        drop(bus.fire(Echo { left: 50 }));
        bus.settle();
        assert_eq!(count.all().len(), 51);
    }
}

mod chain {
    use super::*;

    #[event(exchange = "chain", key = "raw")]
    pub(crate) struct Raw {}

    #[event(exchange = "chain", key = "ready")]
    pub(crate) struct Ready {}

    #[listener(service = "chain.first")]
    async fn prepare(_: Raw) {
        Ready {}.fire().await.unwrap();
    }

    #[listener(service = "chain.last")]
    fn finish(_: &Ready, door: State<Door>) {
        door.pass_blocking();
    }

    #[test]
    fn who_waits_is_held_back_by_the_last_of_a_chain() {
        let door = Door::default();
        let bus = bus::builder().services(["chain"]).mailbox(BOUND).state(door.clone());
        let bus = bus.build().unwrap();
        // One is held by the last service and two wait for it; the first has one in hand, and two more.
        let mut fired = 0;
        let mut receipt = bus.fire(Raw {});
        loop {
            fired += 1;
            let held = (0..1_000).all(|_| {
                std::thread::yield_now();
                is_pending(&mut receipt)
            });
            if held {
                break;
            }
            receipt = bus.fire(Raw {});
        }
        assert!(fired <= 3 + 1 + 2 + 1, "{fired} were accepted");
        assert!(bus.stats().services.iter().all(|service| service.waiting <= BOUND + 1));
        door.open();
        receipt.wait().unwrap();
        bus.settle();
    }
}

/// Two services that hold their state while they fire more at each other than they take.
mod stubborn {
    use super::*;

    #[event(exchange = "stubborn", key = "to.left")]
    pub(crate) struct ToLeft {}

    #[event(exchange = "stubborn", key = "to.right")]
    pub(crate) struct ToRight {}

    #[derive(Default)]
    pub(crate) struct Left(u32);
    #[derive(Default)]
    pub(crate) struct Right(u32);

    fn flood(fire: impl Fn() -> Receipt, log: &Log) {
        for _ in 0..50 {
            if let Err(error) = fire().wait() {
                log.add(format!("{:?}: {error}", error.kind()));
            }
        }
    }

    #[service("left")]
    impl Left {
        #[command]
        fn throw(&mut self, both: State<Barrier>, log: State<Log>) {
            both.wait();
            flood(|| ToRight {}.fire(), &log);
        }

        #[listener]
        fn hit_left(&mut self, _: &ToLeft) {
            self.0 += 1;
        }

        #[command]
        fn left_hits(&self) -> u32 {
            self.0
        }
    }

    #[service("right")]
    impl Right {
        #[command]
        fn throw_back(&mut self, both: State<Barrier>, log: State<Log>) {
            both.wait();
            flood(|| ToLeft {}.fire(), &log);
        }

        #[listener]
        fn hit_right(&mut self, _: &ToRight) {
            self.0 += 1;
        }

        #[command]
        fn right_hits(&self) -> u32 {
            self.0
        }
    }

    #[test]
    fn two_that_hold_their_state_and_flood_each_other_are_a_deadlock() {
        for _ in 0..20 {
            let log = Log::<String>::default();
            let bus = bus::builder().services(["left", "right"]).mailbox(BOUND);
            let bus = bus.state(Barrier::new(2)).state(log.clone()).build().unwrap();
            let (left, right) = (throw::on(&bus).execute(), throw_back::on(&bus).execute());
            left.wait().unwrap();
            right.wait().unwrap();
            bus.settle();
            let circles =
                ["left waits for right waits for left", "right waits for left waits for right"];
            let circles =
                circles.map(|circle| format!("Deadlock: waiting would never end: {circle}"));
            assert!(!log.all().is_empty());
            for error in log.all() {
                assert!(circles.contains(&error), "{error}");
            }
            // What was accepted is handled, whatever became of the wait.
            assert_eq!(left_hits::on(&bus).execute().wait(), Ok(50));
            assert_eq!(right_hits::on(&bus).execute().wait(), Ok(50));
        }
    }
}
