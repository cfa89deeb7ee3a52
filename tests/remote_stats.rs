//! What the numbers of a bus say about handlers in other processes, over one broker.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::prelude::*;
use bus::{Builder, HandlerStats, Running};
use support::Door;

mod work {
    use super::*;

    #[event(exchange = "remote_stats", key = "job")]
    pub(crate) struct Job {}

    #[listener(Job::EVENT, queue = "jobs", prefetch = 1)]
    fn job(_: &Job, door: State<Door>) {
        door.pass_blocking();
    }

    #[command(service = "work.tasks")]
    fn task(door: State<Door>) {
        door.pass_blocking();
    }
}

mod front {
    #[bus::command]
    fn nothing() {}
}

fn process(service: &str, door: &Door) -> Running {
    let builder = Builder::new().transport("memory:remote-stats").services([service]);
    builder.state(door.clone()).build().unwrap()
}

fn of(bus: &Bus, name: &str) -> Option<HandlerStats> {
    bus.stats().handlers.into_iter().find(|handler| handler.name == name)
}

#[test]
fn who_only_sends_sees_what_waits_and_who_takes_it() {
    let door = Door::default();
    let front = process("front", &door);
    for _ in 0..6 {
        front.fire(work::Job {}).wait().unwrap();
        work::task::on(&front).dispatch().wait().unwrap();
    }
    let numbers = |name| of(&front, name).map(|of| (of.waiting, of.consumers));
    assert_eq!(["jobs", "work.tasks.task"].map(numbers), [Some((6, 0)), Some((6, 0))]);

    let workers = [0; 2].map(|_| process("work", &door));
    (0..4).for_each(|_| door.wait_for_one());
    // Each of the two has one of each in hand, and nothing else.
    assert_eq!(["jobs", "work.tasks.task"].map(numbers), [Some((4, 2)), Some((4, 2))]);
    let worker = of(&workers[0], "jobs").unwrap();
    assert_eq!((worker.waiting, worker.consumers, worker.concurrency), (4, 2, Some(1)));
    // What is served here is not asked for twice.
    let names: Vec<_> = workers[0].stats().handlers.into_iter().map(|of| of.name).collect();
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique);

    door.open();
    for worker in workers {
        worker.shutdown().unwrap();
    }
    assert_eq!(numbers("jobs").map(|(_, consumers)| consumers), Some(0));
}
