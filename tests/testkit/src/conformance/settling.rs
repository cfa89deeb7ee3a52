//! What becomes of a message once it is settled.

use super::parts::{message, queue};
use super::{Bench, Case};
use crate::cases;
use autobus_core::transport::Settlement;

pub(super) const CASES: &[Case] = cases![
    what_is_acknowledged_is_gone,
    what_is_given_back_comes_again,
    what_is_given_back_is_in_front_and_counted: GivesBackInFront,
    what_is_dropped_comes_again,
    settlements_come_in_any_order_and_from_any_thread,
];

fn what_is_acknowledged_is_gone(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    for id in ["a", "b", "c"] {
        link.publish(message("x", id));
    }
    for held in consumer.take(3) {
        held.ack();
    }
    // Closing waits until it is done.
    link.close().expect("nothing is left");
    let link = bench.connect();
    link.publish(message("x", "end"));
    assert_eq!(link.consume(&queue, 9).ids_until("end"), [""; 0]);
}

fn what_is_given_back_comes_again(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let queue = queue("q", &["#"]);
    let mut consumer = link.consume(&queue, 9);
    link.publish(message("x", "a"));
    let held = consumer.next();
    consumer.end();
    let second = other.consume(&queue, 9);
    held.settle(Settlement::GiveBack);
    let again = second.next();
    let message = &again.message;
    assert_eq!((again.id(), &message.body[..]), ("a", &b"\"a\""[..]));
    assert!(message.lost <= 1 && message.attempt == 1 + message.lost, "{message:?}");
    again.ack();
}

fn what_is_given_back_is_in_front_and_counted(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 1);
    for id in ["a", "b"] {
        link.publish(message("x", id));
    }
    for lost in 0..3 {
        let held = consumer.next();
        let message = &held.message;
        assert_eq!((held.id(), message.lost, message.attempt), ("a", lost, lost + 1));
        if lost < 2 {
            held.settle(Settlement::GiveBack);
        } else {
            held.ack();
        }
    }
    let held = consumer.next();
    assert_eq!((held.id(), held.message.lost, held.message.attempt), ("b", 0, 1));
}

fn what_is_dropped_comes_again(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 1);
    link.publish(message("x", "a"));
    drop(consumer.next());
    assert_eq!(consumer.next().ack(), "a");
}

fn settlements_come_in_any_order_and_from_any_thread(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 64);
    for number in 0..64 {
        link.publish(message("x", &number.to_string()));
    }
    let mut held = consumer.take(64);
    fastrand::shuffle(&mut held);
    let rest = held.split_off(32);
    std::thread::scope(|scope| {
        for part in [held, rest] {
            scope.spawn(move || part.into_iter().for_each(|held| drop(held.ack())));
        }
    });
    link.close().expect("nothing is left");
    let link = bench.connect();
    link.publish(message("x", "end"));
    assert_eq!(link.consume(&queue, 9).ids_until("end"), [""; 0]);
}
