//! What is kept because nobody could handle it.

use autobus_core::transport::{Dead, Queue, Settlement};
use autobus_core::{Failure, Reason};

use super::parts::{message, queue};
use super::{Bench, Case, Consumer, Link};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    dead_letters_are_listed_with_why_oldest_first,
    a_replay_is_a_first_attempt_of_the_same_message,
    a_replay_is_of_one_message_and_for_one_queue,
    a_dead_letter_that_is_not_there_is_neither_replayed_nor_discarded,
    a_discarded_dead_letter_is_gone,
    a_dead_letter_outlives_its_connection,
];

/// Publishes messages of these ids, and buries each.
#[track_caller]
fn bury(link: &Link, consumer: &Consumer, ids: &[&str]) {
    for id in ids {
        link.publish(message("x.y", id));
        let reason = Failure::of(Reason::Error, format!("no {id} today"));
        consumer.next().settle(Settlement::Dead { reason, attempts: 4 });
    }
}

/// The dead letters of a queue, once there are so many.
#[track_caller]
fn dead(bench: &Bench, link: &Link, queue: &Queue, count: usize) -> Vec<Dead> {
    bench.until(&format!("{count} dead letters"), || {
        let dead = link.dead_letters(queue);
        (dead.len() == count).then_some(dead)
    })
}

fn ids(dead: &[Dead]) -> Vec<&str> {
    dead.iter().map(|dead| dead.message.id.as_str()).collect()
}

fn dead_letters_are_listed_with_why_oldest_first(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    assert_eq!(link.dead_letters(&queue), []);
    let start = bench.clock().time();
    bury(&link, &consumer, &["a", "b", "c"]);
    let dead = dead(bench, &link, &queue, 3);
    assert_eq!(ids(&dead), ["a", "b", "c"]);
    for letter in &dead {
        let mut expected = message("x.y", &letter.message.id);
        expected.attempt = 4;
        assert_eq!(letter.message, expected);
        assert_eq!(letter.reason.reason(), Reason::Error);
        assert_eq!(letter.reason.message(), format!("no {} today", expected.id));
        // Brokers tell times in seconds.
        let late = letter.time + std::time::Duration::from_secs(1);
        assert!(late >= start, "{:?} before {start:?}", letter.time);
    }
    // Listing takes nothing.
    assert_eq!(link.dead_letters(&queue), dead);
    link.publish(message("x", "end"));
    assert_eq!(consumer.ids_until("end"), [""; 0]);
}

fn a_replay_is_a_first_attempt_of_the_same_message(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let mut consumer = link.consume(&queue, 9);
    link.publish(message("x.y", "a"));
    // A lost attempt, too, is of a former life.
    let held = consumer.next();
    consumer.end();
    bench.lose(link);
    drop((held, consumer));
    let link = bench.connect();
    let consumer = link.consume(&queue, 9);
    let held = consumer.next();
    assert_eq!(held.message.lost, 1);
    held.settle(Settlement::Dead { reason: Failure::of(Reason::Panic, "no"), attempts: 2 });
    dead(bench, &link, &queue, 1);
    assert!(link.replay(&queue, "a"));
    let again = consumer.next();
    assert_eq!(*again.message, message("x.y", "a"));
    again.ack();
    dead(bench, &link, &queue, 0);
}

fn a_replay_is_of_one_message_and_for_one_queue(bench: &Bench) {
    let link = bench.connect();
    let (one, other) = (queue("one", &["#"]), queue("other", &["#"]));
    let (first, second) = (link.consume(&one, 9), link.consume(&other, 9));
    bury(&link, &first, &["a", "b", "c"]);
    dead(bench, &link, &one, 3);
    assert_eq!(link.dead_letters(&other), []);
    assert!(!link.replay(&other, "b"));
    assert!(link.replay(&one, "b"));
    assert_eq!(first.next().ack(), "b");
    assert_eq!(ids(&dead(bench, &link, &one, 2)), ["a", "c"]);
    link.publish(message("x", "end"));
    assert_eq!(second.ids_until("end"), ["a", "b", "c"]);
    assert_eq!(first.ids_until("end"), [""; 0]);
}

fn a_dead_letter_that_is_not_there_is_neither_replayed_nor_discarded(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    assert!(!link.replay(&queue, "a") && !link.discard(&queue, "a"));
    bury(&link, &consumer, &["a"]);
    dead(bench, &link, &queue, 1);
    assert!(!link.replay(&queue, "b") && !link.discard(&queue, "b"));
    assert_eq!(ids(&dead(bench, &link, &queue, 1)), ["a"]);
}

fn a_discarded_dead_letter_is_gone(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    bury(&link, &consumer, &["a", "b", "c"]);
    dead(bench, &link, &queue, 3);
    assert!(link.discard(&queue, "b"));
    assert_eq!(ids(&dead(bench, &link, &queue, 2)), ["a", "c"]);
    assert!(!link.discard(&queue, "b") && !link.replay(&queue, "b"));
    link.publish(message("x", "end"));
    assert_eq!(consumer.ids_until("end"), [""; 0]);
}

fn a_dead_letter_outlives_its_connection(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    bury(&link, &consumer, &["a"]);
    link.close().expect("nothing is left");
    drop((consumer, link));
    let link = bench.connect();
    dead(bench, &link, &queue, 1);
    assert!(link.replay(&queue, "a"));
    assert_eq!(link.consume(&queue, 9).next().ack(), "a");
}
