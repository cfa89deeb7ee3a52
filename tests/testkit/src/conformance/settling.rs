//! What becomes of a message once it is settled.

use super::parts::{message, queue};
use super::{Bench, Case};
use crate::cases;
use autobus_core::transport::Settlement;

pub(super) const CASES: &[Case] = cases![
    what_is_acknowledged_is_gone,
    what_is_given_back_comes_again_uncounted,
    what_is_given_back_keeps_its_place: GivesBackInPlace,
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

fn what_is_given_back_comes_again_uncounted(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let queue = queue("q", &["#"]);
    let mut consumer = link.consume(&queue, 9);
    link.publish(message("x", "a"));
    let held = consumer.next();
    consumer.end();
    let second = other.consume(&queue, 9);
    held.settle(Settlement::GiveBack);
    let again = second.next();
    // Nobody has tried it, so that it is no suspect.
    assert_eq!(*again.message, message("x", "a"));
    again.ack();
}

fn what_is_given_back_keeps_its_place(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let mut consumer = link.consume(&queue, 3);
    for id in ["a", "b", "c", "d"] {
        link.publish(message("x", id));
    }
    let mut held = consumer.take(3);
    consumer.end();
    for number in [1, 0, 0] {
        held.remove(number).settle(Settlement::GiveBack);
    }
    let second = bench.connect();
    let second = second.consume(&queue, 9);
    assert_eq!(second.ids_until("d"), ["a", "b", "c"]);
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
