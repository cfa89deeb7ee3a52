//! What happens when connections are cut and come back by themselves.

use std::time::Duration;

use autobus_core::transport::{Resolver, Status};

use super::calling::answering;
use super::link::answer;
use super::parts::{message, queue, text};
use super::{Bench, Case};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    consumers_go_on_after_a_cut: Cuts,
    what_is_published_around_a_cut_arrives: Cuts,
    servers_go_on_after_a_cut: Cuts,
];

fn consumers_go_on_after_a_cut(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    link.publish(message("x", "a"));
    let held = consumer.next();
    bench.cut();
    let again = consumer.later(bench);
    let got = &again.message;
    assert_eq!((again.id(), got.attempt), ("a", 1 + got.lost));
    // Its process survived, so that it need not count; but it came before.
    assert!(got.redelivered || got.lost == 1, "{got:?}");
    // Of the connection that was cut; it settles nothing.
    held.ack();
    again.ack();
    link.publish(message("x", "end"));
    assert_eq!(consumer.ids_until("end"), [""; 0]);
    assert_eq!(link.status(), Status::Connected);
}

fn what_is_published_around_a_cut_arrives(bench: &Bench) {
    const MESSAGES: usize = 500;
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 64);
    let mut confirmed = Vec::new();
    for number in 0..MESSAGES {
        if number == MESSAGES / 2 {
            bench.cut();
        }
        let (resolver, completion) = Resolver::pair();
        link.transport().publish(message("x", &number.to_string()), resolver);
        confirmed.push(completion);
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < MESSAGES {
        seen.insert(consumer.next().ack());
    }
    for completion in confirmed {
        let confirm = completion.wait(None).expect("it is confirmed").expect("no deadline");
        assert!(confirm.routed);
    }
}

fn servers_go_on_after_a_cut(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let _serving = answering(&link, "greet");
    bench.cut();
    let second = Duration::from_secs(1);
    bench.until("an answer", || answer(other.call("greet", text("hello"), second)).ok());
}
