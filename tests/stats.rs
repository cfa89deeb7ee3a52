//! What the numbers of a bus say about each of its handlers, so that one can scale on them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::prelude::*;
use bus::{HandlerStats, Running};
use support::Door;

mod work {
    use super::*;

    #[event(exchange = "stats", key = "job")]
    pub(crate) struct Job {}

    #[listener(Job::EVENT, queue = "one")]
    async fn one(_: &Job, door: State<Door>) {
        door.pass().await;
    }

    #[listener(Job::EVENT, queue = "three", concurrency = 3)]
    async fn three(_: &Job, door: State<Door>) {
        door.pass().await;
    }

    #[command]
    fn alone(door: State<Door>) {
        door.pass_blocking();
    }

    #[command]
    async fn any(door: State<Door>) {
        door.pass().await;
    }

    #[command(concurrency = 2)]
    async fn two(door: State<Door>) {
        door.pass().await;
    }

    #[derive(Default)]
    pub(crate) struct Desk {
        entries: u32,
    }

    #[service]
    impl Desk {
        #[command]
        async fn book(&mut self) {
            self.entries += 1;
        }
    }
}

fn start() -> (Running, Door) {
    let door = Door::default();
    let bus = bus::builder().services(["work"]).state(door.clone()).build().unwrap();
    (bus, door)
}

fn of(bus: &Bus, name: &str) -> HandlerStats {
    let handlers = bus.stats().handlers;
    handlers.into_iter().find(|handler| handler.name == name).unwrap()
}

#[test]
fn each_handler_tells_how_many_run_at_once() {
    let (bus, _door) = start();
    let at_once = |name| {
        let of = of(&bus, name);
        assert_eq!((of.consumers, of.waiting), (1, 0), "{name}");
        of.concurrency
    };
    assert_eq!(at_once("one"), Some(1));
    assert_eq!(at_once("three"), Some(3));
    assert_eq!(at_once("work.alone"), Some(1));
    assert_eq!(at_once("work.any"), None);
    assert_eq!(at_once("work.two"), Some(2));
    assert_eq!(at_once("work.desk.book"), Some(1));
}

#[test]
fn what_waits_is_told_of_each_handler_apart() {
    let (bus, door) = start();
    for _ in 0..5 {
        drop(bus.fire(work::Job {}));
    }
    let twos: Vec<_> = (0..5).map(|_| work::two::on(&bus).execute()).collect();
    let anys: Vec<_> = (0..5).map(|_| work::any::on(&bus).execute()).collect();
    (0..1 + 3 + 2 + 5).for_each(|_| door.wait_for_one());
    let waiting = |name| of(&bus, name).waiting;
    assert_eq!(["one", "three", "work.two", "work.any"].map(waiting), [4, 2, 3, 0]);

    // On the service's thread: what comes now stays in the mailbox.
    let alone: Vec<_> = (0..4).map(|_| work::alone::on(&bus).execute()).collect();
    door.wait_for_one();
    drop(bus.fire(work::Job {}));
    drop(bus.fire(work::Job {}));
    let names = ["one", "three", "work.two", "work.any", "work.alone"];
    assert_eq!(names.map(waiting), [6, 4, 3, 0, 3]);
    assert_eq!(bus.stats().services.iter().map(|service| service.waiting).sum::<usize>(), 16);

    door.open();
    twos.into_iter().chain(anys).chain(alone).for_each(|promise| promise.wait().unwrap());
    bus.settle();
    assert_eq!(names.map(waiting), [0; 5]);
}
