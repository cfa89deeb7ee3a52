//! What waits until somebody comes for it.

use autobus_core::transport::{Depth, Queue};

use super::parts::{message, queue, text};
use super::{Bench, Case};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    messages_wait_for_the_first_consumer_of_their_queue,
    a_task_waits_for_the_first_who_serves_it,
    what_is_put_into_a_queue_goes_to_no_other,
    tasks_compete,
    a_depth_tells_messages_and_consumers,
];

fn messages_wait_for_the_first_consumer_of_their_queue(bench: &Bench) {
    let queue = queue("q", &["#"]);
    let publisher = bench.connect();
    publisher.declare([&queue]);
    for id in ["a", "b", "c", "end"] {
        assert!(publisher.publish(message("x", id)));
    }
    publisher.close().expect("nothing is left");
    drop(publisher);
    let consumer = bench.connect();
    assert_eq!(consumer.consume(&queue, 9).ids_until("end"), ["a", "b", "c"]);
}

fn a_task_waits_for_the_first_who_serves_it(bench: &Bench) {
    let task = Queue::task("clean");
    let sender = bench.connect();
    assert!(sender.enqueue(&task, text("first")));
    assert!(sender.enqueue(&task, text("second")));
    bench.lose(sender);
    let link = bench.connect();
    let consumer = link.consume(&task, 1);
    assert_eq!([consumer.next().ack(), consumer.next().ack()], ["first", "second"]);
}

fn what_is_put_into_a_queue_goes_to_no_other(bench: &Bench) {
    let link = bench.connect();
    let (one, other) = (queue("one", &["#"]), queue("other", &["#"]));
    link.declare([&one, &other]);
    assert!(link.enqueue(&one, message("a", "put")));
    link.publish(message("a", "end"));
    assert_eq!(link.consume(&one, 9).ids_until("end"), ["put"]);
    assert_eq!(link.consume(&other, 9).ids_until("end"), [""; 0]);
}

fn tasks_compete(bench: &Bench) {
    let (one, other) = (bench.connect(), bench.connect());
    let task = Queue::task("clean");
    let (first, second) = (one.consume(&task, 1), other.consume(&task, 1));
    one.enqueue(&task, text("a"));
    one.enqueue(&task, text("b"));
    let (held, other_held) = (first.next(), second.next());
    let mut ids = [held.id(), other_held.id()];
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b"]);
}

fn a_depth_tells_messages_and_consumers(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let queue = queue("q", &["#"]);
    link.declare([&queue]);
    let reaches = |messages, consumers| {
        let expected = Depth::new(messages, consumers);
        let what = format!("a depth of {expected:?}");
        bench.until(&what, || (link.depth(&queue) == expected).then_some(()));
    };
    reaches(0, 0);
    for id in ["a", "b", "c"] {
        link.publish(message("x", id));
    }
    reaches(3, 0);
    let consumer = other.consume(&queue, 2);
    let mut held = consumer.take(2);
    reaches(1, 1);
    held.remove(0).ack();
    held.push(consumer.next());
    reaches(0, 1);
    for held in held {
        held.ack();
    }
    drop(consumer);
    reaches(0, 0);
}
