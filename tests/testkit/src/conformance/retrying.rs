//! What is tried again after a while.

use std::time::Duration;

use super::parts::{message, queue};
use super::{Bench, Case};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    a_retry_comes_back_after_its_while_as_the_attempt_that_it_is,
    a_retry_comes_back_to_its_queue_alone,
    a_retry_blocks_nothing,
    a_shorter_while_overtakes_a_longer_one,
    a_retry_at_once_comes_back,
    a_retry_outlives_its_connection,
];

const WHILE: Duration = Duration::from_millis(300);

fn a_retry_comes_back_after_its_while_as_the_attempt_that_it_is(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 9);
    let mut sent = message("x.y", "a");
    sent.headers.insert("tenant", "acme");
    link.publish(sent.clone());
    let mut held = consumer.next();
    for attempt in [2, 7] {
        let start = bench.clock().now();
        held.retry(WHILE, attempt);
        held = consumer.later(bench);
        let passed = bench.clock().now().saturating_duration_since(start);
        assert!(passed >= WHILE, "after {passed:?}");
        sent.attempt = attempt;
        assert_eq!(*held.message, sent);
    }
    held.ack();
}

fn a_retry_comes_back_to_its_queue_alone(bench: &Bench) {
    let link = bench.connect();
    let (one, other) = (queue("one", &["#"]), queue("other", &["#"]));
    let (first, second) = (link.consume(&one, 9), link.consume(&other, 9));
    link.publish(message("x", "a"));
    first.next().retry(WHILE, 2);
    assert_eq!(second.next().ack(), "a");
    assert_eq!(first.later(bench).ack(), "a");
    link.publish(message("x", "end"));
    assert_eq!(second.ids_until("end"), [""; 0]);
    assert_eq!(first.ids_until("end"), [""; 0]);
}

fn a_retry_blocks_nothing(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 1);
    for id in ["a", "b", "c"] {
        link.publish(message("x", id));
    }
    consumer.next().retry(Duration::from_secs(3_600), 2);
    assert_eq!([consumer.next().ack(), consumer.next().ack()], ["b", "c"]);
}

fn a_shorter_while_overtakes_a_longer_one(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 9);
    link.publish(message("x", "long"));
    link.publish(message("x", "short"));
    consumer.next().retry(Duration::from_secs(1), 2);
    consumer.next().retry(Duration::from_millis(100), 2);
    assert_eq!([consumer.later(bench).ack(), consumer.later(bench).ack()], ["short", "long"]);
}

fn a_retry_at_once_comes_back(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 9);
    link.publish(message("x", "a"));
    consumer.next().retry(Duration::ZERO, 2);
    let again = consumer.later(bench);
    assert_eq!((again.id(), again.message.attempt, again.message.lost), ("a", 2, 0));
}

fn a_retry_outlives_its_connection(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    link.publish(message("x", "a"));
    consumer.next().retry(WHILE, 2);
    link.close().expect("nothing is left");
    drop((consumer, link));
    let link = bench.connect();
    let again = link.consume(&queue, 9).later(bench);
    assert_eq!((again.id(), again.message.attempt), ("a", 2));
}
