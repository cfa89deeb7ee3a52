//! Who gets the messages of a queue, how many at a time, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use autobus_core::transport::{Incoming, Queue, Settlement, Sink};

use super::parts::{bindings, message, queue};
use super::{Bench, Case, Held};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    consumers_of_one_queue_compete,
    a_broadcast_reaches_each_connection,
    a_broadcast_is_gone_with_its_connection,
    a_broadcast_is_gone_with_its_last_consumer,
    the_order_is_that_of_each_publisher,
    a_prefetch_is_never_exceeded,
    a_full_consumer_leaves_messages_to_others,
];

fn consumers_of_one_queue_compete(bench: &Bench) {
    let (one, other) = (bench.connect(), bench.connect());
    let queue = queue("q", &["#"]);
    let (first, second) = (one.consume(&queue, 1), other.consume(&queue, 1));
    let ids: BTreeSet<String> = (0..20).map(|number| number.to_string()).collect();
    for id in &ids {
        one.publish(message("a", id));
    }
    // Each holds one, so each gets some.
    let mut got = vec![first.next().ack(), second.next().ack()];
    while got.len() < ids.len() {
        let next = || first.try_next().or_else(|| second.try_next());
        got.push(bench.until("another message", next).ack());
    }
    assert_eq!(got.len(), got.iter().collect::<BTreeSet<_>>().len(), "twice: {got:?}");
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), ids);
}

fn a_broadcast_reaches_each_connection(bench: &Bench) {
    let links = [bench.connect(), bench.connect(), bench.connect()];
    let consumers = [0, 1, 2].map(|number| {
        let own = Queue::broadcast(format!("own.{number}"), bindings(&["news.#", "#"]));
        links[number].consume(&own, 9)
    });
    links[0].publish(message("news.today", "news"));
    links[1].publish(message("end", "end"));
    for consumer in &consumers {
        assert_eq!(consumer.next().ack(), "news");
        assert_eq!(consumer.next().ack(), "end");
    }
}

fn a_broadcast_is_gone_with_its_connection(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let own = Queue::broadcast("own", bindings(&["#"]));
    let consumer = other.consume(&own, 9);
    assert!(link.publish(message("a", "a")));
    let held = consumer.next();
    bench.lose(other);
    drop((held, consumer));
    bench.until("the queue to be gone", || (!link.publish(message("a", "b"))).then_some(()));
}

fn a_broadcast_is_gone_with_its_last_consumer(bench: &Bench) {
    let link = bench.connect();
    let own = Queue::broadcast("own", bindings(&["#"]));
    let mut consumer = link.consume(&own, 9);
    assert!(link.publish(message("a", "a")));
    consumer.end();
    bench.until("the queue to be gone", || (!link.publish(message("a", "b"))).then_some(()));
}

fn the_order_is_that_of_each_publisher(bench: &Bench) {
    const EACH: usize = 200;
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    link.declare([&queue]);
    let publishers = [bench.connect(), bench.connect(), bench.connect()];
    std::thread::scope(|scope| {
        for (name, publisher) in ["x", "y", "z"].into_iter().zip(&publishers) {
            scope.spawn(move || {
                let publish = |number: usize| {
                    let (resolver, completion) = autobus_core::transport::Resolver::pair();
                    let message = message("a", &format!("{name} {number:04}"));
                    publisher.transport().publish(message, resolver);
                    completion
                };
                for confirmed in (0..EACH).map(publish).collect::<Vec<_>>() {
                    confirmed.wait(None).expect("everything is confirmed");
                }
            });
        }
    });
    let consumer = link.consume(&queue, 50);
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..3 * EACH {
        let id = consumer.next().ack();
        let (name, number) = id.split_once(' ').expect("every id is a name and a number");
        seen.entry(name.to_owned()).or_default().push(number.to_owned());
    }
    let expected: Vec<String> = (0..EACH).map(|number| format!("{number:04}")).collect();
    for name in ["x", "y", "z"] {
        assert_eq!(seen[name], expected, "of {name}");
    }
}

fn a_prefetch_is_never_exceeded(bench: &Bench) {
    const PREFETCH: usize = 3;
    const MESSAGES: usize = 200;
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    link.declare([&queue]);
    for number in 0..MESSAGES {
        link.publish(message("a", &number.to_string()));
    }
    let unsettled = Arc::new(AtomicUsize::new(0));
    let (counted, (sender, received)) = (unsettled.clone(), channel());
    let sink: Sink = Arc::new(move |incoming: Incoming| {
        let held = counted.fetch_add(1, Ordering::SeqCst) + 1;
        drop(sender.send((held, incoming)));
    });
    let prefetch = u16::try_from(PREFETCH).expect("it is small");
    let subscription = link
        .ask(|transport, done| transport.consume(&queue, prefetch, sink, done))
        .expect("the consumer is accepted");
    let mut most = 0;
    // As many as it may have come before any is settled.
    let mut held: Vec<Incoming> = Vec::new();
    for _ in 0..MESSAGES {
        if held.len() == PREFETCH {
            unsettled.fetch_sub(1, Ordering::SeqCst);
            held.remove(0).acker.settle(Settlement::Ack);
        }
        let (count, incoming) = received.recv().expect("the consumer goes on");
        most = most.max(count);
        held.push(incoming);
    }
    drop(subscription);
    assert_eq!(most, PREFETCH);
}

fn a_full_consumer_leaves_messages_to_others(bench: &Bench) {
    let (one, other) = (bench.connect(), bench.connect());
    let queue = queue("q", &["#"]);
    let full = one.consume(&queue, 2);
    for id in ["a", "b", "c", "d"] {
        one.publish(message("x", id));
    }
    let held = full.take(2);
    let consumer = other.consume(&queue, 9);
    assert_eq!([consumer.next().ack(), consumer.next().ack()], ["c", "d"]);
    assert_eq!(held.iter().map(Held::id).collect::<Vec<_>>(), ["a", "b"]);
    assert!(full.try_next().is_none());
}
