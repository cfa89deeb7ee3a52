//! Which queues get a message.

use autobus_core::transport::{Binding, Queue};

use super::parts::{EXCHANGE, message, queue};
use super::{Bench, Case};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    a_queue_gets_a_message_once_however_many_of_its_bindings_match,
    a_star_is_one_word_in_every_position,
    a_hash_is_any_number_of_words_in_every_position,
    exchanges_of_the_same_keys_are_apart,
    what_no_queue_matches_is_confirmed_as_unrouted,
    declaring_again_changes_nothing,
    bindings_add_up,
];

fn a_queue_gets_a_message_once_however_many_of_its_bindings_match(bench: &Bench) {
    let link = bench.connect();
    let many = queue("many", &["a.b", "a.*", "*.b", "#", "a.#", "#.b", "a.b"]);
    let consumer = link.consume(&many, 9);
    link.publish(message("a.b", "first"));
    link.publish(message("a.b", "second"));
    link.publish(message("end", "end"));
    assert_eq!(consumer.ids_until("end"), ["first", "second"]);
}

/// Binds each pattern as a queue, publishes each key, and compares who got what with `expected`.
fn matching(bench: &Bench, keys: &[&str], expected: &[(&str, &[&str])]) {
    let link = bench.connect();
    let queues: Vec<Queue> = (0..)
        .zip(expected)
        .map(|(number, (pattern, _)): (usize, _)| queue(&format!("q{number}"), &[pattern, "!"]))
        .collect();
    link.declare(&queues);
    for key in keys {
        link.publish(message(key, key));
    }
    link.publish(message("!", "!"));
    for (queue, (pattern, matched)) in queues.iter().zip(expected) {
        let got = link.consume(queue, 64).ids_until("!");
        assert_eq!(got, *matched, "what the pattern `{pattern}` got of {keys:?}");
    }
}

fn a_star_is_one_word_in_every_position(bench: &Bench) {
    matching(
        bench,
        &["a", "b", "a.b", "b.a", "a.a.b", "a.b.a", "b.a.b", "a.b.a.b"],
        &[
            ("*.b", &["a.b"]),
            ("a.*", &["a.b"]),
            ("*.a.*", &["a.a.b", "b.a.b"]),
            ("a.*.b", &["a.a.b"]),
            ("*.*.*", &["a.a.b", "a.b.a", "b.a.b"]),
            ("a.*.*.b", &["a.b.a.b"]),
        ],
    );
}

fn a_hash_is_any_number_of_words_in_every_position(bench: &Bench) {
    matching(
        bench,
        &["a", "b", "a.b", "b.a", "a.a.b", "a.b.a", "c.a.c.b"],
        &[
            ("a.#", &["a", "a.b", "a.a.b", "a.b.a"]),
            ("#.b", &["b", "a.b", "a.a.b", "c.a.c.b"]),
            ("a.#.b", &["a.b", "a.a.b"]),
            ("#.a.#", &["a", "a.b", "b.a", "a.a.b", "a.b.a", "c.a.c.b"]),
            ("#.a.#.b", &["a.b", "a.a.b", "c.a.c.b"]),
            ("*.#.a", &["b.a", "a.b.a"]),
            ("#.*.#.*.#.*", &["a.a.b", "a.b.a", "c.a.c.b"]),
        ],
    );
}

fn exchanges_of_the_same_keys_are_apart(bench: &Bench) {
    let link = bench.connect();
    let here = queue("here", &["#"]);
    let there = Queue::listener("there", vec![Binding::new("yard", "#")]);
    link.declare([&here, &there]);
    link.publish(message("a", "here"));
    let mut other = message("a", "there");
    "yard".clone_into(&mut other.exchange);
    link.publish(other);
    for (queue, id, exchange) in [(here, "here", EXCHANGE), (there, "there", "yard")] {
        let consumer = link.consume(&queue, 9);
        let held = consumer.next();
        assert_eq!((held.id(), held.message.exchange.as_str()), (id, exchange));
        held.ack();
        assert_eq!(link.depth(&queue).messages, 0);
    }
}

fn what_no_queue_matches_is_confirmed_as_unrouted(bench: &Bench) {
    let link = bench.connect();
    link.declare([&queue("q", &["a.*"])]);
    assert!(!link.publish(message("b.c", "nobody's")));
    assert!(link.publish(message("a.c", "somebody's")));
    assert!(!link.publish(message("a", "nobody's")));
}

fn declaring_again_changes_nothing(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let queue = queue("q", &["a", "a.#"]);
    link.declare([&queue]);
    link.publish(message("a", "before"));
    link.declare([&queue]);
    other.declare([&queue, &queue]);
    link.publish(message("a", "after"));
    link.publish(message("a", "end"));
    assert_eq!(other.consume(&queue, 9).ids_until("end"), ["before", "after"]);
}

fn bindings_add_up(bench: &Bench) {
    let link = bench.connect();
    link.declare([&queue("q", &["a"])]);
    let more = queue("q", &["b"]);
    link.declare([&more]);
    for key in ["a", "b", "c"] {
        assert_eq!(link.publish(message(key, key)), key != "c", "{key}");
    }
    link.publish(message("b", "end"));
    assert_eq!(link.consume(&more, 9).ids_until("end"), ["a", "b"]);
}
