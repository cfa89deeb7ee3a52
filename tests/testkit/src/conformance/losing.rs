//! What happens to messages whose consumer dies.

use autobus_core::transport::{MOST_LOST, Settlement};
use autobus_core::{Failure, Reason};

use super::parts::{message, queue};
use super::{Bench, Case, Consumer, Held};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    nothing_is_gone_before_it_is_settled,
    each_loss_is_counted,
    a_killer_takes_no_neighbour_along,
    a_retry_keeps_what_was_lost,
    what_is_settled_too_late_is_settled_by_who_has_it_now,
];

fn nothing_is_gone_before_it_is_settled(bench: &Bench) {
    let queue = queue("q", &["#"]);
    let (link, other) = (bench.connect(), bench.connect());
    let consumer = link.consume(&queue, 9);
    for id in ["a", "b", "c"] {
        other.publish(message("x", id));
    }
    let mut held = consumer.take(3);
    bench.lose(link);
    let second = other.consume(&queue, 9);
    let again: Vec<_> = (0..3)
        .map(|_| {
            let held = second.next();
            let message = held.message.clone();
            held.ack();
            (message.id.clone(), message.lost, message.attempt)
        })
        .collect();
    let mut expected: Vec<_> = held.drain(..).map(|held| (held.id().to_owned(), 1, 2)).collect();
    let mut again = again;
    again.sort();
    expected.sort();
    assert_eq!(again, expected);
}

/// The next message, which was lost so many times. A copy that was lost fewer times may come before
/// it: its consumer died before the broker heard that it has another.
#[track_caller]
fn lost(consumer: &Consumer, times: u32) -> Held {
    loop {
        let held = consumer.next();
        assert!(held.message.lost <= times, "{:?}", held.message);
        if held.message.lost == times {
            return held;
        }
        held.ack();
    }
}

fn each_loss_is_counted(bench: &Bench) {
    let queue = queue("q", &["#"]);
    let publisher = bench.connect();
    publisher.declare([&queue]);
    publisher.publish(message("x", "a"));
    for times in 0..=MOST_LOST {
        let link = bench.connect();
        let consumer = link.consume(&queue, 9);
        let held = lost(&consumer, times);
        assert_eq!((held.id(), held.message.attempt), ("a", times + 1));
        bench.lose(link);
    }
}

fn a_killer_takes_no_neighbour_along(bench: &Bench) {
    const NEIGHBOURS: usize = 8;
    let queue = queue("q", &["#"]);
    let publisher = bench.connect();
    publisher.declare([&queue]);
    publisher.publish(message("x", "killer"));
    for number in 0..NEIGHBOURS {
        publisher.publish(message("x", &number.to_string()));
    }
    // The first time, all of them are in the process that it kills.
    let link = bench.connect();
    let consumer = link.consume(&queue, 64);
    let held = consumer.take(NEIGHBOURS + 1);
    assert_eq!(held[0].id(), "killer");
    bench.lose(link);
    drop((held, consumer));

    let mut handled = Vec::new();
    let mut buried = false;
    while !buried || handled.len() < NEIGHBOURS {
        let link = bench.connect();
        let consumer = link.consume(&queue, 64);
        let alive = loop {
            let held = consumer.next();
            let (id, lost) = (held.message.id.clone(), held.message.lost);
            if id != "killer" {
                assert!(lost <= 2, "the neighbour {id} was lost {lost} times");
                held.ack();
                handled.push(id);
            } else if lost > MOST_LOST {
                let reason = Failure::of(Reason::Panic, "it kills");
                held.settle(Settlement::Dead { reason, attempts: lost + 1 });
                buried = true;
            } else {
                break false;
            }
            handled.sort();
            handled.dedup(); // What was settled and not confirmed may come twice.
            if buried && handled.len() == NEIGHBOURS {
                break true;
            }
        };
        if alive {
            link.close().expect("nothing is left");
        } else {
            bench.lose(link);
        }
    }
    let dead = publisher.dead_letters(&queue);
    assert_eq!(dead.iter().map(|dead| dead.message.id.as_str()).collect::<Vec<_>>(), ["killer"]);
}

fn a_retry_keeps_what_was_lost(bench: &Bench) {
    let queue = queue("q", &["#"]);
    let link = bench.connect();
    let consumer = link.consume(&queue, 9);
    link.publish(message("x", "a"));
    let held = consumer.next();
    bench.lose(link);
    drop((held, consumer));
    let link = bench.connect();
    let consumer = link.consume(&queue, 9);
    consumer.next().retry(std::time::Duration::from_millis(100), 3);
    let again = consumer.later(bench);
    assert_eq!((again.message.attempt, again.message.lost), (3, 1));
}

fn what_is_settled_too_late_is_settled_by_who_has_it_now(bench: &Bench) {
    let queue = queue("q", &["#"]);
    let (link, other) = (bench.connect(), bench.connect());
    let consumer = link.consume(&queue, 9);
    other.publish(message("x", "a"));
    let held = consumer.next();
    bench.lose(link);
    let second = other.consume(&queue, 9);
    let again = second.next();
    held.ack();
    // It is not gone: this one dies as well.
    bench.lose(other);
    drop((again, second, consumer));
    let link = bench.connect();
    let consumer = link.consume(&queue, 9);
    assert_eq!(lost(&consumer, 2).id(), "a");
}
